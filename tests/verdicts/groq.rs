use tower_key_rotation::provider::Groq;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &Groq::default(),
        &[
            (
                "tokens per minute, rounded up in the header",
                429,
                &[("retry-after", "3")],
                r#"{"error":{"message":"Rate limit reached for model `llama` in organization `org_1` on tokens per minute (TPM): Limit 6000, Used 5447, Requested 783. Please try again in 2.3s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
                limited(s(3), MODEL),
                "openai/rate-limit",
            ),
            (
                "stated in the message only",
                429,
                &[],
                r#"{"error":{"message":"Rate limit reached on tokens per minute (TPM): Limit 6000. Please try again in 2.3s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
                limited(ms(2_300), MODEL),
                "openai/rate-limit",
            ),
            (
                "tokens per day",
                429,
                &[("retry-after", "1724")],
                r#"{"error":{"message":"Rate limit reached for model `llama` on tokens per day (TPD): Limit 500000, Used 499000, Requested 11000. Please try again in 28m43.2s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
                quota(s(1_724), MODEL),
                "openai/daily-limit",
            ),
            (
                "larger than the limit",
                413,
                &[],
                r#"{"error":{"message":"Request too large for model `llama` on tokens per minute (TPM): Limit 6000, Requested 12328","type":"tokens","code":"rate_limit_exceeded"}}"#,
                too_large(Some(6_000)),
                "groq/request-too-large",
            ),
            (
                "the month's spend",
                400,
                &[DATE],
                r#"{"error":{"message":"Spend limit reached","type":"invalid_request_error","code":"blocked_api_access"}}"#,
                quota(s(16 * 86_400 + 4 * 3_600), ACCOUNT),
                "groq/spend-limit",
            ),
            (
                "a tool called wrongly",
                400,
                &[],
                r#"{"error":{"message":"tool call validation failed","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"[]"}}"#,
                CALLER_FAULT,
                "groq/tool-use-failed",
            ),
            (
                "no flexible capacity",
                498,
                &[],
                r#"{"error":{"message":"Flex tier capacity exceeded"}}"#,
                overloaded(UNKNOWN).inferred(),
                "groq/flex-capacity",
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"error":{"message":"Invalid API Key","type":"invalid_request_error","code":"invalid_api_key"}}"#,
                KEY_REJECTED,
                "openai/invalid-key",
            ),
            (
                "organisation restricted, as 400",
                400,
                &[],
                r#"{"error":{"message":"Organization has been restricted.","type":"invalid_request_error","code":"organization_restricted"}}"#,
                KEY_REJECTED,
                "groq/organization-restricted",
            ),
            (
                "model not in the project",
                403,
                &[],
                r#"{"error":{"message":"The model `llama` is blocked at the project level.","type":"permissions_error","code":"model_permission_blocked_project"}}"#,
                PERMISSION_REFUSED.of(KEY_MODEL),
                "groq/no-model-access",
            ),
            (
                "terms of a model that were not accepted",
                400,
                &[],
                r#"{"error":{"message":"The model `nine` requires terms acceptance.","type":"invalid_request_error","code":"model_terms_required"}}"#,
                PERMISSION_REFUSED.of(KEY_MODEL),
                "groq/no-model-access",
            ),
            (
                "a wrong name of a model, or no access",
                404,
                &[],
                r#"{"error":{"message":"The model `lama` does not exist or you do not have access to it.","type":"invalid_request_error","code":"model_not_found"}}"#,
                PERMISSION_REFUSED.of(KEY_MODEL).inferred(),
                "openai/unknown-model-or-no-access",
            ),
            (
                "gone",
                400,
                &[],
                r#"{"error":{"message":"The model has been decommissioned","type":"invalid_request_error","code":"model_decommissioned"}}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "server error",
                500,
                &[],
                r#"{"error":{"message":"Internal Server Error","type":"internal_server_error"}}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
            (
                "unavailable",
                503,
                &[],
                r#"{"error":{"message":"Service Unavailable","type":"service_unavailable"}}"#,
                overloaded(UNKNOWN).inferred(),
                "status/overloaded",
            ),
        ],
    )
}
