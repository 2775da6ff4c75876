//! Azure OpenAI, or Azure AI Foundry.

use std::borrow::Cow;

use http::HeaderName;

use super::openai;
use crate::{
    provider::{
        AuthScheme, LimitHeader, Limits, Provider, ProviderSpec, Refill, Rule, TokenSize, Wait,
        limits::MINUTE, model_path::ModelPath,
    },
    usage::UsageShape,
    verdict::{Blame, Place, Scope},
};

/// Azure OpenAI, or Azure AI Foundry: one resource, by its endpoint.
///
/// - The key travels in `api-key`, on the paths that speak Anthropic's dialect in `x-api-key`. Callers'
///   own `?subscription-key=` is removed. `api-version` is left to the caller.
///   (<https://learn.microsoft.com/azure/ai-services/openai/reference>)
/// - Limits hold for a deployment, within the quota of a subscription and region. Both keys of a resource
///   share everything: put them on one [`Account`](crate::Account). The model is the deployment that the
///   path names, or the body. Tokens are estimated with `max_tokens` when a request arrives.
///   (<https://learn.microsoft.com/azure/ai-services/openai/how-to/quota>)
/// - Prompts of 1,024 tokens or more are cached, for a subscription, for 5 to 10 minutes.
///   (<https://learn.microsoft.com/azure/ai-foundry/openai/how-to/prompt-caching>)
/// - The reset headers are seconds on some gateways and milliseconds on others, so they are not read;
///   -1 means not limited.
///
/// ```
/// use tower_key_rotation::{AzureOpenAi, provider::Provider};
///
/// let azure = AzureOpenAi::new("https://my-resource.openai.azure.com");
/// assert_eq!(azure.spec().origin, "https://my-resource.openai.azure.com");
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AzureOpenAi {
    spec: ProviderSpec,
}

impl AzureOpenAi {
    /// The resource with this endpoint: `https://{resource}.openai.azure.com`,
    /// `https://{resource}.services.ai.azure.com` or `https://{resource}.cognitiveservices.azure.com`.
    pub fn new(endpoint: impl Into<Cow<'static, str>>) -> Self {
        let spec = openai::like("azure", "")
            .tokens(TokenSize::OPENAI)
            .at(endpoint)
            .auth(AuthScheme::Header(HeaderName::from_static("api-key")))
            .auth_on("/anthropic/", AuthScheme::Header(HeaderName::from_static("x-api-key")))
            .key_parameter("subscription-key")
            .limits(limits())
            .waits([Wait::retry_after(), Wait::text("retry after ")])
            .rules(rules())
            .model_path(ModelPath::Behind { part: "deployments", stream: None })
            .usage(&[UsageShape::CHAT, UsageShape::MESSAGES_MARKED, UsageShape::RESPONSES]);
        Self { spec }
    }
}

impl Provider for AzureOpenAi {
    fn spec(&self) -> &ProviderSpec {
        &self.spec
    }
}

fn limits() -> Limits {
    Limits::of(Scope::Model, Refill::Fixed)
        .header(
            LimitHeader::requests("x-ratelimit-{}-requests")
                .without_reset()
                .per(MINUTE)
                .period_in("x-ratelimit-renewalperiod-requests"),
        )
        .header(
            LimitHeader::tokens("x-ratelimit-{}-tokens")
                .without_reset()
                .per(MINUTE)
                .period_in("x-ratelimit-renewalperiod-tokens"),
        )
}

fn rules() -> Vec<Rule> {
    vec![
        Rule::rate_limited("azure/rate-limit").status(429).code(["RateLimitReached"]),
        // With the code "429": "... have exceeded token rate limit ... Please retry after 60 seconds."
        Rule::rate_limited("azure/rate-limit").status(429).says(["rate limit"]),
        // Of a key that has nothing to do with the resource, too.
        Rule::key_rejected("azure/invalid-key")
            .status(401)
            .begins(["Access denied due to invalid subscription key"]),
        // An identity without a role: good for other resources.
        Rule::permission_refused("azure/no-role").status([401, 403]).code(["PermissionDenied"]),
        // A firewall, or a virtual network, of this resource: another may be reached from here.
        Rule::permission_refused("azure/network")
            .status(403)
            .says(["virtual network", "firewall"])
            .place(Place::Key)
            .blame(Blame::Inferred),
        // Each resource has deployments of its own.
        Rule::permission_refused("azure/no-deployment")
            .status(404)
            .code(["DeploymentNotFound"])
            .place(Place::KeyModel)
            .blame(Blame::Inferred),
        Rule::caller_fault("azure/content-filter").status(400).code(["content_filter"]),
    ]
}
