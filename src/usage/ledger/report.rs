//! What the ledger says, as JSON and as CSV.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{By, Per, Query, Totals, Whose, books::Books, query::shown};
use crate::{KeyId, usage::price::dollars};

/// The answer to a [`Query`]. It serialises to JSON as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// What its lines are told apart by.
    pub by: Vec<By>,
    /// Of which sums it is made.
    pub per: Per,
    /// From when on: seconds since 1970; none if it was not asked.
    #[serde(serialize_with = "time")]
    pub from: Option<u64>,
    /// Until when; none if it was not asked.
    #[serde(serialize_with = "time")]
    pub to: Option<u64>,
    /// The sums, by time and then by name.
    pub lines: Vec<ReportLine>,
    /// The sum of all lines.
    #[serde(serialize_with = "with_dollars")]
    pub total: Totals,
    /// The models with tokens that nobody knows a price of, and how many.
    pub unpriced: BTreeMap<Arc<str>, u64>,
    /// Whether there is a line for each minute, hour or day.
    #[serde(skip)]
    is_timed: bool,
}

/// One line of a report. What was not asked for is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportLine {
    /// When it begins: seconds since 1970.
    pub begin: Option<u64>,
    /// The pool.
    pub pool: Option<Arc<str>>,
    /// The account.
    pub account: Option<Arc<str>>,
    /// The key.
    pub key: Option<KeyId>,
    /// The model; none, too, for requests without one.
    pub model: Option<Arc<str>>,
    /// The tag; none, too, for requests without one.
    pub tag: Option<Arc<str>>,
    /// The sums.
    pub totals: Totals,
    /// What it is told apart by.
    by: Vec<By>,
}

/// What the lines of a report are put together by, and ordered.
type Group<'b> = (Option<u64>, [Option<&'b str>; 5]);

impl Report {
    pub(super) fn new(books: &Books, query: &Query) -> Self {
        let per = query.per.unwrap_or_else(|| finest(books, query));
        let from = query.from.map(|from| per.begin(from));
        let to = query.to.map(|to| per.begin(to.saturating_add(per.seconds() - 1)));
        let mut groups: BTreeMap<Group<'_>, (&Whose, Totals)> = BTreeMap::new();
        let (mut total, mut unpriced) = (Totals::default(), BTreeMap::new());
        for (begin, lines) in books.between(per, from.unwrap_or(0), to.unwrap_or(u64::MAX)) {
            for (whose, sum) in lines {
                total.add(&sum.totals);
                if sum.totals.unpriced > 0 {
                    let model = whose.model.clone().unwrap_or_else(|| "(none)".into());
                    let tokens: &mut u64 = unpriced.entry(model).or_default();
                    *tokens = tokens.saturating_add(sum.totals.unpriced);
                }
                let group = (query.per.map(|_| begin), group(whose, &query.by));
                groups.entry(group).or_insert((whose, Totals::default())).1.add(&sum.totals);
            }
        }
        let lines = groups.into_iter().map(|((begin, _), (whose, totals))| {
            let has = |by| query.by.contains(&by);
            ReportLine {
                begin,
                pool: has(By::Pool).then(|| Arc::clone(&whose.pool)),
                account: has(By::Account).then(|| Arc::clone(&whose.account)),
                key: has(By::Key).then(|| whose.key.clone()),
                model: whose.model.clone().filter(|_| has(By::Model)),
                tag: whose.tag.clone().filter(|_| has(By::Tag)),
                totals,
                by: query.by.clone(),
            }
        });
        let (by, lines, is_timed) = (query.by.clone(), lines.collect(), query.per.is_some());
        Self { by, per, from, to, lines, total, unpriced, is_timed }
    }

    /// The same as CSV (RFC 4180): a line of names, and one for each line, with the cost in dollars, to
    /// the last digit, at its end.
    ///
    /// Some names are chosen by callers. One that a spreadsheet would take for a formula has an
    /// apostrophe put before it.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let begin = self.is_timed.then_some("begin");
        let names = begin.into_iter().chain(self.by.iter().map(|by| by.name()));
        let mut csv = names.chain(Totals::NAMES).chain(["dollars"]).collect::<Vec<_>>().join(",");
        csv.push_str("\r\n");
        for line in &self.lines {
            if let Some(begin) = line.begin {
                csv.push_str(&shown(begin));
                csv.push(',');
            }
            for by in &self.by {
                csv.push_str(&cell(line.name(*by).unwrap_or_default()));
                csv.push(',');
            }
            for figure in line.totals.figures() {
                csv.push_str(&figure.to_string());
                csv.push(',');
            }
            csv.push_str(&dollars(line.totals.nano_dollars));
            csv.push_str("\r\n");
        }
        csv
    }
}

impl ReportLine {
    fn name(&self, by: By) -> Option<&str> {
        match by {
            By::Pool => self.pool.as_deref(),
            By::Account => self.account.as_deref(),
            By::Key => self.key.as_ref().map(KeyId::as_str),
            By::Model => self.model.as_deref(),
            By::Tag => self.tag.as_deref(),
        }
    }
}

impl Serialize for ReportLine {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(begin) = self.begin {
            map.serialize_entry("begin", &shown(begin))?;
        }
        for by in &self.by {
            map.serialize_entry(by.name(), &self.name(*by))?;
        }
        entries(&self.totals, &mut map)?;
        map.end()
    }
}

/// The names by which lines are told apart, as they are asked for.
fn group<'b>(whose: &'b Whose, by: &[By]) -> [Option<&'b str>; 5] {
    let mut group = [None; 5];
    for (place, by) in group.iter_mut().zip(by) {
        *place = match by {
            By::Pool => Some(&*whose.pool),
            By::Account => Some(&*whose.account),
            By::Key => Some(whose.key.as_str()),
            By::Model => whose.model.as_deref(),
            By::Tag => whose.tag.as_deref(),
        };
    }
    group
}

/// Of which sums an answer is made, if the question does not say.
fn finest(books: &Books, query: &Query) -> Per {
    let moments = query.from.iter().chain(&query.to);
    let is_full = |per: Per| moments.clone().all(|moment| moment.is_multiple_of(per.seconds()));
    if is_full(Per::Day) {
        return Per::Day;
    }
    let from = query.from.unwrap_or(0);
    let first = |per| books.span(per).map_or(0, |(first, _)| first);
    // Whatever is older than the oldest day is not in any.
    let is_kept = |per: &Per| first(*per) <= per.begin(from).max(first(Per::Day));
    Per::ALL.into_iter().find(is_kept).unwrap_or(Per::Day)
}

/// A text as a cell: no formula, and in quotes if it has what divides cells somewhere.
fn cell(text: &str) -> Cow<'_, str> {
    let is_formula =
        text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    let text = if is_formula { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) };
    if text.contains([',', '"', '\r', '\n', ';', '\t']) {
        return Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")));
    }
    text
}

fn entries<M: SerializeMap>(totals: &Totals, map: &mut M) -> Result<(), M::Error> {
    for (name, figure) in Totals::NAMES.into_iter().zip(totals.figures()) {
        map.serialize_entry(name, &figure)?;
    }
    map.serialize_entry("dollars", &dollars(totals.nano_dollars))
}

fn with_dollars<S: Serializer>(totals: &Totals, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    entries(totals, &mut map)?;
    map.end()
}

fn time<S: Serializer>(at: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(shown).serialize(serializer)
}
