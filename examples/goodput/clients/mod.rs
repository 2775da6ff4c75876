//! The compared clients: with the pool, and typical hand-made ones.

mod by_hand;
mod by_status;
mod direct;
mod governed;
mod stack;

use std::{fmt, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use tower::ServiceExt;

pub(crate) use by_hand::ByHand;
pub(crate) use by_status::ByStatus;
pub(crate) use direct::Direct;
pub(crate) use governed::Governed;
pub(crate) use stack::Stack;

use crate::{
    scenario::{Metered, Scenario},
    uplink::Uplink,
    workload::Job,
    world::LONGEST_ANSWER,
};

/// Longer than any run.
const FOR_EVER: Duration = Duration::from_secs(30 * 24 * 3_600);

pub(crate) trait Client: Send + Sync + 'static {
    fn ask(&self, job: &Job) -> impl Future<Output = Reply> + Send;
}

/// The result of a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Answered,
    /// The pool refused the request, because it could not be served in time.
    Deferred,
    /// Any other error.
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The pool, whose `max_wait` leaves time for the longest answer.
    Pool,
    /// The pool; callers state when they give up (a deadline).
    PoolDeadline,
    ByHand,
    Governed,
}

impl Kind {
    pub(crate) fn all(scenario: &Scenario) -> impl Iterator<Item = Self> + use<> {
        let hasty = scenario.patience.is_some();
        [Self::Pool, Self::PoolDeadline, Self::ByHand, Self::Governed]
            .into_iter()
            .filter(move |kind| hasty || *kind != Self::PoolDeadline)
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pool => "pool",
            Self::PoolDeadline => "pool, callers' deadlines",
            Self::ByHand => "round robin + backoff",
            Self::Governed => "governor + round robin",
        }
    }

    /// The time that callers state as their deadline.
    pub(crate) fn deadline(self, scenario: &Scenario) -> Option<Duration> {
        scenario.patience.filter(|_| self == Self::PoolDeadline)
    }

    /// How long a request may wait in the queue of the pool.
    pub(crate) fn max_wait(self, scenario: &Scenario) -> Duration {
        match (self, scenario.patience) {
            (_, None) | (Self::PoolDeadline, _) => FOR_EVER,
            (_, Some(patience)) => patience - LONGEST_ANSWER,
        }
    }
}

/// Whether the client uses the pool without its layers.
pub(crate) fn is_direct(scenario: &Scenario) -> bool {
    scenario.metered != Metered::Requests
}

/// Sends a request, and reads the answer to its end.
async fn send(uplink: &Uplink, request: Request<String>) -> Result<Response<Bytes>, Broken> {
    let (head, body) = uplink.clone().oneshot(request).await.map_err(|_| Broken)?.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    Ok(Response::from_parts(head, body))
}

/// The answer was not complete.
#[derive(Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection broke")
    }
}
