use tower_key_rotation::provider::Mistral;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &Mistral::default(),
        &[
            (
                "too many, with all tokens left and no time",
                429,
                &[
                    ("x-ratelimit-limit-tokens-minute", "2000000"),
                    ("x-ratelimit-remaining-tokens-minute", "2000000"),
                ],
                r#"{"object":"error","message":"Rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}"#,
                limited(UNKNOWN, MODEL),
                "mistral/rate-limit",
            ),
            (
                "the gateway's own form",
                429,
                &[],
                r#"{"message":"Requests rate limit exceeded"}"#,
                limited(UNKNOWN, MODEL),
                "mistral/rate-limit",
            ),
            (
                "a form with a reset",
                429,
                &[
                    ("ratelimitbysize-limit", "500000"),
                    ("ratelimitbysize-remaining", "0"),
                    ("ratelimitbysize-reset", "44"),
                ],
                r#"{"message":"Requests rate limit exceeded"}"#,
                limited(s(44), MODEL),
                "mistral/rate-limit",
            ),
            (
                "the tier's capacity",
                429,
                &[],
                r#"{"object":"error","message":"Service tier capacity exceeded for this model.","type":"service_tier_capacity_exceeded","code":"3505"}"#,
                overloaded(UNKNOWN),
                "mistral/capacity",
            ),
            ("wrong key", 401, &[], r#"{"detail":"Invalid API Key"}"#, KEY_REJECTED, "body/key"),
            (
                "wrong key, the second form",
                401,
                &[],
                r#"{"message":"Unauthorized","request_id":"1"}"#,
                KEY_IN_DOUBT,
                "status/401",
            ),
            ("wrong key, and not a word", 401, &[], "", KEY_IN_DOUBT, "status/401"),
            (
                "a wrong word for the key, the third form",
                401,
                &[],
                r#"{"detail":"Unauthorized"}"#,
                KEY_IN_DOUBT,
                "status/401",
            ),
            (
                "a workspace without the model",
                403,
                &[],
                r#"{"detail":"This workspace may not use nine"}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "pay",
                402,
                &[],
                r#"{"detail":"Payment required"}"#,
                quota(UNKNOWN, ACCOUNT).inferred(),
                "status/402",
            ),
            (
                "no such model",
                400,
                &[],
                r#"{"object":"error","message":"Invalid model: nine","type":"invalid_model","param":null,"code":"1500","raw_status_code":400}"#,
                CALLER_FAULT,
                "mistral/invalid-model",
            ),
            (
                "a list of details",
                422,
                &[],
                r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required"}]}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "an object for a message",
                422,
                &[],
                r#"{"object":"error","message":{"detail":[{"type":"missing","loc":["body"]}]},"type":"invalid_request_error"}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "unavailable, as 500",
                500,
                &[],
                r#"{"object":"error","message":"Service unavailable.","type":"internal_server_error","code":"1000"}"#,
                overloaded(UNKNOWN),
                "mistral/unavailable",
            ),
            (
                "server error",
                500,
                &[],
                r#"{"object":"error","message":"Internal error","type":"internal_server_error"}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
        ],
    )
}
