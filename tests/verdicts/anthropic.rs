use tower_key_rotation::Anthropic;

use super::*;

#[test]
fn verdicts() {
    const TOKENS: &str = r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 450,000 input tokens per minute"}}"#;
    check(
        &Anthropic::default(),
        &[
            (
                "tokens per minute",
                429,
                &[
                    DATE,
                    ("retry-after", "65"),
                    ("x-should-retry", "true"),
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    ("anthropic-ratelimit-input-tokens-reset", "2026-01-15T20:01:12Z"),
                ],
                TOKENS,
                limited(s(65), MODEL),
            ),
            (
                "told by the reset, by the provider's clock",
                429,
                &[
                    DATE,
                    ("anthropic-ratelimit-input-tokens-remaining", "0"),
                    ("anthropic-ratelimit-input-tokens-reset", "2026-01-15T20:01:12Z"),
                ],
                TOKENS,
                limited(s(72), MODEL),
            ),
            (
                "a reset of 1970",
                429,
                &[
                    DATE,
                    ("anthropic-ratelimit-requests-remaining", "0"),
                    ("anthropic-ratelimit-requests-reset", "1970-01-01T00:00:00Z"),
                ],
                TOKENS,
                limited(UNKNOWN, MODEL),
            ),
            (
                "too many connections",
                429,
                &[("x-should-retry", "true")],
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"Number of concurrent connections has exceeded your rate limit"}}"#,
                limited(UNKNOWN, MODEL),
            ),
            (
                "prompt larger than the limit",
                429,
                &[
                    ("x-should-retry", "false"),
                    ("anthropic-ratelimit-input-tokens-limit", "450000"),
                    ("anthropic-ratelimit-input-tokens-remaining", "450000"),
                ],
                TOKENS,
                CallerFault,
            ),
            (
                "should not be retried, and yet with a wait: a limit",
                429,
                &[("x-should-retry", "false"), ("retry-after", "41")],
                TOKENS,
                limited(s(41), MODEL),
            ),
            (
                "the month's spend",
                429,
                &[DATE],
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"Spend limit","details":{"error_code":"enforced_spend_limit_reached"}}}"#,
                quota(s(16 * 86_400 + 4 * 3_600), ACCOUNT),
            ),
            (
                "no credit",
                400,
                &[("x-should-retry", "false")],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "a caller who speaks of credit",
                400,
                &[],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"tools.0.name: 'Your credit balance is too low' is not a name"}}"#,
                CallerFault,
            ),
            (
                "usage limit with a date",
                400,
                &[DATE],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2026-01-16 at 00:00 UTC."}}"#,
                quota(s(4 * 3_600), ACCOUNT),
            ),
            (
                "usage limit of a workspace, with no date",
                400,
                &[DATE],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified workspace API usage limits."}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "organisation disabled",
                400,
                &[],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"This organization has been disabled."}}"#,
                KeyRejected,
            ),
            (
                "prompt too long",
                400,
                &[],
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}"#,
                CallerFault,
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#,
                KeyRejected,
            ),
            (
                "bill unpaid",
                402,
                &[],
                r#"{"type":"error","error":{"type":"billing_error","message":"Payment required"}}"#,
                quota(UNKNOWN, ACCOUNT),
            ),
            (
                "no permission",
                403,
                &[],
                r#"{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource"}}"#,
                ModelRefused,
            ),
            (
                "forbidden address",
                403,
                &[],
                r#"{"error":{"type":"forbidden","message":"Request not allowed"}}"#,
                CallerFault,
            ),
            (
                "no such model",
                404,
                &[],
                r#"{"type":"error","error":{"type":"not_found_error","message":"model: claude-nine"}}"#,
                CallerFault,
            ),
            (
                "body too large",
                413,
                &[],
                r#"{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}"#,
                CallerFault,
            ),
            (
                "server error",
                500,
                &[],
                r#"{"type":"error","error":{"type":"api_error","message":"Internal server error"}}"#,
                Transient,
            ),
            (
                "overloaded",
                529,
                &[("x-should-retry", "true")],
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
                overloaded(UNKNOWN),
            ),
            (
                "compatible path",
                429,
                &[("x-ratelimit-remaining-requests", "0"), ("x-ratelimit-reset-requests", "12s")],
                r#"{"error":{"code":"rate_limit_error","message":"Too many","type":"rate_limit_error","param":null}}"#,
                limited(s(12), MODEL),
            ),
        ],
    );
}
