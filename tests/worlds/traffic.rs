//! Who asks for what, and when: requests come by chance, each with a patience of its own.

use std::{convert::Infallible, fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::time::{Instant, sleep};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneSyncService};
use tower_key_rotation::{
    Account, ApiKey, Demand, Exhausted, KeyPool, KeyRotationLayer, Limit, QuotaAwareRetry,
    ReplayBody, ReplayBodyLayer,
    pool::Reason,
    snapshot::{Snapshot, StandingState},
};

use super::{
    dialect::{self, Dialect},
    plan::{END, PEACE, Plan, Seconds, Task},
    world::{Call, Errand, Meter, World},
};

/// The longest patience that anybody has.
const LONGEST: Seconds = 120.0;
/// How often the pool's standings are looked at.
const LOOK: Seconds = 30.0;

type Client = BoxCloneSyncService<Request<Full<Bytes>>, Response<Bytes>, Infallible>;

/// What a user saw.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) errand: Errand,
    pub(crate) at: Seconds,
    pub(crate) patience: Seconds,
    pub(crate) done: Seconds,
    pub(crate) status: u16,
    /// Why the pool itself refused, if it did.
    pub(crate) reason: Option<Reason>,
}

/// A world when it is over.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) told: Vec<Told>,
    pub(crate) calls: Vec<Call>,
    pub(crate) meters: Vec<Meter>,
    /// Looks at the pool all along.
    pub(crate) looks: Vec<(Seconds, Snapshot)>,
}

pub(crate) async fn live(plan: Plan) -> Run {
    let mut rng = Rng::with_seed(plan.seed ^ 0x5bd1_e995);
    // Timers go by whole milliseconds since the runtime began; a world that begins on one of them is the same
    // each time.
    sleep(Duration::from_millis(1)).await;
    let pool = pool(&plan);
    let world = Arc::new(World::new(plan));
    let client = client(&pool, &world);
    let mut looks = Vec::new();
    let mut asked = Vec::new();
    while world.now() < END {
        // Requests come independently of each other.
        let gap = -world.plan.gap * (1.0 - rng.f64()).ln();
        sleep(Duration::from_secs_f64(gap)).await;
        let errand = errand(&world.plan, asked.len(), &mut rng);
        let patience = 30.0 + (LONGEST - 30.0) * rng.f64();
        asked.push(tokio::spawn(ask(client.clone(), Arc::clone(&world), errand, patience)));
        if looks.last().is_none_or(|(last, _)| world.now() - last >= LOOK) {
            looks.push((world.now(), pool.snapshot()));
        }
    }
    let mut told = Vec::new();
    for request in asked {
        told.push(request.await.unwrap());
    }
    looks.push((world.now(), pool.snapshot()));
    drop(client);
    let (calls, meters) = world.books();
    let plan = Arc::try_unwrap(world).unwrap().plan;
    Run { plan, told, calls, meters, looks }
}

fn pool(plan: &Plan) -> KeyPool {
    let accounts = plan.accounts.iter().enumerate().map(|(number, truth)| {
        let keys = plan.keys.iter().enumerate().filter(|(_, account)| **account == number);
        let account = keys.fold(Account::new(format!("org-{number}")), |account, (key, _)| {
            account.key(ApiKey::new(format!("sk-world-{key}")).id(format!("k{key}")))
        });
        match truth.limit.filter(|_| truth.is_declared) {
            Some(limit) => account.limit(Limit::requests(limit.into()).per_minute()),
            None => account,
        }
    });
    let pool = plan.dialect.pool().seed(plan.seed).accounts(accounts);
    pool.max_wait(Duration::from_secs_f64(LONGEST)).build().unwrap()
}

fn client(pool: &KeyPool, world: &Arc<World>) -> Client {
    let world = Arc::clone(world);
    let provider = service_fn(move |request: Request<ReplayBody>| {
        let world = Arc::clone(&world);
        async move { Ok::<_, Infallible>(world.call(request).await) }
    });
    let stack = ServiceBuilder::new()
        .layer(ReplayBodyLayer::new())
        .retry(QuotaAwareRetry::new(pool))
        .layer(KeyRotationLayer::new(pool))
        .service(provider);
    BoxCloneSyncService::new(service_fn(move |request| {
        let stack = stack.clone();
        async move {
            let (head, body) = stack.oneshot(request).await?.into_parts();
            let body = body.collect().await.map_or_else(|_| Bytes::new(), |all| all.to_bytes());
            Ok(Response::from_parts(head, body))
        }
    }))
}

fn errand(plan: &Plan, number: usize, rng: &mut Rng) -> Errand {
    let task = Task::drawn(rng);
    let is_at_fault = rng.f64() < plan.at_fault && !plan.faults.is_empty();
    let fault = is_at_fault.then(|| plan.faults[rng.usize(..plan.faults.len())]);
    Errand { number, task, fault }
}

async fn ask(mut client: Client, world: Arc<World>, errand: Errand, patience: Seconds) -> Told {
    let at = world.now();
    let plan = &world.plan;
    let Errand { task, fault, .. } = errand;
    let mut request = plan.dialect.request(task, fault);
    let mut demand = Demand::new().deadline(Instant::now() + Duration::from_secs_f64(patience));
    if let Some(model) = dialect::model(task, fault).filter(|_| plan.dialect == Dialect::Generic) {
        demand = demand.model(model);
    }
    if fault.is_some() && plan.is_tagged {
        demand = demand.tag("careless");
    }
    request.extensions_mut().insert(demand);
    request.extensions_mut().insert(errand);
    let answer = client.ready().await.unwrap().call(request).await.unwrap();
    let (status, reason) =
        (answer.status().as_u16(), answer.extensions().get::<Exhausted>().map(Exhausted::reason));
    Told { errand, at, patience, done: world.now(), status, reason }
}

impl Run {
    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.looks.last().unwrap().1
    }

    pub(crate) fn calls_of(&self, request: usize) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(move |call| call.request == request)
    }

    pub(crate) fn account_has_room(&self, key: usize, from: Seconds, to: Seconds) -> bool {
        self.meters[self.plan.keys[key]].has_room(from, to)
    }
}

/// All that happened.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Plan { dialect, accounts, keys, troubles, at_fault, faults, is_tagged, .. } =
            &self.plan;
        writeln!(
            f,
            "{dialect:?}, keys of {keys:?}, {at_fault:.2} at fault ({faults:?}), tagged: {is_tagged}"
        )?;
        accounts.iter().try_for_each(|account| writeln!(f, "{account:?}"))?;
        troubles
            .iter()
            .try_for_each(|it| writeln!(f, "{:.0}..{:.0} {:?}", it.from, it.to, it.what))?;
        for (at, look) in &self.looks {
            for it in &look.standings {
                let StandingState { place, rule, wait, half_open, .. } = it;
                writeln!(
                    f,
                    "at {at:.1}: {place} by {rule} for {wait:.1?}, half open: {half_open}"
                )?;
            }
        }
        for told in &self.told {
            writeln!(f, "{told}")?;
            for call in self.calls_of(told.errand.number) {
                writeln!(f, "    {:.1} k{} {}", call.at, call.key, call.status)?;
            }
        }
        let late = self.told.iter().filter(|told| told.at > PEACE).count();
        writeln!(
            f,
            "{} requests, {late} of them in peace, {} calls",
            self.told.len(),
            self.calls.len()
        )
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { errand: Errand { number, task, fault }, at, patience, done, status, reason } =
            self;
        write!(f, "request {number} at {at:.1}, {task:?}")?;
        fault.iter().try_for_each(|fault| write!(f, ", at fault: {fault:?}"))?;
        write!(f, ", patient for {patience:.0} s, told {status} at {done:.1}")?;
        reason.iter().try_for_each(|reason| write!(f, " by the pool ({reason:?})"))
    }
}
