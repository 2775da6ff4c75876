//! A typical hand-made client: each request goes to the next key. After a refusal and a pause, which doubles,
//! it goes to the key after it.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{HeaderValue, StatusCode, header::AUTHORIZATION};
use tokio::time::sleep;

use super::{Client, Reply, send};
use crate::{
    uplink::{Uplink, request, secret},
    workload::Job,
};

const TRIES: u32 = 10;
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(8);

pub(crate) struct ByHand {
    uplink: Uplink,
    keys: Vec<HeaderValue>,
    next: AtomicUsize,
    rng: Mutex<fastrand::Rng>,
}

impl ByHand {
    pub(crate) fn new(accounts: usize, uplink: &Uplink, seed: u64) -> Self {
        let key = |account| HeaderValue::try_from(format!("Bearer {}", secret(account)));
        Self {
            uplink: uplink.clone(),
            keys: (0..accounts).filter_map(|account| key(account).ok()).collect(),
            next: AtomicUsize::new(0),
            rng: Mutex::new(fastrand::Rng::with_seed(seed)),
        }
    }

    /// One attempt with the next key.
    pub(super) async fn send(&self, job: &Job) -> StatusCode {
        let mut request = request(job);
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.keys.len();
        request.headers_mut().insert(AUTHORIZATION, self.keys[place].clone());
        match send(&self.uplink, request).await {
            Ok(answer) => answer.status(),
            Err(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Exponential backoff with a jitter between half and all of the pause. There is no pause after an
    /// invalid key.
    pub(super) async fn pause(&self, after: StatusCode, retry: u32) {
        if after != StatusCode::UNAUTHORIZED {
            let most = FIRST.saturating_mul(1 << retry).min(LONGEST);
            let part = self.rng.lock().unwrap_or_else(PoisonError::into_inner).f64();
            sleep(most.mul_f64(0.5 + part / 2.0)).await;
        }
    }
}

impl Client for ByHand {
    async fn ask(&self, job: &Job) -> Reply {
        for retry in 0..TRIES {
            let status = self.send(job).await;
            if status.is_success() {
                return Reply::Answered;
            }
            self.pause(status, retry).await;
        }
        Reply::Failed
    }
}
