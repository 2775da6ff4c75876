//! Budgets of tags.

use super::*;

fn with(budgets: DeclaredBudgets) -> Engine {
    engine_with(2, &[], Setup { budgets, ..as_declared() })
}

fn usual(limit: Limit) -> DeclaredBudgets {
    DeclaredBudgets { usual: vec![limit], ..DeclaredBudgets::default() }
}

fn ask_for(engine: &mut Engine, now: Time, tag: &str, spend: u64) -> Ask {
    let budget = engine.budget(now, Some(tag));
    let cost = Cost { spend, ..Cost::default() };
    Ask { budget, cost, ..ask(engine, now, 30.0) }
}

#[test]
fn all_limits_of_a_tag_hold_including_concurrency() {
    let mut engine = with(DeclaredBudgets {
        tags: vec![
            ("t".into(), Limit::concurrent(2)),
            ("t".into(), Limit::nano_dollars(100).per_hour().fixed()),
        ],
        ..DeclaredBudgets::default()
    });
    let mut grants = Vec::new();
    for _ in 0..2 {
        let ask = ask_for(&mut engine, at(0.0), "t", 40);
        grants.push(engine.admit(at(0.0), &ask).unwrap());
    }
    let ask = ask_for(&mut engine, at(0.0), "t", 1);
    assert!(engine.admit(at(0.0), &ask).is_none());
    let told = engine.line_up(at(0.0), ask, WaiterId(1)).unwrap_err();
    assert_eq!((told.reason(), told.retry_after()), (Reason::Budget, None));
    engine.end(at(0.0), grants.pop().unwrap());
    let dear = ask_for(&mut engine, at(0.0), "t", 30);
    let told = engine.line_up(at(0.0), dear, WaiterId(1)).unwrap_err();
    assert_eq!(told.reason(), Reason::Budget);
    let wait = told.retry_after().unwrap();
    assert!((3_600.0..3_601.0).contains(&wait.as_secs_f64()), "{wait:?}");
    let never = ask_for(&mut engine, at(0.0), "t", 101);
    let told = engine.line_up(at(0.0), never, WaiterId(1)).unwrap_err();
    assert_eq!(told.reason(), Reason::TooLarge);
    let fits = ask_for(&mut engine, at(0.0), "t", 20);
    assert!(engine.admit(at(0.0), &fits).is_some());
    let free = ask_for(&mut engine, at(0.0), "other", 1 << 40);
    assert!(engine.admit(at(0.0), &free).is_some(), "a tag without a budget");
}

#[test]
fn a_waiting_request_is_rejected_when_its_budget_is_spent() {
    let mut engine = engine_with(
        1,
        &[Limit::concurrent(1)],
        Setup { budgets: usual(Limit::nano_dollars(100).per_hour().fixed()), ..as_declared() },
    );
    let first = ask_for(&mut engine, at(0.0), "t", 60);
    let first = engine.admit(at(0.0), &first).unwrap();
    let second = ask_for(&mut engine, at(0.0), "t", 40);
    let third = ask_for(&mut engine, at(0.0), "t", 40);
    engine.line_up(at(0.0), second, WaiterId(2)).unwrap();
    engine.line_up(at(0.0), third, WaiterId(3)).unwrap();
    assert!(engine.serve(at(0.0)).is_none());
    engine.end(at(1.0), first);
    let (id, second) = engine.serve(at(1.0)).unwrap();
    assert_eq!(id, WaiterId(2));
    engine.end(at(2.0), second.unwrap());
    let (id, third) = engine.serve(at(2.0)).unwrap();
    assert_eq!((id, third.unwrap_err().reason()), (WaiterId(3), Reason::Budget));
}

#[test]
fn tags_are_bounded_and_no_spent_budget_is_forgotten() {
    let mut engine = with(usual(Limit::nano_dollars(100).per_hour().fixed()));
    let admit = |engine: &mut Engine, now: f64, tag: &str| {
        let ask = ask_for(engine, at(now), tag, 100);
        engine.admit(at(now), &ask).map(|grant| engine.end(at(now), grant)).is_some()
    };
    for tag in 0..4_096 {
        assert!(admit(&mut engine, 10.0, &tag.to_string()));
    }
    for tag in 0..4_096 {
        assert!(!admit(&mut engine, 10.0, &tag.to_string()), "what {tag} spent is forgotten");
    }
    // All other tags share one budget.
    assert!(admit(&mut engine, 10.0, "more"));
    assert!(!admit(&mut engine, 10.0, "yet more") && !admit(&mut engine, 10.0, &"x".repeat(257)));
    // Two hours later, unused budgets are forgotten.
    assert!(admit(&mut engine, 8_000.0, "new") && admit(&mut engine, 8_000.0, "newer"));
    assert!(!admit(&mut engine, 8_000.0, "new"));
    assert_eq!(engine.snapshot(at(8_000.0), "p".into()).budgets.len(), 2);
}

#[test]
fn a_budget_is_never_exceeded_and_counts_what_was_used() {
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..50 {
        let amount = rng.u64(500..5_000);
        let limit = Limit::nano_dollars(amount).per_hour().fixed();
        let mut engine = with(usual(limit));
        let (mut held, mut used) = (Vec::new(), 0_u64);
        for _ in 0..500 {
            let now = at(rng.f64());
            if rng.bool() {
                let most = rng.u64(1..=200);
                let ask = ask_for(&mut engine, now, "t", most);
                let reserved: u64 = held.iter().map(|(_, most)| most).sum();
                let admitted = engine.admit(now, &ask);
                assert_eq!(admitted.is_some(), used + reserved + most <= amount);
                held.extend(admitted.map(|grant| (grant, most)));
            } else if !held.is_empty() {
                let (mut grant, most) = held.swap_remove(rng.usize(..held.len()));
                match rng.u8(..4) {
                    0 => engine.refund(now, grant),
                    1 => {
                        engine.settle_unpaid(now, &mut grant);
                        engine.end(now, grant);
                    }
                    2 => {
                        used += most;
                        engine.end(now, grant);
                    }
                    _ => {
                        let cost = rng.u64(0..=most);
                        used += cost;
                        engine.settle(now, &mut grant, &Usage::tokens(0, 0).nano_dollars(cost));
                        engine.end(now, grant);
                    }
                }
            }
        }
    }
}
