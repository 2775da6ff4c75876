//! The books: what was used, by whom, and when.

mod books;
mod line;
mod query;
mod report;
#[cfg(test)]
mod tests;
mod totals;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

pub use books::Per;
pub use line::{Line, Whose};
pub use query::{By, Query, QueryError};
pub use report::{Report, ReportLine};
pub use totals::Totals;

use super::{Spent, UsageSink};
use books::{Books, Keep};

const HOUR: u64 = 3_600;
const DAY: u64 = 24 * HOUR;

/// Adds up what requests use: by key, account, model and tag, for each minute, hour and day (of UTC).
///
/// It is a [`UsageSink`]; one ledger may serve several pools. It is in memory and bounded: by default
/// minutes are kept for 3 hours, hours for 7 days and days for 400 days, each with at most 500
/// combinations of key, model and tag. Those beyond are added up under the tag `(other)`, and beyond
/// twice as many under the model `(other)`, too, so that sums stay whole. A combination takes about 250
/// bytes; most days have few.
///
/// A request is booked once, when its answer has ended, for that moment: with what it told, an estimate
/// if it was cut, or as a request without a usage if it told nothing. Attempts that were refused, and
/// those that failed without an answer, are not booked. Figures stop at 2^64.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::sync::Arc;
/// # use tower_key_rotation::{ApiKey, Demand, KeyPool, OpenAi, Usage, usage::Ledger};
/// let ledger = Arc::new(Ledger::new());
/// let pool = KeyPool::builder(OpenAi::default())
///     .key(ApiKey::new("sk-not-a-real-key").id("a1"))
///     .usage_sink(Arc::clone(&ledger))
///     .build()?;
///
/// let mut lease = pool.acquire(&Demand::new().model("gpt-4o").tag("team-a")).await?;
/// lease.settle(Usage::tokens(1_000, 200)); // KeyRotation does it with what it reads
///
/// let report = ledger.query(&"by=model,tag,hour".parse()?);
/// assert_eq!(report.total.nano_dollars, 4_500_000); // 1,000 x $2.50 and 200 x $10 a million
/// println!("{}", report.to_csv());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Ledger {
    keep: Keep,
    books: Mutex<Books>,
}

impl Ledger {
    /// An empty one, that keeps as much as is said above.
    #[must_use]
    pub fn new() -> Self {
        let spans = [3 * HOUR, 7 * DAY, 400 * DAY].map(Duration::from_secs);
        Self { keep: Keep { spans, lines: 500 }, books: Mutex::default() }
    }

    /// How long the sums of minutes, hours or days are kept; of one at least.
    #[must_use]
    pub fn keep(mut self, per: Per, span: Duration) -> Self {
        self.keep.spans[per as usize] = span;
        self
    }

    /// How many combinations of key, model and tag each minute, hour and day has at most before tags are
    /// taken together; twice as many, and two for each key, are never exceeded.
    #[must_use]
    pub fn lines(mut self, most: usize) -> Self {
        self.keep.lines = most;
        self
    }

    /// What the ledger says; see [`Query`].
    #[must_use]
    pub fn query(&self, query: &Query) -> Report {
        Report::new(&self.books(), query)
    }

    /// The lines that have changed since the last call, for whoever keeps them in a file. Each has its
    /// sums from the beginning, so that writing one in place of an older one is right, however often.
    #[must_use = "they are not told again"]
    pub fn take_changed(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        self.books().take_changed(|line| lines.push(line));
        lines
    }

    /// Whether there are any.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.books().has_changed()
    }

    /// Lines that were taken and could not be kept, to be taken again.
    pub fn give_back(&self, lines: &[Line]) {
        let mut books = self.books();
        lines.iter().for_each(|line| books.mark_changed(line));
    }

    /// Adds lines that were kept in a file to what there is: before anything is booked.
    pub fn load(&self, lines: impl IntoIterator<Item = Line>) {
        let mut books = self.books();
        lines.into_iter().for_each(|line| books.load(line, &self.keep));
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl UsageSink for Ledger {
    fn record(&self, spent: &Spent<'_>) {
        let (whose, totals) = (Whose::of(spent), Totals::of(spent));
        self.books().add(spent.at, &whose, &totals, &self.keep);
    }
}
