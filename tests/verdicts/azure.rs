use tower_key_rotation::AzureOpenAi;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &AzureOpenAi::new("https://r.openai.azure.com"),
        &[
            (
                "tokens of the deployment, stated twice",
                429,
                &[
                    ("retry-after", "60"),
                    ("x-ratelimit-reset-tokens", "60"),
                    ("x-ratelimit-remaining-requests", "396"),
                ],
                r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation have exceeded token rate limit of your pricing tier. Please retry after 60 seconds."}}"#,
                limited(s(60), MODEL),
                "azure/rate-limit",
            ),
            (
                "stated in the message only",
                429,
                &[],
                r#"{"error":{"code":"429","message":"... have exceeded call rate limit. Please retry after 7 seconds."}}"#,
                limited(s(7), MODEL),
                "azure/rate-limit",
            ),
            (
                "Foundry, with a zero and the correct value",
                429,
                &[("retry-after", "1"), ("retry-after-ms", "0")],
                r#"{"error":{"code":"RateLimitReached","message":"Your requests have exceeded rate limit."}}"#,
                limited(s(1), MODEL),
                "azure/rate-limit",
            ),
            (
                "a reset of an unknown unit is no wait",
                429,
                &[("x-ratelimit-remaining-tokens", "0"), ("x-ratelimit-reset-tokens", "500")],
                r#"{"error":{"code":"429","message":"too many"}}"#,
                limited(UNKNOWN, MODEL),
                "status/429",
            ),
            (
                "too many requests of an unknown kind",
                429,
                &[("retry-after", "3")],
                r#"{"error":{"code":"429","message":"Too many requests"}}"#,
                limited(s(3), MODEL).inferred(),
                "status/429",
            ),
            (
                "no quota",
                429,
                &[],
                r#"{"error":{"code":"insufficient_quota","type":"insufficient_quota","message":"You exceeded your current quota"}}"#,
                quota(UNKNOWN, ACCOUNT),
                "openai/insufficient-quota",
            ),
            (
                "wrong key, or another resource's",
                401,
                &[],
                r#"{"error":{"code":"401","message":"Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a valid key."}}"#,
                KEY_REJECTED,
                "azure/invalid-key",
            ),
            (
                "an identity without a role",
                401,
                &[],
                r#"{"error":{"code":"PermissionDenied","message":"The principal lacks the required data action."}}"#,
                PERMISSION_REFUSED,
                "azure/no-role",
            ),
            (
                "an identity without a role, as 403",
                403,
                &[],
                r#"{"error":{"code":"PermissionDenied","message":"The principal 1 may not perform POST /openai/deployments/d/chat/completions"}}"#,
                PERMISSION_REFUSED,
                "azure/no-role",
            ),
            (
                "a token of another audience, or an old one",
                401,
                &[],
                r#"{"error":{"code":"Unauthorized","message":"Access token is missing, invalid, of a wrong audience, or has expired."}}"#,
                KEY_IN_DOUBT,
                "status/401",
            ),
            (
                "closed to our network",
                403,
                &[],
                r#"{"error":{"code":"403","message":"Access denied due to Virtual Network/Firewall rules."}}"#,
                PERMISSION_REFUSED.of(KEY).inferred(),
                "azure/network",
            ),
            (
                "no such deployment in this resource",
                404,
                &[],
                r#"{"error":{"type":"invalid_request_error","code":"DeploymentNotFound","message":"The API deployment for this resource does not exist."}}"#,
                PERMISSION_REFUSED.of(KEY_MODEL).inferred(),
                "azure/no-deployment",
            ),
            (
                "content filter",
                400,
                &[],
                r#"{"error":{"code":"content_filter","message":"The response was filtered","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                CALLER_FAULT,
                "azure/content-filter",
            ),
            (
                "content filter, in place of an answer",
                200,
                &[],
                r#"{"error":{"code":"content_filter","param":"prompt","type":null,"message":"The prompt was filtered","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#,
                CALLER_FAULT,
                "azure/content-filter",
            ),
            (
                "context length",
                400,
                &[],
                r#"{"error":{"code":"context_length_exceeded","message":"This model's maximum context length is 8192 tokens"}}"#,
                CALLER_FAULT,
                "openai/context-length",
            ),
            (
                "body too large, in plain text",
                413,
                &[("content-type", "text/plain"), ("x-ratelimit-remaining-tokens", "0")],
                "Failed to buffer the request body: length limit exceeded",
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "not a tool's argument",
                422,
                &[],
                r#"{"error":{"code":"Invalid input","status":422,"message":"invalid input error"}}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "the model failed",
                500,
                &[],
                r#"{"error":{"message":"An error occurred while getting the response from the model."}}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
            (
                "unavailable",
                503,
                &[("retry-after", "2")],
                r#"{"error":{"code":"ServiceUnavailable","message":"busy"}}"#,
                overloaded(s(2)).inferred(),
                "status/overloaded",
            ),
        ],
    )
}
