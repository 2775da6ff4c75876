//! What a change of a pool's keys and accounts has changed.

use std::{fmt, sync::Arc};

use crate::KeyId;

/// What a change of a pool's keys and accounts has changed, by their labels.
///
/// [`KeyPool::apply`](crate::KeyPool::apply) and the other methods that change a pool return it. Unless it is
/// empty, the pool also emits it as [`Event::ConfigChanged`](crate::event::Event::ConfigChanged).
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Changes {
    /// Keys that were not there before.
    pub keys_added: Vec<KeyId>,
    /// Keys that were removed. They get no new requests.
    pub keys_removed: Vec<KeyId>,
    /// Keys with another secret or another endpoint.
    pub keys_replaced: Vec<KeyId>,
    /// Keys with another weight, limit, expiry date or account.
    pub keys_changed: Vec<KeyId>,
    /// Accounts that were not there before.
    pub accounts_added: Vec<Arc<str>>,
    /// Accounts that were removed.
    pub accounts_removed: Vec<Arc<str>>,
    /// Accounts with another weight or limit.
    pub accounts_changed: Vec<Arc<str>>,
}

/// The number of labels that are written out in each list.
const SHOWN: usize = 8;

impl Changes {
    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists().iter().all(|(.., labels)| labels.is_empty())
    }

    fn lists(&self) -> [(&'static str, &'static str, Vec<&str>); 7] {
        fn keys(keys: &[KeyId]) -> Vec<&str> {
            keys.iter().map(KeyId::as_str).collect()
        }
        fn names(names: &[Arc<str>]) -> Vec<&str> {
            names.iter().map(|name| &**name).collect()
        }
        [
            ("key", "added", keys(&self.keys_added)),
            ("key", "removed", keys(&self.keys_removed)),
            ("key", "replaced", keys(&self.keys_replaced)),
            ("key", "changed", keys(&self.keys_changed)),
            ("account", "added", names(&self.accounts_added)),
            ("account", "removed", names(&self.accounts_removed)),
            ("account", "changed", names(&self.accounts_changed)),
        ]
    }
}

/// `1 key added (a2), 2 keys removed (a1, b1)`.
impl fmt::Display for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing changed");
        }
        let mut comma = "";
        for (noun, change, labels) in self.lists().iter().filter(|(.., labels)| !labels.is_empty())
        {
            let (shown, more) = labels.split_at(labels.len().min(SHOWN));
            let plural = if labels.len() == 1 { "" } else { "s" };
            write!(f, "{comma}{} {noun}{plural} {change} ({}", labels.len(), shown.join(", "))?;
            f.write_str(if more.is_empty() { ")" } else { ", ...)" })?;
            comma = ", ";
        }
        Ok(())
    }
}
