//! Whatever is asked, the parts add up to the whole.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::*;
use crate::{
    KeyId, Usage,
    usage::{Charge, Spent},
};

/// 2026-11-25T00:00:00Z.
const DAY_BEGINS: u64 = 1_795_564_800;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

struct Book<'a> {
    at: u64,
    key: &'a str,
    model: Option<&'a str>,
    tag: Option<&'a str>,
    usage: Option<Usage>,
    charge: Charge,
}

impl Book<'_> {
    fn into(self, ledger: &Ledger) {
        let name = |name: &str| -> Arc<str> { name.into() };
        let (model, tag) = (self.model.map(name), self.tag.map(name));
        ledger.record(&Spent {
            pool: &"pool".into(),
            account: &format!("org-{}", &self.key[..1]).into(),
            key: &KeyId::new(self.key),
            model: model.as_ref(),
            tag: tag.as_ref(),
            at: at(self.at),
            usage: self.usage,
            charge: self.charge,
        });
    }
}

fn plain<'a>(at: u64, key: &'a str, model: &'a str, tag: Option<&'a str>) -> Book<'a> {
    let usage = Some(Usage::tokens(10, 2));
    let charge = Charge { nano_dollars: 7, unpriced_tokens: 0 };
    Book { at, key, model: Some(model), tag, usage, charge }
}

fn ask(ledger: &Ledger, query: &str) -> Report {
    ledger.query(&query.parse().unwrap())
}

/// Of a report's lines, what they are told apart by, and how many requests.
fn told(report: &Report) -> Vec<(String, u64)> {
    let csv = report.to_csv();
    let names = report.by.len() + usize::from(report.lines.iter().any(|l| l.begin.is_some()));
    let name = |line: &str| line.split(',').take(names).collect::<Vec<_>>().join(" ");
    let names = csv.lines().skip(1).map(name);
    names.zip(report.lines.iter().map(|line| line.totals.requests)).collect()
}

#[test]
fn sums_are_told_apart_by_whatever_is_asked() {
    let ledger = Ledger::new();
    for (minute, key, model, tag) in [
        (0, "a1", "m", Some("red")),
        (0, "a1", "n", None),
        (1, "a2", "m", Some("red")),
        (61, "b1", "m", Some("blue")),
    ] {
        plain(DAY_BEGINS + minute * 60, key, model, tag).into(&ledger);
    }
    let told = |query: &str| told(&ask(&ledger, query));
    let lines = |lines: &[(&str, u64)]| -> Vec<(String, u64)> {
        lines.iter().map(|(name, requests)| (name.to_string(), *requests)).collect()
    };
    assert_eq!(told(""), lines(&[("", 4)]));
    assert_eq!(told("by=key"), lines(&[("a1", 2), ("a2", 1), ("b1", 1)]));
    assert_eq!(told("by=account"), lines(&[("org-a", 3), ("org-b", 1)]));
    assert_eq!(
        told("by=tag,account&x=y"),
        lines(&[(" org-a", 1), ("blue org-b", 1), ("red org-a", 2)])
    );
    assert_eq!(told("by=model"), lines(&[("m", 3), ("n", 1)]));
    assert_eq!(told("by=hour"), lines(&[("2026-11-25T00:00:00Z", 3), ("2026-11-25T01:00:00Z", 1)]));
    assert_eq!(
        told("by=minute,key&to=2026-11-25T00:00:01Z"),
        lines(&[("2026-11-25T00:00:00Z a1", 2)]),
        "moved outwards to the full minute, and no further"
    );
    assert_eq!(told("by=day&from=2026-11-26"), lines(&[]));
    assert!(ask(&ledger, "by=day,key&from=2026-11-26").to_csv().starts_with("begin,key,requests,"));
    assert_eq!(told("from=2026-11-25T01:00:59Z"), lines(&[("", 1)]));
    assert_eq!(
        told(&format!("from={}&to={}", DAY_BEGINS + 60, DAY_BEGINS + 120)),
        lines(&[("", 1)])
    );
    assert_eq!(
        told("from=2026-11-25T00%3A01%3A00Z&to=2026-11-25T00:02:00%2B00:00"),
        lines(&[("", 1)])
    );
    assert_eq!(told("from=2027-01-01&to=2026-01-01"), lines(&[]));
}

#[test]
fn what_cannot_be_asked_is_named() {
    for (query, words) in [
        ("by=colour", "\"colour\" is none of pool"),
        ("by=hour,day", "hour and day: one of them"),
        ("from=yesterday", "from: \"yesterday\" is not a time"),
        ("to=2026-13-01", "to: \"2026-13-01\""),
        ("to=-5", "to: \"-5\""),
    ] {
        let error = query.parse::<Query>().unwrap_err().to_string();
        assert!(error.contains(words), "{query}: {error}");
    }
    // A moment before 1970 is the beginning of all.
    assert_eq!("from=1900-01-01".parse::<Query>().unwrap().from, Some(0));
}

#[test]
fn unmetered_and_estimated_requests_stand_apart() {
    let ledger = Ledger::new();
    let usage = Usage {
        input: 1,
        cache_read: 20,
        cache_write: 300,
        cache_write_1h: 4_000,
        output: 50_000,
        reasoning: 600_000,
        ..Usage::default()
    };
    let charge = Charge { nano_dollars: 5, unpriced_tokens: 300 };
    let book = |usage, charge| Book { usage, charge, ..plain(DAY_BEGINS, "a1", "m", None) };
    book(Some(usage), charge).into(&ledger);
    book(Some(Usage { is_estimated: true, ..usage }), charge).into(&ledger);
    book(None, Charge::default()).into(&ledger);
    let report = ask(&ledger, "by=key");
    let expected = [3, 1, 1, 2, 40, 600, 8_000, 100_000, 1_200_000, 4_321, 650_000, 600, 10, 5];
    assert_eq!(report.total.figures(), expected);
    assert_eq!(Totals::from_figures(expected), report.total);
    assert_eq!(report.unpriced, [("m".into(), 600)].into());
    assert_eq!((report.total.all_input(), report.total.all_output()), (8_642, 1_300_000));
}

#[test]
fn names_of_callers_are_no_formulas_and_do_not_break_lines() {
    let ledger = Ledger::new();
    for (tag, cell) in [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "\"'\t=1\""),
        ("\r\n=1", "\"'\r\n=1\""),
        ("＝1", "'＝1"),
        ("a,b", "\"a,b\""),
        ("say \"hi\"", "\"say \"\"hi\"\"\""),
        ("a;=1+1", "\"a;=1+1\""),
        ("two\nlines", "\"two\nlines\""),
        ("plain 1-2=3", "plain 1-2=3"),
    ] {
        let ledger_of_one = Ledger::new();
        plain(DAY_BEGINS, "a1", "m", Some(tag)).into(&ledger_of_one);
        let csv = ask(&ledger_of_one, "by=tag").to_csv();
        let (names, line) = csv.split_once("\r\n").unwrap();
        assert!(names.starts_with("tag,requests,") && names.ends_with(",dollars"), "{names}");
        assert_eq!(line, format!("{cell},1,0,0,10,0,0,0,2,0,0,0,0,7,0,0.000000007\r\n"), "{tag:?}");
        plain(DAY_BEGINS, "a1", "m", Some(tag)).into(&ledger);
    }
    // As JSON they stay what they are.
    let json = serde_json::to_value(ask(&ledger, "by=tag,model&from=2026-11-25")).unwrap();
    assert_eq!(json["lines"][0]["tag"], "\t=1");
    assert_eq!(json["lines"][0]["dollars"], "0.000000007");
    assert_eq!((&json["from"], &json["to"]), (&"2026-11-25T00:00:00Z".into(), &().into()));
    assert_eq!(json["total"]["requests"], 12);
    assert_eq!(json["by"], serde_json::json!(["tag", "model"]));
    assert_eq!(json["per"], "day");
}

#[test]
fn what_there_is_no_line_for_is_added_up_under_another_name() {
    let ledger = Ledger::new().lines(3);
    for tag in ["1", "2", "3", "4", "5"] {
        plain(DAY_BEGINS, "a1", "m", Some(tag)).into(&ledger);
    }
    for model in ["n", "o"] {
        plain(DAY_BEGINS, "a1", model, None).into(&ledger);
        plain(DAY_BEGINS, "b1", model, Some("1")).into(&ledger);
    }
    let long = "x".repeat(100_000);
    plain(DAY_BEGINS, "b1", &long, Some(&long)).into(&ledger);
    let report = ask(&ledger, "by=key,model,tag");
    let expected = [
        // The model was the seventh: it found no line with a tag, and none without.
        ("a1 (other) ", 1),
        ("a1 m (other)", 2),
        ("a1 m 1", 1),
        ("a1 m 2", 1),
        ("a1 m 3", 1),
        ("a1 n ", 1),
        ("b1 (other) (other)", 2),
        ("b1 n (other)", 1),
    ];
    let expected = expected.map(|(name, requests)| (name.to_owned(), requests));
    assert_eq!((told(&report), report.total.requests), (expected.to_vec(), 10));
}

#[test]
fn long_names_are_cut() {
    let ledger = Ledger::new();
    let long = "ä".repeat(100_000);
    plain(DAY_BEGINS, "b1", &long, Some(&long)).into(&ledger);
    let report = ask(&ledger, "by=model,tag");
    assert_eq!(report.lines[0].model.as_deref(), Some(&*"ä".repeat(128)));
    assert_eq!(report.lines[0].tag, report.lines[0].model);
}

#[test]
fn the_oldest_are_dropped_and_coarser_sums_stay() {
    let ledger = Ledger::new().keep(Per::Minute, Duration::from_secs(600));
    for minute in 0..100 {
        plain(DAY_BEGINS + minute * 60, "a1", "m", None).into(&ledger);
    }
    let minutes = ask(&ledger, "by=minute");
    assert_eq!(minutes.lines.len(), 10, "{minutes:?}");
    assert_eq!(minutes.lines[0].begin, Some(DAY_BEGINS + 90 * 60));
    assert_eq!(ask(&ledger, "by=hour").total.requests, 100);
    assert_eq!(ask(&ledger, "by=day").total.requests, 100);
    // What is asked of the time before is answered by the finest that are kept so far back.
    let report = ask(&ledger, &format!("from={}", DAY_BEGINS + 95 * 60));
    assert_eq!((report.per, report.total.requests), (Per::Minute, 5));
    let report = ask(&ledger, &format!("from={}", DAY_BEGINS + 70 * 60));
    assert_eq!((report.per, report.total.requests), (Per::Hour, 40));
    assert_eq!(report.from, Some(DAY_BEGINS + 3_600));
    // Years later, in memory there is one of each.
    plain(DAY_BEGINS + 5_000 * 86_400, "a1", "m", None).into(&ledger);
    for by in ["minute", "hour", "day"] {
        assert_eq!(ask(&ledger, &format!("by={by}")).lines.len(), 1, "{by}");
    }
}

/// Random bookings, and every way to ask: each report's lines add up to what was booked, figure by
/// figure, whatever is kept and however few lines there are.
#[test]
fn parts_always_add_up() {
    let mut rng = fastrand::Rng::with_seed(3);
    for most in [1, 5, 500] {
        let ledger = Ledger::new().lines(most);
        let (mut sum, mut by_key) = (Totals::default(), HashMap::<&str, Totals>::new());
        for _ in 0..2_000 {
            let key = ["a1", "a2", "b1"][rng.usize(..3)];
            let usage = Usage {
                input: rng.u64(..1 << 53),
                cache_read: rng.u64(..1_000),
                cache_write: rng.u64(..1_000),
                cache_write_1h: rng.u64(..1_000),
                output: rng.u64(..1_000),
                reasoning: rng.u64(..1_000),
                is_estimated: rng.bool(),
                ..Usage::default()
            };
            let usage = Some(usage).filter(|_| rng.u8(..5) > 0);
            let charge = usage.map_or(Charge::default(), |usage| Charge {
                nano_dollars: rng.u64(..1 << 40),
                unpriced_tokens: rng.u64(..=usage.total()),
            });
            let (model, tag) = (rng.u8(..8).to_string(), rng.u8(..8).to_string());
            let book = Book {
                at: DAY_BEGINS + rng.u64(..3 * 3_600),
                key,
                model: Some(&*model).filter(|_| rng.u8(..5) > 0),
                tag: Some(&*tag).filter(|_| rng.bool()),
                usage,
                charge,
            };
            let mut totals = Totals { requests: 1, ..Totals::default() };
            match usage {
                None => totals.unmetered_requests = 1,
                Some(usage) => {
                    totals.input = usage.input;
                    totals.cache_read = usage.cache_read;
                    totals.cache_write = usage.cache_write;
                    totals.cache_write_1h = usage.cache_write_1h;
                    totals.output = usage.output;
                    totals.reasoning = usage.reasoning;
                    totals.nano_dollars = charge.nano_dollars;
                    totals.unpriced = charge.unpriced_tokens;
                    if usage.is_estimated {
                        totals.estimated_requests = 1;
                        totals.estimated_input = usage.all_input();
                        totals.estimated_output = usage.all_output();
                        totals.estimated_nano_dollars = charge.nano_dollars;
                    }
                }
            }
            sum.add(&totals);
            by_key.entry(key).or_default().add(&totals);
            book.into(&ledger);
        }
        for bits in 0..32_u8 {
            for per in [None, Some(Per::Minute), Some(Per::Hour), Some(Per::Day)] {
                let by = [By::Pool, By::Account, By::Key, By::Model, By::Tag];
                let asked = (0..).zip(by).filter(|(bit, _)| bits >> bit & 1 == 1);
                let query = asked.fold(Query { per, ..Query::new() }, |q, (_, by)| q.by(by));
                let report = ledger.query(&query);
                let mut parts = Totals::default();
                report.lines.iter().for_each(|line| parts.add(&line.totals));
                assert_eq!((parts, report.total), (sum, sum), "{query:?}");
                assert_eq!(report.unpriced.values().sum::<u64>(), sum.unpriced);
            }
        }
        for line in ask(&ledger, "by=key").lines {
            assert_eq!(line.totals, by_key[line.key.as_ref().unwrap().as_str()], "{line:?}");
        }
        // The same from lines that were kept, a part at a time and some of them twice.
        let copy = Ledger::new().lines(most);
        let taken = ledger.take_changed();
        ledger.give_back(&taken[..taken.len() / 2]);
        let again = ledger.take_changed();
        assert_eq!(again.len(), taken.len() / 2);
        assert_eq!(ledger.take_changed(), []);
        let rest = taken[taken.len() / 2..].iter().cloned();
        copy.load(again.into_iter().chain(rest));
        for query in ["by=minute,key", "by=hour,account", "by=day"] {
            assert_eq!(ask(&copy, query).lines, ask(&ledger, query).lines, "{query}");
        }
        assert_eq!(copy.take_changed(), [], "what was kept has not changed");
    }
}
