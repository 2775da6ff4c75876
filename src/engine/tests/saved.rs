//! What survives a restart: spent limits, rests, and rejected keys.

use super::*;

const HOUR: f64 = 3_600.0;

/// Accounts of one key each, in a process that began this many hours after midnight.
fn begun(hours: f64, accounts: usize, limits: &[Limit]) -> Engine {
    let midnight: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
    let wall = midnight + jiff::SignedDuration::from_secs_f64(hours * HOUR);
    engine_with(accounts, limits, Setup { wall, ..as_declared() })
}

/// The same, restored from what another process has saved.
fn restored(hours: f64, accounts: usize, limits: &[Limit], saved: &Saved) -> Engine {
    let mut engine = begun(hours, accounts, limits);
    let text = serde_json::to_string(saved).unwrap();
    engine.restore(at(0.0), &serde_json::from_str(&text).unwrap());
    engine
}

fn admitted(engine: &mut Engine, hours: f64, tries: usize) -> usize {
    (0..tries).filter(|_| admit(engine, at(hours * HOUR)).is_some()).count()
}

#[test]
fn the_spent_part_of_a_day_survives_a_restart() {
    for (limit, all) in [
        (Limit::requests(5).per_day().fixed(), 5),
        (Limit::requests(5).per_day().in_zone("America/Los_Angeles"), 5),
        // A little of a burst is kept back as the margin.
        (Limit::requests(5).per_day().burst(5), 4),
    ] {
        let limits = [limit];
        let mut first = begun(9.0, 1, &limits);
        assert_eq!(admitted(&mut first, 0.0, 3), 3);
        let saved = first.save(at(60.0));
        let mut second = restored(10.0, 1, &limits, &saved);
        assert_eq!(admitted(&mut second, 0.0, 9), 2, "{limits:?}");
        // A third process, another hour later.
        let mut third = restored(11.0, 1, &limits, &second.save(at(0.0)));
        assert_eq!(admitted(&mut third, 0.0, 9), 0, "{limits:?}");
        // A day later all of it is back, in both.
        assert_eq!(admitted(&mut third, 24.1, 9), all, "{limits:?}");
        assert_eq!(admitted(&mut restored(34.1, 1, &limits, &saved), 0.0, 9), all, "{limits:?}");
    }
}

#[test]
fn a_saved_limit_is_found_by_what_it_counts() {
    let day = |amount| Limit::requests(amount).per_day().fixed();
    let mut first = begun(9.0, 1, &[day(5), Limit::requests(1_000).per_minute().models("m*")]);
    assert_eq!(admitted(&mut first, 0.0, 3), 3);
    let saved = first.save(at(0.0));
    // As much is spent of a larger amount, and nothing of another limit.
    assert_eq!(admitted(&mut restored(10.0, 1, &[day(7)], &saved), 0.0, 9), 4);
    assert_eq!(admitted(&mut restored(10.0, 1, &[day(2)], &saved), 0.0, 9), 0);
    assert_eq!(admitted(&mut restored(10.0, 1, &[day(5).models("m")], &saved), 0.0, 9), 5);
    let hour = [Limit::requests(5).per_hour().fixed()];
    assert_eq!(admitted(&mut restored(10.0, 1, &hour, &saved), 0.0, 9), 5);
}

#[test]
fn a_reported_end_of_a_window_survives_a_restart() {
    let limits = [Limit::requests(5).per_hour().fixed()];
    let mut first = begun(9.0, 1, &limits);
    let mut grant = admit(&mut first, at(0.0)).unwrap();
    let reading = LimitReading {
        limit: Some(5),
        remaining: Some(1),
        period: Some(Duration::from_secs(3_600)),
        reset: Some(Duration::from_secs(1_800)),
        ..LimitReading::new(crate::limit::Metered::Requests, Scope::Account, Refill::Fixed)
    };
    first.read(at(1.0), &mut grant, &reading);
    let saved = first.save(at(1.0));
    let mut second = restored(9.25, 1, &limits, &saved);
    assert_eq!(admitted(&mut second, 0.0, 9), 1);
    assert_eq!(admitted(&mut second, 0.24, 9), 0);
    assert_eq!(admitted(&mut second, 0.26, 9), 5, "half an hour after it was told");
}

#[test]
fn rests_survive_a_restart_and_end_in_time() {
    let quota = |retry_after| Verdict::QuotaExhausted { retry_after };
    let two_hours = Some(Duration::from_secs(7_200));
    let mut first = begun(9.0, 1, &[]);
    let mut grant = admit(&mut first, at(0.0)).unwrap();
    judge(&mut first, at(0.0), &mut grant, quota(two_hours));
    let saved = first.save(at(1.0));
    let mut second = restored(10.0, 1, &[], &saved);
    assert_eq!(admitted(&mut second, 0.99, 3), 0);
    assert_eq!(admitted(&mut second, 1.11, 3), 3, "with up to a twentieth of jitter");
    assert_eq!(admitted(&mut restored(12.0, 1, &[], &saved), 0.0, 3), 3, "over in the meantime");
    // A saved clock that was years ahead rests no account for longer than a day.
    let mut early = restored(-20_000.0, 1, &[], &saved);
    assert_eq!((admitted(&mut early, 23.9, 3), admitted(&mut early, 24.1, 3)), (0, 3));

    // For one model only, with a guessed end: a probe goes first.
    let mut first = begun(9.0, 1, &[]);
    let mut grant = admit(&mut first, at(0.0)).unwrap();
    let no_hint = Verdict::QuotaExhausted { retry_after: None };
    judge_of(&mut first, at(0.0), &mut grant, no_hint, Place::Model);
    let mut second = restored(9.0, 1, &[], &first.save(at(1.0)));
    let other = Ask { lane: second.lane(at(1.0), Some("n")), ..ask(&mut second, at(1.0), 1.0) };
    assert!(second.admit(at(1.0), &other).is_some());
    assert_eq!((admitted(&mut second, 0.01, 3), admitted(&mut second, 0.2, 3)), (0, 1));

    // The whole provider.
    let mut first = begun(9.0, 2, &[]);
    let mut grant = admit(&mut first, at(0.0)).unwrap();
    let overloaded = Verdict::Overloaded { retry_after: Some(Duration::from_secs(600)) };
    judge_of(&mut first, at(0.0), &mut grant, overloaded, Place::Provider);
    let mut second = restored(9.0, 2, &[], &first.save(at(1.0)));
    assert_eq!((admitted(&mut second, 0.1, 3), admitted(&mut second, 0.2, 3)), (0, 3));
}

#[test]
fn resting_keys_survive_a_restart_and_are_probed_afterwards() {
    let mut first = begun(9.0, 3, &[]);
    let mut keys: Vec<_> = (0..3).map(|_| admit(&mut first, at(0.0)).unwrap()).collect();
    refuse(&mut first, at(0.0), &mut keys[0], Verdict::KeyRejected);
    refuse(&mut first, at(0.0), &mut keys[1], Verdict::PermissionRefused);
    let mut second = restored(9.0, 3, &[], &first.save(at(1.0)));
    let key = |grant: Option<Grant>| grant.map(|grant| grant.key);
    let expected = Some(keys[2].key);
    assert!((0..9).all(|_| key(admit(&mut second, at(1.0))) == expected));
    let snapshot = second.snapshot(at(1.0), "p".into());
    assert_eq!(snapshot.live_keys, 2);
    // The ends of their rests are saved, too: then one request each goes first.
    let mut at_once = |now: f64| {
        let grants: Vec<_> = std::iter::from_fn(|| admit(&mut second, at(now))).take(30).collect();
        let of = |key: KeyIx| grants.iter().filter(|grant| grant.key == key).count();
        (of(keys[0].key), of(keys[1].key))
    };
    assert_eq!(at_once(7.0), (1, 0), "the credential's first rung is five seconds");
    assert_eq!(at_once(80.0), (0, 1), "what it may do is asked again after a minute");
    // With fewer keys now, the entries of the others are ignored.
    assert_eq!(admitted(&mut restored(9.0, 1, &[], &first.save(at(1.0))), 0.0, 1), {
        usize::from(keys[0].key.index() != 0 && keys[1].key.index() != 0)
    });
}

#[test]
fn an_unchanged_state_is_saved_equal_and_an_idle_one_empty() {
    let limits = [Limit::requests(5).per_day().fixed(), Limit::requests(60).per_minute()];
    let mut engine = begun(9.0, 2, &limits);
    assert_eq!(engine.save(at(0.0)), Saved::default());
    let mut grant = admit(&mut engine, at(0.0)).unwrap();
    judge(
        &mut engine,
        at(0.0),
        &mut grant,
        Verdict::RateLimited { retry_after: Some(Duration::from_secs(10)) },
    );
    let saved = engine.save(at(0.1));
    assert_eq!(engine.save(at(0.2)), saved);
    assert_ne!(engine.save(at(20.0)), saved, "a cooldown is over, and a request is back");
    assert_ne!(engine.save(at(20.0)), Saved::default(), "the day's is not");
    assert_eq!(engine.save(at(24.0 * HOUR)), Saved::default());
}
