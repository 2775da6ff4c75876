//! The recommended stack, for limits on requests.

use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use tower_key_rotation::{
    Exhausted, KeyPool, KeyRotation, QuotaAwareRetry, RotationStack, replay::ReplayBodyService,
};

use super::{Client, Reply};
use crate::{
    uplink::{Uplink, request},
    workload::Job,
};

type Layered = ReplayBodyService<tower::retry::Retry<QuotaAwareRetry, KeyRotation<Uplink>>>;

pub(crate) struct Stack(Layered);

impl Stack {
    pub(crate) fn new(pool: &KeyPool, uplink: &Uplink) -> Self {
        Self(RotationStack::new(pool).layer(uplink.clone()))
    }
}

impl Client for Stack {
    async fn ask(&self, job: &Job) -> Reply {
        let Ok(answer) = self.0.clone().oneshot(request(job)).await else { return Reply::Failed };
        let told = answer.status() == 429 && answer.extensions().get::<Exhausted>().is_some();
        let is_success = answer.status().is_success();
        match answer.into_body().collect().await {
            Ok(_) if is_success => Reply::Answered,
            Ok(_) if told => Reply::Told,
            _ => Reply::Failed,
        }
    }
}
