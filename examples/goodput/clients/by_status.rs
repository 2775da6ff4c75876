//! A typical proxy: it uses keys in turn, tries the next key after some statuses, and never uses a key again
//! after a 401.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
};

use http::{HeaderValue, StatusCode, header::AUTHORIZATION};

use super::{Client, Reply, send};
use crate::{
    uplink::{Uplink, request, secret},
    workload::Job,
};

const TRIES: usize = 3;

pub(crate) struct ByStatus {
    uplink: Uplink,
    /// The next key is at the front.
    keys: Mutex<VecDeque<HeaderValue>>,
}

impl ByStatus {
    pub(crate) fn new(accounts: usize, uplink: &Uplink) -> Self {
        let key = |account| HeaderValue::try_from(format!("Bearer {}", secret(account)));
        let keys = (0..accounts).filter_map(|account| key(account).ok());
        Self { uplink: uplink.clone(), keys: Mutex::new(keys.collect()) }
    }

    fn keys(&self) -> MutexGuard<'_, VecDeque<HeaderValue>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<HeaderValue> {
        let mut keys = self.keys();
        let key = keys.pop_front()?;
        keys.push_back(key.clone());
        Some(key)
    }
}

impl Client for ByStatus {
    async fn ask(&self, job: &Job) -> Reply {
        for _ in 0..TRIES {
            let Some(key) = self.next() else { break };
            let mut request = request(job);
            request.headers_mut().insert(AUTHORIZATION, key.clone());
            let answer = send(&self.uplink, request).await;
            let status = answer.map_or(StatusCode::BAD_GATEWAY, |answer| answer.status());
            match status.as_u16() {
                200..300 => return Reply::Answered,
                401 => self.keys().retain(|one| *one != key),
                403 | 429 | 500.. => {}
                _ => break,
            }
        }
        Reply::Failed
    }
}
