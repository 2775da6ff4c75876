//! The line: which requests may pass others, which are rejected, and the forecast of their wait.

use super::*;

/// One account for each list; the list has the limits of its keys.
fn keys_with(limits: &[Limit], accounts: &[&[Option<Limit>]]) -> Engine {
    let with = |limit: &Option<Limit>| match limit {
        Some(limit) => ApiKey::new("sk-x").limit(limit.clone()),
        None => ApiKey::new("sk-x"),
    };
    let account = |(i, keys): (usize, &&[Option<Limit>])| {
        let account = Declared::new(format!("org-{i}"));
        let account = limits.iter().cloned().fold(account, Declared::limit);
        keys.iter().map(with).fold(account, Declared::key)
    };
    let declared: Vec<_> = accounts.iter().enumerate().map(account).collect();
    let keys = accounts.iter().map(|keys| keys.len()).sum();
    let ids: Vec<_> = (0..keys).map(|i| KeyId::new(format!("k{i}"))).collect();
    build(&declared, &ids, as_declared())
}

fn excluding(engine: &mut Engine, now: Time, keys: &[usize]) -> Ask {
    let excluded = keys.iter().map(|key| KeyIx::new(*key)).collect();
    Ask { excluded, ..ask(engine, now, 300.0) }
}

fn retry_after(refusal: &Exhausted) -> f64 {
    refusal.retry_after().unwrap().as_secs_f64()
}

#[test]
fn a_new_request_passes_those_that_wait_for_an_untried_key() {
    let mut engine = keys_with(&[Limit::concurrent(1)], &[&[None], &[None]]);
    let other = excluding(&mut engine, at(0.0), &[0]);
    let _busy = engine.admit(at(0.0), &other).unwrap();
    engine.line_up(at(0.0), other, WaiterId(0)).unwrap();
    assert!(engine.serve(at(0.0)).is_none(), "its other key is in use");
    let newcomer = ask(&mut engine, at(0.1), 30.0);
    engine.line_up(at(0.1), newcomer, WaiterId(1)).unwrap();
    assert_eq!(engine.serve(at(0.1)).unwrap().0, WaiterId(1), "a free key, and nobody looks");
}

#[test]
fn a_request_that_rejoins_at_the_head_is_looked_at() {
    let mut engine = engine(1, &[Limit::tokens(60).per_minute().burst(40)]);
    let want = |engine: &mut Engine, since: f64, input: u64| {
        let cost = tokens(input, 0);
        Ask { cost, rank: rank(at(since), 0), ..ask(engine, at(5.0), 300.0) }
    };
    let (first, big) = (want(&mut engine, 0.0, 20), want(&mut engine, 2.0, 35));
    assert!(engine.admit(at(5.0), &first).is_some());
    engine.line_up(at(5.0), big, WaiterId(0)).unwrap();
    assert!(engine.serve(at(5.0)).is_none(), "too big for now");
    let again = want(&mut engine, 1.0, 5);
    engine.line_up(at(5.0), again, WaiterId(1)).unwrap();
    assert_eq!(engine.serve(at(5.0)).unwrap().0, WaiterId(1));
}

#[test]
fn an_excluded_key_with_room_lets_others_pass() {
    let slow = Limit::requests(1).per_minute();
    let mut engine = keys_with(&[], &[&[None, Some(slow)]]);
    let tried = excluding(&mut engine, at(0.0), &[0]);
    assert!(engine.admit(at(0.0), &tried).is_some(), "the slow key");
    engine.line_up(at(0.0), tried, WaiterId(0)).unwrap();
    let newcomer = ask(&mut engine, at(0.1), 30.0);
    engine.line_up(at(0.1), newcomer, WaiterId(1)).unwrap();
    assert_eq!(engine.serve(at(0.1)).unwrap().0, WaiterId(1));
}

#[test]
fn the_first_in_line_is_passed_only_if_that_does_not_delay_it() {
    let small = Limit::tokens(60).per_minute().burst(40);
    let mut engine = engine(2, &[small]);
    let want = |engine: &mut Engine, now: f64, input: u64| {
        let cost = tokens(input, 0);
        Ask { cost, ..ask(engine, at(now), 300.0) }
    };
    let took = [26, 20].map(|input| {
        let ask = want(&mut engine, 0.0, input);
        engine.admit(at(0.0), &ask).unwrap().account
    });
    assert_ne!(took[0], took[1], "both have room for 30");
    // One has 14 left and the other 20, so the other is the first to have 30.
    for (id, input) in [(0, 30), (1, 10), (2, 10)] {
        let next = want(&mut engine, 0.0, input);
        engine.line_up(at(0.0), next, WaiterId(id)).unwrap();
    }
    let (id, grant) = engine.serve(at(0.0)).unwrap();
    assert_eq!((id, grant.unwrap().account), (WaiterId(1), took[0]), "of no use to the first");
    assert!(engine.serve(at(0.0)).is_none(), "the other is left alone for the first");
    assert_eq!(engine.serve(at(10.25)).unwrap().0, WaiterId(0), "as soon as without them");
}

#[test]
fn a_request_without_tokens_does_not_wait_for_tokens() {
    let limits =
        [Limit::input_tokens(60).per_minute().burst(40), Limit::requests(600).per_minute()];
    let mut engine = engine(1, &limits);
    let mut want = ask(&mut engine, at(0.0), 1.0);
    want.cost = tokens(40, 0);
    assert!(engine.admit(at(0.0), &want).is_some());
    assert!(engine.admit(at(0.0), &want).is_none(), "all tokens are spent");
    assert!(admit(&mut engine, at(0.0)).is_some(), "it takes none");
    want.cost = tokens(1, 0);
    assert!(engine.admit(at(0.0), &want).is_none());
}

#[test]
fn a_demand_above_the_burst_is_forecast_for_the_full_bucket() {
    let mut engine = engine(1, &[Limit::tokens(1_200).per_minute()]);
    let mut want = ask(&mut engine, at(0.0), 30.0);
    want.cost = tokens(100, 0);
    assert!(engine.admit(at(0.0), &want).is_some());
    want.cost = tokens(1_200, 0);
    let told = retry_after(&engine.turned_away(at(0.0), &want));
    assert!((5.25..5.26).contains(&told), "100 tokens run out in 5 s, and jitter, not {told}");
    engine.line_up(at(0.0), want, WaiterId(0)).expect("it is served long before its deadline");
    assert!(engine.serve(at(0.0)).is_none());
    assert!(engine.serve(at(5.251)).unwrap().1.is_ok());
}

#[test]
fn a_forecast_counts_the_limits_of_keys() {
    let slow = Limit::requests(1).per_minute().fixed();
    let mut engine = keys_with(&[], &[&[Some(slow.clone()), Some(slow)]]);
    assert!((0..2).all(|_| admit(&mut engine, at(0.0)).is_some()));
    let want = ask(&mut engine, at(0.0), 30.0);
    let told = retry_after(&engine.line_up(at(0.0), want, WaiterId(0)).unwrap_err());
    assert!((60.2..60.3).contains(&told), "{told}");
}

#[test]
fn a_forecast_sees_limits_behind_concurrency() {
    let limits = [Limit::concurrent(1), Limit::tokens(100).per_minute().fixed()];
    let mut engine = engine(2, &limits);
    let mut want = ask(&mut engine, at(0.0), 30.0);
    want.cost = tokens(40, 0);
    assert!((0..2).all(|_| engine.admit(at(1.0), &want).is_some()));
    // Both together have 120 left, but neither has 80.
    want.cost = tokens(80, 0);
    let told = retry_after(&engine.line_up(at(1.0), want, WaiterId(0)).unwrap_err());
    assert!((59.2..59.3).contains(&told), "{told}");
}

#[test]
fn a_forecast_reaches_to_the_end_of_the_day() {
    let mut engine = engine(1, &[Limit::requests(1).per_day().fixed()]);
    assert!(admit(&mut engine, at(1.0)).is_some());
    let want = ask(&mut engine, at(1.0), 30.0);
    let refusal = engine.line_up(at(1.0), want, WaiterId(0)).expect_err("it waits in vain");
    assert!((86_399.0..86_400.0).contains(&retry_after(&refusal)));
}

#[test]
fn a_request_does_not_wait_behind_itself() {
    let mut engine = engine(1, &[Limit::requests(6).per_minute().burst(1)]);
    let mut grant = admit(&mut engine, at(0.0)).unwrap();
    let want = Ask { deadline: at(10.2), ..ask(&mut engine, at(0.0), 0.0) };
    engine.line_up(at(0.0), want, WaiterId(0)).unwrap();
    assert!(engine.serve(at(0.0)).is_none());
    let a_second = Verdict::RateLimited { retry_after: Some(Duration::from_secs(1)) };
    judge(&mut engine, at(10.0), &mut grant, a_second);
    let refusal = engine.serve(at(10.5)).unwrap().1.unwrap_err();
    assert!(retry_after(&refusal) < 1.0, "{refusal:?}");
}

#[test]
fn a_demand_too_large_for_every_remaining_key_is_rejected() {
    let small = Some(Limit::tokens(60).per_minute().burst(40));
    let mut engine = keys_with(&[Limit::concurrent(1)], &[&[small], &[None]]);
    let mut big = ask(&mut engine, at(0.0), 300.0);
    big.cost = tokens(50, 0);
    let grant = engine.admit(at(0.0), &big).unwrap();
    engine.line_up(at(0.0), big.clone(), WaiterId(0)).expect("once the other has ended");
    let next = ask(&mut engine, at(0.1), 30.0);
    engine.line_up(at(0.1), next, WaiterId(1)).unwrap();
    assert_eq!(engine.serve(at(0.1)).unwrap().0, WaiterId(1), "it is held up in vain");
    engine.remove_key(grant.key);
    let (id, outcome) = engine.serve(at(1.0)).unwrap();
    assert_eq!((id, outcome.unwrap_err().reason()), (WaiterId(0), Reason::TooLarge));
    assert_eq!(engine.line_up(at(1.0), big, WaiterId(2)).unwrap_err().reason(), Reason::TooLarge);
}

#[test]
fn a_window_reported_to_end_earlier_is_used_earlier() {
    let mut engine = engine(1, &[Limit::requests(1).per_hour().fixed()]);
    let mut grant = admit(&mut engine, at(1.0)).unwrap();
    assert!(admit(&mut engine, at(1.0)).is_none());
    let reading = LimitReading {
        limit: Some(1),
        remaining: Some(0),
        reset: Some(Duration::from_secs(9)),
        ..LimitReading::new(crate::limit::Metered::Requests, Scope::Model, Refill::Fixed)
    };
    engine.read(at(1.0), &mut grant, &reading);
    assert!(admit(&mut engine, at(10.2)).is_none());
    assert!(admit(&mut engine, at(10.3)).is_some(), "the account slept on");
}
