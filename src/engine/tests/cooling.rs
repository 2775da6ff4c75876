//! Refusals, rests, probes, and slow start afterwards.

use super::*;

fn limited(seconds: u64) -> Verdict {
    let retry_after = Some(Duration::from_secs(seconds));
    Verdict::RateLimited { retry_after }
}

fn cooling_for(engine: &Engine, now: Time, account: usize) -> f64 {
    let snapshot = engine.snapshot(now, "p".into());
    let name = &snapshot.accounts[account].name;
    let lane = snapshot.models.iter().find_map(|lane| lane.cooling.get(name));
    lane.or(snapshot.accounts[account].cooling_for.as_ref()).map_or(0.0, Duration::as_secs_f64)
}

#[test]
fn the_latest_end_of_a_rest_wins() {
    let mut engine = engine(1, &[]);
    let (mut first, mut second) =
        (admit(&mut engine, at(0.0)).unwrap(), admit(&mut engine, at(0.0)).unwrap());
    judge(&mut engine, at(1.0), &mut first, limited(60));
    judge(&mut engine, at(2.0), &mut second, limited(5));
    let left = cooling_for(&engine, at(2.0), 0);
    assert!((59.0..=62.0).contains(&left), "a shorter hint shortened it: {left}");
    assert!(admit(&mut engine, at(58.0)).is_none());
    assert!(admit(&mut engine, at(64.0)).is_some());
}

#[test]
fn late_answers_neither_end_a_rest_nor_climb_the_ladder() {
    let mut engine = engine(1, &[]);
    let mut grants: Vec<_> = (0..10).map(|_| admit(&mut engine, at(0.0)).unwrap()).collect();
    let no_hint = Verdict::RateLimited { retry_after: None };
    judge(&mut engine, at(1.0), &mut grants[0], no_hint);
    let left = cooling_for(&engine, at(1.0), 0);
    for grant in &mut grants[1..8] {
        judge(&mut engine, at(1.0), grant, no_hint);
    }
    assert_eq!(cooling_for(&engine, at(1.0), 0), left, "requests sent before climbed the ladder");
    judge(&mut engine, at(1.0), &mut grants[9], Verdict::Accepted);
    assert_eq!(cooling_for(&engine, at(1.0), 0), left, "an old success ended a cooldown");
}

#[test]
fn a_half_open_account_gets_one_probe_first() {
    let mut engine = engine(1, &[]);
    let mut grant = admit(&mut engine, at(0.0)).unwrap();
    let no_hint = Verdict::QuotaExhausted { retry_after: None };
    judge(&mut engine, at(0.0), &mut grant, no_hint);
    let probe = admit(&mut engine, at(400.0)).expect("the probe");
    assert!(admit(&mut engine, at(400.0)).is_none(), "two probes");
    engine.end(at(0.0), probe);
    let mut probe = admit(&mut engine, at(401.0)).expect("another, the first told nothing");
    judge(&mut engine, at(402.0), &mut probe, no_hint);
    [grant, probe].into_iter().for_each(|ended| engine.end(at(402.0), ended));
    assert!(admit(&mut engine, at(900.0)).is_none(), "the second rung is twice as long");
    let mut probe = admit(&mut engine, at(1_200.0)).unwrap();
    judge(&mut engine, at(1_201.0), &mut probe, Verdict::Accepted);
    engine.end(at(1_201.0), probe);
    // Then more and more requests go at once, not all.
    let mut at_once = Vec::new();
    for i in 0..6 {
        let now = at(1_202.0 + f64::from(i));
        let grants: Vec<_> = std::iter::from_fn(|| admit(&mut engine, now)).take(1_000).collect();
        at_once.push(grants.len());
        for (i, mut grant) in grants.into_iter().enumerate() {
            if i == 0 {
                judge(&mut engine, now, &mut grant, Verdict::Accepted);
            }
            engine.end(now, grant);
        }
    }
    assert_eq!(at_once, [2, 4, 8, 16, 1_000, 1_000]);
}

#[test]
fn a_late_end_of_an_old_probe_allows_no_second_probe() {
    let mut engine = engine(1, &[]);
    let mut first = admit(&mut engine, at(0.0)).unwrap();
    let no_hint = Verdict::QuotaExhausted { retry_after: None };
    judge(&mut engine, at(0.0), &mut first, no_hint);
    let mut old = admit(&mut engine, at(400.0)).expect("a probe");
    judge(&mut engine, at(401.0), &mut old, no_hint);
    let new = admit(&mut engine, at(1_200.0)).expect("another probe");
    engine.end(at(1_201.0), old);
    engine.end(at(1_201.0), first);
    assert!(admit(&mut engine, at(1_201.0)).is_none(), "two probes at once");
    engine.end(at(1_202.0), new);
    assert!(admit(&mut engine, at(1_202.0)).is_some());
}

#[test]
fn requests_under_way_before_a_rest_do_not_delay_recovery() {
    let mut engine = engine(1, &[]);
    let streams: Vec<_> = (0..100).map(|_| admit(&mut engine, at(0.0)).unwrap()).collect();
    let mut refused = admit(&mut engine, at(1.0)).unwrap();
    judge(&mut engine, at(1.0), &mut refused, Verdict::Overloaded { retry_after: None });
    let mut probe = admit(&mut engine, at(2.0)).unwrap();
    judge(&mut engine, at(2.0), &mut probe, Verdict::Accepted);
    assert!(admit(&mut engine, at(2.0)).is_some(), "long answers count as recovering ones");
    streams.into_iter().for_each(|stream| engine.end(at(3.0), stream));
}

#[test]
fn accounts_refused_together_show_a_limit_of_the_provider() {
    let mut engine = engine(10, &[]);
    let mut grants: Vec<_> = (0..40).map(|_| admit(&mut engine, at(0.0)).unwrap()).collect();
    grants.sort_by_key(|grant| grant.account);
    grants.dedup_by_key(|grant| grant.account);
    assert_eq!(grants.len(), 10, "the load was not spread");
    for grant in &mut grants[..4] {
        judge(&mut engine, at(1.0), grant, limited(60));
    }
    assert!(admit(&mut engine, at(1.0)).is_some(), "four of ten");
    judge(&mut engine, at(1.5), &mut grants[4], limited(60));
    assert!(admit(&mut engine, at(1.5)).is_none(), "five of ten within a second: not the accounts");
    assert!(admit(&mut engine, at(2.5)).is_some(), "a probe");
    assert!(admit(&mut engine, at(2.5)).is_none(), "and no more");
}

#[test]
fn failing_accounts_rest_but_never_more_than_half() {
    let mut engine = engine(3, &[]);
    let mut now = 0.0;
    for _ in 0..300 {
        now += 0.1;
        if let Some(mut grant) = admit(&mut engine, at(now)) {
            judge(&mut engine, at(now), &mut grant, Verdict::Transient);
            engine.end(at(0.0), grant);
        }
        let benched =
            (0..3).filter(|&account| cooling_for(&engine, at(now), account) > 0.0).count();
        assert!(benched <= 1, "{benched} of 3 accounts benched for a provider that is down");
    }
}

#[test]
fn only_the_last_refusal_of_each_account_shows_a_wider_limit() {
    let mut engine = engine(3, &[]);
    let mut grants: Vec<_> = (0..30).map(|_| admit(&mut engine, at(0.0)).unwrap()).collect();
    grants.sort_by_key(|grant| grant.account);
    grants.dedup_by_key(|grant| grant.account);
    let mut refuse = |now: f64, account: usize| {
        judge(&mut engine, at(now), &mut grants[account], limited(1));
        engine.lanes.iter().any(|lane| lane.standing.until() > at(now))
    };
    assert!(!refuse(1.0, 0) && !refuse(1.9, 0) && !refuse(2.5, 1));
    assert!(refuse(2.8, 2), "three accounts within a second");
}

#[test]
fn failures_among_successes_rest_no_account() {
    let mut engine = engine(1, &[]);
    for i in 0..1_000 {
        let now = at(f64::from(i));
        let mut grant = admit(&mut engine, now).unwrap();
        let verdict = if i % 3 == 0 { Verdict::Transient } else { Verdict::Accepted };
        judge(&mut engine, now, &mut grant, verdict);
        engine.end(now, grant);
        assert!(cooling_for(&engine, now, 0) <= 0.0, "benched at the {i}th of 1,000 requests");
    }
}

#[test]
fn a_refusal_rests_its_place_and_no_wider_one() {
    let mut engine = engine(2, &[]);
    let mut grant = admit(&mut engine, at(0.0)).unwrap();
    let refused = grant.account;
    judge(&mut engine, at(0.0), &mut grant, limited(60));
    let model = |engine: &mut Engine, model| Ask {
        lane: engine.lane(at(1.0), Some(model)),
        ..ask(engine, at(1.0), 0.0)
    };
    let (same, other) = (model(&mut engine, "m"), model(&mut engine, "n"));
    let accounts = |engine: &mut Engine, ask: &Ask| {
        (0..10).map(|_| engine.admit(at(1.0), ask).unwrap().account).collect::<Vec<_>>()
    };
    assert!(!accounts(&mut engine, &same).contains(&refused));
    assert!(accounts(&mut engine, &other).contains(&refused), "the other model was benched too");
}
