use tower_key_rotation::provider::Bedrock;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &Bedrock::region("us-east-1"),
        &[
            (
                "throttled",
                429,
                &[(
                    "x-amzn-errortype",
                    "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"Too many requests, please wait before trying again."}"#,
                limited(UNKNOWN, MODEL),
                "bedrock/throttled",
            ),
            (
                "throttled by a proxy",
                429,
                &[],
                r#"{"message":"Rate exceeded"}"#,
                limited(UNKNOWN, MODEL).inferred(),
                "status/429",
            ),
            (
                "tokens per day",
                429,
                &[(
                    "x-amzn-errortype",
                    "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"Too many tokens per day, please wait before trying again."}"#,
                quota(UNKNOWN, MODEL),
                "bedrock/daily-limit",
            ),
            (
                "the model is not ready",
                429,
                &[(
                    "x-amzn-errortype",
                    "ModelNotReadyException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"Model is not ready for inference."}"#,
                TRANSIENT,
                "bedrock/model-not-ready",
            ),
            (
                "all accounts are throttled",
                503,
                &[(
                    "x-amzn-errortype",
                    "ServiceUnavailableException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"Model is getting throttled. Try your request again."}"#,
                overloaded(UNKNOWN),
                "bedrock/unavailable",
            ),
            (
                "bad token",
                403,
                &[(
                    "x-amzn-errortype",
                    "UnrecognizedClientException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"The security token included in the request is invalid."}"#,
                KEY_REJECTED,
                "bedrock/invalid-key",
            ),
            (
                "expired token, without its header",
                403,
                &[],
                r#"{"message":"The security token included in the request is expired"}"#,
                KEY_REJECTED,
                "bedrock/invalid-key",
            ),
            (
                "bad API key, with a capital letter",
                403,
                &[(
                    "x-amzn-errortype",
                    "AccessDeniedException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"Message":"Authentication failed: Please make sure your API Key is valid."}"#,
                KEY_REJECTED,
                "bedrock/invalid-key",
            ),
            (
                "no access to the model",
                403,
                &[(
                    "x-amzn-errortype",
                    "AccessDeniedException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"You don't have access to the model with the specified model ID."}"#,
                PERMISSION_REFUSED.of(KEY_MODEL),
                "bedrock/no-model-access",
            ),
            (
                "not authorized for this action",
                403,
                &[(
                    "x-amzn-errortype",
                    "AccessDeniedException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"Message":"User: arn:aws:iam::1:user/x is not authorized to perform: bedrock:InvokeModel on resource"}"#,
                PERMISSION_REFUSED,
                "bedrock/not-authorized",
            ),
            (
                "no access, without a reason",
                403,
                &[(
                    "x-amzn-errortype",
                    "AccessDeniedException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"Operation not allowed"}"#,
                PERMISSION_IN_DOUBT,
                "bedrock/access-denied",
            ),
            (
                "bad request",
                400,
                &[(
                    "x-amzn-errortype",
                    "ValidationException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"The model returned the following errors: Input Tokens Exceeded"}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "quota of the service",
                400,
                &[(
                    "x-amzn-errortype",
                    "ServiceQuotaExceededException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"Your request exceeds the service quota for your account."}"#,
                quota(UNKNOWN, ACCOUNT),
                "bedrock/service-quota",
            ),
            (
                "no such model",
                404,
                &[(
                    "x-amzn-errortype",
                    "ResourceNotFoundException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"This model version has reached the end of its life."}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            (
                "a model that is not there, or may not be used",
                404,
                &[(
                    "x-amzn-errortype",
                    "ResourceNotFoundException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"Could not find the model nine, or you don't have access to it."}"#,
                PERMISSION_IN_DOUBT,
                "status/404-or-no-access",
            ),
            (
                "the model failed",
                424,
                &[(
                    "x-amzn-errortype",
                    "ModelErrorException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"The system encountered an unexpected error"}"#,
                TRANSIENT,
                "bedrock/model-error",
            ),
            (
                "the model was too slow",
                408,
                &[(
                    "x-amzn-errortype",
                    "ModelTimeoutException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"Model has timed out"}"#,
                TRANSIENT.inferred(),
                "status/408",
            ),
            (
                "server error",
                500,
                &[(
                    "x-amzn-errortype",
                    "InternalServerException:http://internal.amazon.com/coral/com.amazon.bedrock/",
                )],
                r#"{"message":"The system encountered an unexpected error during processing."}"#,
                TRANSIENT.inferred(),
                "status/5xx",
            ),
        ],
    )
}
