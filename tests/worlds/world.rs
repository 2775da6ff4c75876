//! The provider: it answers by the plan, enforces its limits, and keeps a book of every call.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use fastrand::Rng;
use http::Request;
use tokio::time::{Instant, sleep};

use super::{
    dialect::Answer,
    plan::{Account, Fault, Outage, Plan, Seconds, Task, What},
};

/// So much of a minute's allowance may be used at once: what a pool takes for usual, and more where it has to
/// find out by itself.
const USUAL: f64 = 1.0 / 12.0;
const MORE: f64 = 0.25;

/// What a request is, for the provider's eyes: it knows the truth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Errand {
    pub(crate) number: usize,
    pub(crate) task: Task,
    pub(crate) fault: Option<Fault>,
}

/// A call, as the provider saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) at: Seconds,
    pub(crate) request: usize,
    pub(crate) key: usize,
    pub(crate) status: u16,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) plan: Plan,
    began: Instant,
    inside: Mutex<Inside>,
}

#[derive(Debug)]
struct Inside {
    rng: Rng,
    calls: Vec<Call>,
    meters: Vec<Meter>,
}

/// An account's allowance, and when there was none of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    per_second: Option<f64>,
    most: f64,
    left: f64,
    last: Seconds,
    /// From one use that left nothing on, until there was some again.
    pub(crate) empty: Vec<(Seconds, Seconds)>,
}

impl World {
    pub(crate) fn new(plan: Plan) -> Self {
        let rng = Rng::with_seed(plan.seed ^ 0x9e37_79b9);
        let meters = plan.accounts.iter().map(Meter::of).collect();
        let inside = Mutex::new(Inside { rng, calls: Vec::new(), meters });
        Self { plan, began: Instant::now(), inside }
    }

    pub(crate) fn now(&self) -> Seconds {
        self.began.elapsed().as_secs_f64()
    }

    /// One call of the provider.
    pub(crate) async fn call<B>(&self, request: Request<B>) -> Answer {
        let errand = *request.extensions().get::<Errand>().unwrap();
        let secret = self.plan.dialect.secret(&request);
        let key = secret.strip_prefix("sk-world-").and_then(|key| key.parse().ok());
        let key: usize = key.unwrap_or_else(|| panic!("{secret:?} is no key of this world"));
        let at = self.now();
        let answer = self.answer(at, key, errand);
        let way = self.inside().rng.f64().mul_add(2.0, 0.2);
        sleep(Duration::from_secs_f64(way)).await;
        let (request, status) = (errand.number, answer.status().as_u16());
        self.inside().calls.push(Call { at, request, key, status });
        answer
    }

    fn answer(&self, now: Seconds, key: usize, errand: Errand) -> Answer {
        let Plan { dialect, keys, .. } = &self.plan;
        let wrong = self.plan.wrong(now, key, errand.task);
        // Whoever knows the key counts the request, whatever becomes of it.
        let is_known = !matches!(wrong, Some(What::Revoked { .. } | What::Outage(Outage::Keys)));
        let taken = if is_known { self.inside().meters[keys[key]].take(now) } else { Ok(()) };
        match (wrong, errand.fault, taken) {
            // It has nothing to do with the model that is overloaded.
            (None | Some(What::Overloaded { .. }), Some(fault), _) => dialect.at_fault(fault),
            (Some(what), _, _) => dialect.refused(what),
            (None, None, Ok(())) => dialect.served(),
            (None, None, Err(wait)) => dialect.limited(wait.ceil() as u64),
        }
    }

    /// The book of all calls, and the meters of the accounts.
    pub(crate) fn books(&self) -> (Vec<Call>, Vec<Meter>) {
        let inside = self.inside();
        (inside.calls.clone(), inside.meters.clone())
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Meter {
    fn of(account: &Account) -> Self {
        let burst = if account.is_declared { USUAL } else { MORE };
        let most = account.limit.map_or(0.0, |limit| (f64::from(limit) * burst).max(1.0));
        let per_second = account.limit.map(|limit| f64::from(limit) / 60.0);
        Self { per_second, most, left: most, ..Self::default() }
    }

    /// Takes one, or tells after how long there will be one.
    fn take(&mut self, now: Seconds) -> Result<(), Seconds> {
        let Some(per_second) = self.per_second else { return Ok(()) };
        self.left = (self.left + (now - self.last) * per_second).min(self.most);
        self.last = now;
        if self.left < 1.0 {
            return Err((1.0 - self.left) / per_second);
        }
        self.left -= 1.0;
        if self.left < 1.0 {
            self.empty.push((now, now + (1.0 - self.left) / per_second));
        }
        Ok(())
    }

    /// Whether it would have let one more request through at every moment.
    pub(crate) fn has_room(&self, from: Seconds, to: Seconds) -> bool {
        !self.empty.iter().any(|(start, end)| *start <= to && from <= *end)
    }
}
