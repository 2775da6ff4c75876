//! Lanes are made and forgotten as callers name models.

use super::*;

#[test]
fn lanes_are_bounded_for_any_number_of_model_names() {
    let mut engine = engine(2, &[Limit::requests(60).per_minute().models("gpt-*")]);
    let mut held = Vec::new();
    for i in 0..5_000 {
        let mut want = ask(&mut engine, at(0.0), 1.0);
        want.lane = engine.lane(at(0.0), Some(&format!("model-{i}")));
        held.extend(engine.admit(at(0.0), &want));
    }
    assert!(engine.snapshot(at(0.0), "p".into()).models.len() <= 1_024);
    assert!(held.len() < 2_000, "models beyond the bound escaped every limit");
    held.into_iter().for_each(|grant| engine.end(at(0.0), grant));
    assert!(engine.snapshot(at(0.0), "p".into()).models.iter().all(|lane| lane.in_flight == 0));
    let has_lane = |engine: &mut Engine, now, model: &str| {
        engine.lane(now, Some(model));
        let lanes = engine.snapshot(now, "p".into()).models;
        lanes.iter().any(|lane| lane.model.as_deref() == Some(model))
    };
    assert!(!has_lane(&mut engine, at(59.0), "gpt-4o"), "a lane was taken that is in use");
    assert!(has_lane(&mut engine, at(61.0), "gpt-4o"), "no lane is ever free again");
    assert!(!has_lane(&mut engine, at(200.0), &"x".repeat(257)), "a name of any length is kept");
    assert!(has_lane(&mut engine, at(200.0), &"x".repeat(256)));
}

#[cfg(feature = "balance")]
#[test]
fn a_gate_keeps_its_model_when_its_lane_is_reused() {
    let mut engine = engine(1, &[Limit::requests(1).per_hour().models("m")]);
    let want = ask(&mut engine, at(0.0), 1.0);
    let grant = engine.admit(at(0.0), &want).unwrap();
    engine.end(at(0.0), grant);
    let mut like = engine.ordinary(want.lane, CHAT, Cost::default());
    let key = engine.find_key(&KeyId::new("k0")).unwrap();
    let is_shut = |gate| matches!(gate, Gate::Shut(Some(_)));
    assert!(is_shut(engine.gate(at(100.0), &mut like, key)), "its one request is spent");
    for i in 0..2_000 {
        engine.lane(at(100.0), Some(&format!("model-{i}")));
    }
    assert_ne!(engine.lanes[want.lane].model.as_deref(), Some("m"), "its lane was not given away");
    assert!(is_shut(engine.gate(at(200.0), &mut like, key)), "it went by another model's limits");
}
