//! One run of the day.

use std::sync::Arc;

use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};
use tower_key_rotation::{
    Account, ApiKey, KeyPool, OpenAi,
    sandbox::{Counts, Dialect, Sandbox, Script},
};

use super::{ACCOUNTS, Day, KINDS, Kind, PATIENCE, plan::Plan};
use crate::{
    clients::{ByStatus, Client, Stack},
    drive::{End, caller},
    uplink::{Uplink, secret},
    workload::{Job, Sent},
    world::{JITTER, LEAST_LATENCY, LONGEST_ANSWER, name},
};

/// The results of all callers, and the counts of the provider.
pub(super) struct Run {
    /// The result of each caller, with the number of its calls.
    pub(super) ends: Vec<(End, u32)>,
    pub(super) seen: Counts,
    /// The accepted requests by account and by kind, in the last part of the day, long after all faults.
    pub(super) at_last: Vec<u64>,
}

pub(super) fn run(day: &Day, plan: &Plan, jobs: &[Job], kind: Kind, seed: u64) -> Run {
    // The seed of the pauses of the stack.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|problem| panic!("{problem}"));
    runtime.block_on(async {
        let pool = pool(seed);
        let sandbox = sandbox(seed);
        let at_last = day.time - day.quiet / 4..day.time;
        let uplink = Uplink::new(&sandbox, ACCOUNTS, KINDS, at_last, seed);
        tokio::spawn(plan.clone().play(sandbox.clone()));
        let ends = match kind {
            Kind::Pool => callers(jobs, Stack::new(&pool, &uplink, None)).await,
            Kind::ByStatus => callers(jobs, ByStatus::new(ACCOUNTS, &uplink)).await,
        };
        // Answers of callers that gave up may still come.
        sleep(LONGEST_ANSWER).await;
        Run { ends, seen: sandbox.stats().total(), at_last: uplink.accepted() }
    })
}

fn pool(seed: u64) -> KeyPool {
    let pool = KeyPool::builder(OpenAi::default())
        .seed(seed)
        .max_wait(PATIENCE - LONGEST_ANSWER)
        .max_queued(1 << 24)
        .accounts((0..ACCOUNTS).map(|account| {
            Account::new(name(account)).key(ApiKey::new(secret(account))).limit(Day::limit())
        }));
    pool.build().unwrap_or_else(|problem| panic!("{problem}"))
}

fn sandbox(seed: u64) -> Sandbox {
    let script = Script::new().tokens(1).latency(LEAST_LATENCY).jitter(JITTER);
    let sandbox = Sandbox::builder(Dialect::OpenAi).answer(script).seed(seed);
    (0..ACCOUNTS)
        .fold(sandbox, |sandbox, account| {
            sandbox.account(name(account), [Day::limit()], [secret(account)])
        })
        .build()
}

async fn callers(jobs: &[Job], client: impl Client) -> Vec<(End, u32)> {
    let (client, start) = (Arc::new(client), Instant::now());
    let mut ends = vec![(End::Failed, 0); jobs.len()];
    let mut calls = JoinSet::new();
    for (number, job) in jobs.iter().enumerate() {
        sleep_until(start + job.at).await;
        let job = Job { sent: Sent::default(), ..job.clone() };
        let client = Arc::clone(&client);
        calls.spawn(async move {
            let sent = job.sent.clone();
            let end = caller(client, job, Some(PATIENCE)).await;
            (number, end, sent.calls())
        });
        // There are too many callers in a day to keep finished tasks.
        while let Some(Ok((number, end, calls))) = calls.try_join_next() {
            ends[number] = (end, calls);
        }
    }
    while let Some(ended) = calls.join_next().await {
        if let Ok((number, end, calls)) = ended {
            ends[number] = (end, calls);
        }
    }
    ends
}
