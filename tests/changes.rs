//! Changes of the keys and accounts of a pool.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::time::Duration;

use http::{HeaderMap, Request, StatusCode};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task};
use tower_key_rotation::{
    Account, ApiKey, Demand, Exhausted, KeyPool, KeyPoolBuilder, Lease, Limit, OpenAi, Trail,
    event::Event,
    pool::{Changes, Reason},
    strategy::Sequential,
};

fn key(id: &str) -> ApiKey {
    ApiKey::new(format!("sk-{id}")).id(id)
}

fn org(name: &str, limit: Limit, keys: &[&str]) -> Account {
    keys.iter().fold(Account::new(name).limit(limit), |account, id| account.key(key(id)))
}

fn an_hour(requests: u64) -> Limit {
    Limit::requests(requests).per_hour().fixed()
}

fn pool(accounts: impl IntoIterator<Item = Account>) -> KeyPool {
    let pool = KeyPool::builder(OpenAi::default()).seed(7).max_wait(Duration::from_secs(600));
    accounts.into_iter().fold(pool, |pool, account| pool.account(account)).build().unwrap()
}

fn lease(pool: &KeyPool) -> Result<Lease, Exhausted> {
    pool.try_acquire(&Demand::new())
}

/// The number of requests that have room now.
fn room(pool: &KeyPool) -> usize {
    (0..1_000).map_while(|_| lease(pool).ok()).map(send).count()
}

/// Puts the key into a request, so that it counts from then on.
fn send(mut lease: Lease) -> (Lease, String) {
    let mut request = Request::get("https://api.openai.com/v1/models").body(()).unwrap();
    lease.apply(&mut request).unwrap();
    let secret = request.headers()["authorization"].to_str().unwrap().to_owned();
    (lease, secret)
}

/// The key is rejected, and there is no other key to try.
fn refuse(pool: &KeyPool, lease: &mut Lease) {
    let body = br#"{"error":{"code":"invalid_api_key"}}"#;
    let ruling = lease.observe(StatusCode::UNAUTHORIZED, &HeaderMap::new(), body);
    let trail = Trail::new();
    trail.record(lease, &ruling);
    pool.weigh(&trail);
}

fn labels(pool: &KeyPool) -> Vec<String> {
    pool.key_set().keys().iter().map(|key| key.id.to_string()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_set_is_changed_as_a_whole_or_not_at_all() {
    let pool = pool([org("a", an_hour(10), &["a1", "a2"]), org("b", an_hour(10), &["b1"])]);
    let before = (pool.key_set(), pool.snapshot().accounts.len());
    let mut events = pool.events();
    let bad = [
        org("a", an_hour(0), &["a1", "a1"]),
        org("a", an_hour(5), &["x"]).weight(0),
        Account::new("c").key(ApiKey::new("two\nlines").id("c1")),
    ];
    let error = pool.apply(bad).unwrap_err();
    assert_eq!(error.problems().len(), 5, "{error}");
    assert!(error.to_string().starts_with("cannot change the key pool, 5 problems:"), "{error}");
    assert_eq!((pool.key_set(), pool.snapshot().accounts.len()), before);
    assert_eq!(events.try_recv(), Ok(None));

    let changes =
        pool.apply([org("b", an_hour(20), &["b1", "b2"]), org("c", an_hour(10), &["a2"])]);
    let mut expected = Changes::default();
    expected.keys_added = vec!["b2".into()];
    expected.keys_removed = vec!["a1".into()];
    expected.keys_changed = vec!["a2".into()];
    expected.accounts_added = vec!["c".into()];
    expected.accounts_removed = vec!["a".into()];
    expected.accounts_changed = vec!["b".into()];
    assert_eq!(changes, Ok(expected.clone()));
    assert_eq!(events.try_recv(), Ok(Some(Event::ConfigChanged(expected.into()))));
    assert_eq!(labels(&pool), ["b1", "b2", "a2"]);
    assert_eq!(pool.key_set().version(), before.0.version() + 1);

    let same = [org("b", an_hour(20), &["b1", "b2"]), org("c", an_hour(10), &["a2"])];
    assert!(pool.apply(same).unwrap().is_empty());
    assert_eq!(events.try_recv(), Ok(None), "nothing has changed");
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_stays_keeps_its_count_and_a_new_one_starts_at_zero() {
    let pool = pool([org("a", an_hour(10), &["a1"])]);
    let held: Vec<_> = (0..8).map(|_| send(lease(&pool).unwrap())).collect();
    pool.apply([org("a", an_hour(10), &["a1", "a2"])]).unwrap();
    let more: Vec<_> = (0..2).map(|_| send(lease(&pool).unwrap())).collect();
    assert!(lease(&pool).is_err(), "the count started again");
    pool.set_limits("a", [an_hour(14)]).unwrap();
    assert_eq!(room(&pool), 4, "14 less 10");
    pool.set_limits("a", [an_hour(20), Limit::concurrent(3)]).unwrap();
    let three: Vec<_> = (0..3).map(|_| send(lease(&pool).unwrap())).collect();
    assert!(lease(&pool).is_err(), "four at once");
    // A request that was sent before does not count as one of the three.
    drop((held, more));
    assert!(lease(&pool).is_err(), "the end of an older request freed a slot");
    drop(three);
    assert_eq!(room(&pool), 3, "20 less 17");
    pool.set_limits("a", [Limit::concurrent(3)]).unwrap();
    let held: Vec<_> = (0..3).map(|_| send(lease(&pool).unwrap())).collect();
    pool.set_limits("a", []).unwrap();
    let _more: Vec<_> = (0..5).map(|_| send(lease(&pool).unwrap())).collect();
    pool.set_limits("a", [Limit::concurrent(1)]).unwrap();
    drop(held);
    let _one = send(lease(&pool).expect("requests of the last limit do not count for this one"));
    assert!(lease(&pool).is_err(), "one at a time");
}

#[tokio::test(start_paused = true)]
async fn a_sequential_strategy_uses_the_latest_declared_order() {
    let orgs = |names: &[&str]| {
        let org = |name: &&str| org(name, an_hour(1), &[&format!("{name}1")]);
        names.iter().map(org).collect::<Vec<_>>()
    };
    let declared = orgs(&["a", "b", "c"]);
    let builder = KeyPool::builder(OpenAi::default()).strategy(Sequential);
    let pool = declared.into_iter().fold(builder, KeyPoolBuilder::account).build().unwrap();
    let taken = || {
        let leases: Vec<_> = std::iter::from_fn(|| lease(&pool).ok()).collect();
        let accounts = leases.iter().map(|lease| lease.account().to_string());
        accounts.collect::<Vec<_>>()
    };
    for names in [
        ["c", "b", "a"].as_slice(),
        // The slots of removed accounts are used by new ones.
        &["b", "d"],
        &["e", "d", "b", "f"],
        &["b", "d", "e", "f"],
    ] {
        pool.apply(orgs(names)).unwrap();
        assert_eq!(taken(), names);
    }
    drop(pool.remove_account("b").unwrap());
    pool.insert(orgs(&["z"]).remove(0)).unwrap();
    assert_eq!(taken(), ["d", "e", "f", "z"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_request_gets_a_new_key_and_fails_when_the_last_key_is_removed() {
    let slow = || Limit::requests(1).per_minute();
    let pool = pool([org("a", slow(), &["a1"])]);
    let _held = send(lease(&pool).unwrap());
    let demand = Demand::new();
    let mut first = task::spawn(pool.acquire(&demand));
    let mut second = task::spawn(pool.acquire(&demand));
    let mut third = task::spawn(pool.acquire(&demand));
    for waiting in [&mut first, &mut second, &mut third] {
        let refused = waiting.poll();
        assert!(refused.is_pending(), "{refused:?}");
    }
    pool.insert(org("b", slow(), &["b1"])).unwrap();
    assert!(first.is_woken(), "there is a new key");
    let first = assert_ready_ok!(first.poll());
    assert_eq!(first.key().as_str(), "b1");
    pool.set_limits("a", [Limit::requests(20).per_minute().burst(3)]).unwrap();
    assert!(second.is_woken(), "there is room now");
    let second = assert_ready_ok!(second.poll());
    assert_eq!(second.key().as_str(), "a1");

    pool.remove_account("b").unwrap();
    assert_pending!(third.poll());
    pool.remove("a1").unwrap();
    assert!(third.is_woken(), "the last key is gone");
    let refusal = assert_ready!(third.poll()).unwrap_err();
    assert_eq!(refusal.reason(), Reason::NoKey);
}

#[tokio::test(start_paused = true)]
async fn a_removed_key_ends_its_requests_and_gets_no_new_one() {
    let pool = pool([org("a", an_hour(100), &["a1", "a2"])]);
    let leases: Vec<_> = (0..10).map(|_| send(lease(&pool).unwrap())).collect();
    let mut drained = task::spawn(pool.remove("a1").unwrap());
    assert_eq!(pool.key_count(), 1);
    for _ in 0..10 {
        assert_eq!(lease(&pool).unwrap().key().as_str(), "a2");
    }
    let (old, others): (Vec<_>, Vec<_>) =
        leases.into_iter().partition(|(lease, _)| lease.key().as_str() == "a1");
    drop(others);
    let mut old = old.into_iter();
    let last = old.next().unwrap();
    drop(old);
    assert_pending!(drained.poll());
    drop(last);
    assert!(drained.is_woken());
    assert_ready!(drained.poll());
    assert!(pool.remove("a1").unwrap_err().to_string().contains("there is no key \"a1\""));
    // A future that is not polled delays no caller.
    drop(pool.remove("a2").unwrap());
    assert_eq!(lease(&pool).unwrap_err().reason(), Reason::NoKey);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_returns_before_it_is_drained_keeps_its_state() {
    let set = || [org("a", an_hour(10), &["a1"]), org("b", an_hour(1), &["b1"])];
    let pool = pool(set());
    let leases: Vec<_> = (0..11).map(|_| send(lease(&pool).unwrap())).collect();
    pool.apply([org("b", an_hour(1), &["b1"])]).unwrap();
    pool.apply(set()).unwrap();
    assert!(lease(&pool).is_err(), "its count started again");
    drop(leases);
    // After it was drained, its state is gone.
    pool.apply([org("b", an_hour(1), &["b1"])]).unwrap();
    pool.apply(set()).unwrap();
    assert_eq!(room(&pool), 10);
}

#[tokio::test(start_paused = true)]
async fn a_new_secret_revives_and_refusals_of_the_old_one_do_not_kill_it() {
    let pool = pool([org("a", an_hour(100), &["a1"])]);
    let (mut late, secret) = send(lease(&pool).unwrap());
    assert_eq!(secret, "Bearer sk-a1");
    let (mut early, _) = send(lease(&pool).unwrap());
    refuse(&pool, &mut early);
    assert_eq!(lease(&pool).unwrap_err().reason(), Reason::NoKey);
    let mut drained = task::spawn(pool.replace_secret("a1", "sk-new").unwrap());
    let (mut new, secret) = send(lease(&pool).expect("a new secret is good"));
    assert_eq!(secret, "Bearer sk-new");
    refuse(&pool, &mut late);
    assert!(pool.snapshot().accounts[0].keys[0].alive, "killed by a refusal of the old secret");
    drop(early);
    assert_pending!(drained.poll());
    drop(late);
    assert_ready!(drained.poll());
    refuse(&pool, &mut new);
    assert!(!pool.snapshot().accounts[0].keys[0].alive);
    let error = pool.replace_secret("a1", " ").unwrap_err().to_string();
    assert!(error.contains("key \"a1\": its secret is empty"), "{error}");
    // The same secret again is not a new secret.
    let again = org("a", an_hour(100), &[]).key(ApiKey::new("sk-new").id("a1"));
    assert!(pool.apply([again]).unwrap().is_empty());
    assert!(lease(&pool).is_err(), "revived by the secret that was refused");
}

#[tokio::test(start_paused = true)]
async fn a_new_key_gets_its_share_and_does_not_catch_up() {
    let pool = pool([Account::new("a").key(key("a1"))]);
    (0..1_000).for_each(|_| drop(send(lease(&pool).unwrap())));
    pool.insert(Account::new("a").key(key("a2"))).unwrap();
    let share = |pool: &KeyPool, id: &str| {
        let used = (0..300).map(|_| send(lease(pool).unwrap()).0);
        used.filter(|lease| lease.key().as_str() == id).count()
    };
    assert!((140..=160).contains(&share(&pool, "a2")));
    pool.set_key_weight("a2", 2).unwrap();
    assert!((190..=210).contains(&share(&pool, "a2")));
    assert!(pool.set_key_weight("a2", 0).is_err() && pool.set_account_weight("a", 0).is_err());
}

#[tokio::test(start_paused = true)]
async fn an_expiring_key_is_reported_and_then_not_used() {
    const DAY: Duration = Duration::from_secs(86_400);
    #[expect(clippy::disallowed_methods, reason = "an expiry date is a time of day")]
    let now = std::time::SystemTime::now();
    let pool = pool([Account::new("a").key(key("a1").expires(now + 10 * DAY)).key(key("a2"))]);
    let mut events = pool.events();
    let mut new_events = |pool: &KeyPool| {
        drop(lease(pool));
        std::iter::from_fn(|| events.try_recv().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(new_events(&pool), []);
    tokio::time::advance(3 * DAY + Duration::from_secs(60)).await;
    let [Event::KeyExpires { key, wait, .. }] = &new_events(&pool)[..] else { panic!("no event") };
    assert_eq!((key.as_str(), wait.as_secs() / 3_600), ("a1", 7 * 24 - 1));
    assert_eq!(new_events(&pool), []);
    tokio::time::advance(6 * DAY).await;
    assert!(matches!(new_events(&pool)[..], [Event::KeyExpires { .. }]));
    assert_eq!(new_events(&pool), [], "once each");
    pool.remove("a2").unwrap();
    new_events(&pool);
    tokio::time::advance(DAY).await;
    assert_eq!(lease(&pool).unwrap_err().reason(), Reason::NoKey);
    let expired = new_events(&pool);
    let [Event::KeyExpired { live: 0, total: 1, .. }, shrunk, ..] = &expired[..] else {
        panic!("{expired:?}")
    };
    assert_eq!(*shrunk, Event::PoolShrunk { live: 0, total: 1 });
    pool.replace_secret("a1", "sk-new").unwrap();
    assert!(lease(&pool).is_ok(), "a new secret is good again");
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_an_expired_key_fails() {
    #[expect(clippy::disallowed_methods, reason = "an expiry date is a time of day")]
    let expires = std::time::SystemTime::now() + Duration::from_secs(20);
    let limit = Limit::requests(1).per_minute();
    let pool = pool([Account::new("a").limit(limit).key(key("a1").expires(expires))]);
    let _held = send(lease(&pool).unwrap());
    let began = tokio::time::Instant::now();
    let deadline = began + Duration::from_secs(600);
    let refusal = pool.acquire(&Demand::new().deadline(deadline)).await.unwrap_err();
    assert_eq!(refusal.reason(), Reason::NoKey);
    let waited = began.elapsed();
    assert!(waited <= Duration::from_secs(21), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_invalid_insertion_is_reported() {
    let pool = pool([org("a", an_hour(10), &["a1"])]);
    let wrong = org("a", an_hour(20), &["a1"]).weight(3);
    let error = pool.insert(wrong).unwrap_err();
    assert_eq!(error.problems().len(), 3, "{error}");
    assert!(pool.insert(Account::new("b")).is_err(), "an account without a key");
    assert!(pool.set_limits("x", []).is_err() && pool.remove_account("x").is_err());
    assert!(pool.set_limits("a", [an_hour(0)]).is_err());
    assert_eq!(labels(&pool), ["a1"]);
    pool.insert(Account::new("a").key(key("a2"))).unwrap();
    assert_eq!(pool.snapshot().accounts[0].meters.len(), 1, "its limits are what they were");
}
