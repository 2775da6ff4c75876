//! One rate limiter for all keys, set to the sum of the limits. Callers wait for it in turn, and then use the
//! next key.

use std::{num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use super::{ByHand, Client, Reply};
use crate::{scenario::Scenario, uplink::Uplink, workload::Job};

const TRIES: u32 = 10;

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Nanos>>;

pub(crate) struct Governed {
    by_hand: ByHand,
    /// The mutex serves callers in order.
    turn: Mutex<Limiter>,
    burst: u64,
}

impl Governed {
    pub(crate) fn new(scenario: &Scenario, uplink: &Uplink, seed: u64) -> Self {
        let accounts = 0..scenario.accounts.len();
        let bursts = accounts.clone().map(|account| scenario.limit(account).burst_amount());
        let burst: u64 = bursts.sum();
        let unit = Duration::from_secs_f64(1.0 / scenario.rate());
        let quota = Quota::with_period(unit).unwrap_or(Quota::per_second(NonZeroU32::MIN));
        let quota = quota.allow_burst(at_least_one(burst));
        let limiter = Limiter::direct_with_clock(quota, TokioClock(Instant::now()));
        let by_hand = ByHand::new(accounts.len(), uplink, seed);
        Self { by_hand, turn: Mutex::new(limiter), burst }
    }

    async fn take(&self, amount: u64) {
        let limiter = self.turn.lock().await;
        let amount = at_least_one(amount.min(self.burst));
        while let Ok(Err(not_until)) = limiter.check_n(amount) {
            sleep(not_until.wait_time_from(limiter.clock().now())).await;
        }
    }
}

impl Client for Governed {
    async fn ask(&self, job: &Job) -> Reply {
        for retry in 0..TRIES {
            self.take(job.estimate).await;
            let status = self.by_hand.send(job).await;
            if status.is_success() {
                return Reply::Answered;
            }
            self.by_hand.pause(status, retry).await;
        }
        Reply::Failed
    }
}

fn at_least_one(amount: u64) -> NonZeroU32 {
    let amount = u32::try_from(amount).unwrap_or(u32::MAX);
    NonZeroU32::new(amount).unwrap_or(NonZeroU32::MIN)
}

/// Tokio's clock, which is paused.
#[derive(Clone, Copy, Debug)]
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}
