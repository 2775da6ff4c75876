use tower_key_rotation::provider::XAi;

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
                limited(UNKNOWN, MODEL).inferred(),
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
                "no credit, as 403",
                403,
                &[],
                r#"{"code":"permission-denied","error":"Your newly created team doesn't have any credits yet."}"#,
                quota(UNKNOWN, ACCOUNT),
                "xai/no-credit",
            ),
            (
                "wrong key, as 400",
                400,
                &[],
                r#"{"code":"invalid-argument","error":"Incorrect API key provided: xa***no. You can obtain one at the console."}"#,
                KEY_REJECTED,
                "xai/invalid-key",
            ),
            (
                "wrong key, as 400 with prose",
                400,
                &[],
                r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***no."}"#,
                KEY_REJECTED,
                "xai/invalid-key",
            ),
            (
                "a wrong argument with the same code",
                400,
                &[],
                r#"{"code":"Client specified an invalid argument","error":"Model grok-4 does not support parameter stop."}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "no header",
                401,
                &[],
                r#"{"code":"unauthenticated","error":"No credentials were presented"}"#,
                KEY_IN_DOUBT,
                "status/401",
            ),
            (
                "unsafe content",
                403,
                &[],
                r#"{"code":"The caller does not have permission to execute the specified operation","error":"Content violates usage guidelines. Team: 1, API key ID: 2, Model: grok-4, Failed check: SAFETY_CHECK_TYPE_BIO"}"#,
                CALLER_FAULT,
                "xai/safety",
            ),
            (
                "no permission, without a word about key and model",
                403,
                &[],
                r#"{"code":"The caller does not have permission to execute the specified operation","error":"Access to the chat endpoint is denied."}"#,
                PERMISSION_IN_DOUBT,
                "xai/no-permission",
            ),
            (
                "the same, with the code of another year",
                403,
                &[],
                r#"{"code":"permission-denied","error":"Access to the chat endpoint is denied."}"#,
                PERMISSION_IN_DOUBT,
                "xai/no-permission",
            ),
            (
                "a key without the model",
                403,
                &[],
                r#"{"code":"The caller does not have permission to execute the specified operation","error":"The API key xa***no cannot be used to make requests against grok-4 because it lacks the permissions to do so."}"#,
                PERMISSION_REFUSED.of(KEY_MODEL),
                "xai/no-model-access",
            ),
            (
                "no such model",
                404,
                &[],
                r#"{"code":"Some requested entity was not found","error":"The model grok-nine does not exist"}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "a wrong name of a model, or no access",
                404,
                &[],
                r#"{"code":"Some requested entity was not found","error":"The model grok-nine does not exist or your team does not have access to it."}"#,
                PERMISSION_IN_DOUBT,
                "status/404-or-no-access",
            ),
            (
                "at capacity",
                503,
                &[],
                r#"{"code":"The service is currently unavailable","error":"The model is at capacity and currently cannot serve this request."}"#,
                overloaded(UNKNOWN),
                "body/overloaded",
            ),
            (
                "server error",
                500,
                &[],
                r#"{"code":"Internal","error":"oops"}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
        ],
    )
}
