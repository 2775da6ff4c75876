use tower_key_rotation::Cohere;

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
                "too many, of nobody knows what",
                429,
                &[],
                r#"{"message":"Too many requests"}"#,
                limited(UNKNOWN, MODEL),
                "status/429",
            ),
            (
                "the key's own cap",
                402,
                &[DATE],
                r#"{"message":"Maximum billing reached for this API key as set in your dashboard, please go to ..."}"#,
                quota(s(16 * 86_400 + 4 * 3_600), ACCOUNT),
                "cohere/billing-cap",
            ),
            (
                "no way to pay",
                402,
                &[],
                r#"{"message":"Please add or update your payment method to continue"}"#,
                quota(UNKNOWN, ACCOUNT),
                "status/402",
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"id":"1","message":"invalid api token"}"#,
                KeyRejected,
                "status/401",
            ),
            (
                "expired",
                401,
                &[],
                r#"{"message":"Your API key has expired. Please create a production key"}"#,
                KeyRejected,
                "status/401",
            ),
            (
                "too many tokens",
                400,
                &[],
                r#"{"error_type":"TOO_MANY_TOKENS","message":"too many tokens: size limit exceeded by 12 tokens"}"#,
                CallerFault,
                "status/4xx",
            ),
            (
                "unknown field",
                422,
                &[],
                r#"{"message":"unknown field: parameter nine is not a valid field"}"#,
                CallerFault,
                "status/4xx",
            ),
            (
                "the caller has hung up",
                499,
                &[],
                r#"{"message":"request cancelled"}"#,
                CallerFault,
                "status/4xx",
            ),
            (
                "server error",
                500,
                &[],
                r#"{"message":"internal server error"}"#,
                Transient,
                "status/5xx",
            ),
            (
                "unavailable",
                503,
                &[],
                r#"{"message":"service unavailable"}"#,
                overloaded(UNKNOWN),
                "status/overloaded",
            ),
        ],
    )
}
