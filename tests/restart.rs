//! A pool that restores the saved state of another one.
#![cfg(all(feature = "sandbox", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use http::{HeaderMap, StatusCode};
use tower_key_rotation::{Account, ApiKey, Demand, KeyPool, Lease, Limit, OpenAi, pool::Saved};

const REJECTED: &[u8] = br#"{"error":{"code":"invalid_api_key","message":"Incorrect API key"}}"#;

fn pool(secrets: [&str; 2], saved: Option<&str>) -> KeyPool {
    let account = Account::new("org").limit(Limit::requests(5).per_day().fixed());
    let keys = secrets.iter().zip(["k1", "k2"]).map(|(secret, id)| ApiKey::new(*secret).id(id));
    let pool = KeyPool::builder(OpenAi::default()).account(keys.fold(account, Account::key));
    match saved {
        Some(saved) => pool.restore(serde_json::from_str(saved).unwrap()).build().unwrap(),
        None => pool.build().unwrap(),
    }
}

/// Sends up to this many requests, as far as there is room.
fn sent(pool: &KeyPool, requests: usize) -> usize {
    let send = |_: &usize| {
        pool.try_acquire(&Demand::new()).is_ok_and(|mut lease| {
            let mut request = http::Request::post("https://api.openai.com/v1/x").body(()).unwrap();
            lease.apply(&mut request).unwrap();
            lease.observe(StatusCode::OK, &HeaderMap::new(), b"");
            true
        })
    };
    (0..requests).filter(send).count()
}

fn reject_one(pool: &KeyPool) -> String {
    let mut lease = pool.try_acquire(&Demand::new()).unwrap();
    let mut request = http::Request::post("https://api.openai.com/v1/x").body(()).unwrap();
    lease.apply(&mut request).unwrap();
    lease.observe(StatusCode::UNAUTHORIZED, &HeaderMap::new(), REJECTED);
    lease.key().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_daily_limit_and_a_dead_key_survive_a_restart() {
    let secrets = ["sk-canary-1", "sk-canary-2"];
    let first = pool(secrets, None);
    assert_eq!(sent(&first, 2), 2);
    let dead = reject_one(&first);
    let saved = serde_json::to_string(&first.save()).unwrap();
    assert!(!saved.contains("canary"), "{saved}");
    assert!(!format!("{:?}", first.save()).contains("canary"));
    assert_eq!(first.save(), first.save());

    let second = pool(secrets, Some(&saved));
    assert_eq!((second.snapshot().live_keys, second.save()), (1, first.save()));
    assert_eq!(sent(&second, 9), 2, "of five, three are spent");

    // A new secret under the same id is another key, without any known failure.
    let mut changed = secrets;
    changed[usize::from(dead == "k2")] = "sk-new";
    assert_eq!(pool(changed, Some(&saved)).snapshot().live_keys, 2);
    // The other key, which is alive, does not change that.
    let mut changed = secrets;
    changed[usize::from(dead == "k1")] = "sk-new";
    assert_eq!(pool(changed, Some(&saved)).snapshot().live_keys, 1);
}

#[test]
fn a_state_of_another_version_is_restored_as_far_as_it_is_known() {
    for text in ["{}", r#"{"salt":7,"accounts":{"org":{}},"something":"new"}"#] {
        let saved: Saved = serde_json::from_str(text).unwrap();
        assert_eq!(
            serde_json::from_str::<Saved>(&serde_json::to_string(&saved).unwrap()).unwrap(),
            saved
        );
    }
    assert_eq!(sent(&pool(["sk-1", "sk-2"], Some("{}")), 9), 5);
}

#[tokio::test(start_paused = true)]
async fn the_use_of_a_budget_survives_a_restart() {
    let daily = |requests| Limit::requests(requests).per_day().fixed();
    let pool = |saved: Saved| {
        let pool = KeyPool::builder(OpenAi::default()).key(ApiKey::new("sk-canary").id("k1"));
        pool.budget("team", daily(5)).tag_budget(daily(3)).restore(saved).build().unwrap()
    };
    let spend = |pool: &KeyPool, tag: &str, most: usize| {
        let demand = Demand::new().tag(tag);
        let leases = (0..most).map_while(|_| pool.try_acquire(&demand).ok());
        let send = |mut lease: Lease| {
            let request = http::Request::post("https://api.openai.com/v1/x");
            lease.apply(&mut request.body(()).unwrap()).unwrap();
        };
        leases.map(send).count()
    };
    // Tags that are too long share one budget.
    let [long, longer] = ["long".repeat(100), "longer".repeat(100)];
    let first = pool(Saved::default());
    for (tag, requests) in [("team", 2), ("anybody", 1), (&long, 1), (&longer, 1)] {
        assert_eq!(spend(&first, tag, requests), requests, "{tag}");
    }
    let second = pool(first.save());
    assert_eq!(second.save(), first.save());
    for (tag, left) in
        [("team", 3), ("anybody", 2), (&long, 1), ("(other)", 0), (&longer, 0), ("nobody", 3)]
    {
        assert_eq!(spend(&second, tag, 9), left, "{tag}");
    }
}
