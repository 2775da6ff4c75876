//! Who wants to know what was used.

use std::{fmt, sync::Arc};

use crate::{KeyId, Usage};

/// What one request used, and of whose.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Spent<'a> {
    /// The key's label.
    pub key: &'a KeyId,
    /// Its account.
    pub account: &'a Arc<str>,
    /// What was used.
    pub usage: Usage,
}

/// Is told what each request used, once, when its answer has ended: see
/// [`KeyPoolBuilder::usage_sink`](crate::KeyPoolBuilder::usage_sink).
///
/// It is called where the answer ends, also from a drop: it must not block, and has no error to give.
/// Requests that were refused, and answers that have no usage to tell, are not among them.
///
/// ```
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # use tower_key_rotation::usage::{Spent, UsageSink};
/// #[derive(Debug, Default)]
/// struct Total(AtomicU64);
///
/// impl UsageSink for Total {
///     fn record(&self, spent: &Spent<'_>) {
///         self.0.fetch_add(spent.usage.total(), Ordering::Relaxed);
///     }
/// }
/// ```
pub trait UsageSink: fmt::Debug + Send + Sync + 'static {
    /// Takes in what a request used.
    fn record(&self, spent: &Spent<'_>);
}

impl<S: UsageSink> UsageSink for Arc<S> {
    fn record(&self, spent: &Spent<'_>) {
        (**self).record(spent);
    }
}
