//! The ledger: sums of usage by key, model, tag and time.

mod interval;
mod query;
mod report;
mod row;
mod sums;
#[cfg(test)]
mod tests;
mod totals;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use interval::Interval;
pub use query::{Dimension, Query};
pub use report::{Report, ReportRow};
pub use row::{Dimensions, UsageRow};
pub use totals::Totals;

use super::sink::{UsageRecord, UsageSink};
use sums::{Bounds, Sums};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// Sums the usage of requests: by key, account, model and tag, for each minute, hour and day of UTC.
///
/// It is a [`UsageSink`]; one ledger may serve several pools. It counts a request once, when the answer
/// has ended, at that moment. The usage is what the answer reported, an estimate if the answer was cut, or
/// none if the answer reported nothing. Attempts that were refused, or that failed without an answer, are
/// not counted.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::sync::Arc;
/// # use tower_key_rotation::{ApiKey, Demand, KeyPool, OpenAi, usage::Usage};
/// # use tower_key_rotation::usage::{Dimension, Interval, Ledger, Query};
/// let ledger = Arc::new(Ledger::new());
/// let pool = KeyPool::builder(OpenAi::default())
///     .key(ApiKey::new("sk-not-a-real-key").id("a1"))
///     .usage_sink(Arc::clone(&ledger))
///     .build()?;
///
/// let mut lease = pool.acquire(&Demand::new().model("gpt-4o").tag("team-a")).await?;
/// lease.settle(Usage::tokens(1_000, 200)); // KeyRotation does this with the usage that it reads
///
/// let query = Query::new().by(Dimension::Model).by(Dimension::Tag).per(Interval::Hour);
/// let report = ledger.query(&query);
/// assert_eq!(report.rows[0].tag.as_deref(), Some("team-a"));
/// assert_eq!(report.total.nano_dollars, 4_500_000); // 1,000 x $2.50 and 200 x $10 a million
/// assert_eq!(report.total.dollars(), "0.004500000");
/// # Ok(())
/// # }
/// ```
///
/// # Bounds
///
/// It lives in memory. By default it keeps minutes for 3 hours, hours for 7 days and days for 400 days
/// ([`retention`](Self::retention)). Each interval has at most 500 combinations of key, model and tag
/// ([`max_rows`](Self::max_rows)). Further ones are summed under the tag `(other)`, and beyond twice as
/// many under the model `(other)` too, so sums stay complete. A combination takes about 250 bytes.
///
/// # Keeping a ledger in a store
///
/// A store writes the rows of [`take_changed`](Self::take_changed) from time to time, and reads them back
/// with [`load`](Self::load) when the process starts again. Each row holds its sums from the start of its
/// interval, so a store replaces the older row, and writing a row twice does no harm. The gateway example
/// has a store in SQLite.
#[derive(Debug)]
pub struct Ledger {
    bounds: Bounds,
    sums: Mutex<Sums>,
}

impl Ledger {
    /// An empty ledger with the default bounds.
    #[must_use]
    pub fn new() -> Self {
        let retention = [3 * HOUR, 7 * DAY, 400 * DAY].map(Duration::from_secs);
        Self { bounds: Bounds { retention, max_rows: 500 }, sums: Mutex::default() }
    }

    /// How long minutes, hours or days are kept; one interval at least.
    #[must_use]
    pub fn retention(mut self, interval: Interval, time: Duration) -> Self {
        self.bounds.retention[interval as usize] = time;
        self
    }

    /// How many combinations of key, model and tag each interval has before new tags are combined. It
    /// never has more than twice as many, plus two for each key.
    #[must_use]
    pub fn max_rows(mut self, rows: usize) -> Self {
        self.bounds.max_rows = rows;
        self
    }

    /// Answers a [`Query`].
    #[must_use]
    pub fn query(&self, query: &Query) -> Report {
        Report::new(&self.sums(), query)
    }

    /// The rows that have changed since the last call, for a store.
    #[must_use = "these rows are not returned again"]
    pub fn take_changed(&self) -> Vec<UsageRow> {
        self.sums().take_changed()
    }

    /// Whether rows have changed since the last [`take_changed`](Self::take_changed).
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.sums().has_changed()
    }

    /// Marks rows as changed, because a store failed to write them. The next
    /// [`take_changed`](Self::take_changed) returns them again.
    pub fn mark_changed(&self, rows: &[UsageRow]) {
        let mut sums = self.sums();
        rows.iter().for_each(|row| sums.mark_changed(row));
    }

    /// Adds rows from a store. Call it once, before the ledger counts a request.
    pub fn load(&self, rows: impl IntoIterator<Item = UsageRow>) {
        let mut sums = self.sums();
        rows.into_iter().for_each(|row| sums.load(&row, &self.bounds));
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl UsageSink for Ledger {
    fn record(&self, record: &UsageRecord<'_>) {
        let (dimensions, totals) = (Dimensions::of(record), Totals::of(record));
        self.sums().add(record.at, &dimensions, &totals, &self.bounds);
    }
}
