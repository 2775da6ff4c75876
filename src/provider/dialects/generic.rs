//! Any API that takes a key in a header and refuses with the usual status codes.

use std::borrow::Cow;

use http::HeaderName;

use crate::{
    provider::{
        AuthScheme, LimitHeader, Limits, Match, Provider, ProviderSpec, Refill, Rule, Wait,
        limits::MINUTE,
    },
    verdict::{Blame, Scope},
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
/// | 403 | rate limited with `retry-after`, with nothing remaining, or for a "secondary rate limit" (GitHub); otherwise permission refused |
/// | 402 | quota exhausted |
/// | 401, and 400 where the message is about the API key | key rejected |
/// | 404 where the message speaks of access | permission refused |
/// | 503, 529 | overloaded |
/// | 408, other 5xx | transient |
/// | other 4xx | the caller's fault |
///
/// A request is repeated after a broken connection only if its method is idempotent. For an API that
/// differs, start from the [`ProviderSpec`] of this dialect:
///
/// ```
/// use http::HeaderName;
/// use tower_key_rotation::provider::{Generic, Provider, ProviderSpec, Rule};
///
/// let maps = Generic::new("https://maps.example.com")
///     .name("maps")
///     .header(HeaderName::from_static("x-api-key"))
///     .key_parameter("key");
/// assert_eq!(maps.spec().origin, "https://maps.example.com");
///
/// let maps = ProviderSpec::from(maps)
///     .rules([Rule::quota_exhausted("maps/daily").status(403).says(["daily limit"])]);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Generic {
    spec: ProviderSpec,
}

impl Generic {
    /// An API at this origin: scheme, host and port. It is called `generic`, and its key travels as
    /// `authorization: Bearer <key>`, unless said otherwise.
    pub fn new(origin: impl Into<Cow<'static, str>>) -> Self {
        Self { spec: ProviderSpec::new("generic", origin).limits(limits()).rules(rules()) }
    }

    /// What the API is called in metrics and messages.
    pub fn name(self, name: impl Into<Cow<'static, str>>) -> Self {
        Self { spec: self.spec.named(name) }
    }

    /// The header that carries the key, alone, in place of `authorization: Bearer`.
    pub fn header(self, name: HeaderName) -> Self {
        Self { spec: self.spec.auth(AuthScheme::Header(name)) }
    }

    /// The query parameter in which callers may send keys of their own, to be removed.
    pub fn key_parameter(self, parameter: impl Into<Cow<'static, str>>) -> Self {
        Self { spec: self.spec.key_parameter(parameter) }
    }
}

impl From<Generic> for ProviderSpec {
    fn from(generic: Generic) -> Self {
        generic.spec
    }
}

impl Provider for Generic {
    fn spec(&self) -> &ProviderSpec {
        &self.spec
    }
}

fn limits() -> Limits {
    Limits::of(Scope::Account, Refill::Fixed)
        .header(LimitHeader::requests("x-ratelimit-{}"))
        .header(LimitHeader::requests("ratelimit-{}"))
        .header(LimitHeader::requests("x-ratelimit-{}-requests"))
        .header(LimitHeader::requests("ratelimit-{}-requests"))
        .header(LimitHeader::tokens("x-ratelimit-{}-tokens"))
        .header(LimitHeader::tokens("ratelimit-{}-tokens"))
        .ietf()
}

fn rules() -> Vec<Rule> {
    vec![
        // A limiter's own page is a limit all the same.
        Rule::rate_limited("generic/429").status(429).blame(Blame::Inferred),
        Rule::rate_limited("generic/secondary-limit")
            .status(403)
            .says(["secondary rate limit"])
            .wait(Wait::retry_after())
            .wait(Wait::after(MINUTE)),
        Rule::rate_limited("generic/403-with-wait")
            .status(403)
            .header("retry-after", Match::Present)
            .blame(Blame::Inferred),
        Rule::rate_limited("generic/403-used-up").status(403).used_up(),
    ]
}
