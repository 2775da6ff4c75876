//! Affinity: requests with the same beginning stay on one account, within bounds.

use super::*;
use crate::strategy::{RoundRobin, Sequential};

const LIFETIME: Duration = Duration::from_secs(300);

fn remembering(accounts: usize, limits: &[Limit], most: usize) -> Engine {
    let affinity = Affinity::new().lifetime(LIFETIME).capacity(most);
    engine_with(accounts, limits, Setup { affinity, ..as_declared() })
}

/// The hash of a conversation so far, and those of its earlier turns, the latest first.
fn kin(turns: &[u64]) -> Kin {
    let mut kin = Kin::new();
    turns.iter().for_each(|turn| kin.longer(*turn));
    kin
}

fn send(engine: &mut Engine, now: Time, turns: &[u64]) -> Option<Grant> {
    let ask = Ask { bond: engine.bond(now, &kin(turns)), ..ask(engine, now, 0.0) };
    engine.admit(now, &ask)
}

/// Sends a request that is answered well at once; returns its account.
fn answered(engine: &mut Engine, now: Time, turns: &[u64]) -> usize {
    let grant = send(engine, now, turns).unwrap();
    end(engine, now, grant, Verdict::Accepted)
}

fn end(engine: &mut Engine, now: Time, mut grant: Grant, verdict: Verdict) -> usize {
    let account = grant.account.index();
    refuse(engine, now, &mut grant, verdict);
    engine.end(now, grant);
    account
}

#[test]
fn a_conversation_stays_on_its_account_and_new_ones_are_spread_evenly() {
    let mut engine = remembering(5, &[], 1_000);
    let mut homes = Vec::new();
    for conversation in 1..=50 {
        homes.push(answered(&mut engine, at(0.0), &[conversation * 100]));
    }
    for turn in 1..20 {
        for conversation in 1..=50 {
            let turns: Vec<_> = (0..=turn).map(|turn| conversation * 100 + turn).collect();
            let account = answered(&mut engine, at(turn as f64), &turns);
            assert_eq!(account, homes[conversation as usize - 1], "of {conversation}, turn {turn}");
        }
    }
    for account in 0..5 {
        assert_eq!(homes.iter().filter(|home| **home == account).count(), 10, "{homes:?}");
    }
    let state = engine.snapshot(at(20.0), "p".into()).affinity;
    assert_eq!((state.stayed, state.moved), (950, 0));
}

#[test]
fn a_conversation_without_room_moves_and_follows_its_last_good_answer() {
    let mut engine = remembering(2, &[Limit::concurrent(1)], 1_000);
    let home = send(&mut engine, at(0.0), &[1]).unwrap();
    let at_home = home.account.index();
    end(&mut engine, at(0.0), home, Verdict::Accepted);

    let taken = send(&mut engine, at(1.0), &[1, 2]).unwrap();
    assert_eq!(taken.account.index(), at_home);
    let away = send(&mut engine, at(1.0), &[1, 2]).expect("the other has room");
    assert_ne!(away.account.index(), at_home);
    end(&mut engine, at(1.0), away, Verdict::Transient);
    end(&mut engine, at(1.0), taken, Verdict::Transient);
    let account = answered(&mut engine, at(2.0), &[1, 2, 3]);
    assert_eq!(account, at_home, "it followed one that failed");

    let taken = send(&mut engine, at(3.0), &[1, 2, 3, 4]).unwrap();
    let away = answered(&mut engine, at(3.0), &[1, 2, 3, 5]);
    assert_ne!(away, at_home);
    end(&mut engine, at(3.0), taken, Verdict::CallerFault);
    assert_eq!(answered(&mut engine, at(4.0), &[1, 2, 3, 5, 6]), away, "the longest is there");
    assert_eq!(answered(&mut engine, at(4.0), &[1, 2, 3, 7]), at_home, "another branch");
}

#[test]
fn a_conversation_leaves_an_account_that_rests_or_is_excluded() {
    for verdict in [limited(60), Verdict::KeyRejected, Verdict::PermissionRefused] {
        let mut engine = remembering(3, &[], 1_000);
        let home = answered(&mut engine, at(0.0), &[1]);
        let refused = send(&mut engine, at(1.0), &[1, 2]).unwrap();
        assert_eq!(end(&mut engine, at(1.0), refused, verdict), home);
        assert_ne!(answered(&mut engine, at(1.0), &[1, 2]), home, "{verdict:?}");
    }
    let mut engine = remembering(3, &[], 1_000);
    let home = answered(&mut engine, at(0.0), &[1]);
    let bond = engine.bond(at(0.0), &kin(&[1]));
    let excluded = vec![KeyIx::new(home)];
    let ask = Ask { bond, excluded, ..ask(&mut engine, at(0.0), 0.0) };
    assert_ne!(engine.admit(at(0.0), &ask).unwrap().account.index(), home);
}

fn limited(seconds: u64) -> Verdict {
    let retry_after = Some(Duration::from_secs(seconds));
    Verdict::RateLimited { retry_after }
}

#[test]
fn an_affinity_is_forgotten_when_the_prompt_cache_expires() {
    let mut engine = remembering(4, &[], 1_000);
    let home = answered(&mut engine, at(0.0), &[1]);
    let others = |engine: &mut Engine, now| {
        (0..3).filter(|_| answered(engine, at(now), &[1]) != home).count()
    };
    assert_eq!(others(&mut engine, 299.0), 0);
    assert_eq!(others(&mut engine, 598.0), 0, "a use does not refresh it");
    let bond = engine.bond(at(898.1), &kin(&[1])).unwrap();
    assert_eq!(bond.account, None);
}

#[test]
fn affinity_gives_no_account_much_more_than_the_others() {
    let mut engine = engine_with(
        4,
        &[],
        Setup {
            affinity: Affinity::new().lifetime(LIFETIME),
            strategy: Arc::new(RoundRobin),
            ..as_declared()
        },
    );
    let home = answered(&mut engine, at(0.0), &[1]);
    let grants: Vec<_> = (0..400).map(|_| send(&mut engine, at(1.0), &[1]).unwrap()).collect();
    let of = |account| grants.iter().filter(|grant| grant.account.index() == account).count();
    // A quarter more than the others, and eight: x + 3 (x - 8) / 1.25 = 400.
    let (mine, other) = (of(home), of((home + 1) % 4));
    assert!((110..=128).contains(&mine) && other >= 85, "{mine} and {other}");
}

#[test]
fn affinities_are_bounded_and_the_last_used_are_kept() {
    let mut engine = remembering(2, &[], 100);
    let home = answered(&mut engine, at(0.0), &[1]);
    for other in 2..10_000 {
        answered(&mut engine, at(0.0), &[other]);
        assert!(engine.snapshot(at(0.0), "p".into()).affinity.remembered <= 100);
        if other % 40 == 0 {
            assert_eq!(answered(&mut engine, at(0.0), &[1]), home, "forgotten after {other}");
        }
    }
    assert!(engine.bond(at(0.0), &kin(&[2])).unwrap().account.is_none());
    assert!(remembering(2, &[], 0).bond(at(0.0), &kin(&[1])).is_none(), "it is off");
}

#[test]
fn an_affinity_finds_its_account_by_name_when_slots_are_reused() {
    let mut engine = remembering(3, &[], 1_000);
    let home = AccountIx::new(answered(&mut engine, at(0.0), &[1]));
    let declared = |engine: &mut Engine, name: &str| {
        let new = NewAccount { name: name.into(), weight: 1, meters: Vec::new() };
        engine.insert_account(at(0.0), new)
    };
    let was = Arc::clone(&engine.accounts[home.index()].name);
    let keys = engine.accounts[home.index()].keys.clone();
    keys.into_iter().for_each(|key| engine.remove_key(key));
    engine.remove_accounts(&[home]);
    assert_eq!(declared(&mut engine, "another conversation"), home);
    assert!(
        engine.bond(at(0.0), &kin(&[1])).unwrap().account.is_none(),
        "an index names no account"
    );
    let back = declared(&mut engine, &was);
    assert_eq!(engine.bond(at(0.0), &kin(&[1])).unwrap().account, Some(back));
}

#[test]
fn a_declared_order_is_kept_despite_affinity() {
    let affinity = Affinity::new().lifetime(LIFETIME);
    let strategy = Arc::new(Sequential);
    let setup = Setup { affinity, strategy, ..as_declared() };
    let mut engine = engine_with(2, &[Limit::concurrent(1)], setup);
    let first = send(&mut engine, at(0.0), &[1]).unwrap();
    assert_eq!(answered(&mut engine, at(0.0), &[2]), 1);
    end(&mut engine, at(0.0), first, Verdict::Accepted);
    assert_eq!(answered(&mut engine, at(1.0), &[2]), 0);
}

/// A request that waits for its account for this long from now on.
fn patient(engine: &mut Engine, now: Time, seconds: f64) -> Ask {
    let mut bond = engine.bond(now, &kin(&[1])).unwrap();
    bond.patient_until = now.plus((seconds * SECOND as f64) as u64);
    Ask { bond: Some(bond), ..ask(engine, now, 30.0) }
}

#[test]
fn a_request_waits_briefly_for_the_account_with_its_prompt_cached() {
    // A bucket with a burst of one refills a little more slowly than once a second.
    let mut engine = remembering(2, &[Limit::requests(60).per_minute().burst(1)], 1_000);
    let home = answered(&mut engine, at(0.0), &[1]);
    let ask = patient(&mut engine, at(0.1), 2.0);
    assert!(engine.admit(at(0.1), &ask).is_none(), "it went elsewhere at once");
    engine.line_up(at(0.1), ask.clone(), WaiterId(1)).unwrap();
    assert!(engine.serve(at(0.1)).is_none());
    // A request without an affinity is not delayed by that.
    let other = Ask { bond: None, ..ask };
    engine.line_up(at(0.1), other, WaiterId(2)).unwrap();
    let (id, grant) = engine.serve(at(0.1)).unwrap();
    assert_eq!((id, grant.unwrap().account.index()), (WaiterId(2), 1 - home));
    assert!(engine.serve(at(0.1)).is_none());
    let open = engine.wake_at().unwrap();
    let (id, grant) = engine.serve(open).unwrap();
    assert_eq!((id, grant.unwrap().account.index()), (WaiterId(1), home));
    assert!(open <= at(1.2));
}

#[test]
fn a_request_moves_at_once_if_its_account_is_busy_for_long_or_the_line_is_long() {
    let limits = [Limit::requests(60).per_minute().burst(1)];
    let away = |seconds: f64, ahead: usize| {
        let mut engine = remembering(2, &limits, 1_000);
        let home = answered(&mut engine, at(0.0), &[1]);
        let patient = patient(&mut engine, at(0.1), seconds);
        for id in 0..=ahead {
            engine.line_up(at(0.1), patient.clone(), WaiterId(id)).unwrap();
        }
        engine.serve(at(0.1)).is_some_and(|(_, grant)| grant.unwrap().account.index() != home)
    };
    assert!(!away(2.0, 0));
    assert!(away(0.5, 0), "it waits for what comes too late");
    assert!(!away(9.0, 7));
    assert!(away(9.0, 8), "many wait for one account while another is free");
}

#[test]
fn a_request_that_waits_for_its_account_moves_when_that_rests() {
    let mut engine = remembering(2, &[Limit::requests(60).per_minute().burst(1)], 1_000);
    let mut grant = send(&mut engine, at(0.0), &[1]).unwrap();
    judge(&mut engine, at(0.0), &mut grant, Verdict::Accepted);
    let ask = patient(&mut engine, at(0.1), 2.0);
    engine.line_up(at(0.1), ask, WaiterId(1)).unwrap();
    assert!(engine.serve(at(0.1)).is_none());
    let home = grant.account.index();
    refuse(&mut engine, at(0.2), &mut grant, Verdict::KeyRejected);
    let (_, grant) = engine.serve(at(0.2)).expect("the line was not looked at again");
    assert_eq!(grant.unwrap().account.index(), 1 - home);
}
