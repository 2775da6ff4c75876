//! The recommended stack, for limits on requests.

use std::time::Duration;

use http_body_util::BodyExt;
use tokio::time::Instant;
use tower::{Layer, ServiceExt};
use tower_key_rotation::{
    Demand, Exhausted, KeyPool, KeyRotation, QuotaAwareRetry, RotationStack,
    replay::ReplayBodyService,
};

use super::{Client, Reply};
use crate::{
    uplink::{Uplink, request},
    workload::Job,
};

type Layered = ReplayBodyService<tower::retry::Retry<QuotaAwareRetry, KeyRotation<Uplink>>>;

pub(crate) struct Stack {
    layered: Layered,
    /// How long callers wait for their answer, if they state a deadline.
    deadline: Option<Duration>,
}

impl Stack {
    pub(crate) fn new(pool: &KeyPool, uplink: &Uplink, deadline: Option<Duration>) -> Self {
        Self { layered: RotationStack::new(pool).layer(uplink.clone()), deadline }
    }
}

impl Client for Stack {
    async fn ask(&self, job: &Job) -> Reply {
        let mut request = request(job);
        if let Some(deadline) = self.deadline {
            request.extensions_mut().insert(Demand::new().deadline(Instant::now() + deadline));
        }
        if let Some(caller) = job.what.caller {
            let demand = request.extensions_mut().get_or_insert_default::<Demand>();
            *demand = demand.clone().tag(format!("caller-{caller}"));
        }
        let Ok(answer) = self.layered.clone().oneshot(request).await else {
            return Reply::Failed;
        };
        let deferred = answer.status() == 429 && answer.extensions().get::<Exhausted>().is_some();
        let is_success = answer.status().is_success();
        match answer.into_body().collect().await {
            Ok(_) if is_success => Reply::Answered,
            Ok(_) if deferred => Reply::Deferred,
            _ => Reply::Failed,
        }
    }
}
