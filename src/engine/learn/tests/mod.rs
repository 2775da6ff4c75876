//! The learner against limiters of every kind.

mod provider;
mod targets;
mod world;

use std::time::Duration;

use crate::{
    engine::{
        ask::Cost,
        room::Room,
        time::{SECOND, Time},
    },
    limit::Metered,
    provider::{LimitReading, Refill},
    verdict::Scope,
};

use super::{Elsewhere, Learner, Lesson, Observation, Source, Ticket, told::Allowance};

const COST: Cost = Cost { input: 100, output: 100, spend: 0 };

fn at(seconds: f64) -> Time {
    Time::ZERO.plus((seconds * SECOND as f64) as u64)
}

fn reading(limit: u64, remaining: u64, reset: f64) -> LimitReading {
    LimitReading {
        limit: Some(limit),
        remaining: Some(remaining),
        reset: Some(Duration::from_secs_f64(reset)),
        ..LimitReading::new(Metered::Requests, Scope::Model, Refill::Rolling)
    }
}

fn accept(learner: &mut Learner, now: Time, ticket: &Ticket, readings: &[LimitReading]) {
    for reading in readings {
        learner.read(now, ticket, reading);
    }
    learner.observe(now, ticket, Observation::Accepted);
    learner.observe(now, ticket, Observation::Ended);
}

fn refuse(learner: &mut Learner, now: Time, ticket: &Ticket) -> Option<Lesson> {
    let lesson = learner.observe(
        now,
        ticket,
        Observation::Refused { retry_after: None, elsewhere: Elsewhere::Nothing },
    );
    learner.observe(now, ticket, Observation::Ended);
    lesson
}

/// Sends a request, whether there is room or not, which is answered at once.
fn ask(learner: &mut Learner, now: Time, readings: &[LimitReading]) {
    let ticket = learner.take(now, &COST);
    accept(learner, now, &ticket, readings);
}

fn has_room(learner: &Learner, now: Time) -> bool {
    matches!(learner.room(now, &COST), Room::At(open) if open <= now)
}

/// How many requests are sent within some seconds, if as many are as there is room for and none is answered.
fn sent(learner: &mut Learner, from: f64, until: f64) -> usize {
    let ticks = ((until - from) * 20.0) as u32;
    let moments = (0..ticks).map(|tick| at(from + f64::from(tick) / 20.0));
    let mut sent = 0;
    for now in moments {
        while has_room(learner, now) && sent < 10_000 {
            learner.take(now, &COST);
            sent += 1;
        }
    }
    sent
}

fn limits(learner: &Learner, now: Time) -> Vec<(String, Source)> {
    learner.limits(now).map(|belief| (belief.limit.to_string(), belief.source)).collect()
}

#[test]
fn a_bucket_that_is_smaller_than_its_limit_is_recognised() {
    let mut learner = Learner::new(at(0.0), 4);
    // Sixty a minute, of which five can be saved up.
    for (remaining, reset) in [(4, 1.0), (3, 2.0), (2, 3.0), (1, 4.0), (0, 5.0)] {
        ask(&mut learner, at(0.0), &[reading(60, remaining, reset)]);
    }
    let served = sent(&mut learner, 0.0, 60.0);
    assert!((57..=60).contains(&served), "{served} in a minute");
    let known = limits(&learner, at(60.0));
    assert_eq!(known, [("60 requests/min burst 5".into(), Source::Told)]);
}

#[test]
fn a_window_of_any_length_is_waited_out_and_then_tried_by_one_request() {
    let mut learner = Learner::new(at(0.0), 4);
    ask(&mut learner, at(0.0), &[reading(10, 9, 10.0)]);
    for used in 2..=10 {
        ask(&mut learner, at(3.0), &[reading(10, 10 - used, 7.0)]);
    }
    assert_eq!(sent(&mut learner, 3.0, 10.0), 0, "the window is spent");
    assert_eq!(sent(&mut learner, 10.0, 10.3), 1, "one finds out whether it is over");
    let ticket = learner.take(at(10.3), &COST);
    accept(&mut learner, at(10.6), &ticket, &[reading(10, 8, 9.4)]);
    let served = sent(&mut learner, 10.6, 19.0);
    assert!((7..=8).contains(&served), "{served} of the next window");
}

#[test]
fn what_is_under_way_is_not_sent_twice() {
    let mut learner = Learner::new(at(0.0), 20);
    let tickets: Vec<_> = (0..8).map(|_| learner.take(at(0.0), &COST)).collect();
    accept(&mut learner, at(0.5), &tickets[0], &[reading(10, 9, 60.0)]);
    assert_eq!(sent(&mut learner, 0.5, 1.0), 2, "seven of the nine are under way");
}

#[test]
fn an_answer_that_comes_late_changes_nothing() {
    let mut learner = Learner::new(at(0.0), 20);
    let tickets: Vec<_> = (0..2).map(|_| learner.take(at(0.0), &COST)).collect();
    accept(&mut learner, at(0.5), &tickets[1], &[reading(10, 0, 30.0)]);
    accept(&mut learner, at(0.6), &tickets[0], &[reading(10, 1, 30.0)]);
    assert_eq!(sent(&mut learner, 0.6, 30.0), 0);
}

#[test]
fn a_limit_that_changes_is_learnt_anew() {
    let mut learner = Learner::new(at(0.0), 20);
    ask(&mut learner, at(0.0), &[reading(60, 59, 60.0)]);
    ask(&mut learner, at(1.0), &[reading(6, 0, 59.0)]);
    assert_eq!(sent(&mut learner, 1.0, 59.0), 0);
}

#[test]
fn a_request_that_is_larger_than_a_limit_never_fits() {
    let mut learner = Learner::new(at(0.0), 4);
    let tokens = LimitReading { metered: Metered::Tokens, ..reading(1_000, 800, 60.0) };
    ask(&mut learner, at(0.0), &[tokens]);
    let large = Cost { input: 1_001, ..COST };
    assert_eq!(learner.room(at(0.0), &large), Room::Never);
}

#[test]
fn a_pace_is_found_from_two_refusals() {
    let mut learner = Learner::new(at(0.0), 100);
    for second in 0..20 {
        ask(&mut learner, at(f64::from(second) / 2.0), &[]);
    }
    let ticket = learner.take(at(10.0), &COST);
    assert!(refuse(&mut learner, at(10.1), &ticket).is_some());
    let first = sent(&mut learner, 10.1, 40.1);
    assert!((30..60).contains(&first), "{first} in half a minute, of at most 60");
    assert_eq!(limits(&learner, at(40.1))[0].1, Source::Paced);
}

#[test]
fn refusals_of_requests_that_were_under_way_teach_once() {
    let refused = |times: usize| {
        let mut learner = Learner::new(at(0.0), 100);
        (0..10).for_each(|second| ask(&mut learner, at(f64::from(second)), &[]));
        let tickets: Vec<_> = (0..times).map(|_| learner.take(at(10.0), &COST)).collect();
        for ticket in &tickets {
            refuse(&mut learner, at(10.2), ticket);
        }
        learner.inferred.pace.rate()
    };
    assert_eq!(refused(1), refused(20));
}

#[test]
fn an_account_that_accepts_nothing_is_tried_by_one_request_at_a_time() {
    let mut learner = Learner::new(at(0.0), 100);
    let (mut now, mut tries) = (0.0, 0);
    while now < 600.0 {
        if has_room(&learner, at(now)) {
            let ticket = learner.take(at(now), &COST);
            assert!(tries == 0 || !has_room(&learner, at(now)), "after {tries} refusals");
            refuse(&mut learner, at(now + 0.1), &ticket);
            tries += 1;
        }
        now += 0.1;
    }
    assert!((15..=18).contains(&tries), "{tries} in ten minutes");
}

#[test]
fn a_limit_on_concurrency_is_told_from_a_rate() {
    let mut learner = Learner::new(at(0.0), 100);
    // Two at once, each for ten seconds; one is sent beside them every few seconds.
    let mut now = 0.0;
    for _ in 0..6 {
        let two: Vec<_> = (0..2).map(|_| learner.take(at(now), &COST)).collect();
        let third = learner.take(at(now + 1.0), &COST);
        refuse(&mut learner, at(now + 1.1), &third);
        two.iter().for_each(|ticket| accept(&mut learner, at(now + 10.0), ticket, &[]));
        now += 15.0;
    }
    let known = limits(&learner, at(now));
    assert!(known.contains(&("2 concurrent".into(), Source::Inferred)), "{known:?}");
    let rate = learner.inferred.pace.rate().map_or(f64::MAX, |(rate, _)| rate);
    assert!(rate > 0.1, "{rate} a second, of which 0.13 were accepted");
}

#[test]
fn a_lesson_that_was_none_is_taken_back() {
    let mut learner = Learner::new(at(0.0), 100);
    (0..20).for_each(|second| ask(&mut learner, at(f64::from(second) / 2.0), &[]));
    let ticket = learner.take(at(10.0), &COST);
    let lesson = refuse(&mut learner, at(10.1), &ticket).expect("a lesson");
    assert!(!has_room(&learner, at(10.1)));
    learner.take_back(&lesson);
    assert!(has_room(&learner, at(10.1)));
    assert_eq!(limits(&learner, at(10.1)), []);
}

#[test]
fn a_lesson_stays_if_another_one_came_since() {
    let mut learner = Learner::new(at(0.0), 100);
    (0..20).for_each(|second| ask(&mut learner, at(f64::from(second) / 2.0), &[]));
    let ticket = learner.take(at(10.0), &COST);
    let lesson = refuse(&mut learner, at(10.1), &ticket).expect("a lesson");
    let other = learner.take(at(12.0), &COST);
    refuse(&mut learner, at(12.1), &other);
    learner.take_back(&lesson);
    assert!(!has_room(&learner, at(12.1)));
}

#[test]
fn a_request_that_was_not_sent_costs_nothing() {
    let mut learner = Learner::new(at(0.0), 4);
    ask(&mut learner, at(0.0), &[reading(10, 1, 60.0)]);
    let ticket = learner.take(at(1.0), &COST);
    assert!(!has_room(&learner, at(1.0)));
    learner.observe(at(1.1), &ticket, Observation::NotSent);
    assert!(has_room(&learner, at(1.1)));
}

#[test]
fn an_account_begins_with_the_pace_of_one_that_is_like_it_until_it_differs() {
    let paced = |gap: f64| {
        let mut learner = Learner::new(at(0.0), 100);
        let mut now = 0.0;
        for _ in 0..3 {
            for _ in 0..40 {
                ask(&mut learner, at(now), &[]);
                now += gap;
            }
            let ticket = learner.take(at(now), &COST);
            refuse(&mut learner, at(now), &ticket);
            now += gap;
        }
        learner
    };
    let (slow, fast) = (paced(1.0), paced(0.25));
    let mut new = Learner::new(at(200.0), 100);
    new.seed(at(200.0), &slow);
    let served = sent(&mut new, 200.0, 210.0);
    assert!((8..=14).contains(&served), "{served} in ten seconds");
    assert!(slow.is_unlike(&fast));
    assert!(!slow.is_unlike(&paced(1.1)));
    assert!(!slow.is_unlike(&Learner::new(at(0.0), 4)), "nothing shows that they differ");
}

#[test]
fn what_is_learnt_is_small() {
    assert!(size_of::<Learner>() <= 640, "{} bytes", size_of::<Learner>());
    assert!(size_of::<Allowance>() <= 640, "{} bytes for each limit", size_of::<Allowance>());
}

/// A number below a power of two, of any size.
fn any(rng: &mut fastrand::Rng, bits: u32) -> u64 {
    let bits = rng.u32(1..bits);
    rng.u64(0..1 << bits)
}

#[test]
fn no_answer_however_absurd_keeps_an_account_from_being_tried() {
    for seed in 0..200 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut learner = Learner::new(at(0.0), rng.u32(0..10));
        let (mut now, mut open) = (Time::ZERO, Vec::new());
        let mut last = Time::ZERO;
        for _ in 0..2_000 {
            now = now.plus(any(&mut rng, 36));
            let cost = Cost { input: any(&mut rng, 41), ..COST };
            if has_room(&learner, now) {
                open.push(learner.take(now, &cost));
                last = now;
            }
            assert!((0.0..1e18).contains(&learner.used_share(now)));
            learner.limits(now).for_each(|belief| assert!(belief.limit.amount() > 0));
            if open.is_empty() {
                continue;
            }
            let ticket = open.swap_remove(rng.usize(0..open.len()));
            for metered in [Metered::Requests, Metered::Tokens, Metered::InputTokens] {
                let [limit, remaining, reset] = [(); 3].map(|()| any(&mut rng, 64));
                let reading = LimitReading {
                    limit: Some(limit).filter(|_| rng.bool()),
                    remaining: Some(remaining).filter(|_| rng.bool()),
                    reset: Some(Duration::from_nanos(reset)).filter(|_| rng.bool()),
                    period: Some(Duration::from_nanos(reset)).filter(|_| rng.u8(..) < 20),
                    ..LimitReading::new(metered, Scope::Model, Refill::Rolling)
                };
                learner.read(now, &ticket, &reading);
            }
            match rng.u8(0..4) {
                0 => {
                    refuse(&mut learner, now, &ticket);
                }
                1 => {
                    learner.observe(now, &ticket, Observation::NotSent);
                }
                _ => {
                    accept(&mut learner, now, &ticket, &[]);
                    let used = Cost { output: any(&mut rng, 41), ..ticket.entry.cost };
                    learner.observe(now, &ticket, Observation::Settled { used });
                }
            }
        }
        open.iter().for_each(|ticket| accept(&mut learner, now, ticket, &[]));
        // The longest that anything can last.
        let month = last.plus(40 * 86_400 * SECOND).max(now);
        let least = Cost::default();
        let room = learner.room(month, &least);
        assert!(matches!(room, Room::At(open) if open <= month), "seed {seed}: {room:?}");
    }
}
