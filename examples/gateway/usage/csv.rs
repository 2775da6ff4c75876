//! A usage report as CSV (RFC 4180).

use std::borrow::Cow;

use jiff::Timestamp;
use tower_key_rotation::usage::{Report, Totals};

/// A line of column names, and one line for each row, with the cost in dollars at its end.
///
/// Callers choose some names. A name that a spreadsheet would read as a formula gets an apostrophe in front.
pub(super) fn to_csv(report: &Report) -> String {
    let mut csv = String::new();
    let mut write_line = |cells: &[Cow<'_, str>]| {
        csv.push_str(&cells.join(","));
        csv.push_str("\r\n");
    };
    let begin = report.is_by_interval.then_some("begin");
    let names = begin.into_iter().chain(report.by.iter().map(|by| by.name()));
    let figures = Totals::default().figures().map(|(name, _)| name);
    let header: Vec<_> = names.chain(figures).chain(["dollars"]).map(Cow::Borrowed).collect();
    write_line(&header);
    for row in &report.rows {
        let begin = row.begin.map(|begin| Cow::Owned(rfc3339(begin)));
        let names = report.by.iter().map(|by| cell(row.name(*by).unwrap_or_default()));
        let figures = row.totals.figures().map(|(_, figure)| Cow::Owned(figure.to_string()));
        let cells = begin.into_iter().chain(names).chain(figures);
        write_line(&cells.chain([Cow::Owned(row.totals.dollars())]).collect::<Vec<_>>());
    }
    csv
}

/// Seconds since 1970 as text: `2026-11-25T08:00:00Z`.
fn rfc3339(at: u64) -> String {
    let at = i64::try_from(at).ok().and_then(|at| Timestamp::from_second(at).ok());
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// A name as a cell: never a formula, and quoted if it contains a character that can separate cells.
fn cell(text: &str) -> Cow<'_, str> {
    let is_formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let text = if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) };
    if text.contains([',', '"', '\r', '\n', ';', '\t']) {
        return Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use tower_key_rotation::{
        KeyId,
        usage::{Charge, Dimension, Interval, Ledger, Query, Usage, UsageRecord, UsageSink},
    };

    use super::*;

    /// A ledger with one request of 10 tokens of prompt and 2 of answer.
    fn ledger(tag: &str) -> Ledger {
        let ledger = Ledger::new();
        let at = UNIX_EPOCH + Duration::from_secs(1_795_564_800);
        let (pool, account, key) = ("pool".into(), "org".into(), KeyId::new("k1"));
        let (model, tag) = ("m".into(), tag.into());
        let mut record = UsageRecord::new(&pool, &account, &key, at);
        (record.model, record.tag) = (Some(&model), Some(&tag));
        record.usage = Some(Usage::tokens(10, 2));
        record.charge = Charge::nano_dollars(7);
        ledger.record(&record);
        ledger
    }

    #[test]
    fn a_name_is_never_a_formula_and_never_breaks_a_line() {
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
            let csv = to_csv(&ledger(tag).query(&Query::new().by(Dimension::Tag)));
            let (names, line) = csv.split_once("\r\n").unwrap();
            assert!(names.starts_with("tag,requests,") && names.ends_with(",dollars"), "{names}");
            let figures = "1,0,0,10,0,0,0,2,0,0,0,0,7,0,0.000000007";
            assert_eq!(line, format!("{cell},{figures}\r\n"), "{tag:?}");
        }
    }

    #[test]
    fn intervals_come_first_and_their_column_is_there_without_rows() {
        let query = Query::new().by(Dimension::Key).per(Interval::Day);
        let csv = to_csv(&ledger("t").query(&query));
        let (names, line) = csv.split_once("\r\n").unwrap();
        assert!(names.starts_with("begin,key,requests,"), "{names}");
        assert!(line.starts_with("2026-11-25T00:00:00Z,k1,1,"), "{line}");
        assert_eq!(to_csv(&Ledger::new().query(&query)), format!("{names}\r\n"));
    }
}
