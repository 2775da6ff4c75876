//! Headers that are absent, doubled, negative, too large, in the wrong unit or by a wrong clock, and several
//! dimensions at once.

use tower_key_rotation::{Anthropic, OpenAi, provider::GitHub};

use super::*;

const LIMITED: &str =
    r#"{"error":{"message":"Rate limit reached","type":"tokens","code":"rate_limit_exceeded"}}"#;
const RULE: &str = "openai/rate-limit";

#[test]
fn headers() {
    check(
        &OpenAi::default(),
        &[
            ("absent", 429, &[], LIMITED, limited(UNKNOWN, MODEL), RULE),
            (
                "doubled: it is unknown which is meant",
                429,
                &[("retry-after", "5"), ("retry-after", "50")],
                LIMITED,
                limited(UNKNOWN, MODEL),
                RULE,
            ),
            (
                "doubled, and used up: the later reset",
                429,
                &[
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "2s"),
                    ("x-ratelimit-reset-tokens", "9s"),
                ],
                LIMITED,
                limited(s(9), MODEL),
                RULE,
            ),
            (
                "negative",
                429,
                &[
                    ("retry-after", "-7"),
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "-7s"),
                ],
                LIMITED,
                limited(UNKNOWN, MODEL),
                RULE,
            ),
            (
                "overflowing",
                429,
                &[
                    ("retry-after", "99999999999999999999999999"),
                    ("x-ratelimit-remaining-requests", "99999999999999999999999999"),
                    ("x-ratelimit-reset-requests", "99999999999999999999h"),
                ],
                LIMITED,
                limited(UNKNOWN, MODEL),
                RULE,
            ),
            (
                "a time in place of a wait: recognised by its size",
                429,
                &[
                    DATE,
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "1768507230"),
                ],
                LIMITED,
                limited(s(30), MODEL),
                RULE,
            ),
            (
                "milliseconds in place of seconds: more than a year is ignored",
                429,
                &[("retry-after", "60000000")],
                LIMITED,
                limited(UNKNOWN, MODEL),
                RULE,
            ),
            (
                "a zero in one unit and the correct value in the other",
                429,
                &[("retry-after", "0"), ("retry-after-ms", "660")],
                LIMITED,
                limited(ms(660), MODEL),
                RULE,
            ),
            (
                "a date, by the response's own clock and not by ours, which is an hour slow",
                429,
                &[DATE, ("retry-after", "Thu, 15 Jan 2026 20:00:20 GMT")],
                LIMITED,
                limited(s(20), MODEL),
                RULE,
            ),
            (
                "a date that has passed by that clock",
                429,
                &[DATE, ("retry-after", "Thu, 15 Jan 2026 19:59:59 GMT")],
                LIMITED,
                limited(UNKNOWN, MODEL),
                RULE,
            ),
            (
                "several dimensions: the latest of the two that are used up, not the day's",
                429,
                &[
                    ("x-ratelimit-remaining-requests", "7"),
                    ("x-ratelimit-reset-requests", "23h"),
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "12s"),
                    ("x-ratelimit-remaining-project-requests", "0"),
                    ("x-ratelimit-reset-project-requests", "40s"),
                ],
                LIMITED,
                limited(s(40), MODEL),
                RULE,
            ),
        ],
    );
    check(
        &Anthropic::default(),
        &[(
            "several dimensions, as times",
            429,
            &[
                DATE,
                ("anthropic-ratelimit-requests-remaining", "0"),
                ("anthropic-ratelimit-requests-reset", "2026-01-15T20:00:02Z"),
                ("anthropic-ratelimit-input-tokens-remaining", "0"),
                ("anthropic-ratelimit-input-tokens-reset", "2026-01-15T20:00:31Z"),
                ("anthropic-ratelimit-output-tokens-remaining", "8000"),
                ("anthropic-ratelimit-output-tokens-reset", "2026-01-15T20:09:00Z"),
            ],
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"..."}}"#,
            limited(s(31), MODEL),
            "anthropic/rate-limit",
        )],
    );
    check(
        &GitHub::default(),
        &[(
            "a reset that has passed: the headers are old",
            403,
            &[DATE, ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1768507100")],
            r#"{"message":"API rate limit exceeded for user ID 1."}"#,
            limited(UNKNOWN, MODEL),
            "github/rate-limit",
        )],
    );
}

/// Error events within a 200: a status in the body counts; without one, the other words.
#[test]
fn events() {
    check(
        &OpenAi::default(),
        &[
            (
                "a failed response",
                200,
                &[],
                r#"{"type":"response.failed","response":{"error":{"code":"rate_limit_exceeded","message":"Please try again in 3s"}}}"#,
                limited(s(3), MODEL),
                RULE,
            ),
            (
                "out of credit in the middle of a stream",
                200,
                &[],
                r#"{"error":{"code":"insufficient_quota","message":"..."}}"#,
                quota(UNKNOWN, ACCOUNT),
                "openai/insufficient-quota",
            ),
            (
                "a status of its own",
                200,
                &[],
                r#"{"error":{"code":502,"message":"Provider returned error"}}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
            (
                "a wrong request",
                200,
                &[],
                r#"{"error":{"type":"invalid_request_error","message":"..."}}"#,
                CALLER_FAULT,
                "body/request",
            ),
            (
                "an error without details",
                200,
                &[],
                r#"{"error":{"message":"oops"}}"#,
                TRANSIENT.inferred(),
                "body/error",
            ),
            (
                "a bad key",
                200,
                &[],
                r#"{"error":{"code":"invalid_api_key","message":"..."}}"#,
                KEY_REJECTED,
                "openai/invalid-key",
            ),
            (
                "a missing scope",
                200,
                &[],
                r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.responses.write.","code":null}}"#,
                PERMISSION_REFUSED,
                "openai/missing-scopes",
            ),
            (
                "a limit, with the members of an answer",
                200,
                &[],
                r#"{"id":"1","object":"chat.completion","choices":null,"error":{"code":429,"message":"Rate limit exceeded"}}"#,
                limited(UNKNOWN, MODEL).inferred(),
                "status/429",
            ),
            (
                "overloaded, in words only",
                200,
                &[],
                r#"{"error":{"message":"The engine is overloaded","type":"server_error","code":null}}"#,
                overloaded(UNKNOWN),
                "body/overloaded",
            ),
            (
                "something about the key",
                200,
                &[],
                r#"{"error":{"message":"Your API key is on hold"}}"#,
                KEY_IN_DOUBT,
                "status/400-about-the-key",
            ),
            (
                "a limit on a key is a limit",
                200,
                &[],
                r#"{"error":{"type":"rate_limit_error","message":"Too many requests with this API key"}}"#,
                limited(UNKNOWN, MODEL),
                "body/rate-limit",
            ),
        ],
    );
    check(
        &Anthropic::default(),
        &[(
            "overloaded, as the first event",
            200,
            &[],
            r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded","details":null}}"#,
            overloaded(UNKNOWN),
            "anthropic/overloaded",
        )],
    );
}
