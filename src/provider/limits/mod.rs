//! Headers that report an allowance, what is left of it and when it is back: their names, as data, and
//! one pass over a response's headers that reads them without allocating.

mod figures;
mod ietf;
mod reading;

use std::{fmt, time::Duration};

use http::{HeaderMap, StatusCode};

use self::figures::{Figure, Figures};
pub use self::reading::{LimitReading, Refill};
use super::{clock, exchange::Answer};
use crate::{limit::Metered, verdict::Scope};

/// Limits that one dialect reports at most.
const MOST_LIMITS: usize = 12;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// Thirty days, as months differ.
pub(crate) const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// How a dialect reports its limits: in which headers, for what they hold, and how they come back.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::verdict::Scope;
/// use tower_key_rotation::provider::{Limits, LimitHeader, Refill};
///
/// // x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests
/// let limits = Limits::of(Scope::Model, Refill::Rolling)
///     .header(LimitHeader::requests("x-ratelimit-{}-requests").per(Duration::from_secs(60)));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Limits {
    scope: Scope,
    refill: Refill,
    limits: Vec<LimitHeader>,
    /// By length and name, to be searched; all begin with `prefix`.
    columns: Vec<(Box<str>, usize, Figure)>,
    prefix: Box<str>,
    /// Whether the `RateLimit` header of the IETF's draft is read too.
    ietf: bool,
    period: Option<fn(&HeaderMap) -> Option<Duration>>,
}

/// The headers that report one limit: up to three, each of which can be missing.
#[derive(Clone, Debug)]
#[must_use]
pub struct LimitHeader {
    metered: Metered,
    period: Option<Duration>,
    /// The index of the first limit on the same.
    first: usize,
    columns: Vec<(Box<str>, Figure)>,
}

impl LimitHeader {
    /// A limit on requests. In the names of its headers, `{}` stands for `limit`, `remaining` and `reset`.
    pub fn requests(template: &str) -> Self {
        Self::of(Metered::Requests, template)
    }

    /// A limit on input and output tokens together.
    pub fn tokens(template: &str) -> Self {
        Self::of(Metered::Tokens, template)
    }

    /// A limit on anything.
    pub fn of(metered: Metered, template: &str) -> Self {
        let column = |word: &str, figure| (template.replace("{}", word).into_boxed_str(), figure);
        let columns = vec![
            column("limit", Figure::Limit),
            column("remaining", Figure::Remaining),
            column("reset", Figure::Reset),
        ];
        Self { metered, period: None, first: 0, columns }
    }

    /// Its period, if that is always the same.
    pub fn per(mut self, period: Duration) -> Self {
        self.period = Some(period);
        self
    }

    /// One more header that reports the limit.
    pub fn limit_in(mut self, name: &str) -> Self {
        self.columns.push((name.into(), Figure::Limit));
        self
    }

    /// A header that reports the period, in seconds.
    pub fn period_in(mut self, name: &str) -> Self {
        self.columns.push((name.into(), Figure::Period));
        self
    }

    /// Ignores the reset, as its unit is not known.
    pub fn without_reset(mut self) -> Self {
        self.columns.retain(|(_, figure)| *figure != Figure::Reset);
        self
    }
}

impl Limits {
    /// Limits that no header reports yet; for what they hold, and how they come back.
    pub fn of(scope: Scope, refill: Refill) -> Self {
        Self {
            scope,
            refill,
            limits: Vec::new(),
            columns: Vec::new(),
            prefix: Box::default(),
            ietf: false,
            period: None,
        }
    }

    /// One more limit that headers report. Of two limits on the same for the same period, the one with less
    /// remaining counts. There can be 12; more are ignored.
    pub fn header(mut self, mut limit: LimitHeader) -> Self {
        let index = self.limits.len();
        if index < MOST_LIMITS {
            let is_alike = |other: &LimitHeader| {
                (other.metered, other.period) == (limit.metered, limit.period)
            };
            limit.first = self.limits.iter().position(is_alike).unwrap_or(index);
            let columns = limit.columns.iter();
            self.columns.extend(columns.map(|(name, figure)| (name.clone(), index, *figure)));
            self.columns.sort_by(|a, b| by_length(&a.0).cmp(&by_length(&b.0)));
            self.limits.push(limit);
            let names = self.columns.iter().map(|(name, ..)| &**name);
            self.prefix = names.reduce(common_prefix).unwrap_or_default().into();
        }
        self
    }

    /// Reads the `RateLimit` header of the
    /// [IETF's draft](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/) too,
    /// if no other header reports a limit on requests.
    pub fn ietf(mut self) -> Self {
        self.ietf = true;
        self
    }

    /// What reads the period from headers that all limits share.
    pub(crate) fn period_by(mut self, period: fn(&HeaderMap) -> Option<Duration>) -> Self {
        self.period = Some(period);
        self
    }

    /// For what the limits hold: the account, or the account for the model of the request.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// How the allowances come back.
    #[must_use]
    pub fn refill(&self) -> Refill {
        self.refill
    }

    /// Calls `report` once for each limit that a response reports.
    ///
    /// Nothing is read from a 401: GitHub reports there the limits of the address, not of the key
    /// (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
    pub fn read(&self, answer: &Answer<'_>, report: &mut dyn FnMut(LimitReading)) {
        if answer.status() == StatusCode::UNAUTHORIZED {
            return;
        }
        let mut reports_requests = false;
        if let Some(found) = self.figures(answer) {
            self.report(answer, found, &mut |reading| {
                reports_requests |= reading.metered == Metered::Requests;
                report(reading);
            });
        }
        // If both forms are sent, they say the same.
        if self.ietf && !reports_requests {
            ietf::read(answer).into_iter().for_each(report);
        }
    }

    /// One reading for all limits on the same.
    fn report(&self, answer: &Answer<'_>, mut found: Found, report: &mut dyn FnMut(LimitReading)) {
        let period = self.period.and_then(|period| period(answer.headers()));
        for (index, limit) in self.limits.iter().enumerate().filter(|(at, limit)| limit.first < *at)
        {
            found[limit.first] = found[limit.first].tighter(found[index]);
        }
        for (index, (limit, figures)) in self.limits.iter().zip(&found).enumerate() {
            if limit.first < index || !figures.are_useful() {
                continue;
            }
            report(LimitReading {
                period: figures.period.or(limit.period).or(period),
                limit: figures.limit,
                remaining: figures.remaining,
                reset: figures.reset,
                ..LimitReading::new(limit.metered, self.scope, self.refill)
            });
        }
    }

    /// What the headers report of each limit; `None` if there are no such headers.
    fn figures(&self, answer: &Answer<'_>) -> Option<Found> {
        let mut found = None;
        if self.columns.is_empty() {
            return found;
        }
        for (name, value) in answer.headers() {
            if !name.as_str().starts_with(&*self.prefix) {
                continue;
            }
            // Two limits may share a header.
            let sought = by_length(name.as_str());
            let from = self.columns.partition_point(|(column, ..)| by_length(column) < sought);
            for (column, limit, figure) in &self.columns[from..] {
                if by_length(column) != sought {
                    break;
                }
                let found = found.get_or_insert([Figures::default(); MOST_LIMITS]);
                if let (Some(figures), Some(text)) = (found.get_mut(*limit), clock::text(value)) {
                    figures.take(*figure, text, || answer.sent_at());
                }
            }
        }
        found
    }
}

/// What the headers report of each limit.
type Found = [Figures; MOST_LIMITS];

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("scope", &self.scope)
            .field("refill", &self.refill)
            .field("limits", &self.limits)
            .field("ietf", &self.ietf)
            .finish_non_exhaustive()
    }
}

fn common_prefix<'t>(first: &'t str, last: &str) -> &'t str {
    let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    first.get(..same).unwrap_or_default()
}

/// In this order, most comparisons end at the lengths.
fn by_length(name: &str) -> (usize, &str) {
    (name.len(), name)
}
