//! A pool that follows a source of keys, and its events.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tower_key_rotation::event::Whose;

use tokio::time::{advance, sleep};
use tower_key_rotation::{
    Account, ApiKey, Demand, KeyPool, Limit, OpenAi,
    event::Event,
    pool::Events,
    source::{KeyFile, SecretSource, SourceError},
};

/// A source that answers as the test sets it.
#[derive(Clone)]
struct Vault(Arc<Mutex<Answer>>);

#[derive(Clone)]
enum Answer {
    Keys(Vec<&'static str>),
    Sealed,
    Silent,
}

impl Vault {
    fn new(keys: &[&'static str]) -> Self {
        Self(Arc::new(Mutex::new(Answer::Keys(keys.to_vec()))))
    }

    fn say(&self, answer: Answer) {
        *self.0.lock().unwrap() = answer;
    }
}

fn account(id: &str) -> Account {
    Account::new(id).key(ApiKey::new(format!("sk-{id}")).id(id))
}

impl SecretSource for Vault {
    async fn load(&self) -> Result<Vec<Account>, SourceError> {
        let answer = self.0.lock().unwrap().clone();
        match answer {
            Answer::Keys(ids) => Ok(ids.into_iter().map(account).collect()),
            Answer::Sealed => Err(SourceError::new("the vault is sealed; unseal it")),
            Answer::Silent => std::future::pending().await,
        }
    }
}

fn pool(ids: &[&str]) -> KeyPool {
    let accounts = ids.iter().map(|id| account(id));
    KeyPool::builder(OpenAi::default()).accounts(accounts).build().unwrap()
}

fn heard(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_recv().unwrap()).collect()
}

fn ids(pool: &KeyPool) -> Vec<String> {
    pool.key_set().keys().iter().map(|key| key.id.to_string()).collect()
}

async fn minute() {
    sleep(Duration::from_secs(60)).await;
}

#[tokio::test(start_paused = true)]
async fn a_pool_follows_its_source_and_does_not_change_if_the_source_fails() {
    let (vault, pool) = (Vault::new(&["a", "b"]), pool(&["a"]));
    let mut events = pool.events();
    let watch = tokio::spawn(pool.watch(vault.clone(), Duration::from_secs(30)));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(ids(&pool), ["a", "b"], "it is loaded at once");
    assert!(matches!(&heard(&mut events)[..], [Event::ConfigChanged(_)]));
    vault.say(Answer::Keys(vec!["b", "c"]));
    minute().await;
    assert_eq!(ids(&pool), ["b", "c"]);
    heard(&mut events);
    for (answer, why) in [
        (Answer::Sealed, "the vault is sealed; unseal it"),
        (Answer::Keys(vec!["c", "c"]), "another account has the same name"),
        (Answer::Keys(Vec::new()), "the pool has no account"),
        (Answer::Silent, "longer than a minute"),
    ] {
        vault.say(answer);
        minute().await;
        minute().await;
        minute().await;
        let told = heard(&mut events);
        let [Event::ConfigRefused { why: told }] = &told[..] else { panic!("{told:?}") };
        assert!(told.contains(why), "{told}");
        assert_eq!(ids(&pool), ["b", "c"]);
    }
    vault.say(Answer::Keys(vec!["d"]));
    minute().await;
    minute().await;
    assert_eq!(ids(&pool), ["d"], "it continues");
    drop(pool);
    minute().await;
    assert!(watch.is_finished(), "the pool was dropped, and the source is still loaded");
}

#[tokio::test(start_paused = true)]
async fn the_loads_of_a_source_are_jittered() {
    let vault = Vault::new(&["a"]);
    let asked = Arc::new(Mutex::new(Vec::new()));
    struct Counting(Vault, Arc<Mutex<Vec<tokio::time::Instant>>>);
    impl SecretSource for Counting {
        async fn load(&self) -> Result<Vec<Account>, SourceError> {
            self.1.lock().unwrap().push(tokio::time::Instant::now());
            self.0.load().await
        }
    }
    let pool = pool(&["a"]);
    tokio::spawn(pool.watch(Counting(vault, asked.clone()), Duration::from_secs(100)));
    sleep(Duration::from_secs(5_000)).await;
    let asked = asked.lock().unwrap();
    let gaps: Vec<_> = asked.windows(2).map(|two| (two[1] - two[0]).as_secs_f64()).collect();
    assert!(gaps.len() >= 40 && gaps.iter().all(|gap| (89.9..=110.1).contains(gap)), "{gaps:?}");
    assert!(gaps.iter().any(|gap| *gap < 97.0) && gaps.iter().any(|gap| *gap > 103.0), "{gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_file_is_read_again_when_it_changes() {
    let path = std::env::temp_dir().join(format!("tkr-watch-{}.txt", std::process::id()));
    std::fs::write(&path, "# ours\na1 sk-canary-1\norg/b1 sk-canary-2\norg/b2 sk-canary-3\n")
        .unwrap();
    let source = KeyFile::new(&path).limit(Limit::requests(60).per_minute());
    let accounts = source.load().await.unwrap();
    let pool = KeyPool::builder(OpenAi::default()).accounts(accounts).build().unwrap();
    assert_eq!(ids(&pool), ["a1", "b1", "b2"]);
    let mut events = pool.events();
    tokio::spawn(pool.watch(source, Duration::from_secs(10)));
    std::fs::write(&path, "a1 sk-canary-9\nb1 sk-canary-2\n").unwrap();
    minute().await;
    assert_eq!(ids(&pool), ["a1", "b1"]);
    let changed = heard(&mut events);
    std::fs::write(&path, "a1 sk-canary-9\nsk-canary-7\n").unwrap();
    minute().await;
    let refused = heard(&mut events);
    std::fs::remove_file(&path).unwrap();
    minute().await;
    let gone = heard(&mut events);
    assert_eq!(ids(&pool), ["a1", "b1"]);
    assert!(!format!("{changed:?}{refused:?}{gone:?}").contains("canary"));
    assert!(format!("{refused:?}").contains(":2: write a label"), "{refused:?}");
    assert!(format!("{gone:?}").contains("cannot read"), "{gone:?}");
}

#[tokio::test(start_paused = true)]
async fn exhaustion_is_reported_at_its_start_and_its_end() {
    let account = Account::new("a").limit(Limit::requests(60).per_minute().burst(4));
    let account = account.key(ApiKey::new("sk-a").id("a1"));
    let pool = KeyPool::builder(OpenAi::default()).account(account).build().unwrap();
    let mut events = pool.events();
    let ask = || {
        let mut request = http::Request::get("https://api.openai.com/").body(()).unwrap();
        pool.try_acquire(&Demand::new()).map(|mut lease| lease.apply(&mut request).unwrap()).is_ok()
    };
    for _ in 0..100 {
        ask();
        advance(Duration::from_millis(100)).await;
    }
    let told = heard(&mut events);
    assert!(matches!(&told[..], [Event::Exhausted { model: None, wait: Some(_) }]), "{told:?}");
    advance(Duration::from_secs(9)).await;
    assert!(ask());
    assert_eq!(heard(&mut events), [], "the event came too early");
    advance(Duration::from_secs(2)).await;
    assert!(ask());
    assert_eq!(heard(&mut events), [Event::ExhaustionEnded]);
    pool.remove_account("a").unwrap();
    assert!(!ask());
    assert!(matches!(heard(&mut events).last(), Some(Event::Exhausted { wait: None, .. })));
}

#[tokio::test(start_paused = true)]
async fn a_nearly_used_daily_limit_is_reported_once_a_day() {
    let day = Limit::requests(100).per_day().fixed();
    let minute = Limit::requests(5_000).per_minute();
    let account = Account::new("a").limit(day.clone()).limit(minute);
    let account = account.key(ApiKey::new("sk-a").id("a1"));
    let pool = KeyPool::builder(OpenAi::default()).account(account).build().unwrap();
    let mut events = pool.events();
    let spend = |requests: u64| {
        for _ in 0..requests {
            let mut request = http::Request::get("https://api.openai.com/").body(()).unwrap();
            pool.try_acquire(&Demand::new()).unwrap().apply(&mut request).unwrap();
        }
    };
    for _ in 0..3 {
        spend(79);
        assert_eq!(heard(&mut events), []);
        spend(15);
        let near = heard(&mut events);
        let [Event::NearLimit { whose, limit, used_percent: 80, remaining: 20 }] = &near[..] else {
            panic!("{near:?}")
        };
        assert_eq!((whose, limit), (&Whose::Account("a".into()), &day));
        advance(Duration::from_secs(86_400)).await;
    }
}
