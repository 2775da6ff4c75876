//! The answer of the ledger to a query.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    interval::{Interval, rfc3339},
    query::{Dimension, Query},
    row::Dimensions,
    sums::Sums,
    totals::Totals,
};
use crate::KeyId;

/// The answer to a [`Query`]. It serialises to JSON as the gateway shows it: moments as text, the cost in
/// dollars for each sum, and the rows as `lines`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The dimensions that rows are grouped by.
    pub by: Vec<Dimension>,
    /// The length of the intervals that sums are made from.
    pub per: Interval,
    /// The start of the report in seconds since 1970; none if the query has no start.
    #[serde(serialize_with = "moment")]
    pub from: Option<u64>,
    /// The end of the report in seconds since 1970, exclusive; none if the query has no end.
    #[serde(serialize_with = "moment")]
    pub to: Option<u64>,
    /// The sums, ordered by time and then by the names of dimensions.
    #[serde(rename = "lines")]
    pub rows: Vec<ReportRow>,
    /// The sum of all rows.
    #[serde(serialize_with = "with_dollars")]
    pub total: Totals,
    /// The models with unpriced tokens, and how many tokens.
    pub unpriced: BTreeMap<Arc<str>, u64>,
    /// Whether rows are grouped by interval too, so that each has a [`begin`](ReportRow::begin).
    #[serde(skip)]
    pub is_by_interval: bool,
}

/// A row of a report. Dimensions that the query does not group by are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReportRow {
    /// The start of the interval, in seconds since 1970.
    pub begin: Option<u64>,
    /// The pool.
    pub pool: Option<Arc<str>>,
    /// The account.
    pub account: Option<Arc<str>>,
    /// The key.
    pub key: Option<KeyId>,
    /// The model; also none for requests without a model.
    pub model: Option<Arc<str>>,
    /// The tag; also none for requests without a tag.
    pub tag: Option<Arc<str>>,
    /// The sums.
    pub totals: Totals,
    /// The dimensions that the query groups by.
    by: Vec<Dimension>,
}

/// What rows are grouped and ordered by.
type Group<'s> = (Option<u64>, [Option<&'s str>; 5]);

impl Report {
    pub(super) fn new(sums: &Sums, query: &Query) -> Self {
        let per = query.per.unwrap_or_else(|| shortest_interval(sums, query));
        let from = query.from.map(|from| per.start(from));
        let to = query.to.map(|to| per.start(to.saturating_add(per.seconds() - 1)));
        let mut groups: BTreeMap<Group<'_>, (&Dimensions, Totals)> = BTreeMap::new();
        let (mut total, mut unpriced) = (Totals::default(), BTreeMap::new());
        for (begin, rows) in sums.between(per, from.unwrap_or(0), to.unwrap_or(u64::MAX)) {
            for (dimensions, sum) in rows {
                total.add(&sum.totals);
                if sum.totals.unpriced > 0 {
                    let model = dimensions.model.clone().unwrap_or_else(|| "(none)".into());
                    let tokens: &mut u64 = unpriced.entry(model).or_default();
                    *tokens = tokens.saturating_add(sum.totals.unpriced);
                }
                let group = (query.per.map(|_| begin), group(dimensions, &query.by));
                groups.entry(group).or_insert((dimensions, Totals::default())).1.add(&sum.totals);
            }
        }
        let rows = groups.into_iter().map(|((begin, _), (dimensions, totals))| {
            let has = |dimension| query.by.contains(&dimension);
            ReportRow {
                begin,
                pool: has(Dimension::Pool).then(|| Arc::clone(&dimensions.pool)),
                account: has(Dimension::Account).then(|| Arc::clone(&dimensions.account)),
                key: has(Dimension::Key).then(|| dimensions.key.clone()),
                model: dimensions.model.clone().filter(|_| has(Dimension::Model)),
                tag: dimensions.tag.clone().filter(|_| has(Dimension::Tag)),
                totals,
                by: query.by.clone(),
            }
        });
        let (by, rows, is_by_interval) = (query.by.clone(), rows.collect(), query.per.is_some());
        Self { by, per, from, to, rows, total, unpriced, is_by_interval }
    }
}

impl ReportRow {
    /// The name in a dimension; none if the query does not group by it, or if the requests have no such
    /// name.
    #[must_use]
    pub fn name(&self, dimension: Dimension) -> Option<&str> {
        match dimension {
            Dimension::Pool => self.pool.as_deref(),
            Dimension::Account => self.account.as_deref(),
            Dimension::Key => self.key.as_ref().map(KeyId::as_str),
            Dimension::Model => self.model.as_deref(),
            Dimension::Tag => self.tag.as_deref(),
        }
    }
}

impl Serialize for ReportRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(begin) = self.begin {
            map.serialize_entry("begin", &rfc3339(begin))?;
        }
        for dimension in &self.by {
            map.serialize_entry(dimension.name(), &self.name(*dimension))?;
        }
        serialize_totals(&self.totals, &mut map)?;
        map.end()
    }
}

/// The names that a row is grouped by, in the order of the query.
fn group<'s>(dimensions: &'s Dimensions, by: &[Dimension]) -> [Option<&'s str>; 5] {
    let mut group = [None; 5];
    for (place, dimension) in group.iter_mut().zip(by) {
        *place = match dimension {
            Dimension::Pool => Some(&*dimensions.pool),
            Dimension::Account => Some(&*dimensions.account),
            Dimension::Key => Some(dimensions.key.as_str()),
            Dimension::Model => dimensions.model.as_deref(),
            Dimension::Tag => dimensions.tag.as_deref(),
        };
    }
    group
}

/// The intervals that a report is made from if the query names none.
fn shortest_interval(sums: &Sums, query: &Query) -> Interval {
    let moments = query.from.iter().chain(&query.to);
    let is_full = |per: Interval| moments.clone().all(|at| at.is_multiple_of(per.seconds()));
    if is_full(Interval::Day) {
        return Interval::Day;
    }
    let from = query.from.unwrap_or(0);
    let first = |interval| sums.first_start(interval).unwrap_or(0);
    // Usage from before the first day is in no interval.
    let is_kept = |it: &Interval| first(*it) <= it.start(from).max(first(Interval::Day));
    Interval::ALL.into_iter().find(is_kept).unwrap_or(Interval::Day)
}

fn serialize_totals<M: SerializeMap>(totals: &Totals, map: &mut M) -> Result<(), M::Error> {
    for (name, figure) in totals.figures() {
        map.serialize_entry(name, &figure)?;
    }
    map.serialize_entry("dollars", &totals.dollars())
}

fn with_dollars<S: Serializer>(totals: &Totals, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    serialize_totals(totals, &mut map)?;
    map.end()
}

fn moment<S: Serializer>(at: &Option<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    at.map(rfc3339).serialize(serializer)
}
