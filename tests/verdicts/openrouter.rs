use tower_key_rotation::OpenRouter;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &OpenRouter::default(),
        &[
            (
                "free models per minute, in milliseconds since 1970",
                429,
                &[
                    DATE,
                    ("x-ratelimit-limit", "20"),
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1768507260000"),
                ],
                r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-min. "}}"#,
                limited(s(60), MODEL),
                "openrouter/rate-limit",
            ),
            (
                "told in the body only",
                429,
                &[DATE],
                r#"{"error":{"code":429,"message":"Rate limit exceeded: limit_rpm/some/model","metadata":{"headers":{"X-RateLimit-Reset":"1768507230000"}}}}"#,
                limited(s(30), MODEL),
                "openrouter/rate-limit",
            ),
            (
                "free models per day",
                429,
                &[
                    DATE,
                    ("x-ratelimit-limit", "50"),
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "1768521600000"),
                ],
                r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day. Add credits"}}"#,
                quota(s(4 * 3_600), MODEL),
                "openrouter/daily-limit",
            ),
            (
                "free models per day, of which nothing is told: days end in UTC",
                429,
                &[DATE],
                r#"{"error":{"code":429,"message":"Rate limit exceeded: free-models-per-day"}}"#,
                quota(s(4 * 3_600), MODEL),
                "openrouter/daily-limit",
            ),
            (
                "the upstream's limit",
                429,
                &[],
                r#"{"error":{"code":429,"message":"Provider returned error","metadata":{"raw":"some/model:free is temporarily rate-limited upstream. Please retry shortly.","provider_name":"P"}}}"#,
                limited(UNKNOWN, MODEL),
                "openrouter/upstream-limit",
            ),
            (
                "no credit",
                402,
                &[],
                r#"{"error":{"code":402,"message":"Insufficient credits. Add more"}}"#,
                quota(UNKNOWN, ACCOUNT),
                "openrouter/no-credit",
            ),
            (
                "too little credit for so many tokens",
                402,
                &[],
                r#"{"error":{"code":402,"message":"This request requires more credits, or fewer max_tokens. You requested up to 9000 tokens, but can only afford 12"}}"#,
                quota(UNKNOWN, ACCOUNT),
                "openrouter/no-credit",
            ),
            (
                "the key's own cap, and when it ends",
                402,
                &[DATE],
                r#"{"error":{"code":402,"message":"Key limit exceeded","metadata":{"limit_source":"openrouter_key_limit","resets_at":"2026-01-16T00:00:00Z"}}}"#,
                quota(s(4 * 3_600), ACCOUNT),
                "openrouter/key-limit",
            ),
            (
                "a budget",
                403,
                &[DATE],
                r#"{"error":{"code":403,"message":"Budget exceeded","metadata":{"limit_source":"workspace_budget","resets_at":"2026-01-15T21:00:00Z"}}}"#,
                quota(s(3_600), ACCOUNT),
                "openrouter/budget",
            ),
            (
                "too much under way: a 402 that passes",
                402,
                &[("retry-after", "5")],
                r#"{"error":{"code":402,"message":"In-flight budget","metadata":{"limit_source":"openrouter_in_flight_budget"}}}"#,
                limited(s(5), ACCOUNT),
                "openrouter/in-flight-budget",
            ),
            (
                "flagged",
                403,
                &[],
                r#"{"error":{"code":403,"message":"Input was flagged","metadata":{"reasons":["violence"],"flagged_input":"..."}}}"#,
                CallerFault,
                "openrouter/moderation",
            ),
            (
                "the upstream serves no such country",
                403,
                &[],
                r#"{"error":{"code":403,"message":"Provider returned error","metadata":{"raw":"{\"error\":{\"code\":\"unsupported_country_region_territory\"}}"}}}"#,
                CallerFault,
                "openrouter/upstream-forbids",
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"error":{"code":401,"message":"User not found."}}"#,
                KeyRejected,
                "status/401",
            ),
            (
                "nobody serves it",
                404,
                &[],
                r#"{"error":{"code":404,"message":"No endpoints found for some/model:free."}}"#,
                CallerFault,
                "openrouter/no-endpoints",
            ),
            (
                "bad request",
                400,
                &[],
                r#"{"error":{"code":400,"message":"Expected temperature to be at most 2"}}"#,
                CallerFault,
                "status/4xx",
            ),
            (
                "the upstream is down",
                502,
                &[],
                r#"{"error":{"code":502,"message":"Provider returned error"}}"#,
                Transient,
                "status/5xx",
            ),
            (
                "nobody fits the routing",
                503,
                &[("retry-after", "3")],
                r#"{"error":{"code":503,"message":"No provider available"}}"#,
                overloaded(s(3)),
                "status/overloaded",
            ),
        ],
    )
}
