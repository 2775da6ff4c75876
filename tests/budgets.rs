//! Limits on spending: of accounts, keys and tags.
#![cfg(all(feature = "sandbox", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod support;

use std::time::Duration;

use http::Request;
use support::{Answer, CHAT, accounts, ask, client, seconds};
use tower_key_rotation::{
    Demand, Exhausted, KeyPool, Limit,
    event::{Event, Whose},
    pool::Reason,
    sandbox::{Fault, Script},
    snapshot::Snapshot,
    usage::Prices,
};

/// $1 per million tokens of the prompt, and $4 per million tokens of the answer.
fn prices() -> Prices {
    let prices = Prices::none();
    let file = r#"{"m": {"input_cost_per_token": 1e-06, "output_cost_per_token": 4e-06,
        "litellm_provider": "openai"}}"#;
    assert!(prices.load(file).unwrap().is_empty());
    prices
}

/// A prompt of 1,000 tokens, and an answer of 500 at most: at most $0.003, and a little for the JSON.
fn request(model: &str, tag: Option<&str>) -> Request<String> {
    let prompt = "wor ".repeat(1_000);
    let body = format!(
        r#"{{"model":"{model}","max_tokens":500,"messages":[{{"role":"user","content":"{prompt}"}}]}}"#
    );
    let mut request = Request::post(CHAT).body(body).unwrap();
    request.extensions_mut().insert(tag.into_iter().fold(Demand::new(), Demand::tag));
    request
}

fn reason(answer: &Answer) -> Option<Reason> {
    answer.extensions().get::<Exhausted>().map(Exhausted::reason)
}

fn events(events: &mut tower_key_rotation::pool::Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_recv().unwrap()).collect()
}

/// The rest of the budget of a tag.
fn left(snapshot: &Snapshot, tag: &str) -> u64 {
    let budget = snapshot.budgets.iter().find(|budget| &*budget.tag == tag).unwrap();
    budget.meters[0].remaining
}

/// The cost of the real usage.
const USED: u64 = 1_000 * 1_000 + 100 * 4_000;

fn dollars(pool: tower_key_rotation::KeyPoolBuilder) -> KeyPool {
    pool.prices(&prices()).max_wait(Duration::ZERO).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_budget_is_never_exceeded_and_is_exact_afterwards() {
    let budget = 40_000_000; // nano-dollars: $0.04
    let script = Script::new().tokens(100).latency(Duration::from_secs(5));
    for of_tag in [false, true] {
        let limit = || Limit::nano_dollars(budget).per_day().fixed();
        let (sandbox, pool) = accounts(1, |_| if of_tag { vec![] } else { vec![limit()] });
        let sandbox = sandbox.answer(script.clone()).build();
        let pool = if of_tag { pool.budget("t", limit()) } else { pool };
        let pool = dollars(pool);
        let client = client(&pool, &sandbox);
        let spent_at_most = |answers: &[Answer]| {
            answers.iter().filter(|answer| answer.status() == 200).count() as u64
        };
        // 13 requests fit by their maximum cost. Each really costs half of that, so more fit later.
        let gap = Duration::from_millis(1);
        let first = support::offer(&client, 100, gap, |_| request("m", Some("t"))).await;
        let first = spent_at_most(&first);
        assert!((12..=13).contains(&first), "{first} at once");
        let mut all = first;
        loop {
            let answer = ask(&client, request("m", Some("t"))).await;
            if answer.status() != 200 {
                let why = if of_tag { Reason::Budget } else { Reason::Busy };
                assert_eq!((answer.status().as_u16(), reason(&answer)), (429, Some(why)));
                break;
            }
            all += 1;
        }
        assert_eq!(sandbox.stats().total().accepted, all);
        assert_eq!(
            all,
            (budget - 3_100_000) / USED + 1,
            "the budget was not used up, or was exceeded"
        );
        let snapshot = pool.snapshot();
        let left = match of_tag {
            true => left(&snapshot, "t"),
            false => snapshot.accounts[0].meters[0].remaining,
        };
        assert_eq!(left, budget - all * USED, "to the nano-dollar");
    }
}

#[tokio::test(start_paused = true)]
async fn each_tag_has_its_own_budget_and_a_refusal_says_when_there_is_room() {
    let (sandbox, pool) = accounts(2, |_| vec![]);
    let sandbox = sandbox.answer(Script::new().tokens(100)).build();
    let cents = |cents: u64| Limit::nano_dollars(cents * 10_000_000).per_day().fixed();
    let pool = pool.budget("small", cents(1)).budget("large", cents(100)).tag_budget(cents(2));
    let pool = dollars(pool);
    let client = client(&pool, &sandbox);
    let answered = async |tag: Option<&str>| {
        let mut answered = 0;
        while ask(&client, request("m", tag)).await.status() == 200 && answered < 50 {
            answered += 1;
        }
        answered
    };
    assert_eq!(answered(Some("small")).await, 5);
    assert_eq!(answered(Some("one")).await, 13);
    assert_eq!(answered(Some("other")).await, 13);
    assert_eq!((answered(Some("large")).await, answered(None).await), (50, 50));

    let told = ask(&client, request("m", Some("small"))).await;
    assert_eq!(reason(&told), Some(Reason::Budget));
    let body = String::from_utf8(told.body().to_vec()).unwrap();
    assert!(
        body.contains("budget_exceeded") && body.contains("budget of the request's tag"),
        "{body}"
    );
    let wait: u64 = told.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    seconds(wait as f64 - 1.5).await;
    assert_eq!(ask(&client, request("m", Some("small"))).await.status(), 429, "too late");
    seconds(1.5).await;
    assert_eq!(ask(&client, request("m", Some("small"))).await.status(), 200, "too early");
}

#[tokio::test(start_paused = true)]
async fn a_refused_request_costs_nothing_of_a_budget() {
    let limit = Limit::nano_dollars(10_000_000).per_day().fixed();
    let (sandbox, pool) = accounts(2, |_| vec![]);
    let sandbox = sandbox.answer(Script::new().tokens(100)).build();
    let pool = pool.budget("t", limit).prices(&prices()).build().unwrap();
    let client = client(&pool, &sandbox);
    for _ in 0..5 {
        sandbox.fail(Fault::rate_limit("org-1", Duration::from_secs(1)));
        sandbox.fail(Fault::refuse_connections(1));
        assert_eq!(ask(&client, request("m", Some("t"))).await.status(), 200);
        seconds(30.0).await;
    }
    assert!(sandbox.stats().total().rate_limited > 0);
    assert_eq!(left(&pool.snapshot(), "t"), 10_000_000 - 5 * USED);
}

#[tokio::test(start_paused = true)]
async fn a_budget_used_to_80_percent_is_reported_once_in_each_window() {
    let limit = Limit::nano_dollars(20 * USED).per_day().fixed();
    let (sandbox, pool) = accounts(1, |_| vec![]);
    let sandbox = sandbox.answer(Script::new().tokens(100)).build();
    let pool = dollars(pool.budget("t", limit.clone()));
    let client = client(&pool, &sandbox);
    let mut told = pool.events();
    for _ in 0..2 {
        let mut at = Vec::new();
        for sent in 0..18 {
            assert_eq!(ask(&client, request("m", Some("t"))).await.status(), 200);
            for event in events(&mut told) {
                let Event::NearLimit { whose, limit: of, used_percent, .. } = event else {
                    continue;
                };
                assert_eq!((whose, of), (Whose::Tag("t".into()), limit.clone()));
                assert!((80..100).contains(&used_percent), "{used_percent}");
                at.push(sent);
            }
        }
        assert_eq!(at.len(), 1, "{at:?}");
        assert!((13..=15).contains(&at[0]), "{at:?}: about the 15th, because reservations count");
        seconds(86_400.0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_known_price_is_reported_or_refused() {
    for refuse in [false, true] {
        let (sandbox, pool) = accounts(1, |_| vec![Limit::dollars(1).per_day().fixed()]);
        let sandbox = sandbox.build();
        let pool = dollars(pool.refuse_unpriced(refuse));
        let mut told = pool.events();
        let client = client(&pool, &sandbox);
        for _ in 0..3 {
            let answer = ask(&client, request("unknown", None)).await;
            let expected = if refuse { (403, Some(Reason::Unpriced)) } else { (200, None) };
            assert_eq!((answer.status().as_u16(), reason(&answer)), expected);
            assert_eq!(ask(&client, request("m", None)).await.status(), 200);
        }
        let told = events(&mut told);
        let unpriced: Vec<_> =
            told.iter().filter(|event| matches!(event, Event::Unpriced { .. })).collect();
        assert_eq!(unpriced, [&Event::Unpriced { model: Some("unknown".into()) }]);
    }
    // Without a limit on spending, prices are not needed.
    let (sandbox, pool) = accounts(1, |_| vec![]);
    let pool = dollars(pool.refuse_unpriced(true));
    let client = client(&pool, &sandbox.build());
    assert_eq!(ask(&client, request("unknown", None)).await.status(), 200);
}

#[test]
fn an_invalid_budget_is_reported() {
    let (_, pool) = accounts(1, |_| vec![]);
    let none = Limit::dollars(0).per_day();
    let pool = pool.budget("t", none.clone()).tag_budget(none.models("m"));
    let problems = pool.build().unwrap_err();
    let problems = problems.problems().join("\n");
    assert!(problems.contains("budget \"t\": limit \"$0/day\""), "{problems}");
    assert!(problems.contains("budget of every tag") && problems.contains("pattern"), "{problems}");
}
