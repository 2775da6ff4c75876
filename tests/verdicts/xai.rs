use tower_key_rotation::XAi;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &XAi::default(),
        &[
            (
                "tokens of the team",
                429,
                &[],
                r#"{"code":"Some resource has been exhausted","error":"Too many tokens for team 1 and model grok-4. Your team's rate limit is - Tokens per Minute (actual/limit): 65605/16000"}"#,
                limited(UNKNOWN, MODEL),
                "xai/rate-limit",
            ),
            (
                "too many, in other words",
                429,
                &[],
                r#"{"code":"x","error":"Slow down, please"}"#,
                limited(UNKNOWN, MODEL),
                "status/429",
            ),
            (
                "no credit",
                429,
                &[],
                r#"{"code":"Some resource has been exhausted","error":"Your team 1 has either used all available credits or reached its monthly spending limit."}"#,
                quota(UNKNOWN, ACCOUNT),
                "xai/no-credit",
            ),
            (
                "no credit, told with 403",
                403,
                &[],
                r#"{"code":"permission-denied","error":"Your newly created team doesn't have any credits yet."}"#,
                quota(UNKNOWN, ACCOUNT),
                "xai/no-credit",
            ),
            (
                "wrong key, told with 400",
                400,
                &[],
                r#"{"code":"invalid-argument","error":"Incorrect API key provided: xa***no. You can obtain one at the console."}"#,
                KeyRejected,
                "xai/invalid-key",
            ),
            (
                "wrong key, told with 400 and prose",
                400,
                &[],
                r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***no."}"#,
                KeyRejected,
                "xai/invalid-key",
            ),
            (
                "a wrong argument with the same code",
                400,
                &[],
                r#"{"code":"Client specified an invalid argument","error":"Model grok-4 does not support parameter stop."}"#,
                CallerFault,
                "status/4xx",
            ),
            (
                "no header",
                401,
                &[],
                r#"{"code":"unauthenticated","error":"No credentials were presented"}"#,
                KeyRejected,
                "status/401",
            ),
            (
                "unsafe content",
                403,
                &[],
                r#"{"code":"The caller does not have permission to execute the specified operation","error":"Content violates usage guidelines. Team: 1, API key ID: 2, Model: grok-4, Failed check: SAFETY_CHECK_TYPE_BIO"}"#,
                CallerFault,
                "xai/safety",
            ),
            (
                "a key without the right",
                403,
                &[],
                r#"{"code":"The caller does not have permission to execute the specified operation","error":"This API key may not use model grok-4"}"#,
                ModelRefused,
                "xai/no-permission",
            ),
            (
                "no such model",
                404,
                &[],
                r#"{"code":"Some requested entity was not found","error":"The model grok-nine does not exist"}"#,
                CallerFault,
                "status/4xx",
            ),
            (
                "at capacity",
                503,
                &[],
                r#"{"code":"The service is currently unavailable","error":"The model is at capacity and currently cannot serve this request."}"#,
                overloaded(UNKNOWN),
                "status/overloaded",
            ),
            (
                "server error",
                500,
                &[],
                r#"{"code":"Internal","error":"oops"}"#,
                Transient,
                "status/5xx",
            ),
        ],
    )
}
