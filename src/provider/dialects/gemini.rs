//! Google's Gemini API, with its own paths and those that speak OpenAI's.

use std::{borrow::Cow, sync::LazyLock};

use http::HeaderName;

use crate::{
    provider::{
        AuthScheme, Call, Estimate, Framing, Limits, Match, Provider, ProviderSpec, Refill, Rule,
        TokenSize, Wait, error_shape::ErrorShape, model_path::ModelPath, operation::Operations,
    },
    usage::UsageShape,
    verdict::{Blame, Place, Scope},
};

/// Google's Gemini API: `https://generativelanguage.googleapis.com/v1beta`, the OpenAI-compatible
/// `/v1beta/openai/` included. Vertex AI answers alike.
///
/// - The key travels in `x-goog-api-key`, on the compatible paths as `authorization: Bearer <key>`.
///   Callers' own `?key=` is removed. (<https://ai.google.dev/gemini-api/docs/openai>)
/// - Limits hold for a Google Cloud project, per model, never per key. Minutes are counted whole; days
///   end at midnight in California. (<https://ai.google.dev/gemini-api/docs/rate-limits>)
/// - No header reports a limit: limits are known from the bodies of refusals only. A bad key is a 400.
/// - `streamGenerateContent` sends one JSON array, and events only with `alt=sse`.
///   (<https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent>)
/// - A POST may be repeated, as Google's SDKs do.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Gemini {}

static SPEC: LazyLock<ProviderSpec> = LazyLock::new(|| {
    ProviderSpec::new("gemini", "https://generativelanguage.googleapis.com")
        .auth(AuthScheme::Header(HeaderName::from_static("x-goog-api-key")))
        .auth_on("/openai/", AuthScheme::Bearer)
        .key_parameter("key")
        .processing_time(HeaderName::from_static("server-timing"))
        .limits(Limits::of(Scope::Model, Refill::Fixed))
        .rules(rules())
        .operations(Operations::Gemini)
        .reads_bodies()
        .tokens(TokenSize::GEMINI)
        .model_path(ModelPath::BeforeColon { stream: "streamGenerateContent" })
        .errors_in(&[Framing::Events, Framing::List, Framing::Whole])
        .usage(&[UsageShape::GENERATE, INTERACTIONS, UsageShape::CHAT])
        .repeats_post()
        .error_shape(ErrorShape::Google)
});

impl Provider for Gemini {
    fn spec(&self) -> &ProviderSpec {
        &SPEC
    }

    /// The model is in the path (`/v1beta/models/gemini-2.5-flash:generateContent`), on the compatible
    /// paths in the body. One model, one name.
    fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
        let mut estimate = SPEC.estimate(call);
        if let Some(Cow::Borrowed(model)) = &mut estimate.model {
            *model = model.strip_prefix("models/").unwrap_or(model);
        }
        estimate
    }
}

/// <https://ai.google.dev/gemini-api/docs/interactions>
const INTERACTIONS: UsageShape = UsageShape {
    member: "usage",
    input: &["/total_input_tokens"],
    cache_read: &["/total_cached_tokens"],
    other_input: &["/total_tool_use_tokens"],
    output: &["/total_output_tokens"],
    reasoning: &["/total_thought_tokens"],
    total: &["/total_tokens"],
    ..UsageShape::GENERATE
};

/// <https://ai.google.dev/gemini-api/docs/troubleshooting>, and for the reasons
/// <https://github.com/googleapis/googleapis/blob/master/google/api/error_reason.proto>.
///
/// A 403 without a reason that we know may be the caller's, or about a file or a cache of another project:
/// another key is asked before anything rests.
fn rules() -> Vec<Rule> {
    vec![
        Rule::key_rejected("gemini/invalid-key")
            .status([400, 401, 403])
            .json(REASON, Match::is(["API_KEY_INVALID", "CONSUMER_SUSPENDED"])),
        Rule::key_rejected("gemini/invalid-key").status([400, 401, 403]).begins([
            "API key not valid",
            "API key expired",
            "Your API key was reported as leaked",
        ]),
        // A request that carried no key, or another text in its place.
        Rule::caller_fault("gemini/no-key-sent")
            .status(401)
            .json(REASON, Match::is(["CREDENTIALS_MISSING", "ACCESS_TOKEN_TYPE_UNSUPPORTED"])),
        Rule::caller_fault("gemini/no-key-sent")
            .status(403)
            .begins(["Method doesn't allow unregistered callers"]),
        // The project has not switched this API on.
        Rule::permission_refused("gemini/service-disabled")
            .status(403)
            .json(REASON, Match::is(["SERVICE_DISABLED"]))
            .place(Place::Key),
        // Good, but not from our address.
        Rule::permission_refused("gemini/wrong-address")
            .status(403)
            .json(REASON, Match::is(["API_KEY_IP_ADDRESS_BLOCKED"]))
            .place(Place::Key),
        // Good, but not for this method, which such a refusal names.
        Rule::permission_refused("gemini/restricted-key").status(403).json(
            REASON,
            Match::is(["API_KEY_SERVICE_BLOCKED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"]),
        ),
        // Good, but not with what the caller's own headers say of an application.
        Rule::permission_refused("gemini/wrong-application")
            .status(403)
            .json(
                REASON,
                Match::is([
                    "API_KEY_HTTP_REFERRER_BLOCKED",
                    "API_KEY_ANDROID_APP_BLOCKED",
                    "API_KEY_IOS_APP_BLOCKED",
                ]),
            )
            .blame(Blame::Inferred),
        // "Gemini API free tier is not available in your country. Please enable billing on your project":
        // another project may have it.
        Rule::quota_exhausted("gemini/no-billing").status([400, 403]).says(["enable billing"]),
        Rule::caller_fault("gemini/region")
            .status(400)
            .json("/error/status", Match::is(["FAILED_PRECONDITION"])),
        // 429 until the middle of 2026; 402 since.
        Rule::quota_exhausted("gemini/no-credit")
            .status([402, 429])
            .says(["prepayment credits are depleted"]),
        // A model that is not in the project's plan: no wait helps, although the body has one. "Quota exceeded
        // for metric: ..., limit: 0", and then no `quotaValue`.
        Rule::quota_exhausted("gemini/limit-zero")
            .status(429)
            .says(["limit: 0"])
            .place(Place::Model),
        // Here too the delay in the body, of seconds, is misleading.
        Rule::quota_exhausted("gemini/daily-quota")
            .status(429)
            .json("/error/details/*/violations/*/quotaId", Match::contains(["PerDay"]))
            .place(Place::Model)
            .wait(Wait::pacific_midnight()),
        // `google.rpc.RetryInfo`
        limited().json("/error/details/*", Match::Present),
        limited().says(["retry in "]),
        limited().header("retry-after", Match::Present).blame(Blame::Inferred),
        // "Resource has been exhausted (e.g. check quota)" and not a word more: Google's own capacity.
        Rule::overloaded("gemini/capacity")
            .status(429)
            .json("/error/status", Match::is(["RESOURCE_EXHAUSTED"]))
            .blame(Blame::Inferred),
    ]
}

const REASON: &str = "/error/details/*/reason";

/// Every 429 says `RESOURCE_EXHAUSTED`; what is exhausted stands in the details.
fn limited() -> Rule {
    Rule::rate_limited("gemini/rate-limit")
        .status(429)
        .json("/error/status", Match::is(["RESOURCE_EXHAUSTED"]))
        .wait(Wait::json("/error/details/*/retryDelay"))
        .wait(Wait::retry_after())
        .wait(Wait::text("retry in "))
}
