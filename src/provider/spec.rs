//! What is known of a provider, as data.

use std::{borrow::Cow, hash::RandomState};

use http::{HeaderName, HeaderValue, Method, Uri};

use super::{
    auth::AuthScheme,
    common_rules,
    error_shape::ErrorShape,
    exchange::{Answer, Call},
    limits::{Limits, Refill},
    model_path::ModelPath,
    operation::Operations,
    prompt_cache::PromptCache,
    request_body::Estimate,
    rule::{Rule, Ruling, Seen, Wait, judge},
    tokens::{OutputCap, TokenSize},
};
use crate::{
    Verdict,
    affinity::Kin,
    stream::Framing,
    usage::{UsageHeaders, UsageShape},
    verdict::Scope,
};

/// What is known of a provider: how a key is sent, how limits are reported, what refusals look like,
/// where models and tokens are found.
///
/// Each built-in dialect has one, and you can describe another provider in the same way. A spec is a [`Provider`](super::Provider) itself:
///
/// ```
/// use std::time::Duration;
/// use http::HeaderName;
/// use tower_key_rotation::{ApiKey, KeyPool, verdict::Scope};
/// use tower_key_rotation::provider::{AuthScheme, ProviderSpec, Limits, LimitHeader, Refill, Rule};
///
/// let weather = ProviderSpec::new("weather", "https://api.weather.example")
///     .auth(AuthScheme::Header(HeaderName::from_static("x-weather-key")))
///     .limits(
///         Limits::of(Scope::Account, Refill::Fixed)
///             .header(LimitHeader::requests("x-quota-{}").per(Duration::from_secs(3_600))),
///     )
///     .rules([
///         Rule::quota_exhausted("weather/plan").status(403).says(["upgrade your plan"]),
///     ]);
/// let pool = KeyPool::builder(weather).key(ApiKey::new("not-a-real-key")).build()?;
/// # Ok::<(), tower_key_rotation::BuildError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
#[non_exhaustive]
pub struct ProviderSpec {
    /// A short lower-case name, such as `openai`.
    pub name: Cow<'static, str>,
    /// Scheme, host and port that keys may be sent to, such as `https://api.openai.com`.
    pub origin: Cow<'static, str>,
    auth_schemes: Vec<AuthScheme>,
    /// For paths that contain a text: another scheme than the first, by its index.
    auth_paths: Vec<(&'static str, usize)>,
    /// The query parameter in which callers may send a key of their own. It is removed.
    pub key_parameter: Option<Cow<'static, str>>,
    /// Headers that every request must have; they are added if the caller sends none.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How limits are reported. Their scope is also the scope of a rate limit without further details.
    pub limits: Limits,
    /// Where a rate limit reports how long to wait, if its rule does not say.
    pub waits: Vec<Wait>,
    /// What refusals look like. If none of these rules matches, the rules by status apply that all dialects
    /// share.
    pub rules: Vec<Rule>,
    /// Whether the model and the tokens of a request are read from its JSON body.
    pub reads_bodies: bool,
    /// About how many tokens a prompt of a size has.
    pub tokens: TokenSize,
    /// How the output cap of a request counts against limits on tokens.
    pub output_cap: OutputCap,
    /// In which bodies of successful responses errors can come.
    pub errors_in: &'static [Framing],
    /// Whether what a prompt reads from a cache counts against limits on tokens.
    pub counts_cache_reads: bool,
    /// Where answers report the tokens they used: the first shape that fits counts.
    pub usage: &'static [UsageShape],
    /// Headers that report the tokens an answer used.
    pub usage_headers: Option<&'static UsageHeaders>,
    /// How long the provider keeps the beginnings of an account's prompts in a cache, and from which size
    /// on.
    pub prompt_cache: PromptCache,
    /// The header of an answer that reports how long the provider worked on it, in milliseconds. The
    /// rest of a round trip is the way there and back; its variation bounds how exactly limits can be kept.
    pub processing_time: Option<HeaderName>,
    /// Whether a POST may be sent again after a broken connection or a 5xx.
    pub repeats_post: bool,
    /// Where the path names the model; it takes precedence over the body.
    pub model_path: Option<ModelPath>,
    /// How operations are recognised.
    pub operations: Operations,
    /// The shape of our own refusals.
    pub error_shape: ErrorShape,
}

impl ProviderSpec {
    /// A provider of which only the origin is known.
    ///
    /// Its key is sent as `authorization: Bearer <key>`. A request counts as one request, and is repeated
    /// after a broken connection only if its method is idempotent. Refusals are judged by status; a rate
    /// limit is taken for the account's, and its wait is read from `retry-after`. No limits are read from
    /// headers, and no errors or usage from successful responses. Its operations are named by the first
    /// segment of the path.
    pub fn new(name: impl Into<Cow<'static, str>>, origin: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            origin: origin.into(),
            auth_schemes: vec![AuthScheme::Bearer],
            auth_paths: Vec::new(),
            key_parameter: None,
            headers: Vec::new(),
            limits: Limits::of(Scope::Account, Refill::Fixed),
            waits: vec![Wait::retry_after(), Wait::reset()],
            rules: Vec::new(),
            reads_bodies: false,
            model_path: None,
            operations: Operations::BySegment,
            tokens: TokenSize::USUAL,
            output_cap: OutputCap::Unknown,
            errors_in: &[],
            counts_cache_reads: true,
            usage: &[],
            usage_headers: None,
            prompt_cache: PromptCache::new(),
            processing_time: None,
            repeats_post: false,
            error_shape: ErrorShape::Plain,
        }
    }

    /// What it is called in metrics and messages.
    pub fn named(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Scheme, host and port that keys may be sent to.
    pub fn at(mut self, origin: impl Into<Cow<'static, str>>) -> Self {
        self.origin = origin.into();
        self
    }

    /// How the key is sent.
    pub fn auth(mut self, scheme: AuthScheme) -> Self {
        self.auth_schemes = vec![scheme];
        self
    }

    /// How the key is sent on paths that contain a text.
    pub fn auth_on(mut self, path: &'static str, scheme: AuthScheme) -> Self {
        self.auth_paths.push((path, self.auth_schemes.len()));
        self.auth_schemes.push(scheme);
        self
    }

    /// The query parameter in which callers may send a key of their own. It is removed.
    pub fn key_parameter(mut self, parameter: impl Into<Cow<'static, str>>) -> Self {
        self.key_parameter = Some(parameter.into());
        self
    }

    /// A header that every request must have; it is added if the caller sends none.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// How limits are reported. Their scope is also the scope of a rate limit without further details.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where a rate limit reports how long to wait, if its rule does not say. The first that finds a time
    /// counts.
    pub fn waits(mut self, waits: impl IntoIterator<Item = Wait>) -> Self {
        self.waits = waits.into_iter().collect();
        self
    }

    /// What refusals look like. These rules precede those that were added before, in this order.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.splice(..0, rules);
        self
    }

    /// The model and the tokens of a request are read from its JSON body.
    pub fn reads_bodies(mut self) -> Self {
        self.reads_bodies = true;
        self
    }

    /// Where the path names the model; it takes precedence over the body.
    pub fn model_path(mut self, path: ModelPath) -> Self {
        self.model_path = Some(path);
        self
    }

    /// How operations are recognised; by default by the first segment of the path.
    pub fn operations(mut self, operations: Operations) -> Self {
        self.operations = operations;
        self
    }

    /// About how many tokens a prompt of a size has; by default four bytes are a token.
    pub fn tokens(mut self, size: TokenSize) -> Self {
        self.tokens = size;
        self
    }

    /// How the output cap of a request counts against limits on tokens.
    pub fn output_cap(mut self, cap: OutputCap) -> Self {
        self.output_cap = cap;
        self
    }

    /// In which bodies of successful responses errors can come.
    pub fn errors_in(mut self, framings: &'static [Framing]) -> Self {
        self.errors_in = framings;
        self
    }

    /// What a prompt reads from a cache does not count against limits on tokens.
    pub fn without_cache_reads(mut self) -> Self {
        self.counts_cache_reads = false;
        self
    }

    /// Where answers report the tokens they used: the first shape that fits counts.
    pub fn usage(mut self, shapes: &'static [UsageShape]) -> Self {
        self.usage = shapes;
        self
    }

    /// Headers that report the tokens an answer used.
    pub fn usage_headers(mut self, headers: &'static UsageHeaders) -> Self {
        self.usage_headers = Some(headers);
        self
    }

    /// How long the provider keeps the beginnings of an account's prompts in a cache, and from which size
    /// on.
    pub fn prompt_cache(mut self, cache: PromptCache) -> Self {
        self.prompt_cache = cache;
        self
    }

    /// The header of an answer that reports how long the provider worked on it, in milliseconds: a plain
    /// number, or the last `dur=` of a `server-timing`.
    pub fn processing_time(mut self, header: HeaderName) -> Self {
        self.processing_time = Some(header);
        self
    }

    /// A POST may be sent again after a broken connection or a 5xx.
    pub fn repeats_post(mut self) -> Self {
        self.repeats_post = true;
        self
    }

    /// The shape of our own refusals: that of the provider's errors.
    pub fn error_shape(mut self, shape: ErrorShape) -> Self {
        self.error_shape = shape;
        self
    }

    /// The ways a key is sent, the usual one first; at least one.
    #[must_use]
    pub fn auth_schemes(&self) -> &[AuthScheme] {
        &self.auth_schemes
    }

    /// Which of [`auth_schemes`](Self::auth_schemes) a request takes, as an index.
    #[must_use]
    pub fn auth_scheme_of(&self, uri: &Uri) -> usize {
        let special = self.auth_paths.iter().find(|(path, _)| uri.path().contains(path));
        special.map_or(0, |(_, scheme)| *scheme)
    }

    /// Whether a request may be sent again after a broken connection or a 5xx, when the provider may
    /// have begun to work on it.
    #[must_use]
    pub fn may_repeat(&self, method: &Method) -> bool {
        self.repeats_post || method.is_idempotent()
    }
}

/// What follows from the data.
impl ProviderSpec {
    pub(super) fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
        let mut estimate = match self.reads_bodies {
            true => call.json().estimate(self.tokens),
            false => Estimate::default(),
        };
        if let Some((model, stream)) = self.model_path.and_then(|path| path.read(call.uri())) {
            estimate.model = Some(model);
            estimate.stream = stream.unwrap_or(estimate.stream);
        }
        estimate
    }

    /// What a failure means by the rules of the dialect, or by its status if none of them matches.
    #[must_use]
    pub fn judge(&self, answer: &Answer<'_>) -> Ruling {
        self.judge_by(&self.rules, answer)
            .or_else(|| self.judge_by(common_rules::rules(), answer))
            // An error event that says nothing but that it is one.
            .unwrap_or_else(|| Ruling::new(Verdict::Transient, "body/error").inferred())
    }

    /// What the first of some rules says that matches; `None` if none does.
    pub(crate) fn judge_by(&self, rules: &[Rule], answer: &Answer<'_>) -> Option<Ruling> {
        judge(rules, Seen::new(answer, &self.limits), &self.waits)
    }

    /// Which conversation a request continues, by what the request says itself.
    pub(crate) fn kin(
        &self,
        keys: &RandomState,
        call: &Call<'_>,
        model: Option<&str>,
    ) -> Option<Kin> {
        let PromptCache { least_tokens, header, .. } = &self.prompt_cache;
        let named = header.as_ref().and_then(|name| call.headers().get(name));
        match named {
            Some(name) => Some(Kin::named(keys, name.as_bytes())),
            None if self.reads_bodies => {
                call.json().kin(keys, model, self.tokens.bytes_of(*least_tokens))
            }
            None => None,
        }
    }
}
