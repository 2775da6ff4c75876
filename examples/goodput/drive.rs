//! One run: callers start, send a request with a client, and wait as long as they can.

use std::{sync::Arc, time::Duration};

use tokio::{
    runtime::Builder,
    time::{sleep, sleep_until, timeout},
};

use crate::{
    clients::{ByHand, Client, Direct, Governed, Kind, Reply, Stack, is_direct},
    scenario::Scenario,
    workload::{Job, Sent},
    world::{LONGEST_ANSWER, World},
};

/// The results of all callers, and the counts of the provider.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) ends: Vec<End>,
    pub(crate) refused: u64,
    /// The accepted requests of each account while callers started.
    pub(crate) accepted: Vec<u64>,
}

/// The result of one caller.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// The answer came. Its call departed this long after the start of the caller.
    Answered {
        waited: Duration,
    },
    Deferred,
    Failed,
    GaveUp,
}

pub(crate) fn run(scenario: &Scenario, jobs: &[Job], kind: Kind, seed: u64) -> Run {
    // The seed of the pauses of the stack.
    fastrand::seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.unwrap_or_else(|problem| panic!("{problem}"));
    runtime.block_on(async {
        let world = World::begin(scenario, kind.max_wait(scenario), seed).await;
        let uplink = &world.uplink;
        let ends = match kind {
            Kind::Pool | Kind::PoolDeadline if is_direct(scenario) => {
                callers(
                    scenario,
                    &world,
                    jobs,
                    Direct::new(&world.pool, uplink, kind.deadline(scenario)),
                )
                .await
            }
            Kind::Pool | Kind::PoolDeadline => {
                callers(
                    scenario,
                    &world,
                    jobs,
                    Stack::new(&world.pool, uplink, kind.deadline(scenario)),
                )
                .await
            }
            Kind::ByHand => {
                let client = ByHand::new(scenario.accounts.len(), uplink, seed);
                callers(scenario, &world, jobs, client).await
            }
            Kind::Governed => {
                callers(scenario, &world, jobs, Governed::new(scenario, uplink, seed)).await
            }
        };
        // Answers of callers that gave up may still come.
        sleep(LONGEST_ANSWER).await;
        let refused = world.sandbox.stats().total().rate_limited;
        Run { ends, refused, accepted: uplink.accepted() }
    })
}

async fn callers(
    scenario: &Scenario,
    world: &World,
    jobs: &[Job],
    client: impl Client,
) -> Vec<End> {
    let client = Arc::new(client);
    tokio::spawn(World::fail(world.sandbox.clone(), scenario.clone()));
    let mut calls = Vec::with_capacity(jobs.len());
    for job in jobs {
        sleep_until(world.start + job.at).await;
        let job = Job { sent: Sent::default(), ..job.clone() };
        calls.push(tokio::spawn(caller(Arc::clone(&client), job, scenario.patience)));
    }
    let mut ends = Vec::with_capacity(jobs.len());
    for call in calls {
        ends.push(call.await.unwrap_or(End::Failed));
    }
    ends
}

pub(crate) async fn caller(client: Arc<impl Client>, job: Job, patience: Option<Duration>) -> End {
    let ask = client.ask(&job);
    let reply = match patience {
        Some(patience) => timeout(patience, ask).await,
        None => Ok(ask.await),
    };
    match reply {
        Ok(Reply::Answered) => End::Answered { waited: job.sent.get().saturating_sub(job.at) },
        Ok(Reply::Deferred) => End::Deferred,
        Ok(Reply::Failed) => End::Failed,
        Err(_) => End::GaveUp,
    }
}
