//! Any API that takes a key in a header and refuses with the usual status codes.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, Method, header};
use serde_json::json;

use super::{
    Answer, Call, Carrier, Provider, Reading, Refill, by_status,
    error_body::ErrorBody,
    ietf,
    limit_headers::{self, Meaning, Subject, figure, reset_of_exhausted, subject},
    retry_after::retry_after,
};
use crate::{
    Estimate, Exhausted,
    limit::Metered,
    verdict::{Scope, Verdict},
};

/// Any API that takes a key in a header and refuses with the usual status codes.
///
/// A request counts as one request; its body is not looked at. Limits are read from
/// `x-ratelimit-limit`, `-remaining` and `-reset` (with or without `x-`, and with `-requests` or
/// `-tokens` behind them; the reset in seconds, or as a time since 1970 in seconds or milliseconds),
/// and from the `RateLimit` header of the
/// [IETF's draft](https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/).
///
/// | status | verdict |
/// | --- | --- |
/// | 429 | rate limited |
/// | 403 | rate limited with `retry-after`, with nothing remaining, or for a "secondary rate limit" (GitHub); else the caller's fault |
/// | 402 | quota exhausted |
/// | 401 | key rejected |
/// | 503, 529 | overloaded |
/// | 408, other 5xx | transient |
/// | other 4xx | the caller's fault |
///
/// A request is repeated after a broken connection only if its method is idempotent.
///
/// ```
/// use http::HeaderName;
/// use tower_key_rotation::{Generic, provider::Provider};
///
/// let github = Generic::new("https://api.github.com").name("github");
/// let maps = Generic::new("https://maps.example.com")
///     .header(HeaderName::from_static("x-api-key"))
///     .query_carrier("key");
/// assert_eq!(maps.origin(), "https://maps.example.com");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Generic {
    name: String,
    origin: String,
    carrier: Carrier,
    query_carrier: Option<String>,
}

impl Generic {
    /// An API at this origin: scheme, host and port. It is called `generic`, and its key travels as
    /// `authorization: Bearer <key>`, unless said otherwise.
    pub fn new(origin: impl Into<String>) -> Self {
        Self {
            name: "generic".to_owned(),
            origin: origin.into(),
            carrier: Carrier::Bearer,
            query_carrier: None,
        }
    }

    /// What the API is called in metrics and messages.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The header that carries the key, alone, in place of `authorization: Bearer`.
    pub fn header(mut self, name: HeaderName) -> Self {
        self.carrier = Carrier::Header(name);
        self
    }

    /// The query parameter in which callers may send keys of their own, to be removed.
    pub fn query_carrier(mut self, parameter: impl Into<String>) -> Self {
        self.query_carrier = Some(parameter.into());
        self
    }

    /// Whether a 403 is a limit and not a prohibition.
    fn is_limit(&self, answer: &Answer<'_>) -> bool {
        let mut is_limit = answer.headers.contains_key(header::RETRY_AFTER);
        self.readings(answer, &mut |reading| is_limit |= reading.remaining == Some(0));
        is_limit
    }

    fn limited(&self, answer: &Answer<'_>, told: Option<Duration>) -> Verdict {
        let retry_after =
            told.or_else(|| reset_of_exhausted(|report| self.readings(answer, report)));
        Verdict::RateLimited { retry_after, scope: Scope::Account }
    }
}

impl Provider for Generic {
    fn name(&self) -> &str {
        &self.name
    }

    fn origin(&self) -> &str {
        &self.origin
    }

    fn carriers(&self) -> &[Carrier] {
        std::slice::from_ref(&self.carrier)
    }

    fn query_carrier(&self) -> Option<&str> {
        self.query_carrier.as_deref()
    }

    fn estimate<'a>(&self, _: &Call<'a>) -> Estimate<'a> {
        Estimate::default()
    }

    fn classify(&self, answer: &Answer<'_>) -> Verdict {
        let body = ErrorBody::read(answer);
        match answer.status.as_u16() {
            429 => self.limited(answer, retry_after(answer)),
            403 if body.says("secondary rate limit") => {
                self.limited(answer, retry_after(answer).or(Some(SECONDARY)))
            }
            403 if self.is_limit(answer) => self.limited(answer, retry_after(answer)),
            _ => by_status::verdict(answer, &body, Scope::Account),
        }
    }

    fn readings(&self, answer: &Answer<'_>, report: &mut dyn FnMut(Reading)) {
        let mut requests_told = false;
        limit_headers::read(answer, (Scope::Account, Refill::Fixed), meaning, &mut |reading| {
            requests_told |= reading.metered == Metered::Requests;
            report(reading);
        });
        // Where both forms are sent they say the same.
        if !requests_told && let Some(reading) = ietf::read(answer) {
            report(reading);
        }
    }

    fn may_repeat(&self, method: &Method) -> bool {
        method.is_idempotent()
    }

    fn refusal_body(&self, exhausted: &Exhausted) -> Bytes {
        let error = json!({ "type": exhausted.reason(), "message": exhausted.to_string() });
        json!({ "error": error }).to_string().into()
    }
}

/// GitHub: "wait for at least one minute before retrying" where nothing else is told
/// (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>).
const SECONDARY: Duration = Duration::from_secs(60);

/// `x-ratelimit-remaining`, `ratelimit-reset`, `x-ratelimit-limit-tokens`.
fn meaning(header: &str) -> Option<Meaning> {
    let rest = header.strip_prefix("x-").unwrap_or(header).strip_prefix("ratelimit-")?;
    match rest.split_once('-') {
        None => Some((Subject::Requests, figure(rest)?)),
        Some((what, whose)) => Some((subject(whose)?, figure(what)?)),
    }
}
