//! Who wants to know what was used.

use std::{fmt, sync::Arc, time::SystemTime};

use super::Charge;
use crate::{KeyId, Usage};

/// What one request used, and of whose.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Spent<'a> {
    /// The pool's name.
    pub pool: &'a Arc<str>,
    /// The key's account.
    pub account: &'a Arc<str>,
    /// The key's label.
    pub key: &'a KeyId,
    /// The model that was asked for. `(other)` is one of more than a thousand at once.
    pub model: Option<&'a Arc<str>>,
    /// What its caller tagged it with ([`Demand::tag`](crate::Demand::tag)).
    pub tag: Option<&'a Arc<str>>,
    /// When it ended.
    pub at: SystemTime,
    /// What was used; none if its answer ended well and told nothing.
    pub usage: Option<Usage>,
    /// What that cost.
    pub charge: Charge,
}

/// Is told what each request used, once, when its answer has ended: see
/// [`KeyPoolBuilder::usage_sink`](crate::KeyPoolBuilder::usage_sink).
///
/// It is called where the answer ends, also from a drop: it must not block, and has no error to give.
/// A request that was given up by its caller once it was sent is told too, with an estimate. Attempts
/// that were refused, or failed without an answer, are not among them.
///
/// ```
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # use tower_key_rotation::usage::{Spent, UsageSink};
/// #[derive(Debug, Default)]
/// struct Total(AtomicU64);
///
/// impl UsageSink for Total {
///     fn record(&self, spent: &Spent<'_>) {
///         self.0.fetch_add(spent.charge.nano_dollars, Ordering::Relaxed);
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
