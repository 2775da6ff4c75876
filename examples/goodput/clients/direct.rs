//! The pool without its layers, for limits on tokens. The client settles the real usage itself, to correct
//! wrong estimates.

use std::time::Duration;

use tokio::time::Instant;
use tower_key_rotation::{Demand, KeyPool, Verdict, pool::Reason, usage::Usage};

use super::{Client, Reply, send};
use crate::{
    uplink::{Uplink, request},
    workload::Job,
};

const TRIES: usize = 10;

pub(crate) struct Direct {
    pool: KeyPool,
    uplink: Uplink,
    /// How long callers wait for their answer, if they state a deadline.
    deadline: Option<Duration>,
}

impl Direct {
    pub(crate) fn new(pool: &KeyPool, uplink: &Uplink, deadline: Option<Duration>) -> Self {
        Self { pool: pool.clone(), uplink: uplink.clone(), deadline }
    }
}

impl Client for Direct {
    async fn ask(&self, job: &Job) -> Reply {
        let mut demand = Demand::new().model("m").output_tokens(job.estimate).since(Instant::now());
        if let Some(deadline) = self.deadline {
            demand = demand.deadline(Instant::now() + deadline);
        }
        for _ in 0..TRIES {
            let mut lease = match self.pool.acquire(&demand).await {
                Ok(lease) => lease,
                Err(deferred) if deferred.reason() == Reason::Busy => return Reply::Deferred,
                Err(_) => return Reply::Failed,
            };
            let mut request = request(job);
            if lease.apply(&mut request).is_err() {
                return Reply::Failed;
            }
            let Ok(answer) = send(&self.uplink, request).await else {
                lease.failed();
                continue;
            };
            match lease.observe(answer.status(), answer.headers(), answer.body()).verdict {
                Verdict::Accepted => {
                    lease.settle(Usage::tokens(0, job.amount));
                    return Reply::Answered;
                }
                Verdict::CallerFault => return Reply::Failed,
                // The provider did not count it.
                _ => lease.settle(Usage::tokens(0, 0)),
            }
        }
        Reply::Failed
    }
}
