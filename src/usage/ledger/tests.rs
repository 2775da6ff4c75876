//! The ledger: for each query, the parts add up to the whole.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use super::*;
use crate::{
    KeyId,
    usage::{Charge, Usage},
};

/// 2026-11-25T00:00:00Z.
const DAY_START: u64 = 1_795_564_800;

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

struct Request<'a> {
    at: u64,
    key: &'a str,
    model: Option<&'a str>,
    tag: Option<&'a str>,
    usage: Option<Usage>,
    charge: Charge,
}

impl Request<'_> {
    fn count_in(self, ledger: &Ledger) {
        let name = |name: &str| -> Arc<str> { name.into() };
        let (model, tag) = (self.model.map(name), self.tag.map(name));
        ledger.record(&UsageRecord {
            model: model.as_ref(),
            tag: tag.as_ref(),
            usage: self.usage,
            charge: self.charge,
            ..UsageRecord::new(
                &"pool".into(),
                &format!("org-{}", &self.key[..1]).into(),
                &KeyId::new(self.key),
                at(self.at),
            )
        });
    }
}

fn plain<'a>(at: u64, key: &'a str, model: &'a str, tag: Option<&'a str>) -> Request<'a> {
    let usage = Some(Usage::tokens(10, 2));
    let charge = Charge { nano_dollars: 7, unpriced_tokens: 0 };
    Request { at, key, model: Some(model), tag, usage, charge }
}

fn by<const N: usize>(dimensions: [Dimension; N]) -> Query {
    dimensions.into_iter().fold(Query::new(), Query::by)
}

/// What each row of a report is grouped by, and its requests.
fn named_rows(report: &Report) -> Vec<(String, u64)> {
    let name = |row: &ReportRow| {
        let begin = row.begin.map(|begin| begin.to_string());
        let names = report.by.iter().map(|by| row.name(*by).unwrap_or_default().to_owned());
        begin.into_iter().chain(names).collect::<Vec<_>>().join(" ")
    };
    report.rows.iter().map(|row| (name(row), row.totals.requests)).collect()
}

#[test]
fn rows_are_grouped_by_the_dimensions_and_the_interval_of_the_query() {
    use Dimension::{Account, Key, Model, Tag};
    let ledger = Ledger::new();
    for (minute, key, model, tag) in [
        (0, "a1", "m", Some("red")),
        (0, "a1", "n", None),
        (1, "a2", "m", Some("red")),
        (61, "b1", "m", Some("blue")),
    ] {
        plain(DAY_START + minute * 60, key, model, tag).count_in(&ledger);
    }
    let rows = |query: Query| named_rows(&ledger.query(&query));
    let expected = |rows: &[(&str, u64)]| -> Vec<(String, u64)> {
        rows.iter().map(|(name, requests)| (name.to_string(), *requests)).collect()
    };
    assert_eq!(rows(by([])), expected(&[("", 4)]));
    assert_eq!(rows(by([Key])), expected(&[("a1", 2), ("a2", 1), ("b1", 1)]));
    assert_eq!(rows(by([Account])), expected(&[("org-a", 3), ("org-b", 1)]));
    assert_eq!(
        rows(by([Tag, Account, Tag])),
        expected(&[(" org-a", 1), ("blue org-b", 1), ("red org-a", 2)])
    );
    assert_eq!(rows(by([Model])), expected(&[("m", 3), ("n", 1)]));
    let hour = 3_600;
    let (first, second) = (DAY_START.to_string(), (DAY_START + hour).to_string());
    assert_eq!(rows(by([]).per(Interval::Hour)), expected(&[(&first, 3), (&second, 1)]));
    assert_eq!(
        rows(by([Key]).per(Interval::Minute).to(at(DAY_START + 1))),
        expected(&[(&format!("{first} a1"), 2)]),
        "the end is moved to the full minute, and no further"
    );
    let tomorrow = at(DAY_START + 24 * hour);
    assert_eq!(rows(by([]).per(Interval::Day).from(tomorrow)), expected(&[]));
    assert_eq!(rows(by([]).from(at(DAY_START + hour + 59))), expected(&[("", 1)]));
    let second_minute = by([]).from(at(DAY_START + 60)).to(at(DAY_START + 120));
    assert_eq!(rows(second_minute), expected(&[("", 1)]));
    assert_eq!(rows(by([]).from(tomorrow).to(at(DAY_START))), expected(&[]));
}

#[test]
fn a_report_serialises_moments_as_text_and_the_cost_in_dollars() {
    let ledger = Ledger::new();
    plain(DAY_START, "a1", "m", Some("\t=1")).count_in(&ledger);
    plain(DAY_START + 60, "a1", "m", None).count_in(&ledger);
    let query = by([Dimension::Tag, Dimension::Model]).from(at(DAY_START));
    let json = serde_json::to_value(ledger.query(&query)).unwrap();
    assert_eq!((&json["from"], &json["to"]), (&"2026-11-25T00:00:00Z".into(), &().into()));
    assert_eq!((&json["by"], &json["per"]), (&json!(["tag", "model"]), &"day".into()));
    assert_eq!((&json["lines"][0]["tag"], &json["lines"][1]["tag"]), (&().into(), &"\t=1".into()));
    assert_eq!(json["lines"][0]["dollars"], "0.000000007");
    assert_eq!(
        (&json["total"]["requests"], &json["total"]["nano_dollars"]),
        (&2.into(), &14.into())
    );
    let json = serde_json::to_value(ledger.query(&query.per(Interval::Minute))).unwrap();
    assert_eq!(json["lines"][1]["begin"], "2026-11-25T00:01:00Z");
}

#[test]
fn unmetered_and_estimated_requests_are_counted_separately() {
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
    let request = |usage, charge| Request { usage, charge, ..plain(DAY_START, "a1", "m", None) };
    request(Some(usage), charge).count_in(&ledger);
    request(Some(Usage { is_estimated: true, ..usage }), charge).count_in(&ledger);
    request(None, Charge::default()).count_in(&ledger);
    let report = ledger.query(&by([Dimension::Key]));
    let expected = [3, 1, 1, 2, 40, 600, 8_000, 100_000, 1_200_000, 4_321, 650_000, 600, 10, 5];
    assert_eq!(report.total.figures().map(|(_, figure)| figure).collect::<Vec<_>>(), expected);
    assert_eq!(report.total.figures().collect::<Totals>(), report.total);
    assert_eq!(report.unpriced, [("m".into(), 600)].into());
    assert_eq!((report.total.all_input(), report.total.all_output()), (8_642, 1_300_000));
}

#[test]
fn tags_and_then_models_beyond_the_bound_are_combined() {
    let ledger = Ledger::new().max_rows(3);
    for tag in ["1", "2", "3", "4", "5"] {
        plain(DAY_START, "a1", "m", Some(tag)).count_in(&ledger);
    }
    for model in ["n", "o"] {
        plain(DAY_START, "a1", model, None).count_in(&ledger);
        plain(DAY_START, "b1", model, Some("1")).count_in(&ledger);
    }
    let long = "x".repeat(100_000);
    plain(DAY_START, "b1", &long, Some(&long)).count_in(&ledger);
    let report = ledger.query(&by([Dimension::Key, Dimension::Model, Dimension::Tag]));
    let expected = [
        // The seventh combination found neither a row with its tag nor one without.
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
    assert_eq!((named_rows(&report), report.total.requests), (expected.to_vec(), 10));
}

#[test]
fn long_names_are_cut_to_256_bytes() {
    let ledger = Ledger::new();
    let long = "ä".repeat(100_000);
    plain(DAY_START, "b1", &long, Some(&long)).count_in(&ledger);
    let report = ledger.query(&by([Dimension::Model, Dimension::Tag]));
    assert_eq!(report.rows[0].model.as_deref(), Some(&*"ä".repeat(128)));
    assert_eq!(report.rows[0].tag, report.rows[0].model);
}

#[test]
fn the_oldest_intervals_are_dropped_while_longer_ones_stay() {
    let ledger = Ledger::new().retention(Interval::Minute, Duration::from_secs(600));
    for minute in 0..100 {
        plain(DAY_START + minute * 60, "a1", "m", None).count_in(&ledger);
    }
    let minutes = ledger.query(&by([]).per(Interval::Minute));
    assert_eq!(minutes.rows.len(), 10, "{minutes:?}");
    assert_eq!(minutes.rows[0].begin, Some(DAY_START + 90 * 60));
    for interval in [Interval::Hour, Interval::Day] {
        assert_eq!(ledger.query(&by([]).per(interval)).total.requests, 100);
    }
    // Without an interval, a report uses the shortest intervals that are kept so far back.
    let report = ledger.query(&by([]).from(at(DAY_START + 95 * 60)));
    assert_eq!((report.per, report.total.requests), (Interval::Minute, 5));
    let report = ledger.query(&by([]).from(at(DAY_START + 70 * 60)));
    assert_eq!((report.per, report.total.requests), (Interval::Hour, 40));
    assert_eq!(report.from, Some(DAY_START + 3_600));
    // Years later, one interval of each length is left.
    plain(DAY_START + 5_000 * 86_400, "a1", "m", None).count_in(&ledger);
    for interval in Interval::ALL {
        assert_eq!(ledger.query(&by([]).per(interval)).rows.len(), 1, "{interval:?}");
    }
}

/// Random requests and every way to group: the rows of each report add up to what was counted, figure by
/// figure, for all bounds of the ledger.
#[test]
fn parts_always_add_up() {
    let mut rng = fastrand::Rng::with_seed(3);
    for most in [1, 5, 500] {
        let ledger = Ledger::new().max_rows(most);
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
            let request = Request {
                at: DAY_START + rng.u64(..3 * 3_600),
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
            request.count_in(&ledger);
        }
        for bits in 0..32_u8 {
            for per in [None, Some(Interval::Minute), Some(Interval::Hour), Some(Interval::Day)] {
                let asked = (0..).zip(Dimension::ALL).filter(|(bit, _)| bits >> bit & 1 == 1);
                let query = asked.fold(Query { per, ..Query::new() }, |q, (_, by)| q.by(by));
                let report = ledger.query(&query);
                let mut parts = Totals::default();
                report.rows.iter().for_each(|row| parts.add(&row.totals));
                assert_eq!((parts, report.total), (sum, sum), "{query:?}");
                assert_eq!(report.unpriced.values().sum::<u64>(), sum.unpriced);
            }
        }
        for row in ledger.query(&by([Dimension::Key])).rows {
            assert_eq!(row.totals, by_key[row.key.as_ref().unwrap().as_str()], "{row:?}");
        }
        // A copy that loads the rows of a store has the same sums, even if the store took some rows twice.
        let copy = Ledger::new().max_rows(most);
        let taken = ledger.take_changed();
        ledger.mark_changed(&taken[..taken.len() / 2]);
        let again = ledger.take_changed();
        assert_eq!(again.len(), taken.len() / 2);
        assert_eq!(ledger.take_changed(), []);
        let rest = taken[taken.len() / 2..].iter().cloned();
        copy.load(again.into_iter().chain(rest));
        for query in [
            by([Dimension::Key]).per(Interval::Minute),
            by([Dimension::Account]).per(Interval::Hour),
            by([]).per(Interval::Day),
        ] {
            assert_eq!(copy.query(&query).rows, ledger.query(&query).rows, "{query:?}");
        }
        assert_eq!(copy.take_changed(), [], "loaded rows have not changed");
    }
}
