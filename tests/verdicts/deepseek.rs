use tower_key_rotation::provider::DeepSeek;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &DeepSeek::default(),
        &[
            (
                "no balance, with the code of a caller's fault",
                402,
                &[],
                r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
                quota(UNKNOWN, ACCOUNT),
                "deepseek/no-balance",
            ),
            (
                "no balance, in place of an answer",
                200,
                &[],
                r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
                quota(UNKNOWN, ACCOUNT),
                "deepseek/no-balance",
            ),
            (
                "busy, in place of an answer",
                200,
                &[],
                r#"{"error":{"message":"Server overloaded, please retry","type":"server_error"}}"#,
                overloaded(UNKNOWN),
                "body/overloaded",
            ),
            (
                "too many at once",
                429,
                &[],
                r#"{"error":{"message":"Too many concurrent requests","type":"rate_limit","code":"invalid_request_error"}}"#,
                limited(UNKNOWN, MODEL).inferred(),
                "status/429",
            ),
            (
                "wrong key, with the code of a caller's fault",
                401,
                &[],
                r#"{"error":{"message":"Authentication Fails, Your api key: ****nine is invalid","type":"authentication_error","param":null,"code":"invalid_request_error"}}"#,
                KEY_REJECTED,
                "deepseek/invalid-key",
            ),
            (
                "wrong key, in place of an answer",
                200,
                &[],
                r#"{"error":{"message":"Authentication Fails, Your api key: ****nine is invalid","type":"authentication_error"}}"#,
                KEY_REJECTED,
                "deepseek/invalid-key",
            ),
            (
                "no permission, on the path that speaks as Anthropic",
                403,
                &[],
                r#"{"type":"error","error":{"type":"permission_error","message":"This account may not use the beta"}}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "no such model, which is a 400",
                400,
                &[],
                r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error","code":"invalid_request_error"}}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "not a body, in plain text",
                422,
                &[("content-type", "text/plain; charset=utf-8")],
                "Failed to deserialize the JSON body into the target type: messages[0]",
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "context length",
                400,
                &[],
                r#"{"error":{"message":"This model's maximum context length is 65536 tokens.","type":"invalid_request_error","code":"invalid_request_error"}}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "empty lines before the body, sent to keep the connection",
                402,
                &[],
                r#"

{"error":{"message":"Insufficient Balance","type":"unknown_error"}}"#,
                quota(UNKNOWN, ACCOUNT),
                "deepseek/no-balance",
            ),
            (
                "server error",
                500,
                &[],
                r#"{"error":{"message":"Server Error","type":"server_error"}}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
            (
                "overloaded",
                503,
                &[],
                r#"{"error":{"message":"Service is too busy","type":"service_unavailable"}}"#,
                overloaded(UNKNOWN).inferred(),
                "status/overloaded",
            ),
        ],
    )
}
