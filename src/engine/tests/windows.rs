//! Limits in fixed windows.

use std::time::Duration;

use super::super::{meter::window::Window, room::Room, time::Time};
use crate::Limit;

fn at(text: &str, limit: &Limit) -> Window {
    Window::new(limit, text.parse().unwrap())
}

fn secs(seconds: f64) -> Time {
    Time::from_nanos((seconds * 1e9) as u64)
}

fn opens(window: &Window) -> f64 {
    match window.room(1) {
        Room::At(open) => open.nanos() as f64 / 1e9,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_window_ends_at_the_full_minute() {
    let mut window = at("2026-01-01T10:00:40Z", &Limit::requests(2).per_minute().fixed());
    window.take(secs(0.0), 2);
    assert_eq!(opens(&window), 20.25, "20 s, and the skew");
    assert_eq!(window.room(3), Room::Never);
    window.take(secs(20.25), 1);
    assert_eq!(opens(&window), 0.0);
    window.take(secs(21.0), 1);
    assert_eq!(opens(&window), 80.25);
}

#[test]
fn a_request_at_the_edge_counts_in_both_windows() {
    let mut window = at("2026-01-01T10:00:00Z", &Limit::requests(3).per_minute().fixed());
    window.take(secs(10.0), 1);
    window.take(secs(59.9), 2);
    assert_eq!(opens(&window), 60.25);
    window.take(secs(60.3), 1);
    assert_eq!(opens(&window), 120.25, "two of the last window may be counted in this one");
}

#[test]
fn days_are_as_long_as_in_their_time_zone() {
    let limit = Limit::requests(1).per_day().in_zone("America/Los_Angeles");
    // Clocks go forward on 8 March 2026 and back on 1 November 2026.
    for (noon, hours) in [
        ("2026-03-07T20:00:00Z", 12.0),
        ("2026-03-08T19:00:00Z", 12.0),
        ("2026-03-08T08:30:00Z", 22.5),
        ("2026-11-01T07:30:00Z", 24.5),
    ] {
        let mut window = at(noon, &limit);
        window.take(secs(1.0), 1);
        assert_eq!(opens(&window), hours * 3600.0 + 0.25, "{noon}");
    }
}

#[test]
fn an_unused_part_does_not_come_back_in_the_next_window() {
    let mut window = at("2026-01-01T10:00:00Z", &Limit::tokens(10).per_minute().fixed());
    window.take(secs(1.0), 10);
    window.take(secs(61.0), 10);
    assert!(!window.settle(secs(62.0), secs(1.0), 10, 0), "reserved in the last window");
    assert_eq!(opens(&window), 120.25);
    assert!(window.settle(secs(63.0), secs(61.0), 10, 4));
    assert_eq!(opens(&window), 0.0);
    window.settle(secs(64.0), secs(1.0), 10, 16);
    assert_eq!(window.room(1), Room::At(secs(120.25)), "used beyond: charged to this one");
}

#[test]
fn an_unused_part_at_the_edge_comes_back_in_both_windows() {
    let limit = Limit::requests(3).per_minute().fixed();
    let mut window = at("2026-01-01T10:00:00Z", &limit);
    window.take(secs(10.0), 1);
    window.take(secs(59.9), 2);
    assert!(window.settle(secs(59.95), secs(59.9), 1, 0));
    window.take(secs(60.3), 2);
    assert_eq!(opens(&window), 120.25);
    assert!(window.settle(secs(60.4), secs(59.9), 1, 0), "it may be counted in this one");
    window.take(secs(60.5), 1);
    assert_eq!(opens(&window), 120.25);
    assert!(window.settle(secs(60.6), secs(60.5), 1, 0));
    assert_eq!(opens(&window), 0.0);
}

#[test]
fn an_unused_part_after_an_edge_does_not_come_back_windows_later() {
    let mut window = at("2026-01-01T10:00:00Z", &Limit::requests(3).per_minute().fixed());
    window.take(secs(60.1), 3);
    window.take(secs(200.0), 3);
    assert!(!window.settle(secs(201.0), secs(60.1), 3, 0));
    assert_eq!(opens(&window), 240.25);
}

#[test]
fn a_window_first_looked_at_near_its_end_ends_there() {
    let mut window = at("2026-01-01T10:00:00Z", &Limit::requests(3).per_minute().fixed());
    window.take(secs(59.9), 2);
    window.take(secs(119.9), 1);
    window.take(secs(120.3), 1);
    assert_eq!(opens(&window), 0.0, "two of two windows before are counted in this one");
}

#[test]
fn windows_shorter_than_the_margin_are_merged() {
    let limit = Limit::requests(3).per(Duration::from_millis(100)).fixed();
    let mut window = at("2026-01-01T10:00:00Z", &limit);
    window.take(secs(1.0), 3);
    assert!(opens(&window) >= 1.5, "these may arrive together with the next");
}

#[test]
fn a_late_request_counts_through_the_longest_day() {
    let limit = Limit::requests(2).per_day().in_zone("America/Los_Angeles");
    let mut window = at("2026-11-01T06:00:00Z", &limit);
    window.take(secs(3_599.9), 1);
    window.take(secs(3_600.0 + 24.5 * 3_600.0), 1);
    assert_eq!(opens(&window), 3_600.0 + 25.0 * 3_600.0 + 0.25);
}

#[test]
fn a_reported_end_moves_the_window() {
    let mut window = at("2026-01-01T10:00:00Z", &Limit::requests(5).per_hour().fixed());
    window.lower(secs(10.0), 0, Some(Duration::from_secs(100)));
    assert_eq!(opens(&window), 110.25);
    window.take(secs(111.0), 5);
    assert_eq!(opens(&window), 110.25 + 3_600.0);
}

#[test]
fn a_report_of_another_window_does_not_change_this_one() {
    let lower = |window: &mut Window, now, left, reset| {
        window.lower(secs(now), left, Some(Duration::from_secs_f64(reset)));
    };
    let mut window = at("2026-01-01T10:00:00Z", &Limit::requests(5).per_minute().fixed());
    lower(&mut window, 10.0, 5, 50.0);
    window.take(secs(59.0), 5);
    lower(&mut window, 60.05, 4, 59.9);
    assert_eq!(
        opens(&window),
        60.25,
        "the next window had begun there, and ended ours a minute late"
    );
    window.take(secs(60.3), 1);
    lower(&mut window, 61.0, 0, 0.5);
    assert_eq!(opens(&window), 0.0, "an answer of the last window used up this one");
}
