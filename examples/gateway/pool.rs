//! A pool of the configuration with its stack of middleware.

use std::sync::Arc;

use axum::{body::Body, http::Request};
use tower::{Layer, ServiceBuilder, ServiceExt, retry::Retry, util::MapRequest};
use tower_key_rotation::{
    BuildError, KeyPool, KeyPoolBuilder, KeyRotation, KeyRotationLayer, QuotaAwareRetry,
    ReplayBody, ReplayBodyLayer,
    pool::Affinity,
    strategy::{Headroom, RoundRobin, Sequential},
};
use wildmatch::WildMatch;

use super::{
    config::{
        Admission, Base, Budget, Dialect, Kinship, PoolConfig, Served, Strategy, Streams, Tenant,
    },
    times::{self, Timed},
    upstream::{Upstream, UpstreamError},
    usage::Opened,
};

/// The whole stack: buffered body, retry, rotation, and the client; with a timer above and below the
/// rotation.
type Stack =
    <ReplayBodyLayer as Layer<Retry<QuotaAwareRetry, Timed<KeyRotation<Caller>>>>>::Service;
type Caller = MapRequest<Upstream, fn(Request<ReplayBody>) -> Request<ReplayBody>>;
type Answer = <Stack as tower::Service<Request<Body>>>::Response;

pub(crate) struct Pool {
    pub(crate) name: Arc<str>,
    pub(crate) dialect: Dialect,
    pub(crate) base: Base,
    pub(crate) keys: KeyPool,
    models: Vec<WildMatch>,
    stack: Stack,
}

impl Pool {
    pub(crate) fn new(
        config: PoolConfig,
        tenants: &[Tenant],
        opened: &mut Opened,
        upstream: Upstream,
    ) -> Result<Self, BuildError> {
        let PoolConfig { name, dialect, base, models, max_wait, queue, .. } = config;
        let PoolConfig { admission, budgets, streams, ask_usage, rules, accounts, .. } = config;
        let keys = dialect.pool(&base.origin()).name(&name).max_wait(max_wait).max_queued(queue);
        let keys = budgets.into_iter().fold(admit(keys, admission), limit_tag);
        let keys =
            tenants.iter().fold(keys, |keys, tenant| keys.tenant(&tenant.name, tenant.weight));
        let keys = opened.furnish(&name, keys);
        let keys = rules.into_iter().fold(keys, |keys, rule| keys.rule(rule));
        let keys =
            accounts.into_iter().fold(keys, |keys, account| keys.account(account)).build()?;
        let caller: Caller = MapRequest::new(upstream, times::sent);
        let stack = ServiceBuilder::new()
            .layer(ReplayBodyLayer::new())
            .retry(QuotaAwareRetry::new(&keys))
            .layer_fn(Timed::new)
            .layer(rotation(&keys, streams).ask_usage(ask_usage.unwrap_or(opened.asks())))
            .service(caller);
        let models = models.iter().map(|pattern| WildMatch::new(pattern)).collect();
        Ok(Self { name: name.into(), dialect, base, keys, models, stack })
    }

    /// Whether the unified endpoint sends requests for this model here.
    pub(crate) fn serves(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| pattern.matches(model))
    }

    /// The patterns of the models that come here: `gpt-*, o*`.
    pub(crate) fn patterns(&self) -> String {
        let patterns: Vec<_> = self.models.iter().map(ToString::to_string).collect();
        patterns.join(", ")
    }

    pub(crate) async fn call(&self, request: Request<Body>) -> Result<Answer, UpstreamError> {
        self.stack.clone().oneshot(request).await
    }
}

fn limit_tag(keys: KeyPoolBuilder, budget: Budget) -> KeyPoolBuilder {
    budget.limits.into_iter().fold(keys, |keys, limit| match &budget.tag {
        Some(tag) => keys.budget(tag, limit),
        None => keys.tag_budget(limit),
    })
}

fn admit(keys: KeyPoolBuilder, admission: Admission) -> KeyPoolBuilder {
    let Admission { strategy, learn, start, shadow, refuse_unpriced, affinity, patience } =
        admission;
    let affinity = match affinity {
        Some(Kinship::Off) => Affinity::disabled(),
        Some(Kinship::Names) => Affinity::new().prompts(false),
        Some(Kinship::Prompts) | None => Affinity::new(),
    };
    let keys = keys.affinity(patience.into_iter().fold(affinity, Affinity::patience));
    let keys = match strategy {
        Some(Strategy::Headroom) => keys.strategy(Headroom),
        Some(Strategy::Sequential) => keys.strategy(Sequential),
        Some(Strategy::RoundRobin) => keys.strategy(RoundRobin),
        None => keys,
    };
    let keys = learn.into_iter().fold(keys, KeyPoolBuilder::learn_limits);
    let keys = start.into_iter().fold(keys, KeyPoolBuilder::initial_concurrency);
    keys.dry_run(shadow).refuse_unpriced(refuse_unpriced)
}

fn rotation(keys: &KeyPool, streams: Streams) -> KeyRotationLayer {
    let Streams { hold_back, first_token, idle } = streams;
    let mut layer = KeyRotationLayer::new(keys);
    if let Some(time) = hold_back {
        layer = layer.hold_back_timeout(time);
    }
    if let Some(time) = first_token {
        layer = layer.first_token_timeout(time);
    }
    if let Some(time) = idle {
        layer = layer.idle_timeout(time);
    }
    layer
}
