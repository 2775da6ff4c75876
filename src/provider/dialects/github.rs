//! GitHub's REST API.

use std::{sync::LazyLock, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::{
    provider::{
        LimitHeader, Limits, Match, Provider, ProviderSpec, Refill, Rule, Wait,
        error_shape::ErrorShape,
        limits::{HOUR, MINUTE},
        model_path::ModelPath,
    },
    verdict::{Place, Scope},
};

/// GitHub's REST API: `https://api.github.com`.
///
/// - The key travels as `authorization: Bearer <key>`. `user-agent`, `accept` and
///   `x-github-api-version` are added where the caller sends none.
///   (<https://docs.github.com/rest/using-the-rest-api/getting-started-with-the-rest-api>)
/// - Limits are a user's or an installation's: two tokens of one user share them. They come back whole, at
///   a time in the headers. Searches are metered apart from the rest, so the kind of request (`core`,
///   `search`, `code_search`, `graphql`) stands here for the model. Secondary limits hold for
///   everything. (<https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>)
/// - A response to a bad token reports the limits of the address, which are ignored.
/// - A 403 without a limit is about a repository that this token may not touch, and another may: that is
///   asked. A request is repeated only if its method is idempotent.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct GitHub {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    ProviderSpec::new("github", "https://api.github.com")
        .header(header::USER_AGENT, HeaderValue::from_static("tower-key-rotation"))
        .header(header::ACCEPT, HeaderValue::from_static("application/vnd.github+json"))
        .header(
            HeaderName::from_static("x-github-api-version"),
            HeaderValue::from_static("2022-11-28"),
        )
        .limits(
            Limits::of(Scope::Model, Refill::Fixed)
                .header(LimitHeader::requests("x-ratelimit-{}"))
                .period_by(period),
        )
        .rules(rules())
        .model_path(ModelPath::Kind(resource))
        .error_shape(ErrorShape::Message)
});

impl Provider for GitHub {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

/// As `x-ratelimit-resource` has it.
fn resource(path: &str) -> &'static str {
    // A GitHub Enterprise Server has its API below this.
    let path = path.strip_prefix("/api/v3").unwrap_or(path);
    if path.starts_with("/search/code") {
        "code_search"
    } else if path.starts_with("/search/") {
        "search"
    } else if path.ends_with("/graphql") {
        "graphql"
    } else {
        "core"
    }
}

fn period(headers: &HeaderMap) -> Option<Duration> {
    let resource = headers.get("x-ratelimit-resource")?;
    Some(if resource == "search" || resource == "code_search" { MINUTE } else { HOUR })
}

fn rules() -> Vec<Rule> {
    vec![
        // "wait for at least one minute before retrying" if there is no other time
        Rule::rate_limited("github/secondary-limit")
            .status([403, 429])
            .says(["secondary rate limit", "abuse detection"])
            .place(Place::Account)
            .wait(Wait::retry_after())
            .wait(Wait::reset())
            .wait(Wait::after(MINUTE)),
        Rule::rate_limited("github/rate-limit")
            .status([403, 429])
            .header("x-ratelimit-remaining", Match::is(["0"])),
        Rule::rate_limited("github/rate-limit")
            .status([403, 429])
            .begins(["API rate limit exceeded"]),
    ]
}
