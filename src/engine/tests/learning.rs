//! Limits that were not declared, or that differ from their declaration.

use super::*;
use crate::limit::Metered;

/// Accounts without declared limits, or with this many.
fn learning(accounts: usize, limits: &[Limit]) -> Engine {
    engine_with(accounts, limits, Setup::new(7, Timestamp::UNIX_EPOCH))
}

fn told(metered: Metered, limit: u64, remaining: u64, reset: f64) -> LimitReading {
    LimitReading {
        limit: Some(limit),
        remaining: Some(remaining),
        reset: Some(Duration::from_secs_f64(reset)),
        ..LimitReading::new(metered, Scope::Model, Refill::Rolling)
    }
}

fn admitted(engine: &mut Engine, now: Time, most: usize) -> Vec<Grant> {
    std::iter::from_fn(|| admit(engine, now)).take(most).collect()
}

const REFUSED: Verdict = Verdict::RateLimited { retry_after: None };

#[test]
fn a_limit_reported_in_headers_is_kept() {
    let mut engine = learning(1, &[]);
    let provider = Provider { tells: Some(120.0), ..Provider::new(2.0, 120.0) };
    let (accepted, refused) = accepted_by(&mut engine, provider, 0.0, 300.0);
    assert!(accepted >= 690 && refused <= 1, "{accepted} of 720, and {refused} refused");
    let learnt = engine.take_events().into_iter().find_map(|event| match event {
        Event::LimitLearnt { limit, .. } => Some(limit),
        _ => None,
    });
    let limit = learnt.expect("nothing was learnt");
    assert_eq!((limit.metered(), limit.amount()), (Metered::Requests, 120));
}

#[test]
fn a_limit_reported_for_a_model_does_not_count_others() {
    let mut engine = learning(1, &[]);
    let mut grants = admitted(&mut engine, at(0.0), 2);
    engine.read(at(0.1), &mut grants[0], &told(Metered::Requests, 60, 0, 60.0));
    assert!(admitted(&mut engine, at(0.1), 100).len() <= 1);
    let lane = engine.lane(at(0.1), Some("other"));
    let other = Ask { lane, ..ask(&mut engine, at(0.1), 1.0) };
    assert!(engine.admit(at(0.1), &other).is_some());
}

#[test]
fn a_limit_reported_for_an_account_counts_every_model() {
    let mut engine = learning(1, &[]);
    let mut grant = admit(&mut engine, at(0.0)).unwrap();
    let reading = LimitReading {
        period: Some(Duration::from_secs(3_600)),
        scope: Scope::Account,
        refill: Refill::Fixed,
        ..told(Metered::Requests, 5_000, 1, 1_800.0)
    };
    engine.read(at(0.1), &mut grant, &reading);
    let lane = engine.lane(at(0.1), Some("other"));
    let other = Ask { lane, ..ask(&mut engine, at(0.1), 1.0) };
    assert!(engine.admit(at(0.1), &other).is_some(), "one is left");
    assert!(engine.admit(at(0.1), &other).is_none());
    assert!(admit(&mut engine, at(0.1)).is_none());
    assert!(admit(&mut engine, at(1_801.0)).is_some(), "the next hour");
}

#[test]
fn a_bucket_that_is_smaller_than_headers_tell_is_found_out() {
    let mut engine = learning(1, &[]);
    let provider = Provider { tells: Some(60.0), ..Provider::new(1.0, 5.0) };
    let (accepted, refused) = accepted_by(&mut engine, provider, 0.0, 300.0);
    assert!(accepted >= 250 && refused <= 45, "{accepted} of 305, and {refused} refused");
}

#[test]
fn a_reported_limit_below_the_declared_one_is_believed_and_a_higher_one_is_not() {
    let mut engine = learning(1, &[Limit::requests(500).per_minute()]);
    let mut from = 0.0;
    let mut follow = |engine: &mut Engine, amount: f64, per: f64| {
        let provider = Provider { tells: Some(amount), ..Provider::new(amount / per, amount) };
        accepted_by(engine, provider, from, from + 60.0);
        from += 60.0;
        engine.accounts[0].meters[0].limit.amount()
    };
    assert_eq!(follow(&mut engine, 1_000.0, 60.0), 500, "the user's choice");
    assert_eq!(follow(&mut engine, 14_400.0, 86_400.0), 500, "a day's limit is another one");
    engine.take_events();
    assert_eq!(follow(&mut engine, 60.0, 60.0), 60);
    let is_told = |event: &Event| {
        matches!(event, Event::LimitContradicted { declared, told, .. }
        if declared.amount() == 500 && told.amount() == 60)
    };
    let events = engine.take_events();
    assert_eq!(events.iter().filter(|event| is_told(event)).count(), 1, "{events:?}");
    assert_eq!(follow(&mut engine, 120.0, 60.0), 120, "it is raised again, as far as was declared");
    assert_eq!(follow(&mut engine, 1_000.0, 60.0), 500);
}

#[test]
fn absurd_figures_teach_nothing() {
    let mut engine = learning(1, &[]);
    let mut grants = admitted(&mut engine, at(0.0), 5);
    for (limit, remaining, reset) in [
        (0, 0, 60.0),
        (u64::MAX, 0, 60.0),
        (60, u64::MAX, 60.0),
        (60, 60, 0.0),
        (60, 58, 0.0),
        (60, 30, 1e9),
        (1_000, 500, 150.0),
    ] {
        engine.read(at(0.1), &mut grants[0], &told(Metered::Requests, limit, remaining, reset));
        let events = engine.take_events();
        assert_eq!(events, [], "learnt from {remaining} of {limit} until {reset}");
    }
    assert!(admit(&mut engine, at(0.1)).is_some());
}

#[test]
fn a_reported_figure_does_not_include_requests_under_way() {
    let mut engine = learning(1, &[Limit::requests(60).per_minute().burst(40)]);
    // Answers take half a second.
    let first = admit(&mut engine, at(0.0)).unwrap();
    engine.answered(at(0.5), &first, None);
    let mut second = admit(&mut engine, at(10.0)).unwrap();
    let _under_way = admitted(&mut engine, at(10.4), 3);
    engine.answered(at(10.5), &second, None);
    // Somebody else has used most of it. The three had not arrived when this was told.
    engine.read(at(10.5), &mut second, &told(Metered::Requests, 60, 8, 52.0));
    let left = admitted(&mut engine, at(10.5), 100).len();
    assert_eq!(left, 8 - 3 + 1, "and one that providers round down");
}

#[test]
fn an_account_without_known_limits_starts_slowly() {
    let mut engine = learning(1, &[]);
    let mut grants = admitted(&mut engine, at(0.0), 1_000);
    assert_eq!(grants.len(), 16);
    let want = ask(&mut engine, at(0.0), 30.0);
    engine.line_up(at(0.0), want, WaiterId(0)).unwrap();
    assert!(engine.serve(at(0.0)).is_none());
    for grant in &mut grants {
        judge(&mut engine, at(1.0), grant, Verdict::Accepted);
    }
    grants.push(engine.serve(at(1.0)).unwrap().1.expect("one more for each answer"));
    grants.extend(admitted(&mut engine, at(1.0), 1_000));
    assert_eq!(grants.len(), 32);
    grants.into_iter().for_each(|grant| engine.end(at(1.0), grant));
    // As no limit is ever found, there is none.
    let mut now = 2.0;
    for _ in 0..2_000 {
        now += 0.01;
        if let Some(mut grant) = admit(&mut engine, at(now)) {
            judge(&mut engine, at(now), &mut grant, Verdict::Accepted);
            engine.end(at(now), grant);
        }
    }
    assert_eq!(admitted(&mut engine, at(now), 5_000).len(), 5_000);
}

/// A provider that refills `rate` requests a second up to `burst`.
#[derive(Clone, Copy)]
struct Provider {
    rate: f64,
    burst: f64,
    /// The limit that headers tell, if they tell one.
    tells: Option<f64>,
}

impl Provider {
    fn new(rate: f64, burst: f64) -> Self {
        Self { rate, burst, tells: None }
    }
}

/// How many requests are accepted and refused, where one always waits.
fn accepted_by(engine: &mut Engine, provider: Provider, from: f64, to: f64) -> (u64, u64) {
    const TICK: f64 = 0.01;
    let Provider { rate, burst, tells } = provider;
    let (mut level, mut accepted, mut refused) = (burst, 0, 0);
    let mut under_way: Vec<(f64, Grant)> = Vec::new();
    let mut now = from;
    while now < to {
        now += TICK;
        level = f64::min(level + rate * TICK, burst);
        while let Some(grant) = admit(engine, at(now)) {
            under_way.push((now + 0.2, grant));
        }
        for (_, mut grant) in under_way.extract_if(.., |(due, _)| *due <= now) {
            let verdict = if level >= 1.0 { Verdict::Accepted } else { REFUSED };
            if verdict == Verdict::Accepted {
                level -= 1.0;
                accepted += 1;
            } else {
                refused += 1;
            }
            if let Some(limit) = tells {
                let reset = (burst - level) / rate;
                let left = limit - (burst - level);
                let reading = told(Metered::Requests, limit as u64, left as u64, reset);
                engine.read(at(now), &mut grant, &reading);
            }
            judge(engine, at(now), &mut grant, verdict);
            engine.end(at(now), grant);
        }
    }
    for (_, grant) in under_way {
        engine.end(at(to), grant);
    }
    (accepted, refused)
}

#[test]
fn a_pace_is_found_from_refusals_alone_and_follows_the_provider() {
    for rate in [0.25, 1.0, 10.0] {
        let mut engine = learning(1, &[]);
        accepted_by(&mut engine, Provider::new(rate, 5.0 * rate), 0.0, 120.0);
        let (accepted, refused) =
            accepted_by(&mut engine, Provider::new(rate, 5.0 * rate), 120.0, 1_920.0);
        let share = accepted as f64 / (rate * 1_800.0);
        assert!(share > 0.85, "{share:.3} of {rate} a second");
        assert!(
            refused as f64 <= 0.01 * accepted as f64 + 30.0,
            "{refused} refused at {rate} a second"
        );
        // It is found out when there is more.
        accepted_by(&mut engine, Provider::new(4.0 * rate, 20.0 * rate), 1_920.0, 2_820.0);
        let (accepted, _) =
            accepted_by(&mut engine, Provider::new(4.0 * rate, 20.0 * rate), 2_820.0, 3_420.0);
        let share = accepted as f64 / (4.0 * rate * 600.0);
        assert!(share > 0.9, "{share:.3} of four times {rate} a second");
    }
}

#[test]
fn an_account_that_refuses_well_within_its_limits_is_paced_and_announced() {
    let mut engine = learning(1, &[Limit::requests(600).per_minute()]);
    let (_, refused) = accepted_by(&mut engine, Provider::new(2.0, 10.0), 0.0, 300.0);
    let events = engine.take_events();
    let told = events.iter().filter(|event| matches!(event, Event::RefusedWithinLimits { .. }));
    assert_eq!(told.count(), 1);
    assert!(refused < 120, "{refused}");
    let (accepted, refused) = accepted_by(&mut engine, Provider::new(2.0, 10.0), 300.0, 900.0);
    assert!(accepted > 1_080 && refused < 60, "{accepted} of 1,200, and {refused} refused");
}

#[test]
fn one_refusal_paces_no_account() {
    let mut engine = learning(1, &[Limit::requests(600).per_minute()]);
    let mut grant = admit(&mut engine, at(0.0)).unwrap();
    let limited = Verdict::RateLimited { retry_after: Some(Duration::from_secs(2)) };
    judge(&mut engine, at(0.1), &mut grant, limited);
    assert!(admitted(&mut engine, at(2.3), 100).len() > 40, "the whole burst");
}

#[test]
fn a_new_account_begins_with_the_pace_of_those_that_are_like_it() {
    let mut engine = learning(1, &[]);
    accepted_by(&mut engine, Provider::new(1.0, 5.0), 0.0, 300.0);
    let mut counts = Counts::new(Timestamp::UNIX_EPOCH);
    let account = Declared::new("new").key(ApiKey::new("sk-x"));
    let new = insert_account(&mut engine, &mut counts, at(300.0), &account);
    let key = new_key(&mut counts, &account.keys[0], KeyId::new("new"));
    engine.insert_key(at(300.0), new, key);
    let grants = admitted(&mut engine, at(301.0), 100);
    let of_new = grants.iter().filter(|grant| grant.account == new).count();
    assert!((1..=3).contains(&of_new), "{of_new} at once, of one a second");
}

#[test]
fn learning_can_be_turned_off() {
    let mut engine = engine(1, &[]);
    let mut grants = admitted(&mut engine, at(0.0), 100);
    assert_eq!(grants.len(), 100);
    engine.read(at(0.1), &mut grants[0], &told(Metered::Requests, 60, 0, 60.0));
    assert!(admit(&mut engine, at(0.1)).is_some());
}
