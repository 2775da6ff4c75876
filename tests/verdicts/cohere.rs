use tower_key_rotation::provider::Cohere;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &Cohere::default(),
        &[
            (
                "a trial's calls per minute",
                429,
                &[],
                r#"{"message":"You are using a Trial key, which is limited to 40 API calls / minute. You can continue to use the Trial key for free."}"#,
                limited(s(60), MODEL),
                "cohere/rate-limit",
            ),
            (
                "per minute, with a wait",
                429,
                &[("retry-after", "11")],
                r#"{"message":"You are past the per minute request limit, please wait and try again later."}"#,
                limited(s(11), MODEL),
                "cohere/rate-limit",
            ),
            (
                "a trial's tokens",
                429,
                &[],
                r#"{"message":"trial token rate limit exceeded, limit is 100000 tokens per minute"}"#,
                limited(s(60), MODEL),
                "cohere/rate-limit",
            ),
            (
                "a trial's month",
                429,
                &[DATE],
                r#"{"message":"You are using a Trial key, which is limited to 1000 API calls / month."}"#,
                quota(s(16 * 86_400 + 4 * 3_600), ACCOUNT),
                "cohere/monthly-calls",
            ),
            (
                "too many requests of an unknown kind",
                429,
                &[],
                r#"{"message":"Too many requests"}"#,
                limited(UNKNOWN, MODEL).inferred(),
                "status/429",
            ),
            (
                "the key's own cap",
                402,
                &[DATE],
                r#"{"message":"Maximum billing reached for this API key as set in your dashboard, please go to ..."}"#,
                quota(s(16 * 86_400 + 4 * 3_600), KEY),
                "cohere/billing-cap",
            ),
            (
                "no way to pay",
                402,
                &[],
                r#"{"message":"Please add or update your payment method to continue"}"#,
                quota(UNKNOWN, ACCOUNT),
                "cohere/no-payment-method",
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"id":"1","message":"invalid api token"}"#,
                KEY_REJECTED,
                "body/key",
            ),
            (
                "expired",
                401,
                &[],
                r#"{"message":"Your API key has expired. Please create a production key"}"#,
                KEY_REJECTED,
                "body/key",
            ),
            (
                "no key, or a key in the wrong place",
                401,
                &[],
                r#"{"message":"no api key supplied"}"#,
                KEY_IN_DOUBT,
                "status/401",
            ),
            (
                "an endpoint that is not for trials",
                403,
                &[],
                r#"{"message":"Trial keys may not create fine-tuned models"}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "another's fine-tuned model, or a wrong name",
                404,
                &[],
                r#"{"message":"model 'nine-ft' not found, make sure the model ID is correct and that you have access to the model."}"#,
                PERMISSION_IN_DOUBT,
                "status/404-or-no-access",
            ),
            (
                "too many tokens",
                400,
                &[],
                r#"{"error_type":"TOO_MANY_TOKENS","message":"too many tokens: size limit exceeded by 12 tokens"}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "unknown field",
                422,
                &[],
                r#"{"message":"unknown field: parameter nine is not a valid field"}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "the caller has hung up",
                499,
                &[],
                r#"{"message":"request cancelled"}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "server error",
                500,
                &[],
                r#"{"message":"internal server error"}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
            (
                "unavailable",
                503,
                &[],
                r#"{"message":"service unavailable"}"#,
                overloaded(UNKNOWN).inferred(),
                "status/overloaded",
            ),
        ],
    )
}
