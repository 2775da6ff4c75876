//! OpenAI, and the ground for the many that speak as it does.

use std::sync::LazyLock;

use http::HeaderName;

use crate::{
    provider::{
        Framing, LimitHeader, Limits, OutputCap, Provider, ProviderSpec, Refill, Rule, TokenSize,
        Wait, error_shape::ErrorShape, operation::Operations,
    },
    usage::UsageShape,
    verdict::{Blame, Place, Scope},
};

/// OpenAI: chat completions, responses, embeddings and the rest of `https://api.openai.com/v1`.
///
/// - The key travels as `authorization: Bearer <key>`.
/// - Limits hold for an organisation and a project, per model; quota for the whole of them. Two keys
///   of one project share everything: put them on one [`Account`](crate::Account). They refill all the
///   time, and `max_tokens` counts when the request arrives.
///   (<https://platform.openai.com/docs/guides/rate-limits>)
/// - `x-ratelimit-*-requests` reports the *daily* allowance on small tiers, so a 429 comes with most
///   of it left, and no time is known for which it is.
/// - An error may come in a stream: of chat completions in place of a chunk, of responses in
///   `response.failed` or `error`. A stream of chat completions reports its usage only on request.
///   (<https://platform.openai.com/docs/api-reference/responses-streaming>)
/// - Prompts of 1,024 tokens or more are cached, for an organisation, and "generally remain active for 5
///   to 10 minutes of inactivity". (<https://platform.openai.com/docs/guides/prompt-caching>)
/// - `openai-processing-ms` reports how long the provider worked on an answer.
///   (<https://platform.openai.com/docs/api-reference/debugging-requests>)
/// - A POST may be repeated: the official SDKs do so after a broken connection or a 5xx
///   (`_base_client.py` of openai-python).
///
/// Other providers that speak this dialect are served with their own origin.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct OpenAi {}

static SPEC: LazyLock<ProviderSpec> =
    LazyLock::new(|| like("openai", "https://api.openai.com").tokens(TokenSize::OPENAI));

impl Provider for OpenAi {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }
}

/// All that is OpenAI's but its models, for another provider that speaks its dialect.
pub(super) fn like(name: &'static str, origin: &'static str) -> ProviderSpec {
    ProviderSpec::new(name, origin)
        .limits(limits())
        .waits([Wait::retry_after(), Wait::text("try again in "), Wait::reset()])
        .rules(rules())
        .operations(Operations::Collections)
        .reads_bodies()
        .output_cap(OutputCap::Reserved)
        .processing_time(HeaderName::from_static("openai-processing-ms"))
        .errors_in(&[Framing::Events, Framing::Whole])
        .usage(&[UsageShape::CHAT, UsageShape::RESPONSES])
        .repeats_post()
        .error_shape(ErrorShape::OpenAi)
}

/// Resets are durations such as `6m0s` or `20ms`, to the whole allowance. A project reports its limits
/// only where it has some of its own. Images (`-input-images`) are not metered here.
fn limits() -> Limits {
    Limits::of(Scope::Model, Refill::Rolling)
        .header(LimitHeader::requests("x-ratelimit-{}-requests"))
        .header(LimitHeader::tokens("x-ratelimit-{}-tokens"))
        .header(LimitHeader::requests("x-ratelimit-{}-project-requests"))
        .header(LimitHeader::tokens("x-ratelimit-{}-project-tokens"))
}

/// <https://platform.openai.com/docs/guides/error-codes>
fn rules() -> Vec<Rule> {
    vec![
        // No money, or a limit on it reached, mostly with 429 and without a time to wait;
        // `billing_hard_limit_reached` comes with 400, from images.
        Rule::quota_exhausted("openai/insufficient-quota").code([
            "insufficient_quota",
            "credit_balance_exhausted",
            "organization_spend_limit_exceeded",
            "project_spend_limit_exceeded",
            "organization_usage_limit_exceeded",
            "billing_hard_limit_reached",
            "billing_not_active",
        ]),
        // Whatever the status that says so.
        Rule::key_rejected("openai/account-closed")
            .code(["account_deactivated", "access_terminated"]),
        // xAI, which speaks this dialect, says it with 400.
        Rule::key_rejected("openai/invalid-key-as-400")
            .status(400)
            .begins(["Incorrect API key provided"]),
        Rule::key_rejected("openai/invalid-key").status(401).code(["invalid_api_key"]),
        // No key was sent, so none was rejected.
        Rule::caller_fault("openai/no-key-sent")
            .status(401)
            .begins(["You didn't provide an API key"]),
        // The caller's own `OpenAI-Organization` or `OpenAI-Project` does not belong to this key, or does not exist:
        // "No such organization: org-typo."
        Rule::caller_fault("openai/organization-mismatch").status([400, 401, 403, 404]).code([
            "mismatched_organization",
            "mismatched_project",
            "invalid_organization",
            "invalid_project",
        ]),
        Rule::caller_fault("openai/organization-mismatch")
            .status([400, 401, 403, 404])
            .begins(["No such organization", "No such project"]),
        // A restricted key.
        Rule::permission_refused("openai/missing-scopes")
            .status([401, 403, 404])
            .says(["missing scopes"]),
        // One that is good from other addresses only.
        Rule::permission_refused("openai/wrong-address")
            .status(401)
            .code(["ip_not_authorized"])
            .place(Place::Key),
        Rule::permission_refused("openai/wrong-address")
            .status(401)
            .says(["ip not authorized"])
            .place(Place::Key),
        // From where we are, no key helps.
        Rule::caller_fault("openai/region")
            .status(403)
            .code(["unsupported_country_region_territory"]),
        // "Project `proj_1` does not have access to model `gpt-4o`"
        Rule::permission_refused("openai/no-model-access")
            .status([403, 404])
            .says(["not have access to model"])
            .place(Place::KeyModel),
        // "The model `gpt-9` does not exist or you do not have access to it": nearly always a wrong name.
        Rule::permission_refused("openai/unknown-model-or-no-access")
            .status([400, 404])
            .code(["model_not_found"])
            .says(["do not have access", "don't have access"])
            .place(Place::KeyModel)
            .blame(Blame::Inferred),
        Rule::caller_fault("openai/unknown-model").status([400, 404]).code(["model_not_found"]),
        // Of responses, mostly inside a stream.
        Rule::caller_fault("openai/prompt").status(400).code(PROMPT),
        Rule::caller_fault("openai/context-length").status(400).code(["context_length_exceeded"]),
        // One request larger than the whole limit: "Request too large for gpt-4.1-nano in
        // organization ... on tokens per min (TPM): Limit 1000000, Requested 2500013".
        Rule::too_large("openai/request-too-large")
            .status(429)
            .begins(["Request too large"])
            .size_after("limit "),
        // The ramp of all traffic is too steep.
        Rule::rate_limited("openai/slow-down").code(["slow_down"]).place(Place::Account),
        // "... on requests per day (RPD): Limit 200, Used 200. Please try again in 7m12s."
        Rule::quota_exhausted("openai/daily-limit")
            .status(429)
            .says(["per day (RPD)", "per day (TPD)"])
            .place(Place::Model)
            .wait(Wait::retry_after())
            .wait(Wait::text("try again in ")),
        Rule::rate_limited("openai/rate-limit").status(429).code(["rate_limit_exceeded"]),
    ]
}

/// <https://platform.openai.com/docs/api-reference/responses/object#responses-object-error>
const PROMPT: [&str; 15] = [
    "invalid_prompt",
    "invalid_image",
    "invalid_image_format",
    "invalid_base64_image",
    "invalid_image_url",
    "invalid_image_mode",
    "image_too_large",
    "image_too_small",
    "image_parse_error",
    "image_content_policy_violation",
    "image_file_too_large",
    "image_file_not_found",
    "unsupported_image_media_type",
    "empty_image_file",
    "failed_to_download_image",
];
