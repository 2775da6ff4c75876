//! Weighted fair queueing between tenants.

use std::collections::HashMap;

use super::*;

fn engine_for(weights: &[(&str, u32)], limits: &[Limit], max_queued: usize) -> Engine {
    let weights: HashMap<Arc<str>, u32> =
        weights.iter().map(|(name, weight)| (Arc::from(*name), *weight)).collect();
    engine_with(1, limits, Setup { tenants: weights, max_queued, ..as_declared() })
}

fn line_up(engine: &mut Engine, now: f64, id: usize, tenant: &str, cost: Cost) -> bool {
    let tenant = engine.tenant(Some(tenant));
    let want = Ask { tenant, cost, ..ask(engine, at(now), 3_000.0) };
    engine.line_up(at(now), want, WaiterId(id)).is_ok()
}

/// The tenants that are served within this many seconds, in order.
fn served(engine: &mut Engine, until: f64) -> Vec<usize> {
    let mut now = at(0.0);
    let mut served = Vec::new();
    loop {
        match engine.serve(now) {
            Some((id, Ok(_))) => served.push(id.0),
            Some((_, Err(_))) => {}
            None => match engine.wake_at() {
                Some(next) if next <= at(until) => now = next,
                _ => return served,
            },
        }
    }
}

#[test]
fn a_tenant_with_many_requests_is_served_as_often_as_the_others() {
    let mut engine = engine_for(&[("c", 2)], &[Limit::requests(60).per_minute().burst(1)], 1_000);
    assert!(admit(&mut engine, at(0.0)).is_some());
    for id in 0..300 {
        assert!(line_up(&mut engine, 0.0, id, "a", Cost::default()));
    }
    for id in 300..340 {
        assert!(line_up(&mut engine, 0.1, id, "b", Cost::default()));
        assert!(line_up(&mut engine, 0.1, id + 100, "c", Cost::default()));
    }
    let served = served(&mut engine, 63.0);
    let of = |ids: std::ops::Range<usize>| served.iter().filter(|id| ids.contains(id)).count();
    let shares = (of(0..300), of(300..400), of(400..500));
    assert_eq!(shares, (15, 15, 30), "1 : 1 : 2 of {}", served.len());
    let own: Vec<_> = served.iter().filter(|id| **id < 300).copied().collect();
    assert!(own.is_sorted(), "first come, first served within a tenant");
}

#[test]
fn a_large_request_uses_more_of_the_share_of_its_tenant() {
    let mut engine = engine_for(&[], &[Limit::tokens(60_000).per_minute().burst(5_000)], 1_000);
    let cost = |input| Cost { input, ..Cost::default() };
    let first = Ask { cost: cost(5_000), ..ask(&mut engine, at(0.0), 1.0) };
    assert!(engine.admit(at(0.0), &first).is_some());
    for id in 0..100 {
        assert!(line_up(&mut engine, 0.0, id, "large", cost(4_000)));
    }
    for id in 100..600 {
        assert!(line_up(&mut engine, 0.0, id, "small", cost(1_000)));
    }
    let served = served(&mut engine, 120.0);
    let large = served.iter().filter(|id| **id < 100).count();
    let small = served.len() - large;
    assert!((small as f64 / large as f64 - 4.0).abs() < 0.4, "{small} small, {large} large");
}

#[test]
fn a_tenant_saves_up_no_share_during_a_pause() {
    let mut engine = engine_for(&[], &[Limit::requests(60).per_minute().burst(1)], 1_000);
    assert!(admit(&mut engine, at(0.0)).is_some());
    for id in 0..100 {
        assert!(line_up(&mut engine, 0.0, id, "busy", Cost::default()));
    }
    assert_eq!(served(&mut engine, 42.0).len(), 40);
    for id in 100..200 {
        assert!(line_up(&mut engine, 42.0, id, "late", Cost::default()));
    }
    let served = served(&mut engine, 63.0);
    let late = served.iter().filter(|id| **id >= 100).count();
    assert!(late.abs_diff(10) <= 1, "{late} of {} after a pause", served.len());
}

#[test]
fn no_tenant_fills_the_line_for_the_others() {
    let mut engine = engine_for(&[], &[Limit::requests(60).per_minute().burst(1)], 10);
    assert!(admit(&mut engine, at(0.0)).is_some());
    for id in 0..10 {
        assert!(line_up(&mut engine, 0.0, id, "many", Cost::default()));
    }
    assert!(!line_up(&mut engine, 0.0, 10, "many", Cost::default()), "the line is full");
    for id in 20..25 {
        assert!(line_up(&mut engine, 0.0, id, "few", Cost::default()), "its share is half of it");
        let (out, outcome) = engine.serve(at(0.0)).unwrap();
        assert_eq!(out.0, 29 - id, "the last one of the other leaves");
        assert_eq!(outcome.unwrap_err().reason(), Reason::LineFull);
    }
    assert!(!line_up(&mut engine, 0.0, 25, "few", Cost::default()), "it has its share");
    assert_eq!(engine.waiting, 10);
}

#[test]
fn tenants_are_bounded_for_any_number_of_names() {
    let mut engine = engine_for(&[], &[], 10);
    for i in 0..100_000 {
        engine.tenant(Some(&format!("tenant-{i}")));
    }
    engine.tenant(Some(&"x".repeat(100_000)));
    // Beside the tenant without a name and the shared one.
    assert!(engine.tenants.iter().count() <= 1_024 + 2);
}
