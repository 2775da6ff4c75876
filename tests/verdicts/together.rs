use tower_key_rotation::provider::Together;

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
                "by the reset",
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
                "together/spending-limit",
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"id":"1","error":{"message":"Invalid API key provided.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#,
                KEY_REJECTED,
                "openai/invalid-key",
            ),
            (
                "too many tokens for the model, as 403",
                403,
                &[],
                r#"{"error":{"message":"inputs tokens + max_new_tokens must be <= 8193","type":"invalid_request_error"}}"#,
                CALLER_FAULT,
                "together/context-length",
            ),
            (
                "forbidden, without a word about tokens",
                403,
                &[],
                r#"{"error":{"message":"You may not list the jobs of this project","type":"invalid_request_error"}}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "a model that needs an endpoint of its own",
                400,
                &[],
                r#"{"error":{"message":"Unable to access non-serverless model nine. Create a dedicated endpoint for it.","type":"invalid_request_error","param":null,"code":"model_not_available"}}"#,
                PERMISSION_REFUSED.of(KEY_MODEL).inferred(),
                "together/no-model-access",
            ),
            (
                "bad request",
                400,
                &[],
                r#"{"id":"1","error":{"message":"Invalid request","type":"invalid_request_error","param":"model"}}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "server error, with a wait",
                500,
                &[("retry-after", "1")],
                r#"{"error":{"message":"Internal server error","type":"server_error"}}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
            (
                "engine overloaded",
                503,
                &[],
                r#"{"error":{"message":"The engine is currently overloaded"}}"#,
                overloaded(UNKNOWN),
                "body/overloaded",
            ),
            (
                "engine too slow",
                524,
                &[],
                "",
                overloaded(UNKNOWN).inferred(),
                "together/engine-timeout",
            ),
            ("overloaded", 529, &[], "", overloaded(UNKNOWN).inferred(), "status/overloaded"),
        ],
    )
}
