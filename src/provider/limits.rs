//! Headers that tell an allowance, what is left of it and when it is back: which they are, as data,
//! and one pass over a response's headers that reads them, without allocating.

use std::{fmt, time::Duration};

use http::{HeaderMap, StatusCode};

use super::{
    Answer, Reading, Refill, clock,
    figures::{Figure, Figures},
    ietf,
};
use crate::{Scope, limit::Metered};

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
    /// By length and name, to be searched; all begin with `prefix`.
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
    /// The place of the first that is of the same.
    first: usize,
    columns: Vec<(Box<str>, Figure)>,
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
        Self { metered, period: None, first: 0, columns }
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
    pub fn line(mut self, mut line: Line) -> Self {
        let index = self.lines.len();
        if index < MOST_LINES {
            let is_alike =
                |other: &Line| (other.metered, other.period) == (line.metered, line.period);
            line.first = self.lines.iter().position(is_alike).unwrap_or(index);
            let columns = line.columns.iter();
            self.columns.extend(columns.map(|(name, figure)| (name.clone(), index, *figure)));
            self.columns.sort_by(|a, b| by_length(&a.0).cmp(&by_length(&b.0)));
            self.lines.push(line);
            let names = self.columns.iter().map(|(name, ..)| &**name);
            self.prefix = names.reduce(common_prefix).unwrap_or_default().into();
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
        let mut requests_told = false;
        if let Some(told) = self.figures(answer) {
            self.report(answer, told, &mut |reading| {
                requests_told |= reading.metered == Metered::Requests;
                report(reading);
            });
        }
        // Where both forms are sent they say the same.
        if self.ietf && !requests_told {
            ietf::read(answer).into_iter().for_each(report);
        }
    }

    /// One reading for all lines that are of the same.
    fn report(&self, answer: &Answer<'_>, mut told: Told, report: &mut dyn FnMut(Reading)) {
        let period = self.period.and_then(|period| period(answer.headers));
        for (index, line) in self.lines.iter().enumerate().filter(|(at, line)| line.first < *at) {
            told[line.first] = told[line.first].tighter(told[index]);
        }
        for (index, (line, figures)) in self.lines.iter().zip(&told).enumerate() {
            if line.first < index || !figures.tell() {
                continue;
            }
            report(Reading {
                period: figures.period.or(line.period).or(period),
                limit: figures.limit,
                remaining: figures.remaining,
                reset: figures.reset,
                ..Reading::new(line.metered, self.scope, self.refill)
            });
        }
    }

    /// What the headers say of each line; none if there are no such headers.
    fn figures(&self, answer: &Answer<'_>) -> Option<Told> {
        let mut told = None;
        if self.columns.is_empty() {
            return told;
        }
        for (name, value) in answer.headers {
            if !name.as_str().starts_with(&*self.prefix) {
                continue;
            }
            // Nothing forbids two lines to share a header.
            let sought = by_length(name.as_str());
            let from = self.columns.partition_point(|(column, ..)| by_length(column) < sought);
            for (column, line, figure) in &self.columns[from..] {
                if by_length(column) != sought {
                    break;
                }
                let told = told.get_or_insert([Figures::default(); MOST_LINES]);
                if let (Some(figures), Some(text)) = (told.get_mut(*line), clock::text(value)) {
                    figures.take(*figure, text, || clock::sent(answer));
                }
            }
        }
        told
    }
}

/// What the headers say of each line.
type Told = [Figures; MOST_LINES];

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

/// Mostly the lengths alone tell two names apart.
fn by_length(name: &str) -> (usize, &str) {
    (name.len(), name)
}
