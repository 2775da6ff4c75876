use tower_key_rotation::provider::Cerebras;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &Cerebras::default(),
        &[
            (
                "requests per second, in milliseconds",
                429,
                &[("retry-after-ms", "660")],
                r#"{"message":"Requests per second limit exceeded - too many requests sent.","type":"too_many_requests_error","param":"quota","code":"request_quota_exceeded"}"#,
                limited(ms(660), MODEL),
                "cerebras/rate-limit",
            ),
            (
                "tokens per minute, by the reset with its fraction",
                429,
                &[
                    ("x-ratelimit-limit-tokens-minute", "60000"),
                    ("x-ratelimit-remaining-tokens-minute", "0"),
                    ("x-ratelimit-reset-tokens-minute", "8.5"),
                    ("x-ratelimit-remaining-requests-day", "900"),
                    ("x-ratelimit-reset-requests-day", "23468.99"),
                ],
                r#"{"message":"Tokens per minute limit exceeded - too many tokens processed.","type":"too_many_tokens_error","param":"quota","code":"token_quota_exceeded"}"#,
                limited(ms(8_500), MODEL),
                "cerebras/rate-limit",
            ),
            (
                "tokens per day",
                429,
                &[
                    ("x-ratelimit-remaining-tokens-day", "0"),
                    ("x-ratelimit-reset-tokens-day", "3600"),
                ],
                r#"{"message":"Tokens per day limit exceeded - too many tokens processed.","type":"too_many_tokens_error","code":"token_quota_exceeded"}"#,
                quota(s(3_600), MODEL),
                "cerebras/daily-limit",
            ),
            (
                "a queue that is full",
                429,
                &[],
                r#"{"message":"We're experiencing high traffic right now! Please try again soon.","type":"too_many_requests_error","param":"queue","code":"queue_exceeded"}"#,
                overloaded(UNKNOWN),
                "cerebras/queue",
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"message":"Wrong API Key","type":"invalid_request_error","param":"api_key","code":"wrong_api_key"}"#,
                KEY_REJECTED,
                "body/key",
            ),
            (
                "pay",
                402,
                &[],
                r#"{"message":"Payment required","type":"payment_required_error"}"#,
                quota(UNKNOWN, ACCOUNT),
                "body/quota",
            ),
            (
                "a wrong name of a model, or no access",
                404,
                &[],
                r#"{"message":"Model nine does not exist or you do not have access to it.","type":"not_found_error","param":"model","code":"model_not_found"}"#,
                PERMISSION_REFUSED.of(KEY_MODEL).inferred(),
                "openai/unknown-model-or-no-access",
            ),
            (
                "a model that certainly does not exist",
                404,
                &[],
                r#"{"message":"Model nine does not exist.","type":"not_found_error","param":"model","code":"model_not_found"}"#,
                CALLER_FAULT,
                "openai/unknown-model",
            ),
            (
                "a plan without the model",
                403,
                &[],
                r#"{"message":"This model is not in your plan","type":"permission_error","param":"model","code":"forbidden"}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "context length",
                400,
                &[],
                r#"{"message":"Please reduce the length of the messages","type":"invalid_request_error","code":"context_length_exceeded"}"#,
                CALLER_FAULT,
                "openai/context-length",
            ),
            (
                "server error",
                500,
                &[],
                r#"{"message":"Encountered a server error","type":"server_error"}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
            ("unavailable", 503, &[], "", overloaded(UNKNOWN).inferred(), "status/overloaded"),
        ],
    )
}
