//! A hundred thousand random steps: keys are added, removed and refused, requests are sent and given up,
//! and each server checks the requests that reach it.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use fastrand::Rng;
use http::Request;
use tokio::{
    task::JoinHandle,
    time::{sleep, timeout},
};
use tower::{Service, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_key_rotation::{
    Account, Demand, KeyBalance, KeyId, KeyPool, Limit, OpenAi, QuotaAwareRetry, pool::KeyInfo,
    rotate::ResponseBody,
};

use super::servers::{Body, Servers, key, request};

const STEPS: usize = 100_000;
/// The number of key names: few, so that each is used many times.
const NAMES: u32 = 12;
/// Longer than all waits, pauses and attempts of one request together.
const LONGEST: Duration = Duration::from_secs(120);

type Client =
    BoxCloneSyncService<Request<Body>, http::Response<ResponseBody<Body>>, std::io::Error>;

struct World {
    rng: Rng,
    pool: KeyPool,
    servers: Servers,
    client: Client,
    /// The server of each present key. Each insertion uses a new server.
    keys: BTreeMap<String, String>,
    /// The number of requests to each server whose key was removed and drained.
    gone: HashMap<String, u64>,
    calls: Vec<JoinHandle<u16>>,
    answers: BTreeMap<u16, u64>,
    number: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let pool = KeyPool::builder(OpenAi::default())
            .seed(seed)
            .max_wait(Duration::from_secs(5))
            .key(key("first"))
            .build()
            .unwrap();
        let servers = Servers::default();
        let made = servers.clone();
        let balance = KeyBalance::new(&pool, move |info: &KeyInfo| made.client(info));
        let retry = QuotaAwareRetry::new(&pool);
        let client = ServiceBuilder::new().retry(retry).service(balance);
        let client = BoxCloneSyncService::new(client);
        let keys = BTreeMap::from([("first".to_owned(), "first".to_owned())]);
        let (gone, calls, answers) = (HashMap::new(), Vec::new(), BTreeMap::new());
        let rng = Rng::with_seed(seed);
        Self { rng, pool, servers, client, keys, gone, calls, answers, number: 0 }
    }

    async fn step(&mut self) {
        match self.rng.u32(0..100) {
            0..3 => self.insert(),
            3..5 => self.remove().await,
            5..15 => self.change(),
            15..60 => self.send(),
            60..65 => self.give_up(),
            65..75 => self.collect().await,
            _ => sleep(Duration::from_millis(self.rng.u64(0..200))).await,
        }
    }

    fn name(&mut self) -> String {
        format!("k{}", self.rng.u32(0..NAMES))
    }

    fn insert(&mut self) {
        let name = self.name();
        if self.keys.contains_key(&name) {
            return;
        }
        self.number += 1;
        let server = format!("s{}", self.number);
        let mut account = Account::new(&name).key(key(&server).id(&name));
        if self.rng.bool() {
            account = account.limit(Limit::requests(self.rng.u64(60..600)).per_minute());
        }
        if self.rng.bool() {
            account = account.limit(Limit::concurrent(self.rng.u64(1..6)));
        }
        self.pool.insert(account).unwrap();
        self.keys.insert(name, server);
    }

    async fn remove(&mut self) {
        let Some((name, server)) = self.rng.choice(self.keys.clone()) else { return };
        self.keys.remove(&name);
        let drained = self.pool.remove_account(&name).unwrap();
        if self.rng.bool() {
            timeout(LONGEST, drained).await.expect("requests in flight end");
            self.gone.insert(server.clone(), self.servers.seen(&server));
        }
    }

    /// Makes a server refuse, fail, answer slowly, or answer normally again.
    fn change(&mut self) {
        let Some(server) = self.rng.choice(self.keys.values().cloned().collect::<Vec<_>>()) else {
            return;
        };
        let status = [200, 200, 200, 200, 429, 429, 500, 401, 403][self.rng.usize(0..9)];
        self.servers.set(&server, status, self.rng.u64(1..500));
    }

    fn send(&mut self) {
        let mut request = request();
        let demand = match self.rng.u32(0..10) {
            0 => Some(Demand::new().exclude(KeyId::new(self.name()))),
            1 => Some(Demand::new().pinned(KeyId::new(self.name()))),
            _ => None,
        };
        demand.into_iter().for_each(|demand| drop(request.extensions_mut().insert(demand)));
        let answer = timeout(LONGEST, self.client.clone().oneshot(request));
        self.calls.push(tokio::spawn(async move {
            answer.await.expect("every request is answered").unwrap().status().as_u16()
        }));
    }

    fn give_up(&mut self) {
        if !self.calls.is_empty() {
            self.calls.swap_remove(self.rng.usize(0..self.calls.len())).abort();
        }
    }

    async fn collect(&mut self) {
        let (over, calls) = self.calls.drain(..).partition(JoinHandle::is_finished);
        self.calls = calls;
        self.count(over).await;
    }

    async fn count(&mut self, calls: Vec<JoinHandle<u16>>) {
        for call in calls {
            *self.answers.entry(call.await.unwrap()).or_default() += 1;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_random_steps_send_no_request_to_the_wrong_server() {
    let mut world = World::new(7);
    for _ in 0..STEPS {
        world.step().await;
    }
    let rest = std::mem::take(&mut world.calls);
    world.count(rest).await;

    assert_eq!(world.servers.strays(), 0, "requests with a wrong key or at a wrong host");
    let all: u64 = world.answers.values().sum();
    assert!(all > STEPS as u64 / 3, "{:?}", world.answers);
    assert!(world.answers[&200] > all / 2, "{:?}", world.answers);
    assert!(world.answers.len() >= 3, "only {:?}", world.answers);
    assert!(world.gone.len() > 100, "too few keys were removed");
    for (server, seen) in &world.gone {
        assert_eq!(
            world.servers.seen(server),
            *seen,
            "{server} got a request after it was drained"
        );
    }

    let snapshot = world.pool.snapshot();
    assert!(snapshot.accounts.iter().all(|account| account.in_flight == 0));
    assert!(snapshot.models.iter().all(|lane| lane.in_flight == 0 && lane.waiting == 0));
    for name in world.keys.keys() {
        world.pool.remove_account(name).unwrap();
    }
    assert!(world.servers.clients() > 0);
    let answer = world.client.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(answer.status(), 503, "a pool without keys answers");
    assert_eq!(world.servers.clients(), 0, "services of removed keys are dropped");
}
