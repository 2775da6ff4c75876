//! Conversations stay on one account, through the whole stack, for each way to recognise them.
#![cfg(all(feature = "sandbox", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::{collections::BTreeMap, time::Duration};

use http::Request;
use serde_json::{Value, json};
use support::{Answer, CHAT, Client, accounts, ask, client, seconds};
use tower_key_rotation::{
    Demand, KeyUsed, OpenAi,
    pool::Affinity,
    provider::{PromptCache, Provider},
    sandbox::Fault,
};

fn long(word: &str) -> String {
    word.repeat(1_500)
}

fn post(body: &Value) -> Request<String> {
    Request::post(CHAT).body(body.to_string()).unwrap()
}

fn account(answer: &Answer) -> String {
    assert_eq!(answer.status(), 200);
    answer.extensions().get::<KeyUsed>().unwrap().account.to_string()
}

/// A conversation. Each request contains all earlier messages.
struct Talk(Vec<Value>);

impl Talk {
    fn new(first: &str) -> Self {
        Self(vec![json!({"role": "user", "content": first})])
    }

    /// The account that answers, and how many tokens of the prompt were in its cache.
    async fn turn(&mut self, client: &Client, extension: Option<Demand>) -> (String, u64) {
        let mut request = post(&json!({"model": "gpt-4o", "messages": self.0}));
        extension.into_iter().for_each(|demand| {
            request.extensions_mut().insert(demand);
        });
        let answer = ask(client, request).await;
        let body: Value = serde_json::from_slice(answer.body()).unwrap();
        self.0.push(body["choices"][0]["message"].clone());
        self.0.push(json!({"role": "user", "content": "go on"}));
        let cached = &body["usage"]["prompt_tokens_details"]["cached_tokens"];
        (account(&answer), cached.as_u64().unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn each_turn_finds_the_account_that_has_the_others_in_its_cache() {
    let (sandbox, pool) = accounts(5, |_| vec![]);
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    let mut talks: Vec<_> = (0..10).map(|i| Talk::new(&long(&format!("no{i} ")))).collect();
    let mut homes = Vec::new();
    for talk in &mut talks {
        homes.push(talk.turn(&client, None).await.0);
    }
    for _ in 0..5 {
        for (talk, home) in talks.iter_mut().zip(&homes) {
            let (account, cached) = talk.turn(&client, None).await;
            assert_eq!(account, *home);
            assert!(cached >= 1_408, "{cached} of 1,500 tokens were cached");
        }
        seconds(60.0).await;
    }
    let mut of = BTreeMap::<_, u32>::new();
    homes.iter().for_each(|home| *of.entry(home.clone()).or_default() += 1);
    assert_eq!(of.into_values().collect::<Vec<_>>(), [2; 5], "new conversations were not spread");
    assert_eq!(pool.snapshot().affinity.stayed, 50);
}

#[tokio::test(start_paused = true)]
async fn a_conversation_moves_when_its_key_dies_and_stays_on_the_new_account() {
    let (sandbox, pool) = accounts(3, |_| vec![]);
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    let mut talk = Talk::new(&long("word "));
    let (home, _) = talk.turn(&client, None).await;
    sandbox.fail(Fault::revoke(support::secret(home["org-".len()..].parse().unwrap())));
    let (next, _) = talk.turn(&client, None).await;
    assert_ne!(next, home);
    for _ in 0..5 {
        let (account, cached) = talk.turn(&client, None).await;
        assert!(account == next && cached >= 1_408);
    }
    assert_eq!(sandbox.stats().total().rejected, 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_of_the_caller_keeps_different_prompts_on_one_account() {
    let (sandbox, pool) = accounts(7, |_| vec![]);
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    let hello = |extra: Value, text: String| {
        let mut body = json!({"model": "m", "messages": [{"role": "user", "content": text}]});
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        post(&body)
    };
    for extra in [json!({"prompt_cache_key": "k"}), json!({"conversation": {"id": "c"}})] {
        let home = account(&ask(&client, hello(extra.clone(), "one".into())).await);
        for i in 0..10 {
            let answer = ask(&client, hello(extra.clone(), format!("and {i}"))).await;
            assert_eq!(account(&answer), home, "{extra}");
        }
    }
    let named = |name: &str| {
        let mut request = hello(json!({"prompt_cache_key": "k"}), "hello".into());
        request.extensions_mut().insert(Demand::new().affinity(name));
        request
    };
    let mut homes = BTreeMap::new();
    for i in 0..20 {
        let name = ["a", "b", "c", "d"][i % 4];
        let account = account(&ask(&client, named(name)).await);
        assert_eq!(homes.entry(name).or_insert(account.clone()), &account);
    }
    let distinct: std::collections::BTreeSet<_> = homes.values().collect();
    assert!(distinct.len() > 1, "the name in the body took precedence over that of the caller");
}

#[tokio::test(start_paused = true)]
async fn affinity_can_be_disabled_and_has_a_lifetime() {
    let different = |affinity: Affinity, named: bool| async move {
        let (sandbox, pool) = accounts(5, |_| vec![]);
        let (sandbox, pool) = (sandbox.build(), pool.affinity(affinity).build().unwrap());
        let client = client(&pool, &sandbox);
        let mut talk = Talk::new(&long("word "));
        let mut of = std::collections::BTreeSet::new();
        for _ in 0..5 {
            let demand = named.then(|| Demand::new().affinity("x"));
            of.insert(talk.turn(&client, demand).await.0);
            seconds(100.0).await;
        }
        of.len()
    };
    assert_eq!(different(Affinity::new(), false).await, 1);
    assert_eq!(different(Affinity::disabled(), false).await, 5);
    assert_eq!(different(Affinity::disabled(), true).await, 5);
    assert_eq!(different(Affinity::new().prompts(false), false).await, 5);
    assert_eq!(different(Affinity::new().prompts(false), true).await, 1);
    assert_eq!(different(Affinity::new().lifetime(Duration::from_secs(99)), true).await, 5);
}

#[tokio::test(start_paused = true)]
async fn by_default_affinity_lasts_as_long_as_the_cache_of_the_provider() {
    let facts = OpenAi::default().spec().clone();
    let cache = PromptCache::new().lifetime(Duration::from_secs(50));
    let pool = tower_key_rotation::KeyPool::builder(facts.prompt_cache(cache))
        .key(tower_key_rotation::ApiKey::new("sk-a"))
        .key(tower_key_rotation::ApiKey::new("sk-b"))
        .build()
        .unwrap();
    let send = async |after: f64| {
        seconds(after).await;
        let mut lease = pool.try_acquire(&Demand::new().affinity("x")).unwrap();
        lease.observe(http::StatusCode::OK, &http::HeaderMap::new(), b"");
        lease.account().clone()
    };
    let home = send(0.0).await;
    for _ in 0..4 {
        assert_eq!(send(49.0).await, home);
    }
    assert_ne!(send(51.0).await, home);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waits_for_its_account_is_served_there() {
    let (sandbox, pool) = accounts(2, |_| support::per_minute(60));
    let (sandbox, pool) = (sandbox.build(), pool.build().unwrap());
    let client = client(&pool, &sandbox);
    let named = || {
        let mut request = support::chat();
        request.extensions_mut().insert(Demand::new().affinity("x"));
        request
    };
    let home = account(&ask(&client, named()).await);
    // Twice as many requests as the account allows, for longer than its burst lasts. The other account has
    // room all the time.
    let answers: Vec<_> =
        support::offer(&client, 10, Duration::from_millis(500), |_| named()).await;
    let away = answers.iter().filter(|answer| account(answer) != home).count();
    let waited = answers.iter().map(|a| a.extensions().get::<KeyUsed>().unwrap().waited).max();
    assert_eq!(away, 0);
    assert!(waited.unwrap() > Duration::from_millis(100), "no request had to wait");
    assert_eq!(sandbox.stats().total().rate_limited, 0);
}
