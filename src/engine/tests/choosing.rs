//! Strategies, dry run, and failures of most accounts.

use super::*;
use crate::strategy::{Candidate, Look, RoundRobin, Sequential, Strategy};

fn with(accounts: usize, limits: &[Limit], strategy: impl Strategy) -> Engine {
    engine_with(accounts, limits, Setup { strategy: Arc::new(strategy), ..as_declared() })
}

fn accounts_of(engine: &mut Engine, number: usize) -> Vec<usize> {
    let admitted = std::iter::from_fn(|| admit(engine, at(0.0))).take(number);
    admitted.map(|grant| grant.account.index()).collect()
}

#[test]
fn sequential_takes_the_next_account_only_when_the_first_has_no_room() {
    let two = Limit::requests(2).per_hour().fixed();
    let mut engine = with(3, &[two], Sequential);
    assert_eq!(accounts_of(&mut engine, 9), [0, 0, 1, 1, 2, 2]);
    let first = admit(&mut engine, at(3_600.3)).unwrap();
    assert_eq!(first.account.index(), 0, "whose allowance is back goes first again");
}

#[test]
fn round_robin_takes_each_account_in_turn() {
    let mut engine = with(3, &[Limit::concurrent(100)], RoundRobin);
    let first = accounts_of(&mut engine, 1)[0];
    let turns = accounts_of(&mut engine, 6);
    let expected: Vec<_> = (1..7).map(|turn| (first + turn) % 3).collect();
    assert_eq!(turns, expected);
}

#[test]
fn a_custom_strategy_chooses_the_account() {
    #[derive(Debug)]
    struct LastByName;
    impl Strategy for LastByName {
        fn look(&self) -> Look {
            Look::AsDeclared(16)
        }
        fn load(&self, candidate: &Candidate<'_>) -> u128 {
            u128::from(u8::MAX - candidate.account.as_bytes().last().copied().unwrap_or(0))
        }
    }
    let mut engine = with(3, &[Limit::concurrent(2)], LastByName);
    assert_eq!(accounts_of(&mut engine, 9), [2, 2, 1, 1, 0, 0]);
}

#[test]
fn a_dry_run_holds_nothing_back_and_counts_what_it_would() {
    let limits = [Limit::requests(60).per_minute().burst(1)];
    let mut engine = engine_with(2, &limits, Setup { shadow: true, ..as_declared() });
    for second in 0..100 {
        for _ in 0..5 {
            let grant = admit(&mut engine, at(f64::from(second) * 1.1)).expect("never held back");
            engine.end(at(0.0), grant);
        }
    }
    let snapshot = engine.snapshot(at(110.0), "p".into());
    assert_eq!(snapshot.dry_run_held_back, Some(300), "of 500, two accounts of one a second");
    let told = engine.take_events().iter().filter(|event| is_shadow(event)).count();
    assert!((90..=100).contains(&told), "announced once a second, not {told} times");
    let mut grants: Vec<_> = (0..4).filter_map(|_| admit(&mut engine, at(200.0))).collect();
    for grant in &mut grants {
        refuse(&mut engine, at(200.0), grant, Verdict::KeyRejected);
    }
    assert!(admit(&mut engine, at(200.0)).is_none(), "a rejected key is rejected");
}

fn is_shadow(event: &Event) -> bool {
    matches!(event, Event::DryRunHeldBack { .. })
}

#[test]
fn an_outage_is_announced_and_rests_no_further_account() {
    let mut engine = engine(4, &[]);
    for i in 0..200 {
        let now = at(f64::from(i) * 0.1);
        if let Some(mut grant) = admit(&mut engine, now) {
            judge(&mut engine, now, &mut grant, Verdict::Transient);
            engine.end(now, grant);
        }
    }
    let panics = |events: &[Event]| {
        let began = events.iter().filter(|event| matches!(event, Event::AllFailing { .. })).count();
        (began, events.iter().filter(|event| matches!(event, Event::AllFailingEnded)).count())
    };
    assert_eq!(panics(&engine.take_events()), (1, 0), "announced once");
    assert!(engine.snapshot(at(20.0), "p".into()).all_failing);
    let mut grant = admit(&mut engine, at(40.0)).unwrap();
    judge(&mut engine, at(40.0), &mut grant, Verdict::Accepted);
    assert_eq!(panics(&engine.take_events()), (0, 1));
}

#[test]
fn a_snapshot_shows_limits_that_are_nearly_reached() {
    let mut engine = engine(1, &[Limit::requests(10).per_hour().fixed()]);
    let meter =
        |engine: &Engine| engine.snapshot(at(1.0), "p".into()).accounts[0].meters[0].clone();
    assert_eq!(accounts_of(&mut engine, 7).len(), 7);
    assert!((0.69..0.71).contains(&meter(&engine).used_share) && !meter(&engine).near_limit);
    assert_eq!(accounts_of(&mut engine, 1).len(), 1);
    assert!(meter(&engine).near_limit);
}
