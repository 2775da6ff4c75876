//! The ledger agrees with the statistics of the provider.

use std::time::Duration;

use tokio::task::JoinSet;
use tower_key_rotation::{
    Demand, Trail, Verdict,
    sandbox::Fault,
    usage::{Dimension, Interval, Ledger, Query, Totals},
};

use super::*;

const REQUESTS: u64 = 10_000;
const MODELS: [&str; 3] = ["m", "gpt-4o-mini", "unpriced"];

/// A request, and how long its caller waits.
struct Call {
    api: Api,
    stream: bool,
    model: &'static str,
    tag: Option<&'static str>,
    /// After how many milliseconds the caller gives up; most never do.
    patience: u64,
    prompt: usize,
}

impl Call {
    fn any(rng: &mut fastrand::Rng, api: Api) -> Self {
        Self {
            api,
            stream: rng.bool(),
            model: rng.choice(MODELS).unwrap(),
            tag: rng.choice([None, Some("red"), Some("=blue")]).unwrap(),
            patience: if rng.u8(0..4) == 0 { rng.u64(0..3_000) } else { u64::MAX >> 20 },
            prompt: rng.usize(0..400),
        }
    }

    fn request(&self) -> Request<String> {
        let words = "x".repeat(self.prompt);
        let mut request = self.api.request(self.stream).map(|body| {
            let body = body.replace(r#""m""#, &format!("{:?}", self.model));
            body.replace("Hello", &format!("Hello{words}"))
        });
        let uri = request.uri().to_string().replace("/m:", &format!("/{}:", self.model));
        *request.uri_mut() = uri.parse().unwrap();
        if let Some(tag) = self.tag {
            request.extensions_mut().insert(Demand::new().tag(tag));
        }
        request
    }
}

fn fault(rng: &mut fastrand::Rng) -> Option<Fault> {
    Some(match rng.u8(0..40) {
        0 => Fault::error(http::StatusCode::PAYLOAD_TOO_LARGE, 1),
        1 => Fault::error(http::StatusCode::NOT_FOUND, 1),
        2 => Fault::refuse_connections(1),
        3 => Fault::stall_streams(0, Duration::from_secs(3), 2),
        4 => Fault::cut_streams(rng.u64(0..20), 1),
        5 => Fault::stream_error(rng.u64(0..20), 1),
        6 => Fault::stall_streams(rng.u64(0..20), Duration::from_secs(1), 1),
        7 => Fault::rate_limit(format!("org-{}", rng.u8(1..=4)), Duration::from_secs(1)),
        8 => Fault::error(http::StatusCode::BAD_REQUEST, 1),
        _ => return None,
    })
}

/// Many requests at once. A quarter of the callers give up at some moment: in the queue, before the answer,
/// or in the middle of it. The provider fails in many ways. For finished requests, the ledger has the same
/// tokens for each key as the provider. It lists all other accepted requests as estimated, except those that
/// the provider refused inside a 200.
#[tokio::test(start_paused = true)]
async fn the_ledger_counts_ten_thousand_mixed_requests_as_the_provider_does() {
    for (seed, api) in (1..).zip(APIS) {
        let mut rng = fastrand::Rng::with_seed(seed);
        let ledger = Arc::new(Ledger::new());
        let mut pool = match api.dialect() {
            Dialect::OpenAi => KeyPool::builder(OpenAi::default()),
            Dialect::Anthropic => KeyPool::builder(Anthropic::default()),
            _ => KeyPool::builder(Gemini::default()),
        };
        let script = Script::new()
            .tokens(9)
            .latency(Duration::from_millis(300))
            .jitter(Duration::from_millis(300))
            .gap(Duration::from_millis(40));
        let mut sandbox = Sandbox::builder(api.dialect()).seed(seed).answer(script);
        for i in 1..=4 {
            let secret = format!("sk-sandbox-{i}");
            let limits = [Limit::requests(6_000).per_minute(), Limit::concurrent(8)];
            sandbox = sandbox.account(format!("org-{i}"), limits.clone(), [secret.as_str()]);
            let account = limits.into_iter().fold(Account::new(format!("org-{i}")), Account::limit);
            pool = pool.account(account.key(ApiKey::new(secret).id(format!("org-{i}-1"))));
        }
        let pool = pool.seed(seed).usage_sink(Arc::clone(&ledger)).build().unwrap();
        let sandbox = sandbox.build();
        let stack = RotationStack::new(&pool).layer(sandbox.clone());
        let (mut calls, mut trails, mut done) = (JoinSet::new(), Vec::new(), 0);
        for _ in 0..REQUESTS / APIS.len() as u64 {
            fault(&mut rng).into_iter().for_each(|fault| assert!(sandbox.fail(fault)));
            let call = Call::any(&mut rng, api);
            let (client, trail) = (stack.clone(), Trail::new());
            trails.push(trail.clone());
            calls.spawn(async move {
                let answer = async {
                    let mut request = call.request();
                    request.extensions_mut().insert(trail);
                    let Ok(response) = client.oneshot(request).await else { return };
                    let mut body = response.into_body();
                    while body.frame().await.is_some_and(|frame| frame.is_ok()) {}
                };
                drop(tokio::time::timeout(Duration::from_millis(call.patience), answer).await);
            });
            while calls.len() >= 40 {
                calls.join_next().await.unwrap().unwrap();
                done += 1;
            }
        }
        while let Some(call) = calls.join_next().await {
            call.unwrap();
            done += 1;
        }

        let stats = sandbox.stats();
        let report = ledger.query(&Query::new().by(Dimension::Key));
        assert_eq!(report.rows.len(), 4, "{api:?}");
        for row in &report.rows {
            let Totals { requests, estimated_requests, unmetered_requests, .. } = row.totals;
            let counts = stats.key(row.key.as_ref().unwrap().as_str());
            assert_eq!(unmetered_requests, 0, "{api:?}");
            assert_eq!(requests - estimated_requests, counts.finished, "{api:?}: {row:?}");
            let input = row.totals.all_input() - row.totals.estimated_input;
            let output = row.totals.all_output() - row.totals.estimated_output;
            let finished = (counts.finished_prompt_tokens, counts.finished_answer_tokens);
            assert_eq!((input, output), finished, "{api:?}: {row:?}");
            // A stream whose first event is an error counts as a refusal. Here no other attempt has such a
            // verdict.
            let attempts = trails.iter().flat_map(Trail::attempts);
            let refused = attempts.filter(|attempt| {
                let is_failure =
                    matches!(attempt.verdict, Verdict::Overloaded { .. } | Verdict::Transient);
                attempt.key == row.key && is_failure && attempt.rule != "no-answer"
            });
            let unfinished = counts.accepted - counts.finished;
            assert_eq!(estimated_requests + refused.count() as u64, unfinished, "{api:?}: {row:?}");
        }
        let total = report.total;
        let (finished, estimated) = (stats.total().finished, total.estimated_requests);
        println!("{api:?}: of {done}, {finished} finished, {estimated} estimated: {total:?}");
        assert!(finished > 1_500 && estimated > 100, "{api:?}: {finished} {estimated}");
        for query in [
            Query::new().by(Dimension::Model).by(Dimension::Tag),
            Query::new().by(Dimension::Account).per(Interval::Minute),
            Query::new().by(Dimension::Tag).per(Interval::Hour),
        ] {
            let parts = ledger.query(&query);
            let requests: u64 = parts.rows.iter().map(|row| row.totals.requests).sum();
            assert_eq!((requests, parts.total), (total.requests, total), "{query:?}");
        }
        assert_eq!(pool.snapshot().accounts.iter().map(|a| a.in_flight).sum::<u64>(), 0);
    }
}

/// One request is sent at once, and the other waits in the queue.
#[tokio::test(start_paused = true)]
async fn a_tag_survives_the_queue() {
    let ledger = Arc::new(Ledger::new());
    let pool = KeyPool::builder(OpenAi::default())
        .account(Account::new("org").limit(Limit::concurrent(1)).key(ApiKey::new("sk-1").id("k1")))
        .usage_sink(Arc::clone(&ledger))
        .build()
        .unwrap();
    let script = Script::new().latency(Duration::from_secs(1));
    let sandbox = Sandbox::builder(Dialect::OpenAi).account("org", [], ["sk-1"]).answer(script);
    let stack = RotationStack::new(&pool).layer(sandbox.build());
    let ask = |tag: &'static str| {
        let mut request = Api::Chat.request(true);
        request.extensions_mut().insert(Demand::new().tag(tag));
        let client = stack.clone();
        async move { drop(read(client.oneshot(request).await.unwrap().into_body()).await) }
    };
    let by_hand = async {
        let mut lease = pool.acquire(&Demand::new().model("m").tag("by hand")).await.unwrap();
        lease.settle(Usage::tokens(1, 1));
    };
    tokio::join!(ask("first"), ask("second"), by_hand);
    let report = ledger.query(&Query::new().by(Dimension::Tag).by(Dimension::Model));
    let rows = report.rows.iter();
    let rows: Vec<_> = rows.map(|row| (row.tag.as_deref(), row.model.as_deref())).collect();
    assert_eq!(
        rows,
        [(Some("by hand"), Some("m")), (Some("first"), Some("m")), (Some("second"), Some("m"))]
    );
}
