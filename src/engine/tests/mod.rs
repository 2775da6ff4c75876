//! The engine alone, in simulated time.
//!
//! Long, for it holds what the tests of all parts share, and the tests of the life of one request.

mod affinity;
mod budgets;
mod choosing;
mod cooling;
mod lanes;
mod learning;
mod line;
mod model;
mod random;
mod saved;
mod tenants;
mod windows;

use std::time::Duration;

use super::*;
use crate::{
    Account as Declared, ApiKey, KeyId, Limit, Verdict,
    affinity::Affinity,
    error::Reason,
    provider::{LimitReading, Refill},
    usage::Usage,
    verdict::{Blame, Place, Scope},
};

const SECOND: u64 = 1_000_000_000;
/// An operation.
const CHAT: OpIx = OpIx::new(1);

fn at(seconds: f64) -> Time {
    Time::from_nanos((seconds * SECOND as f64) as u64)
}

fn engine(accounts: usize, limits: &[Limit]) -> Engine {
    engine_with(accounts, limits, as_declared())
}

fn engine_with(accounts: usize, limits: &[Limit], setup: Setup) -> Engine {
    let declared: Vec<_> = (0..accounts)
        .map(|i| {
            let account = Declared::new(format!("org-{i}")).key(ApiKey::new("sk-x"));
            limits.iter().cloned().fold(account, Declared::limit)
        })
        .collect();
    let ids: Vec<_> = (0..accounts).map(|i| KeyId::new(format!("k{i}"))).collect();
    build(&declared, &ids, setup)
}

/// An engine over accounts; `ids` has the id of each key, in order.
fn build(declared: &[Declared], ids: &[KeyId], setup: Setup) -> Engine {
    let mut counts = Counts::new(setup.wall);
    let mut engine = Engine::new(setup);
    let mut ids = ids.iter().cloned();
    for account in declared {
        let ix = insert_account(&mut engine, &mut counts, Time::ZERO, account);
        for (key, id) in account.keys.iter().zip(ids.by_ref()) {
            let new = new_key(&mut counts, key, id);
            engine.insert_key(Time::ZERO, ix, new);
        }
    }
    engine.begin();
    engine
}

fn insert_account(
    engine: &mut Engine,
    counts: &mut Counts,
    now: Time,
    account: &Declared,
) -> AccountIx {
    let (name, weight) = (account.name.clone(), account.weight);
    engine.insert_account(now, NewAccount { name, weight, meters: counts.of(&account.limits) })
}

fn new_key(counts: &mut Counts, key: &ApiKey, id: KeyId) -> NewKey {
    NewKey { id, weight: key.weight, meters: counts.of(&key.limits), expires: None }
}

/// A setup without learned limits.
fn as_declared() -> Setup {
    Setup { learns: false, ..Setup::new(7, Timestamp::UNIX_EPOCH) }
}

fn ask(engine: &mut Engine, now: Time, patience: f64) -> Ask {
    Ask {
        lane: engine.lane(now, Some("m")),
        operation: CHAT,
        generates: true,
        tenant: TenantIx::default(),
        bond: None,
        budget: None,
        is_unpriced: false,
        cost: Cost::default(),
        prior: Prior::default(),
        rank: rank(now, 0),
        deadline: now.plus((patience * SECOND as f64) as u64),
        answer_by: None,
        excluded: Vec::new(),
        refused_by: Vec::new(),
        before: Before::default(),
        tag: None,
        among: Among::All,
    }
}

/// The provider gives a verdict that its words prove.
fn judge(
    engine: &mut Engine,
    now: Time,
    grant: &mut Grant,
    verdict: Verdict,
) -> Option<Accusation> {
    judge_of(engine, now, grant, verdict, verdict.usual_place())
}

fn judge_of(
    engine: &mut Engine,
    now: Time,
    grant: &mut Grant,
    verdict: Verdict,
    place: Place,
) -> Option<Accusation> {
    let reply = Reply { verdict, place, blame: Blame::Told, rule: "test" };
    engine.judge(now, grant, &reply).accusation
}

/// A key is refused, and another key is accepted with the same request.
fn refuse(engine: &mut Engine, now: Time, grant: &mut Grant, verdict: Verdict) {
    if let Some(accusation) = judge(engine, now, grant, verdict) {
        engine.settle_accusation(now, &accusation, Outcome::Confirmed);
    }
}

fn admit(engine: &mut Engine, now: Time) -> Option<Grant> {
    let ask = ask(engine, now, 30.0);
    engine.admit(now, &ask)
}

fn tokens(input: u64, output: u64) -> Cost {
    Cost { input, output, spend: 0 }
}

#[test]
fn a_bucket_gives_its_burst_at_once_and_then_its_rate() {
    let mut engine = engine(1, &[Limit::requests(60).per_minute().burst(5)]);
    let at_once = (0..10).filter(|_| admit(&mut engine, at(100.0)).is_some()).count();
    assert_eq!(at_once, 4, "the burst less the margin");
    let after: Vec<_> = (1..=40)
        .filter(|i| admit(&mut engine, at(100.0 + f64::from(*i) / 4.0)).is_some())
        .collect();
    assert_eq!(after, [1, 5, 9, 13, 17, 21, 25, 29, 33, 37], "one a second");
}

#[test]
fn all_limits_are_reserved_together_or_none() {
    let limits =
        [Limit::requests(600).per_minute().burst(10), Limit::tokens(100).per_minute().burst(100)];
    let mut engine = engine(1, &limits);
    let mut big = ask(&mut engine, at(0.0), 1.0);
    big.cost = tokens(60, 15);
    assert!(engine.admit(at(0.0), &big).is_some());
    for _ in 0..20 {
        assert!(engine.admit(at(0.0), &big).is_none(), "100 tokens do not fit 150");
    }
    let small = ask(&mut engine, at(0.0), 1.0);
    let left = (0..20).filter(|_| engine.admit(at(0.0), &small).is_some()).count();
    assert_eq!(left, 6, "a demand that did not fit took a request all the same");
}

#[test]
fn an_unused_part_comes_back_and_an_excess_is_owed() {
    let mut engine = engine(1, &[Limit::tokens(60).per_minute().burst(40)]);
    let mut want = ask(&mut engine, at(0.0), 1.0);
    want.cost = tokens(20, 10);
    let mut grant = engine.admit(at(0.0), &want).unwrap();
    assert!(engine.admit(at(0.0), &want).is_none());
    engine.settle(at(0.0), &mut grant, &Usage::tokens(1, 1));
    engine.settle(at(0.0), &mut grant, &Usage::tokens(0, 0));
    let mut second = engine.admit(at(0.0), &want).expect("28 tokens came back, once");
    assert!(engine.admit(at(0.0), &want).is_none());

    engine.settle(at(0.0), &mut second, &Usage::tokens(60, 30));
    assert!(engine.admit(at(60.0), &want).is_none(), "92 used of 60 a minute: a debt");
    assert!(engine.admit(at(95.0), &want).is_some());
}

#[test]
fn an_unused_part_does_not_come_back_once_the_bucket_was_full() {
    let mut engine = engine(1, &[Limit::tokens(60).per_minute().burst(40)]);
    let mut want = ask(&mut engine, at(0.0), 1.0);
    want.cost = tokens(30, 0);
    let mut old = engine.admit(at(0.0), &want).unwrap();
    // By now the bucket is full again, and the old reservation has refilled.
    let _new = engine.admit(at(100.0), &want).unwrap();
    engine.settle(at(100.0), &mut old, &Usage::tokens(0, 0));
    assert!(engine.admit(at(100.0), &want).is_none(), "the same tokens came back twice");
}

#[test]
fn a_cancelled_request_keeps_its_charge_and_frees_its_concurrency() {
    let mut engine = engine(1, &[Limit::concurrent(1), Limit::requests(60).per_minute().burst(2)]);
    let grant = admit(&mut engine, at(0.0)).unwrap();
    assert!(admit(&mut engine, at(0.9)).is_none(), "one at a time");
    engine.end(at(0.0), grant);
    let grant = admit(&mut engine, at(1.0)).expect("its concurrency is free");
    engine.end(at(0.0), grant);
    assert!(admit(&mut engine, at(1.1)).is_none(), "its charge was given back");
}

#[test]
fn a_request_that_was_not_sent_gives_everything_back() {
    let mut engine = engine(1, &[Limit::concurrent(1), Limit::requests(60).per_minute().burst(2)]);
    for _ in 0..100 {
        let grant = admit(&mut engine, at(5.0)).expect("a refund was lost");
        engine.refund(at(5.0), grant);
    }
    assert_eq!(engine.snapshot(at(5.0), "p".into()).accounts[0].served, 0);
}

#[test]
fn requests_are_spread_by_weight() {
    let shares = |weights: &[u32], limits: &[Limit], at_once: usize| {
        let account = |(i, weight): (usize, &u32)| {
            let account =
                Declared::new(format!("org-{i}")).weight(*weight).key(ApiKey::new("sk-x"));
            limits.iter().cloned().fold(account, Declared::limit)
        };
        let declared: Vec<_> = weights.iter().enumerate().map(account).collect();
        let ids: Vec<_> = (0..weights.len()).map(|i| KeyId::new(format!("k{i}"))).collect();
        let mut engine = build(&declared, &ids, as_declared());
        let mut rng = fastrand::Rng::with_seed(7);
        let mut held = Vec::new();
        for i in 0..10_000 {
            let now = at(f64::from(i) * 0.1);
            held.extend(admit(&mut engine, now));
            while held.len() >= at_once {
                let grant: Grant = held.swap_remove(rng.usize(..held.len()));
                engine.end(now, grant);
            }
        }
        let served = engine.snapshot(at(0.0), "p".into()).accounts;
        let all: u64 = served.iter().map(|account| account.served).sum();
        let weight: u32 = weights.iter().sum();
        served
            .iter()
            .zip(weights)
            .map(|(account, own)| {
                let fair = all as f64 * f64::from(*own) / f64::from(weight);
                account.served as f64 / fair
            })
            .collect::<Vec<_>>()
    };
    let minute = [Limit::requests(600).per_minute()];
    for weights in [&[1; 10][..], &[4, 1, 4, 1, 4, 1, 4, 1, 4, 1], &[3, 2, 1]] {
        for limits in [&[][..], &minute] {
            for at_once in [1, 20] {
                let shares = shares(weights, limits, at_once);
                // With many answers of random length under way, the account with fewer is
                // preferred.
                let most = if at_once == 1 || weights[0] == 1 { 0.01 } else { 0.12 };
                let even = shares.iter().all(|share| (share - 1.0).abs() <= most);
                assert!(even, "{weights:?} {limits:?} {at_once}: {shares:?}");
            }
        }
    }
}

#[test]
fn headers_lower_a_count_and_never_raise_it() {
    let mut engine = engine(1, &[Limit::requests(60).per_minute().burst(20)]);
    let mut grant = admit(&mut engine, at(0.0)).unwrap();
    let reading = |limit, remaining| LimitReading {
        limit: Some(limit),
        remaining: Some(remaining),
        ..LimitReading::new(crate::limit::Metered::Requests, Scope::Model, Refill::Rolling)
    };
    let left =
        |engine: &Engine| engine.snapshot(at(0.0), "p".into()).accounts[0].meters[0].remaining;
    let before = left(&engine);
    engine.read(at(0.0), &mut grant, &reading(200, 1));
    assert_eq!(left(&engine), before, "a header about another limit was believed");
    engine.read(at(0.0), &mut grant, &reading(60, 3));
    assert_eq!(left(&engine), 4, "what the provider has left, and one that it rounds down");
    engine.read(at(0.0), &mut grant, &reading(60, 50));
    assert_eq!(left(&engine), 4, "raised");
}

#[test]
fn a_demand_above_the_burst_waits_for_the_jitter_after_the_full_bucket() {
    let mut tokens_only = engine(1, &[Limit::tokens(60_000).per_minute()]);
    let mut want = ask(&mut tokens_only, at(0.0), 30.0);
    want.cost = tokens(8_000, 0);
    assert!(tokens_only.admit(at(0.0), &want).is_some(), "nothing before it could be late");
    // The bucket is full after 8 s; at the provider later, by the delay of the first request.
    assert!(tokens_only.admit(at(8.2), &want).is_none(), "too early if it travels faster");
    assert!(tokens_only.admit(at(8.25), &want).is_some());

    let mut one_by_one = engine(1, &[Limit::requests(60).per_minute().burst(1)]);
    assert!(admit(&mut one_by_one, at(0.0)).is_some());
    assert!(admit(&mut one_by_one, at(1.042)).is_some(), "spaced wider, and nothing on top");
}

#[test]
fn requests_are_served_in_order_and_an_excluded_key_blocks_none() {
    let mut engine = engine(2, &[Limit::requests(60).per_minute().burst(1)]);
    assert!((0..2).all(|_| admit(&mut engine, at(0.0)).is_some()));
    for id in 0..4 {
        let ask = ask(&mut engine, at(0.01 * id as f64), 30.0);
        engine.line_up(at(0.1), ask, WaiterId(id)).unwrap();
    }
    assert_eq!(engine.serve(at(0.5)).map(|(id, _)| id), None);
    let next = at(1.0 + 1.0 / 24.0).plus(1);
    assert_eq!(engine.wake_at(), Some(next), "a second, and a little for jitter");
    let served: Vec<_> =
        (0..4).map_while(|_| engine.serve(next)).map(|(id, grant)| (id.0, grant.is_ok())).collect();
    assert_eq!(served, [(0, true), (1, true)], "one from each account");

    // The head has tried one key; a request behind it may take that one.
    let mut tried = ask(&mut engine, at(0.0), 30.0);
    let key =
        |engine: &mut Engine, now| engine.serve(now).map(|(id, grant)| (id.0, grant.unwrap().key));
    tried.excluded = vec![KeyIx::new(0)];
    engine.line_up(at(1.5), tried, WaiterId(9)).unwrap();
    let (first, second) = (key(&mut engine, at(2.1)).unwrap(), key(&mut engine, at(2.1)).unwrap());
    let nine = if first.0 == 9 { first } else { second };
    assert_eq!(nine, (9, KeyIx::new(1)), "the oldest goes first, with the key it has not tried");
}

#[test]
fn a_request_that_fails_over_does_not_wait_for_those_behind() {
    let mut engine = engine(1, &[Limit::requests(60).per_minute().burst(1)]);
    let first = admit(&mut engine, at(0.0)).unwrap();
    for id in 0..28 {
        let ask = ask(&mut engine, at(0.1), 30.0);
        engine.line_up(at(0.1), ask, WaiterId(id)).unwrap();
    }
    let late = ask(&mut engine, at(0.2), 29.0);
    assert!(engine.line_up(at(0.2), late.clone(), WaiterId(98)).is_err());
    let again = Ask { rank: rank(at(0.0), 0), ..late };
    engine.line_up(at(0.2), again, WaiterId(99)).expect("it came first");
    engine.end(at(0.0), first);
    assert_eq!(engine.serve(at(1.05)).unwrap().0, WaiterId(99));
}

/// Lets time pass from `now` until so many are served; returns which.
fn serve(engine: &mut Engine, mut now: Time, number: usize) -> Vec<usize> {
    let mut served = Vec::new();
    while served.len() < number {
        match engine.serve(now) {
            Some((id, _)) => served.push(id.0),
            None => now = engine.wake_at().unwrap(),
        }
    }
    served
}

#[test]
fn a_priority_is_a_head_start_and_no_request_starves() {
    let mut engine = engine(1, &[Limit::requests(6).per_minute().burst(1)]);
    let _first = admit(&mut engine, at(0.0)).unwrap();
    let line = [(0.1, 0), (0.2, 1), (0.3, -1), (0.4, 1), (9.0, 0)];
    for (id, (since, priority)) in line.into_iter().enumerate() {
        let mut ask = ask(&mut engine, at(since), 300.0);
        ask.rank = rank(at(since), priority);
        engine.line_up(at(since), ask, WaiterId(id)).unwrap();
    }
    assert_eq!(serve(&mut engine, at(9.1), 2), [1, 3]);
    // It comes much later than the next, which has waited for longer than its priority is worth.
    let mut late = ask(&mut engine, at(15.0), 300.0);
    late.rank = rank(at(15.0), 1);
    engine.line_up(at(21.0), late, WaiterId(9)).unwrap();
    assert_eq!(serve(&mut engine, at(21.0), 3), [0, 9, 4]);
}

#[test]
fn a_request_that_cannot_be_answered_in_time_is_not_sent() {
    let mut engine = engine(1, &[]);
    let mut hasty = ask(&mut engine, at(0.0), 40.0);
    hasty.answer_by = Some(at(30.0));
    assert_eq!(engine.latest_start(&hasty), at(30.0), "nothing is known yet");
    for i in 0..100 {
        let now = at(f64::from(i) * 10.0);
        let mut grant = admit(&mut engine, now).unwrap();
        judge(&mut engine, now, &mut grant, Verdict::Accepted);
        engine.end(now.plus(2 * SECOND), grant);
    }
    let latest = engine.latest_start(&hasty);
    assert!((at(27.9)..=at(28.1)).contains(&latest), "{latest:?}: an answer takes 2 s");
    let mut refused = admit(&mut engine, at(2_000.0)).unwrap();
    judge(&mut engine, at(2_000.0), &mut refused, Verdict::Transient);
    engine.end(at(2_500.0), refused);
    assert_eq!(engine.latest_start(&hasty), latest, "a failure is no answer");
}

#[test]
fn a_demand_larger_than_its_limit_is_refused_at_once() {
    let mut engine = engine(2, &[Limit::tokens(1_000).per_minute()]);
    let mut want = ask(&mut engine, at(0.0), 30.0);
    want.cost.input = 1_001;
    let refusal = engine.line_up(at(0.0), want.clone(), WaiterId(0)).unwrap_err();
    assert_eq!(refusal.reason(), Reason::TooLarge);
    want.cost.input = 1_000;
    assert!(engine.admit(at(0.0), &want).is_some(), "the whole amount, at rest");
}
