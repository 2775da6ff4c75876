//! One run: all conversations go to a pool in front of a provider, and the provider counts.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{Request, Uri};
use http_body_util::BodyExt;
use tokio::{
    runtime::Builder,
    time::{Instant, sleep, sleep_until},
};
use tower::{Layer, ServiceExt, retry::Retry};
use tower_key_rotation::{
    Account, Anthropic, ApiKey, KeyPool, KeyRotation, OpenAi, QuotaAwareRetry, RotationStack,
    pool::Affinity,
    replay::ReplayBodyService,
    sandbox::{Counts, Dialect as Spoken, Fault, Sandbox, Script},
    strategy::RoundRobin,
};

use crate::{
    scenario::{Dialect, Scenario, Way},
    traffic::{Conversation, Transcript},
};

type Stack = ReplayBodyService<Retry<QuotaAwareRetry, KeyRotation<Sandbox>>>;

/// The results of a run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) total: Counts,
    /// Only of accounts without a fault during the run.
    pub(crate) accounts: Vec<Counts>,
    pub(crate) failed: u64,
    pub(crate) moved: u64,
}

pub(crate) fn run(scenario: &Scenario, all: &[Conversation], way: Way, seed: u64) -> Run {
    // The seed of the pauses of the stack.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|problem| panic!("{problem}"));
    runtime.block_on(async {
        let accounts = if way == Way::Ideal { 1 } else { scenario.accounts };
        let sandbox = sandbox(scenario, accounts, seed);
        let pool = pool(scenario, accounts, way, seed);
        let stack = RotationStack::new(&pool).layer(sandbox.clone());
        if scenario.faults && way != Way::Ideal {
            tokio::spawn(fail(sandbox.clone(), scenario.time));
        }
        let failed = talk_all(scenario.dialect, all, &stack).await;
        let seen = sandbox.stats();
        let good = if scenario.faults && way != Way::Ideal { 3 } else { 0 };
        Run {
            total: seen.total(),
            accounts: (good..accounts).map(|account| seen.account(&name(account))).collect(),
            failed,
            moved: pool.snapshot().affinity.moved,
        }
    })
}

async fn talk_all(dialect: Dialect, all: &[Conversation], stack: &Stack) -> u64 {
    let (start, failed) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let mut talks = Vec::with_capacity(all.len());
    for conversation in all {
        sleep_until(start + conversation.at).await;
        let (conversation, stack) = (conversation.clone(), stack.clone());
        let failed = Arc::clone(&failed);
        talks.push(tokio::spawn(async move {
            if talk(dialect, &conversation, &stack).await.is_none() {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for talk in talks {
        let _ = talk.await;
    }
    failed.load(Ordering::Relaxed)
}

/// `None` if a request failed.
async fn talk(dialect: Dialect, conversation: &Conversation, stack: &Stack) -> Option<()> {
    let mut transcript = Transcript::new(dialect, &conversation.instructions);
    for turn in &conversation.turns {
        sleep(turn.pause).await;
        let mut request = Request::new(transcript.ask(turn));
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = Uri::from_static(match dialect {
            Dialect::OpenAi => "https://api.openai.com/v1/chat/completions",
            Dialect::Anthropic => "https://api.anthropic.com/v1/messages",
        });
        let answer = stack.clone().oneshot(request).await.ok()?;
        if !answer.status().is_success() {
            return None;
        }
        transcript.answered(&answer.into_body().collect().await.ok()?.to_bytes())?;
    }
    Some(())
}

fn sandbox(scenario: &Scenario, accounts: usize, seed: u64) -> Sandbox {
    let latency = Duration::from_millis(800);
    let script = Script::new().tokens(1_000).latency(latency).jitter(Duration::from_secs(4));
    let spoken = match scenario.dialect {
        Dialect::OpenAi => Spoken::OpenAi,
        Dialect::Anthropic => Spoken::Anthropic,
    };
    let sandbox = Sandbox::builder(spoken).answer(script).seed(seed);
    let of = |sandbox: tower_key_rotation::sandbox::SandboxBuilder, account| {
        sandbox.account(name(account), scenario.limits(accounts), [secret(account)])
    };
    (0..accounts).fold(sandbox, of).build()
}

fn pool(scenario: &Scenario, accounts: usize, way: Way, seed: u64) -> KeyPool {
    let pool = match scenario.dialect {
        Dialect::OpenAi => KeyPool::builder(OpenAi::default()),
        Dialect::Anthropic => KeyPool::builder(Anthropic::default()),
    };
    let pool = pool.seed(seed).max_wait(Duration::from_secs(120)).max_queued(1 << 20);
    let pool = match way {
        Way::Affinity => pool,
        Way::Headroom | Way::Ideal => pool.affinity(Affinity::disabled()),
        Way::RoundRobin => pool.affinity(Affinity::disabled()).strategy(RoundRobin),
    };
    let pool = (0..accounts).fold(pool, |pool, account| {
        let key = Account::new(name(account)).key(ApiKey::new(secret(account)));
        pool.account(scenario.limits(accounts).into_iter().fold(key, Account::limit))
    });
    pool.build().unwrap_or_else(|problem| panic!("{problem}"))
}

/// One key is revoked permanently, and two accounts cool down for a while.
async fn fail(sandbox: Sandbox, time: Duration) {
    sleep(time / 4).await;
    sandbox.fail(Fault::revoke(secret(0)));
    for account in [1, 2] {
        sleep(time / 4).await;
        sandbox.fail(Fault::rate_limit(name(account), Duration::from_secs(90)));
    }
}

fn name(account: usize) -> String {
    format!("org-{account}")
}

fn secret(account: usize) -> String {
    format!("sk-sandbox-{account}")
}
