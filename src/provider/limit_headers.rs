//! Headers that tell an allowance, what is left of it and when it is back: one pass over the
//! headers, nothing allocated.

use std::time::Duration;

use http::{HeaderMap, StatusCode};

use super::{Answer, Reading, Refill, clock, duration};
use crate::{Scope, limit::Metered};

/// Amounts from here on mean "not limited": some gateways send `-1`, some 2^63.
const UNLIMITED: u64 = 1 << 62;

/// What a header tells: of which [`Subject`], and which [`Figure`].
pub(crate) type Meaning = (Subject, Figure);

/// Whose and what allowance it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Requests,
    Tokens,
    InputTokens,
    OutputTokens,
    /// Requests of an OpenAI project that has a limit of its own beside its organisation's.
    ProjectRequests,
    /// Tokens of such a project.
    ProjectTokens,
}

/// Which figure of the allowance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Figure {
    Limit,
    Remaining,
    Reset,
}

/// Reads every header that `meaning` knows, and reports one reading for each thing metered. Of what
/// the limits are, and how they refill, is the provider's to say.
///
/// Nothing is read from a 401: GitHub tells there the limits of the address, not of the key
/// (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
pub(crate) fn read(
    answer: &Answer<'_>,
    (scope, refill): (Scope, Refill),
    meaning: impl Fn(&str) -> Option<Meaning>,
    report: &mut dyn FnMut(Reading),
) {
    if answer.status == StatusCode::UNAUTHORIZED {
        return;
    }
    let mut lines = Lines::default();
    lines.fill(answer.headers, || clock::sent(answer), meaning);
    [
        tighter(lines.requests, lines.project_requests),
        tighter(lines.tokens, lines.project_tokens),
        lines.input_tokens,
        lines.output_tokens,
    ]
    .into_iter()
    .zip([Metered::Requests, Metered::Tokens, Metered::InputTokens, Metered::OutputTokens])
    .filter_map(|(line, metered)| line.reading(Reading::new(metered, scope, refill)))
    .for_each(report);
}

/// When all that is used up is back: the latest reset of what has nothing remaining.
pub(crate) fn reset_of_exhausted(
    readings: impl FnOnce(&mut dyn FnMut(Reading)),
) -> Option<Duration> {
    let mut latest = None;
    readings(&mut |reading| {
        if reading.remaining == Some(0) {
            latest = latest.max(reading.reset);
        }
    });
    latest.filter(|wait| !wait.is_zero())
}

/// `requests`, `tokens`, `input-tokens` and the like.
pub(crate) fn subject(name: &str) -> Option<Subject> {
    Some(match name {
        "requests" => Subject::Requests,
        "tokens" => Subject::Tokens,
        "input-tokens" => Subject::InputTokens,
        "output-tokens" => Subject::OutputTokens,
        "project-requests" => Subject::ProjectRequests,
        "project-tokens" => Subject::ProjectTokens,
        _ => return None,
    })
}

/// `limit`, `remaining` or `reset`.
pub(crate) fn figure(name: &str) -> Option<Figure> {
    Some(match name {
        "limit" => Figure::Limit,
        "remaining" => Figure::Remaining,
        "reset" => Figure::Reset,
        _ => return None,
    })
}

/// A number of requests or tokens. Of a list (`100, 100;w=60`, as older drafts have it), the first.
pub(crate) fn amount(text: &str) -> Option<u64> {
    let first = text.split([',', ';']).next()?.trim();
    first.parse().ok().filter(|&amount| amount < UNLIMITED)
}

/// The figures of one subject.
#[derive(Clone, Copy, Default)]
struct Line {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<Duration>,
}

impl Line {
    /// A reset alone says nothing.
    fn reading(self, reading: Reading) -> Option<Reading> {
        let Self { limit, remaining, reset } = self;
        let tells = limit.is_some() || remaining.is_some();
        tells.then_some(Reading { limit, remaining, reset, ..reading })
    }
}

#[derive(Default)]
struct Lines {
    requests: Line,
    tokens: Line,
    input_tokens: Line,
    output_tokens: Line,
    project_requests: Line,
    project_tokens: Line,
}

impl Lines {
    fn fill(
        &mut self,
        headers: &HeaderMap,
        sent: impl Fn() -> std::time::SystemTime,
        meaning: impl Fn(&str) -> Option<Meaning>,
    ) {
        for (name, value) in headers {
            let Some((subject, figure)) = meaning(name.as_str()) else { continue };
            let Some(text) = clock::text(value) else { continue };
            let line = self.line(subject);
            // A header sent twice is read in the more cautious way.
            match figure {
                Figure::Limit => line.limit = lower(line.limit, amount(text)),
                Figure::Remaining => line.remaining = lower(line.remaining, amount(text)),
                Figure::Reset => line.reset = line.reset.max(duration::reset(text, &sent)),
            }
        }
    }

    fn line(&mut self, subject: Subject) -> &mut Line {
        match subject {
            Subject::Requests => &mut self.requests,
            Subject::Tokens => &mut self.tokens,
            Subject::InputTokens => &mut self.input_tokens,
            Subject::OutputTokens => &mut self.output_tokens,
            Subject::ProjectRequests => &mut self.project_requests,
            Subject::ProjectTokens => &mut self.project_tokens,
        }
    }
}

/// Of two limits on the same thing, the one that is nearer to its end.
fn tighter(all: Line, part: Line) -> Line {
    match (all.remaining, part.remaining) {
        (Some(all_left), Some(part_left)) if part_left < all_left => part,
        (None, Some(_)) => part,
        _ => all,
    }
}

fn lower(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
