//! Keys with an expiry date, ordered by the next moment at which something is due for them.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{ids::KeyIx, time::Time};

/// When keys expire, and when the next warning or expiry is due.
#[derive(Debug, Default)]
pub(in crate::engine) struct Expiries {
    by_key: BTreeMap<KeyIx, Expiry>,
    notices: BTreeSet<(Time, KeyIx)>,
}

#[derive(Debug)]
struct Expiry {
    at: Time,
    notice: Time,
}

impl Expiries {
    /// Sets when a key expires, and when it is due next: a warning or the expiry.
    pub(in crate::engine) fn set(&mut self, key: KeyIx, at: Time, notice: Time) {
        self.forget(key);
        self.by_key.insert(key, Expiry { at, notice });
        self.notices.insert((notice, key));
    }

    /// Removes a key: it has no expiry date, or has expired.
    pub(in crate::engine) fn forget(&mut self, key: KeyIx) {
        if let Some(Expiry { notice, .. }) = self.by_key.remove(&key) {
            self.notices.remove(&(notice, key));
        }
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The next key that is due by now, and when it expires.
    pub(in crate::engine) fn due(&self, now: Time) -> Option<(KeyIx, Time)> {
        let (_, key) = self.notices.first().filter(|(notice, _)| *notice <= now)?;
        Some((*key, self.by_key.get(key)?.at))
    }

    /// When the next key is due.
    pub(in crate::engine) fn next(&self) -> Option<Time> {
        self.notices.first().map(|(notice, _)| *notice)
    }
}
