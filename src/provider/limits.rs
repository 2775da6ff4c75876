//! Headers that tell an allowance, what is left of it and when it is back: which they are, as data,
//! and one pass over a response's headers that reads them, without allocating.

use std::{fmt, time::Duration};

use http::{HeaderMap, StatusCode};

use super::{Answer, Reading, Refill, clock, duration, ietf};
use crate::{Scope, limit::Metered};

/// Amounts from here on mean "not limited": some gateways send `-1`, some 2^63.
const UNLIMITED: u64 = 1 << 62;

/// Lines that one dialect has at most.
const MOST_LINES: usize = 12;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);
/// Of months, which differ: thirty days.
pub(crate) const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// How a dialect tells its limits: the headers, of what the limits are, and how they come back.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::Scope;
/// use tower_key_rotation::provider::{Limits, Line, Refill};
///
/// // x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests
/// let limits = Limits::of(Scope::Model, Refill::Rolling)
///     .line(Line::requests("x-ratelimit-{}-requests").per(Duration::from_secs(60)));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Limits {
    scope: Scope,
    refill: Refill,
    lines: Vec<Line>,
    /// By name, to be searched; all begin with `prefix`.
    columns: Vec<(Box<str>, usize, Figure)>,
    prefix: Box<str>,
    /// Whether the IETF's `RateLimit` is read too.
    ietf: bool,
    period: Option<fn(&HeaderMap) -> Option<Duration>>,
}

/// What is told of one limit: three headers, of which some may be missing.
#[derive(Clone, Debug)]
#[must_use]
pub struct Line {
    metered: Metered,
    period: Option<Duration>,
    columns: Vec<(Box<str>, Figure)>,
}

/// Which figure of a limit a header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Figure {
    Limit,
    Remaining,
    Reset,
    /// Per how many seconds.
    Period,
}

impl Line {
    /// Of requests. In the name of its headers, `{}` stands for `limit`, `remaining` and `reset`.
    pub fn requests(template: &str) -> Self {
        Self::of(Metered::Requests, template)
    }

    /// Of input and output tokens together.
    pub fn tokens(template: &str) -> Self {
        Self::of(Metered::Tokens, template)
    }

    /// Of something else.
    pub fn of(metered: Metered, template: &str) -> Self {
        let column = |word: &str, figure| (template.replace("{}", word).into_boxed_str(), figure);
        let columns = vec![
            column("limit", Figure::Limit),
            column("remaining", Figure::Remaining),
            column("reset", Figure::Reset),
        ];
        Self { metered, period: None, columns }
    }

    /// Per how long, where it is known.
    pub fn per(mut self, period: Duration) -> Self {
        self.period = Some(period);
        self
    }

    /// Another header that tells the limit.
    pub fn limit_in(mut self, name: &str) -> Self {
        self.columns.push((name.into(), Figure::Limit));
        self
    }

    /// A header that tells, in seconds, per how long.
    pub fn period_in(mut self, name: &str) -> Self {
        self.columns.push((name.into(), Figure::Period));
        self
    }

    /// The reset is not to be believed: its unit is not known.
    pub fn without_reset(mut self) -> Self {
        self.columns.retain(|(_, figure)| *figure != Figure::Reset);
        self
    }
}

impl Limits {
    /// None that are told by headers yet; of what they are, and how they come back.
    pub fn of(scope: Scope, refill: Refill) -> Self {
        Self {
            scope,
            refill,
            lines: Vec::new(),
            columns: Vec::new(),
            prefix: Box::default(),
            ietf: false,
            period: None,
        }
    }

    /// One more limit that is told. Of two that meter the same per the same time, the one that is
    /// nearer to its end counts. There are 12 at most; more are left out.
    pub fn line(mut self, line: Line) -> Self {
        let index = self.lines.len();
        if index < MOST_LINES {
            let columns = line.columns.iter();
            self.columns.extend(columns.map(|(name, figure)| (name.clone(), index, *figure)));
            self.columns.sort_by(|a, b| a.0.cmp(&b.0));
            self.lines.push(line);
            self.prefix = match (self.columns.first(), self.columns.last()) {
                (Some((first, ..)), Some((last, ..))) => common_prefix(first, last).into(),
                _ => Box::default(),
            };
        }
        self
    }

    /// Reads the `RateLimit` header of the
    /// [IETF's draft](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/) too,
    /// where no line tells of requests.
    pub fn ietf(mut self) -> Self {
        self.ietf = true;
        self
    }

    /// Per how long the limits are, where headers tell so that are common to all.
    pub(crate) fn period_by(mut self, period: fn(&HeaderMap) -> Option<Duration>) -> Self {
        self.period = Some(period);
        self
    }

    /// Of what the limits are: the account as a whole, or for the model of the request.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// How the allowances come back.
    #[must_use]
    pub fn refill(&self) -> Refill {
        self.refill
    }

    /// Reports one reading for each limit that a response tells of.
    ///
    /// Nothing is read from a 401: GitHub tells there the limits of the address, not of the key
    /// (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
    pub fn read(&self, answer: &Answer<'_>, report: &mut dyn FnMut(Reading)) {
        if answer.status == StatusCode::UNAUTHORIZED {
            return;
        }
        let told = self.figures(answer);
        let period = self.period.and_then(|period| period(answer.headers));
        let mut requests_told = false;
        let lines = if told.iter().any(Figures::tell) { &*self.lines } else { &[] };
        for (index, line) in lines.iter().enumerate() {
            let alike = |other: &Line| (other.metered, other.period) == (line.metered, line.period);
            if self.lines[..index].iter().any(alike) {
                continue;
            }
            let all = self.lines.iter().zip(&told).filter(|(other, _)| alike(other));
            let tightest = all.map(|(_, figures)| *figures).reduce(Figures::tighter);
            let Some(figures) = tightest.filter(Figures::tell) else { continue };
            requests_told |= line.metered == Metered::Requests;
            report(Reading {
                period: figures.period.or(line.period).or(period),
                limit: figures.limit,
                remaining: figures.remaining,
                reset: figures.reset,
                ..Reading::new(line.metered, self.scope, self.refill)
            });
        }
        // Where both forms are sent they say the same.
        if self.ietf && !requests_told {
            ietf::read(answer).into_iter().for_each(report);
        }
    }

    fn figures(&self, answer: &Answer<'_>) -> [Figures; MOST_LINES] {
        let mut told = [Figures::default(); MOST_LINES];
        if self.columns.is_empty() {
            return told;
        }
        for (name, value) in answer.headers {
            if !name.as_str().starts_with(&*self.prefix) {
                continue;
            }
            // Nothing forbids two lines to share a header.
            let from = self.columns.partition_point(|(column, ..)| **column < *name.as_str());
            for (column, line, figure) in &self.columns[from..] {
                if **column != *name.as_str() {
                    break;
                }
                if let (Some(figures), Some(text)) = (told.get_mut(*line), clock::text(value)) {
                    figures.take(*figure, text, || clock::sent(answer));
                }
            }
        }
        told
    }
}

impl fmt::Debug for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limits")
            .field("scope", &self.scope)
            .field("refill", &self.refill)
            .field("lines", &self.lines)
            .field("ietf", &self.ietf)
            .finish_non_exhaustive()
    }
}

fn common_prefix<'t>(first: &'t str, last: &str) -> &'t str {
    let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    first.get(..same).unwrap_or_default()
}

/// A number of requests or tokens. Of a list (`100, 100;w=60`, as older drafts have it), the first.
pub(crate) fn amount(text: &str) -> Option<u64> {
    let first = text.split([',', ';']).next()?.trim();
    first.parse().ok().filter(|&amount| amount < UNLIMITED)
}

/// What the headers say of one line.
#[derive(Clone, Copy, Default)]
struct Figures {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<Duration>,
    period: Option<Duration>,
}

impl Figures {
    /// A header sent twice is read in the more cautious way.
    fn take(&mut self, figure: Figure, text: &str, sent: impl FnOnce() -> std::time::SystemTime) {
        match figure {
            Figure::Limit => self.limit = lower(self.limit, amount(text)),
            Figure::Remaining => self.remaining = lower(self.remaining, amount(text)),
            Figure::Reset => self.reset = self.reset.max(duration::reset(text, sent)),
            Figure::Period => {
                self.period = duration::wait(text).filter(|period| !period.is_zero());
            }
        }
    }

    /// A reset alone says nothing.
    fn tell(&self) -> bool {
        self.limit.is_some() || self.remaining.is_some()
    }

    /// Of two limits on the same thing, the one that is nearer to its end.
    fn tighter(self, other: Self) -> Self {
        match (self.remaining, other.remaining) {
            (Some(left), Some(others)) if others < left => other,
            (None, Some(_)) => other,
            (None, None) if !self.tell() => other,
            _ => self,
        }
    }
}

fn lower(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
