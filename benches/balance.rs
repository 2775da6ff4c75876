//! A request through the endpoints of a pool, compared with tower's balancer with a constant load, measured
//! in turns: A B A B ... Each ratio is taken within a round, and the median over all rounds is printed.
//!
//! ```text
//! cargo bench --bench balance -- [--short]
//! ```
//!
//! Both are polled ready and then called, with new requests, and with services that answer at once. The
//! balance of this crate also inserts a key, keeps the limits and judges the answer. To compare that work, a
//! third row is a balancer over as many rotations of one key, each with its own pool. Memory is the heap
//! after building, divided by the number of endpoints, without the pool.

#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    env,
    future::{Ready, ready},
    hint::black_box,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use tokio::{runtime::Runtime, time::Instant};
use tower::{
    BoxError, Service, ServiceExt, balance::p2c::Balance, discover::ServiceList, load::Constant,
};
use tower_key_rotation::{
    Account, ApiKey, KeyBalance, KeyPool, KeyRotation, Limit, OpenAi, pool::KeyInfo,
};

type Body = Full<Bytes>;

const NUMBERS: [usize; 3] = [2, 100, 10_000];
/// The target: at most this many times the time of tower.
const MOST: f64 = 1.5;
/// Requests in one turn: few enough that the scheduler rarely interrupts a turn.
const REQUESTS: usize = 200;

/// Answers at once.
#[derive(Clone, Debug)]
struct Server;

impl Service<Request<Body>> for Server {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        black_box(request);
        ready(Ok(Response::new(Body::default())))
    }
}

/// The balancer of tower, for servers without keys.
fn plain(number: usize) -> Plain<Server> {
    balance((0..number).map(|_| Server))
}

/// The same with the work for keys: each server behind a rotation with its own pool.
fn with_keys(number: usize) -> Plain<KeyRotation<Server>> {
    balance((0..number).map(|_| KeyRotation::new(Server, &pool(1))))
}

type Plain<S> = Balance<ServiceList<Vec<Constant<S, u32>>>, Request<Body>>;

fn balance<S: Service<Request<Body>, Error: Into<BoxError>>>(
    servers: impl Iterator<Item = S>,
) -> Plain<S> {
    Balance::new(ServiceList::new(servers.map(|server| Constant::new(server, 1)).collect()))
}

fn endpoints(pool: &KeyPool) -> KeyBalance<fn(&KeyInfo) -> Server, Server> {
    KeyBalance::new(pool, |_: &KeyInfo| Server)
}

fn pool(number: usize) -> KeyPool {
    let account = |i| {
        let key = ApiKey::new("sk-not-a-real-key").endpoint(format!("https://k{i}.test"));
        Account::new(format!("org-{i}")).limit(Limit::requests(1 << 40).per_minute()).key(key)
    };
    let pool = KeyPool::builder(OpenAi::default()).seed(7);
    (0..number).fold(pool, |pool, i| pool.account(account(i))).build().unwrap()
}

/// Nanoseconds per request.
fn turn<S>(runtime: &Runtime, service: &mut S, requests: usize) -> f64
where
    S: Service<Request<Body>>,
    S::Error: std::fmt::Debug,
{
    let uri = Uri::from_static("https://api.openai.com/v1/models");
    let began = Instant::now();
    runtime.block_on(async {
        for _ in 0..requests {
            let request = Request::get(uri.clone()).body(Body::default()).unwrap();
            let response = service.ready().await.unwrap().call(request).await.unwrap();
            drop(black_box(response));
        }
    });
    began.elapsed().as_nanos() as f64 / requests as f64
}

/// The heap that the endpoints take, after some use.
fn memory<S>(runtime: &Runtime, number: usize, make: impl FnOnce() -> S) -> u64
where
    S: Service<Request<Body>>,
    S::Error: std::fmt::Debug,
{
    let mut made = None;
    let used = allocation_counter::measure(|| {
        let mut service = make();
        turn(runtime, &mut service, 1);
        made = Some(service);
    });
    used.bytes_current.unsigned_abs() / number as u64
}

fn main() {
    // A smoke run is short, and so is one without `--bench`, which cargo adds.
    let has = |name: &str| env::args().any(|arg| arg == name);
    let rounds = if has("--short") || !has("--bench") { 51 } else { 1_001 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!("endpoints | row                          | ns/request | bytes/endpoint");
    let mut ratios = Vec::new();
    for number in NUMBERS {
        let pool = pool(number);
        let mut rows: [(&str, Turn<'_>, u64); 3] = [
            ("tower's balance", turns(&runtime, plain(number), number), 0),
            ("the same, each with a key", turns(&runtime, with_keys(number), number), 0),
            ("ours", turns(&runtime, endpoints(&pool), number), 0),
        ];
        rows[0].2 = memory(&runtime, number, || plain(number));
        rows[1].2 = memory(&runtime, number, || with_keys(number));
        rows[2].2 = memory(&runtime, number, || endpoints(&pool));
        let times: Vec<_> =
            (0..rounds).map(|_| rows.each_mut().map(|(_, turn, _)| turn(REQUESTS))).collect();
        for (place, (name, _, bytes)) in rows.iter().enumerate() {
            let time = median(times.iter().map(|round| round[place]));
            println!("{number:>9} | {name:<28} | {time:>10.0} | {bytes:>14}");
        }
        ratios.push([0, 1].map(|other| median(times.iter().map(|round| round[2] / round[other]))));
    }
    println!();
    for (place, name) in ["tower's balance", "the same, each with a key"].iter().enumerate() {
        let worst = ratios.iter().map(|ratios| ratios[place]).fold(0.0, f64::max);
        let met = if worst <= MOST { "target met" } else { "target missed" };
        println!("{worst:.2} (<= {MOST}): {met}: ours / {name}");
    }
}

/// Sends this many requests, and returns the time of each.
type Turn<'a> = Box<dyn FnMut(usize) -> f64 + 'a>;

fn turns<'a, S>(runtime: &'a Runtime, mut service: S, number: usize) -> Turn<'a>
where
    S: Service<Request<Body>> + 'a,
    S::Error: std::fmt::Debug,
{
    // Until each endpoint was used.
    turn(runtime, &mut service, 2 * number);
    Box::new(move |requests| turn(runtime, &mut service, requests))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
