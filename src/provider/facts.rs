//! What is known of a provider, as data: a fact sheet for each dialect.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue, Method, Uri};

use super::{
    Carrier, Framing, Limits, OutputCap, PromptCache, Refill, Rule, TokenSize, UsageHeaders,
    UsageShape, Wait, model_path::ModelPath, operation::Operations, refusal_body::ErrorShape,
};
use crate::Scope;

/// What is known of a provider: how a key is sent, how limits are told, what refusals look like,
/// where models and tokens stand.
///
/// The dialects of this crate are made of it, and another provider can be described in the same way.
/// It is a [`Provider`](super::Provider) itself:
///
/// ```
/// use std::time::Duration;
/// use http::HeaderName;
/// use tower_key_rotation::{ApiKey, KeyPool, Scope};
/// use tower_key_rotation::provider::{Carrier, Facts, Limits, Line, Refill, Rule};
///
/// let weather = Facts::new("weather", "https://api.weather.example")
///     .carrier(Carrier::Header(HeaderName::from_static("x-weather-key")))
///     .limits(
///         Limits::of(Scope::Account, Refill::Fixed)
///             .line(Line::requests("x-quota-{}").per(Duration::from_secs(3_600))),
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
pub struct Facts {
    /// A short lower-case name, such as `openai`.
    pub name: Cow<'static, str>,
    /// Scheme, host and port that keys may be sent to, such as `https://api.openai.com`.
    pub origin: Cow<'static, str>,
    carriers: Vec<Carrier>,
    /// For paths that contain a text, another carrier than the first.
    carrier_paths: Vec<(&'static str, usize)>,
    /// The query parameter in which callers may send a key of their own, to be removed.
    pub query_carrier: Option<Cow<'static, str>>,
    /// Headers that every request must have, to be added where the caller sends none.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// How limits are told. Of which scope they are, a refusal for rate is too.
    pub limits: Limits,
    /// Where a refusal for rate tells how long to wait, if its rule does not say.
    pub waits: Vec<Wait>,
    /// What refusals look like. Behind these stand the rules by status that all dialects share.
    pub rules: Vec<Rule>,
    /// Whether the model and the tokens of a request are read from its JSON body.
    pub reads_bodies: bool,
    /// How many tokens a prompt has by its size, about.
    pub tokens: TokenSize,
    /// How the output cap of a request counts against limits on tokens.
    pub output_cap: OutputCap,
    /// In which bodies errors may come though the response began well.
    pub errors_in: &'static [Framing],
    /// Whether what a prompt reads from a cache counts against limits on tokens.
    pub counts_cache_reads: bool,
    /// Where answers tell the tokens they used: the first shape that fits counts.
    pub usage: &'static [UsageShape],
    /// Headers that tell the tokens an answer used.
    pub usage_headers: Option<&'static UsageHeaders>,
    /// How long an account keeps the beginnings of its prompts in a cache, and from which size on.
    pub prompt_cache: PromptCache,
    /// The header of an answer that tells how long the provider worked on it, in milliseconds. What
    /// is left of a round trip is the way, and how far that varies is how exactly limits can be kept.
    pub processing_time: Option<HeaderName>,
    /// Whether a POST may be sent again after a broken connection or a 5xx.
    pub repeats_post: bool,
    pub(super) model_path: Option<ModelPath>,
    pub(super) operations: Operations,
    pub(super) error_shape: ErrorShape,
}

impl Facts {
    /// A provider of which nothing more is known than where it is.
    ///
    /// Its key travels as `authorization: Bearer <key>`. A request is one request, whatever is in
    /// it, and is repeated after a broken connection only if its method is idempotent. Refusals are
    /// judged by status; those for rate are taken for the account's, and the time to wait is looked for
    /// in `retry-after`. No limits are read from headers, and no errors or usage from good answers.
    /// Its operations are told apart by the first segment of the path.
    pub fn new(name: impl Into<Cow<'static, str>>, origin: impl Into<Cow<'static, str>>) -> Self {
        Self {
            name: name.into(),
            origin: origin.into(),
            carriers: vec![Carrier::Bearer],
            carrier_paths: Vec::new(),
            query_carrier: None,
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
    pub fn carrier(mut self, carrier: Carrier) -> Self {
        self.carriers = vec![carrier];
        self
    }

    /// How the key is sent on paths that contain a text.
    pub fn carrier_on(mut self, path: &'static str, carrier: Carrier) -> Self {
        self.carrier_paths.push((path, self.carriers.len()));
        self.carriers.push(carrier);
        self
    }

    /// The query parameter in which callers may send a key of their own, to be removed.
    pub fn query_carrier(mut self, parameter: impl Into<Cow<'static, str>>) -> Self {
        self.query_carrier = Some(parameter.into());
        self
    }

    /// A header that every request must have: it is added where the caller sends none.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// How limits are told. Of which scope they are, a refusal for rate is too.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Where a refusal for rate tells how long to wait, if its rule does not say: the first that finds
    /// a time counts.
    pub fn waits(mut self, waits: impl IntoIterator<Item = Wait>) -> Self {
        self.waits = waits.into_iter().collect();
        self
    }

    /// What refusals look like. They go before those that are there already, in this order.
    pub fn rules(mut self, rules: impl IntoIterator<Item = Rule>) -> Self {
        self.rules.splice(..0, rules);
        self
    }

    /// The model and the tokens of a request are read from its JSON body.
    pub fn reads_bodies(mut self) -> Self {
        self.reads_bodies = true;
        self
    }

    /// The model stands in the path too, and goes before one in the body.
    pub(super) fn model_path(mut self, path: ModelPath) -> Self {
        self.model_path = Some(path);
        self
    }

    /// How its operations are told apart; by the first segment of the path by default.
    pub(super) fn operations(mut self, operations: Operations) -> Self {
        self.operations = operations;
        self
    }

    /// How many tokens a prompt has by its size, about; four bytes a token by default.
    pub fn tokens(mut self, size: TokenSize) -> Self {
        self.tokens = size;
        self
    }

    /// How the output cap of a request counts against limits on tokens.
    pub fn output_cap(mut self, cap: OutputCap) -> Self {
        self.output_cap = cap;
        self
    }

    /// In which bodies errors may come though the response began well.
    pub fn errors_in(mut self, framings: &'static [Framing]) -> Self {
        self.errors_in = framings;
        self
    }

    /// What a prompt reads from a cache does not count against limits on tokens.
    pub fn without_cache_reads(mut self) -> Self {
        self.counts_cache_reads = false;
        self
    }

    /// Where answers tell the tokens they used: the first shape that fits counts.
    pub fn usage(mut self, shapes: &'static [UsageShape]) -> Self {
        self.usage = shapes;
        self
    }

    /// Headers that tell the tokens an answer used.
    pub fn usage_headers(mut self, headers: &'static UsageHeaders) -> Self {
        self.usage_headers = Some(headers);
        self
    }

    /// How long an account keeps the beginnings of its prompts in a cache, and from which size on.
    pub fn prompt_cache(mut self, cache: PromptCache) -> Self {
        self.prompt_cache = cache;
        self
    }

    /// The header of an answer that tells how long the provider worked on it, in milliseconds: a plain
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

    pub(super) fn error_shape(mut self, shape: ErrorShape) -> Self {
        self.error_shape = shape;
        self
    }

    /// The ways a key is sent, the usual one first; at least one.
    #[must_use]
    pub fn carriers(&self) -> &[Carrier] {
        &self.carriers
    }

    /// Which of [`carriers`](Self::carriers) a request takes, as an index.
    #[must_use]
    pub fn carrier_of(&self, uri: &Uri) -> usize {
        let special = self.carrier_paths.iter().find(|(path, _)| uri.path().contains(path));
        special.map_or(0, |(_, carrier)| *carrier)
    }

    /// Whether a request may be sent again after a broken connection or a 5xx, when the provider may
    /// have begun to work on it.
    #[must_use]
    pub fn may_repeat(&self, method: &Method) -> bool {
        self.repeats_post || method.is_idempotent()
    }
}
