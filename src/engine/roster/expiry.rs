//! Keys that are good until a date, in the order in which something is due for them.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::{ids::KeyIx, time::Time};

/// Until when keys are good, and when something is to be told or done about that.
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
    /// A key is good until a time, and is looked at before that.
    pub(in crate::engine) fn set(&mut self, key: KeyIx, at: Time, notice: Time) {
        self.forget(key);
        self.by_key.insert(key, Expiry { at, notice });
        self.notices.insert((notice, key));
    }

    /// A key has no end, or has come to it.
    pub(in crate::engine) fn forget(&mut self, key: KeyIx) {
        if let Some(Expiry { notice, .. }) = self.by_key.remove(&key) {
            self.notices.remove(&(notice, key));
        }
    }

    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// The next key that is due by now, and until when it is good.
    pub(in crate::engine) fn due(&self, now: Time) -> Option<(KeyIx, Time)> {
        let (_, key) = self.notices.first().filter(|(notice, _)| *notice <= now)?;
        Some((*key, self.by_key.get(key)?.at))
    }

    /// When the next key is due.
    pub(in crate::engine) fn next(&self) -> Option<Time> {
        self.notices.first().map(|(notice, _)| *notice)
    }
}
