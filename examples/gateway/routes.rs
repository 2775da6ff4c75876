//! The routes: `/v1/...` by model, `/{pool}/...` unchanged to a provider, and `/-/...` of the gateway itself.

use std::{
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{Request, Response, StatusCode},
    middleware,
    routing::{any, get, post},
};

use serde::Serialize;
use tower_key_rotation::snapshot::Snapshot;

use super::{
    access::logged,
    act::act,
    config::{Config, Problems, Served},
    forward::forward,
    guard::Guard,
    model::read_model,
    pool::Pool,
    reload::Fixed,
    reply,
    upstream::Upstream,
    usage::{Opened, Usage, UsageStatus},
};

pub(crate) struct Gateway {
    guard: RwLock<Arc<Guard>>,
    pools: Vec<Pool>,
    usage: Usage,
    listen: SocketAddr,
    fixed: Fixed,
}

impl Gateway {
    pub(crate) fn new(config: Config, upstream: &Upstream) -> Result<Self, Problems> {
        let guard = RwLock::new(Arc::new(Guard::new(&config)));
        let (listen, fixed) = (config.listen, Fixed::new(&config));
        let tenants = config.tenants;
        let mut opened = Opened::open(config.usage)?;
        let (mut pools, mut problems) = (Vec::new(), Vec::new());
        for pool in config.pools {
            let name = pool.name.clone();
            let in_pool = |problem| format!("pool {name:?}: {problem}");
            match Pool::new(pool, &tenants, &mut opened, upstream.clone()) {
                Ok(pool) => pools.push(pool),
                Err(error) => problems.extend(error.problems().iter().map(in_pool)),
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        let usage = opened.start(pools.iter().map(|pool: &Pool| pool.keys.clone()).collect());
        Ok(Self { guard, pools, usage, listen, fixed })
    }

    /// Applies another configuration as a whole, or nothing of it. Returns the changes that need a restart.
    pub(crate) fn reload(&self, mut config: Config) -> Result<Vec<String>, Problems> {
        let later = self.fixed.differs(&Fixed::new(&config));
        // The gateway still listens on its first address, so the tokens are checked for that address.
        config.listen = self.listen;
        let mut problems = config.check_reach().into_iter().collect::<Vec<_>>();
        let guard = Guard::new(&config);
        let mut prepared = Vec::new();
        for new in config.pools {
            let Some(pool) = self.pools.iter().find(|pool| *pool.name == *new.name) else {
                continue;
            };
            let in_pool = |problem| format!("pool {:?}: {problem}", new.name);
            match pool.keys.prepare(new.accounts) {
                Ok(accounts) => prepared.push(accounts),
                Err(error) => problems.extend(error.problems().iter().map(in_pool)),
            }
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        for accounts in prepared {
            accounts.apply();
        }
        *self.guard.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(guard);
        Ok(later)
    }

    pub(crate) fn guard(&self) -> Arc<Guard> {
        Arc::clone(&self.guard.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn pools(&self) -> &[Pool] {
        &self.pools
    }

    pub(crate) fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The application, to be served.
    pub(crate) fn router(self: Arc<Self>) -> Router {
        Router::new()
            .route("/-/health", get(health))
            .route("/-/status", get(status))
            .route("/-/usage", get(usage))
            .route("/-/keys/{pool}/{key}/{action}", post(act))
            .route("/v1/{*path}", any(unified))
            .fallback(native)
            .layer(middleware::from_fn(logged))
            .with_state(self)
    }

    /// The patterns and names of all pools, for error messages.
    fn models(&self) -> String {
        let pools = self.pools.iter().map(|pool| format!("{} ({})", pool.patterns(), pool.name));
        pools.collect::<Vec<_>>().join(", ")
    }

    fn paths(&self) -> String {
        let paths = self.pools.iter().map(|pool| format!("/{}/...", pool.name));
        paths.collect::<Vec<_>>().join(", ")
    }
}

pub(crate) type Shared = State<Arc<Gateway>>;

/// Says only that the process answers. A dead key is no reason to restart the process.
async fn health() -> Response<Body> {
    reply::json(StatusCode::OK, r#"{"status":"ok"}"#.to_owned())
}

#[derive(Serialize)]
struct Status {
    pools: Vec<Snapshot>,
    usage: UsageStatus,
}

/// The state of every pool, account and key.
async fn status(State(gateway): Shared, request: Request<Body>) -> Response<Body> {
    let (head, _) = request.into_parts();
    if let Err(denied) = gateway.guard().admit_admin(&head) {
        return reply::denied(denied);
    }
    let pools = gateway.pools.iter().map(|pool| pool.keys.snapshot()).collect();
    match serde_json::to_string_pretty(&Status { pools, usage: gateway.usage.status() }) {
        Ok(text) => reply::json(StatusCode::OK, text),
        Err(_) => reply::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "status",
            "the state of the pools cannot be written as JSON",
        ),
    }
}

/// The usage and its cost.
async fn usage(State(gateway): Shared, request: Request<Body>) -> Response<Body> {
    let (head, _) = request.into_parts();
    match gateway.guard().admit_admin(&head) {
        Ok(()) => gateway.usage.page(head.uri.query().unwrap_or_default()),
        Err(denied) => reply::denied(denied),
    }
}

/// The OpenAI-compatible endpoint: the body's `model` says which pool.
async fn unified(State(gateway): Shared, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let guard = gateway.guard();
    let tenant = match guard.admit(&head) {
        Ok(tenant) => tenant,
        Err(denied) => return reply::denied(denied),
    };
    let (model, body) = match read_model(&head, body).await {
        Ok(read) => read,
        Err(reply) => return reply,
    };
    let pool = match &model {
        Some(model) => gateway.pools.iter().find(|pool| pool.serves(model)),
        None => gateway.pools.first(),
    };
    let Some(pool) = pool else {
        return reply::unknown_model(&model.unwrap_or_default(), &gateway.models());
    };
    let rest = head.uri.path().strip_prefix("/v1").unwrap_or_default();
    let path = format!("{}{rest}", pool.dialect.unified_path());
    forward(&gateway, pool, tenant, &path, head, body).await
}

/// A provider's own API, streaming both ways.
async fn native(State(gateway): Shared, request: Request<Body>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let guard = gateway.guard();
    let tenant = match guard.admit(&head) {
        Ok(tenant) => tenant,
        Err(denied) => return reply::denied(denied),
    };
    let path = head.uri.path().to_owned();
    let path = path.strip_prefix('/').unwrap_or(&path);
    let (name, rest) = path.split_at(path.find('/').unwrap_or(path.len()));
    let Some(pool) = gateway.pools.iter().find(|pool| *pool.name == *name) else {
        return reply::unknown_pool(name, &gateway.paths());
    };
    let rest = if rest.is_empty() { "/" } else { rest };
    forward(&gateway, pool, tenant, rest, head, body).await
}
