//! What a change of a pool's keys and accounts has changed.

use std::{fmt, sync::Arc};

use crate::KeyId;

/// What a change of a pool's keys and accounts has changed, by their labels.
///
/// [`KeyPool::apply`](crate::KeyPool::apply) and the others return it, and it is told as
/// [`Event::ConfigChanged`](crate::event::Event::ConfigChanged) unless nothing is another than before.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Changes {
    /// Keys that were not there before.
    pub keys_added: Vec<KeyId>,
    /// Keys that take no new requests.
    pub keys_removed: Vec<KeyId>,
    /// Keys with another secret or another endpoint.
    pub keys_replaced: Vec<KeyId>,
    /// Keys with another weight, limit, expiry date or account.
    pub keys_changed: Vec<KeyId>,
    /// Accounts that were not there before.
    pub accounts_added: Vec<Arc<str>>,
    /// Accounts that are no longer there.
    pub accounts_removed: Vec<Arc<str>>,
    /// Accounts with another weight or limit.
    pub accounts_changed: Vec<Arc<str>>,
}

/// So many labels are written out.
const SHOWN: usize = 8;

impl Changes {
    /// Whether nothing is another than before.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists().iter().all(|(_, labels)| labels.is_empty())
    }

    fn lists(&self) -> [(&'static str, Vec<&str>); 7] {
        fn keys(keys: &[KeyId]) -> Vec<&str> {
            keys.iter().map(KeyId::as_str).collect()
        }
        fn names(names: &[Arc<str>]) -> Vec<&str> {
            names.iter().map(|name| &**name).collect()
        }
        [
            ("keys added", keys(&self.keys_added)),
            ("keys removed", keys(&self.keys_removed)),
            ("keys replaced", keys(&self.keys_replaced)),
            ("keys changed", keys(&self.keys_changed)),
            ("accounts added", names(&self.accounts_added)),
            ("accounts removed", names(&self.accounts_removed)),
            ("accounts changed", names(&self.accounts_changed)),
        ]
    }
}

/// `1 keys added (a2), 1 keys removed (a1)`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing changed");
        }
        let mut comma = "";
        for (what, labels) in self.lists().iter().filter(|(_, labels)| !labels.is_empty()) {
            let (shown, more) = labels.split_at(labels.len().min(SHOWN));
            write!(f, "{comma}{} {what} ({}", labels.len(), shown.join(", "))?;
            f.write_str(if more.is_empty() { ")" } else { ", ...)" })?;
            comma = ", ";
        }
        Ok(())
    }
}
