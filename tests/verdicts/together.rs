use tower_key_rotation::Together;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &Together::default(),
        &[
            (
                "queries per minute, called a limit of credit",
                429,
                &[("retry-after", "2")],
                r#"{"error":{"message":"You have been rate limited. Your rate limit is 60 queries per minute.","type":"credit_limit","param":null,"code":null}}"#,
                limited(s(2), ACCOUNT),
                "together/rate-limit",
            ),
            (
                "of one model",
                429,
                &[],
                r#"{"error":{"message":"You have reached the rate limit specific to this model","type":"model_rate_limit","param":null,"code":null}}"#,
                limited(UNKNOWN, MODEL),
                "together/model-rate-limit",
            ),
            (
                "told by the reset",
                429,
                &[
                    ("x-ratelimit-limit", "10"),
                    ("x-ratelimit-remaining", "0"),
                    ("x-ratelimit-reset", "2"),
                ],
                r#"{"error":{"message":"slow","type":"rate_limit"}}"#,
                limited(s(2), MODEL),
                "status/429",
            ),
            (
                "the month's spend",
                402,
                &[],
                r#"{"error":{"message":"You have reached your monthly spending limit"}}"#,
                quota(UNKNOWN, ACCOUNT),
                "status/402",
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"id":"1","error":{"message":"Invalid API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                KeyRejected,
                "openai/invalid-key",
            ),
            (
                "too many tokens for the model, told with 403",
                403,
                &[],
                r#"{"error":{"message":"inputs tokens + max_new_tokens must be <= 8193","type":"invalid_request_error"}}"#,
                CallerFault,
                "together/context-length",
            ),
            (
                "bad request",
                400,
                &[],
                r#"{"id":"1","error":{"message":"Invalid request","type":"invalid_request_error","param":"model"}}"#,
                CallerFault,
                "status/4xx",
            ),
            (
                "server error, with a wait",
                500,
                &[("retry-after", "1")],
                r#"{"error":{"message":"Internal server error","type":"server_error"}}"#,
                Transient,
                "status/5xx",
            ),
            (
                "engine overloaded",
                503,
                &[],
                r#"{"error":{"message":"The engine is currently overloaded"}}"#,
                overloaded(UNKNOWN),
                "status/overloaded",
            ),
            ("engine too slow", 524, &[], "", overloaded(UNKNOWN), "together/engine-timeout"),
            ("overloaded", 529, &[], "", overloaded(UNKNOWN), "status/overloaded"),
        ],
    )
}
