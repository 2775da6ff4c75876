//! Receivers of the usage of requests.

use std::{fmt, sync::Arc, time::SystemTime};

use crate::{
    KeyId,
    usage::{price::Charge, tokens::Usage},
};

/// The usage of one request, with its key, model and tag.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UsageRecord<'a> {
    /// The name of the pool.
    pub pool: &'a Arc<str>,
    /// The account of the key.
    pub account: &'a Arc<str>,
    /// The label of the key.
    pub key: &'a KeyId,
    /// The model that was asked for. A pool distinguishes about a thousand models; all others have the name
    /// `(other)`.
    pub model: Option<&'a Arc<str>>,
    /// The caller's tag ([`Demand::tag`](crate::Demand::tag)).
    pub tag: Option<&'a Arc<str>>,
    /// When the answer ended.
    pub at: SystemTime,
    /// What was used; none if the answer ended normally, reported no usage, and is not charged in tokens as far
    /// as is known: pictures, sound, videos.
    pub usage: Option<Usage>,
    /// The cost.
    pub charge: Charge,
}

impl<'a> UsageRecord<'a> {
    /// A record without model, tag, usage and cost, for instance to test a sink. The fields can be set.
    #[must_use]
    pub fn new(pool: &'a Arc<str>, account: &'a Arc<str>, key: &'a KeyId, at: SystemTime) -> Self {
        let charge = Charge::default();
        Self { pool, account, key, model: None, tag: None, at, usage: None, charge }
    }
}

/// Receives the usage of each request, once, when its answer has ended; see
/// [`KeyPoolBuilder::usage_sink`](crate::KeyPoolBuilder::usage_sink).
///
/// A request that its caller gave up after it was sent is included, with an estimate; so is one whose answer
/// is charged in tokens and reports none. Attempts that were refused, or that failed without an answer, are
/// not included; neither are requests that are free, such as reading a stored answer or counting tokens.
///
/// ```
/// # use std::sync::atomic::{AtomicU64, Ordering};
/// # use tower_key_rotation::usage::{UsageRecord, UsageSink};
/// #[derive(Debug, Default)]
/// struct Total(AtomicU64);
///
/// impl UsageSink for Total {
///     fn record(&self, record: &UsageRecord<'_>) {
///         self.0.fetch_add(record.charge.nano_dollars, Ordering::Relaxed);
///     }
/// }
/// ```
pub trait UsageSink: fmt::Debug + Send + Sync + 'static {
    /// Receives the usage of a request.
    ///
    /// It runs where the answer ends, which may be inside a drop. So it must not block, and cannot fail.
    fn record(&self, record: &UsageRecord<'_>);
}

impl<S: UsageSink> UsageSink for Arc<S> {
    fn record(&self, record: &UsageRecord<'_>) {
        (**self).record(record);
    }
}
