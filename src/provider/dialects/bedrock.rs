//! AWS Bedrock, with an API key.

use std::sync::LazyLock;

use http::HeaderName;

use crate::{
    provider::{
        Framing, Limits, Match, OutputCap, Provider, ProviderSpec, Refill, Rule,
        error_shape::ErrorShape, model_path::ModelPath, operation::Operations,
    },
    usage::{UsageHeaders, UsageShape},
    verdict::{Blame, Place, Scope},
};

/// AWS Bedrock with an API key: one region's runtime, converse and invoke alike.
///
/// - The key travels as `authorization: Bearer <key>`; it is good in its region only, and a short-term
///   one for twelve hours at most. Requests that are signed (SigV4) are not for this crate.
///   (<https://docs.aws.amazon.com/bedrock/latest/userguide/api-keys.html>)
/// - Limits hold for an AWS account, region and model; all keys of the account share them. Prompt and
///   `max_tokens` count when the request arrives; what is read from a cache does not. No header reports
///   them.
///   (<https://docs.aws.amazon.com/bedrock/latest/userguide/quotas-token-burndown.html>)
/// - Streams of converse and invoke are `application/vnd.amazon.eventstream`, whose frames are not taken
///   apart here: errors in them pass unseen. What converse used is read all the same; that of invoke is
///   packed in Base64, and is not known.
/// - `x-amzn-bedrock-invocation-latency` reports how long the provider worked on an answer.
/// - `x-amzn-errortype` names the error; a 403 may mean four things.
///   (<https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html>)
///
/// ```
/// use tower_key_rotation::provider::{Bedrock, Provider};
///
/// let bedrock = Bedrock::region("eu-central-1");
/// assert_eq!(bedrock.spec().origin, "https://bedrock-runtime.eu-central-1.amazonaws.com");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Bedrock {
    spec: ProviderSpec,
}

impl Bedrock {
    /// The runtime of a region, such as `us-east-1`.
    pub fn region(region: &str) -> Self {
        let spec = SPEC.clone();
        Self { spec: spec.at(format!("https://bedrock-runtime.{region}.amazonaws.com")) }
    }

    /// Another endpoint, such as `https://bedrock-mantle.us-east-1.api.aws`.
    pub fn endpoint(endpoint: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { spec: SPEC.clone().at(endpoint) }
    }
}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    ProviderSpec::new("bedrock", "")
        .limits(Limits::of(Scope::Model, Refill::Rolling))
        .rules(rules())
        .operations(Operations::Collections)
        .reads_bodies()
        .processing_time(HeaderName::from_static("x-amzn-bedrock-invocation-latency"))
        .model_path(ModelPath::Behind { part: "model", stream: Some("-stream") })
        .output_cap(OutputCap::Reserved)
        .without_cache_reads()
        .errors_in(&[Framing::Events, Framing::Whole])
        .usage(&USAGE)
        .usage_headers(&USAGE_HEADERS)
        .repeats_post()
        .error_shape(ErrorShape::Message)
});

impl Provider for Bedrock {
    fn spec(&self) -> &ProviderSpec {
        &self.spec
    }
}

/// Converse, invoke, and the paths that speak others' dialects.
const USAGE: [UsageShape; 5] =
    [CONVERSE, INVOKE, UsageShape::MESSAGES_MARKED, UsageShape::CHAT, UsageShape::RESPONSES];

/// <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>
const CONVERSE: UsageShape = UsageShape {
    input: &["/inputTokens"],
    cache_read: &["/cacheReadInputTokens", "/cacheReadInputTokenCount"],
    cache_write: &["/cacheWriteInputTokens", "/cacheWriteInputTokenCount"],
    cache_write_hour: &[],
    output: &["/outputTokens"],
    reasoning: &[],
    total: &["/totalTokens"],
    ..UsageShape::MESSAGES
};

/// In the last event of a stream, whatever the model.
const INVOKE: UsageShape = UsageShape {
    member: "amazon-bedrock-invocationMetrics",
    input: &["/inputTokenCount"],
    output: &["/outputTokenCount"],
    ..CONVERSE
};

/// Of `invoke` alone.
static USAGE_HEADERS: UsageHeaders = UsageHeaders {
    input: "x-amzn-bedrock-input-token-count",
    cache_read: "x-amzn-bedrock-cache-read-input-token-count",
    cache_write: "x-amzn-bedrock-cache-write-input-token-count",
    output: "x-amzn-bedrock-output-token-count",
};

fn rules() -> Vec<Rule> {
    vec![
        // "Too many tokens per day, please wait before trying again."
        Rule::quota_exhausted("bedrock/daily-limit")
            .status(429)
            .says(["per day"])
            .place(Place::Model),
        Rule::transient("bedrock/model-not-ready")
            .status(429)
            .header(KIND, Match::starts_with(["ModelNotReadyException"])),
        Rule::rate_limited("bedrock/throttled")
            .status(429)
            .header(KIND, Match::starts_with(["ThrottlingException"])),
        // "Model is getting throttled. Try your request again." is for everybody.
        Rule::overloaded("bedrock/unavailable")
            .status(503)
            .header(KIND, Match::starts_with(["ServiceUnavailableException"])),
        // Not the key's fault: it may do for other models.
        Rule::permission_refused("bedrock/no-model-access")
            .status(403)
            .says(["access to the model"])
            .place(Place::KeyModel),
        // "User: ... is not authorized to perform: bedrock:InvokeModel on resource: ...": it may do for other
        // actions.
        Rule::permission_refused("bedrock/not-authorized")
            .status(403)
            .says(["is not authorized to perform"]),
        // A short-term key ends so, after twelve hours at most.
        Rule::key_rejected("bedrock/invalid-key").status(403).header(
            KIND,
            Match::starts_with([
                "UnrecognizedClientException",
                "ExpiredTokenException",
                "InvalidSignatureException",
            ]),
        ),
        Rule::key_rejected("bedrock/invalid-key").status(403).begins([
            "The security token included in the request is",
            "Signature expired",
            "Authentication failed: Please make sure your API Key is valid",
            "Bearer Token has expired",
        ]),
        Rule::permission_refused("bedrock/access-denied")
            .status(403)
            .header(KIND, Match::starts_with(["AccessDeniedException"]))
            .blame(Blame::Inferred),
        Rule::quota_exhausted("bedrock/service-quota")
            .status(400)
            .header(KIND, Match::starts_with(["ServiceQuotaExceededException"])),
        Rule::transient("bedrock/model-error")
            .status(424)
            .header(KIND, Match::starts_with(["ModelErrorException"])),
    ]
}

/// `ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/`
const KIND: &str = "x-amzn-errortype";
