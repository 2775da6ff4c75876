//! How much of a limit is used over real sockets: a provider on the loopback of this machine enforces the
//! limits of the pool, and callers always ask for more.
//!
//! ```text
//! cargo bench --bench socket -- [--short]
//! ```
//!
//! Requests that depart evenly spaced do not arrive evenly: connections are set up, threads are scheduled,
//! and there are two clocks. The bench prints the used share of the limits and the number of refused
//! requests. Time is real here, so the bench never fails.

use std::{env, error::Error, time::Duration};

use http::{Request, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use hyper::{body::Bytes, server::conn::http1};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::{
    net::TcpListener,
    time::{Instant, sleep_until, timeout_at},
};
use tower::{ServiceBuilder, ServiceExt};
use tower_key_rotation::{
    Account, ApiKey, KeyPool, Limit, OpenAi, ReplayBody, RotationStack,
    sandbox::{Dialect, LimitAlgorithm, Sandbox, Script},
};

const ACCOUNTS: usize = 3;
const CALLERS: usize = 64;

struct Row {
    name: &'static str,
    limit: Limit,
    enforced: LimitAlgorithm,
}

fn rows() -> Vec<Row> {
    let row = |name, limit, enforced| Row { name, limit, enforced };
    vec![
        row("6,000 requests/min", Limit::requests(6_000).per_minute(), LimitAlgorithm::TokenBucket),
        row("600 requests/min", Limit::requests(600).per_minute(), LimitAlgorithm::TokenBucket),
        row(
            "120 requests/min burst 1",
            Limit::requests(120).per_minute().burst(1),
            LimitAlgorithm::TokenBucket,
        ),
        row(
            "100 requests in 4 s, fixed",
            Limit::requests(100).per(Duration::from_secs(4)).fixed(),
            LimitAlgorithm::FixedWindow,
        ),
    ]
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<_> = env::args().collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    let short = has("--short") || !has("--bench");
    let time = Duration::from_secs(if short { 8 } else { 60 });
    println!("{ACCOUNTS} accounts each, for {} s", time.as_secs());
    println!("{:<28} | accepted | of the limits | refused", "limit");
    for row in rows() {
        let (accepted, refused) = run(&row, time).await?;
        let share = accepted as f64 / allowed(&row, time);
        println!("{:<28} | {accepted:>8} | {share:>13.4} | {refused:>7}", row.name);
    }
    Ok(())
}

/// What the limits of all accounts allow in that time.
fn allowed(row: &Row, time: Duration) -> f64 {
    let periods = time.as_secs_f64() / row.limit.period().as_secs_f64();
    let of_one = match row.enforced {
        LimitAlgorithm::FixedWindow => row.limit.amount() as f64 * periods.ceil(),
        _ => row.limit.amount() as f64 * periods + row.limit.burst_amount() as f64,
    };
    of_one * ACCOUNTS as f64
}

/// The numbers of requests that the provider accepted and refused.
async fn run(row: &Row, time: Duration) -> Result<(u64, u64), Box<dyn Error>> {
    let name = |account| format!("org-{account}");
    let secret = |account| format!("sk-sandbox-{account}");
    let script = Script::new().tokens(1).latency(Duration::from_millis(2));
    let sandbox = Sandbox::builder(Dialect::OpenAi).limit_algorithm(row.enforced).answer(script);
    let sandbox = (0..ACCOUNTS).fold(sandbox, |sandbox, account| {
        sandbox.account(name(account), [row.limit.clone()], [secret(account)])
    });
    let sandbox = sandbox.build();
    let origin = provider(sandbox.clone()).await?;
    let pool = KeyPool::builder(OpenAi::default()).origin(&origin).max_wait(2 * time);
    let pool = (0..ACCOUNTS).fold(pool, |pool, account| {
        let account_of = Account::new(name(account)).limit(row.limit.clone());
        pool.account(account_of.key(ApiKey::new(secret(account))))
    });
    let pool = pool.build()?;
    let client = Client::builder(TokioExecutor::new()).build_http::<ReplayBody>();
    let service = ServiceBuilder::new().layer(RotationStack::new(&pool)).service(client);

    let end = Instant::now() + time;
    for _ in 0..CALLERS {
        let (service, uri) = (service.clone(), format!("{origin}/v1/chat/completions"));
        tokio::spawn(timeout_at(end, async move {
            loop {
                let request = Request::post(&uri)
                    .header(CONTENT_TYPE, "application/json")
                    .body(Full::<Bytes>::from(r#"{"model":"gpt-4o","messages":[]}"#));
                let Ok(request) = request else { return };
                if let Ok(response) = service.clone().oneshot(request).await {
                    drop(response.into_body().collect().await);
                }
            }
        }));
    }
    sleep_until(end).await;
    let seen = sandbox.stats().total();
    Ok((seen.requests - seen.rate_limited, seen.rate_limited))
}

/// Serves the sandbox on a free port, and returns its origin.
async fn provider(sandbox: Sandbox) -> Result<String, std::io::Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(sandbox.clone());
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    Ok(origin)
}
