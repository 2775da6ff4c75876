//! All rows.

use std::{cell::OnceCell, hint::black_box, num::NonZeroU32, sync::Arc};

use bytes::Bytes;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{Request, header::AUTHORIZATION};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder};
use tower_http::set_header::SetRequestHeaderLayer;
use tower_key_rotation::{Demand, KeyPool, KeyRotationLayer, ReplayBody, RotationStack};

use super::{
    driver::{Driver, Inner, Row},
    hand_made, pools,
};

pub(crate) const REQUEST: &str = "the request alone";
pub(crate) const HEADER_AND_CHECK: &str = "tower-http header + governor check";
pub(crate) const ROTATION: &str = "KeyRotation, 10 keys";
pub(crate) const ROTATION_READ: &str = "KeyRotation, 10 keys, model read from the body";
pub(crate) const ROTATION_MANY: &str = "KeyRotation, 100,000 keys";
pub(crate) const ROTATION_COOLING: &str = "KeyRotation, 100,000 keys, 99.9 % cooling";
pub(crate) const STACK: &str = "RotationStack, 10 keys";
pub(crate) const STACK_ANNOTATED: &str = "RotationStack, 10 keys, annotated";
pub(crate) const HAND_MADE: &str = "hand-made tower stack, 10 services";

const FEW: usize = 10;
const MANY: usize = 100_000;

/// Parts that several rows share.
struct Shared {
    driver: Driver,
    many: OnceCell<KeyPool>,
}

impl Shared {
    fn many(&self) -> &KeyPool {
        self.many.get_or_init(|| pools::pool(MANY))
    }
}

/// The name of a row, and the function that makes it.
type Plan = (&'static str, fn(&'static str, &Shared) -> Row);

const PLANS: &[Plan] = &[
    (REQUEST, |name, shared| shared.driver.request_alone(name)),
    ("bare inner service", |name, shared| shared.driver.row(name, Inner::default)),
    ("tower-http header", |name, shared| {
        shared.driver.row(name, || header().layer(Inner::default()))
    }),
    (HEADER_AND_CHECK, |name, shared| {
        let governor = governor();
        let check = move |request: Request<Full<Bytes>>| {
            black_box(governor.check().is_ok());
            request
        };
        let stack = ServiceBuilder::new().map_request(check).layer(header());
        shared.driver.row(name, || stack.service(Inner::default()))
    }),
    (ROTATION, |name, shared| rotation(name, shared, &pools::pool(FEW))),
    ("KeyRotation, 10 keys, annotated", |name, shared| {
        let layer = KeyRotationLayer::new(&pools::pool(FEW));
        shared.driver.row(name, || layer.layer(Inner::default()))
    }),
    (ROTATION_READ, |name, shared| {
        let layer = KeyRotationLayer::new(&pools::pool(FEW)).annotate(false);
        shared.driver.row_of::<_, ReplayBody, _>(name, || layer.layer(Inner::default()))
    }),
    ("KeyRotation, 10 keys, 1,000 models seen", |name, shared| {
        let pool = pools::pool(FEW);
        for model in 0..1_000 {
            drop(pool.try_acquire(&Demand::new().model(format!("model-{model}"))));
        }
        rotation(name, shared, &pool)
    }),
    ("KeyRotation, 1,000 keys", |name, shared| rotation(name, shared, &pools::pool(1_000))),
    (ROTATION_MANY, |name, shared| rotation(name, shared, shared.many())),
    (ROTATION_COOLING, |name, shared| rotation(name, shared, &pools::cooling(MANY, MANY / 1_000))),
    ("bare inner service, 12 response headers", |name, shared| {
        shared.driver.row(name, Inner::with_headers)
    }),
    ("KeyRotation, 10 keys, 12 response headers", |name, shared| {
        let layer = KeyRotationLayer::new(&pools::pool(FEW)).annotate(false);
        shared.driver.row(name, || layer.layer(Inner::with_headers()))
    }),
    (STACK, |name, shared| {
        let pool = pools::pool(FEW);
        let rotation = KeyRotationLayer::new(&pool).annotate(false);
        let stack = RotationStack::new(&pool).rotation(rotation);
        shared.driver.row(name, || stack.layer(Inner::default()))
    }),
    (STACK_ANNOTATED, |name, shared| {
        let stack = RotationStack::new(&pools::pool(FEW));
        shared.driver.row(name, || stack.layer(Inner::default()))
    }),
    (HAND_MADE, |name, shared| shared.driver.row(name, || hand_made::stack(FEW))),
    ("governor check", |name, _| {
        let governor = governor();
        Row::of(name, move || drop(black_box(governor.check())))
    }),
    ("governor check, 2 threads", |name, _| {
        let governor = governor();
        Row::contended(name, move || drop(black_box(governor.check())))
    }),
    ("try_acquire + drop, 10 keys", |name, _| Row::of(name, lease_of(&pools::pool(FEW)))),
    ("try_acquire + drop, 10 keys, 2 threads", |name, _| {
        Row::contended(name, lease_of(&pools::pool(FEW)))
    }),
    ("try_acquire + drop, 100,000 keys", |name, shared| Row::of(name, lease_of(shared.many()))),
    ("try_acquire + drop, 100,000 keys, 2 threads", |name, shared| {
        Row::contended(name, lease_of(shared.many()))
    }),
];

/// The row of this name, or otherwise all rows whose names contain the text.
pub(crate) fn rows(wanted: &str) -> Vec<Row> {
    let shared = Shared { driver: Driver::new(), many: OnceCell::new() };
    let is_name = PLANS.iter().any(|(name, _)| *name == wanted);
    let is_wanted = |name: &str| name == wanted || !is_name && name.contains(wanted);
    let plans = PLANS.iter().filter(|(name, _)| is_wanted(name));
    plans.map(|(name, make)| make(name, &shared)).collect()
}

fn rotation(name: &'static str, shared: &Shared, pool: &KeyPool) -> Row {
    let layer = KeyRotationLayer::new(pool).annotate(false);
    shared.driver.row(name, || layer.layer(Inner::default()))
}

fn header() -> SetRequestHeaderLayer<http::HeaderValue> {
    SetRequestHeaderLayer::overriding(AUTHORIZATION, hand_made::bearer(0))
}

fn governor() -> Arc<DefaultDirectRateLimiter> {
    Arc::new(RateLimiter::direct(Quota::per_second(NonZeroU32::MAX)))
}

/// A lease that is given back unused.
fn lease_of(pool: &KeyPool) -> impl Fn() + Sync + use<> {
    let (pool, demand) = (pool.clone(), Demand::new());
    move || drop(black_box(pool.try_acquire(&demand)))
}
