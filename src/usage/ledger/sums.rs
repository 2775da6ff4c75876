//! The sums of each minute, hour and day, within the bounds of the ledger.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    interval::{Interval, since_1970},
    row::{Dimensions, UsageRow},
    totals::Totals,
};

/// The bounds of a ledger.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// How long minutes, hours and days are kept.
    pub(super) retention: [Duration; 3],
    /// How many rows each minute, hour and day has before tags are combined.
    pub(super) max_rows: usize,
}

impl Bounds {
    /// How long these intervals are kept, in seconds; one interval at least.
    fn retention(&self, interval: Interval) -> u64 {
        self.retention[interval as usize].as_secs().max(interval.seconds())
    }
}

/// All sums of a ledger.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// Minutes, hours and days, each by its start in seconds since 1970.
    periods: [BTreeMap<u64, Period>; 3],
}

/// The sums of one minute, hour or day.
#[derive(Debug, Default)]
struct Period {
    rows: Rows,
    /// Whether a row has changed since the last [`Sums::take_changed`].
    changed: bool,
}

pub(super) type Rows = HashMap<Dimensions, Sum>;

#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) totals: Totals,
    /// Whether it has changed since the last [`Sums::take_changed`].
    changed: bool,
}

impl Sums {
    pub(super) fn add(
        &mut self,
        at: SystemTime,
        dimensions: &Dimensions,
        totals: &Totals,
        bounds: &Bounds,
    ) {
        let at = since_1970(at);
        for (interval, periods) in Interval::ALL.into_iter().zip(&mut self.periods) {
            let start = interval.start(at);
            if !periods.contains_key(&start) {
                let oldest = start.saturating_sub(bounds.retention(interval));
                *periods = periods.split_off(&(oldest + 1));
            }
            let period = periods.entry(start).or_default();
            let sum = period.sum(dimensions, bounds.max_rows);
            sum.totals.add(totals);
            (sum.changed, period.changed) = (true, true);
        }
    }

    /// Adds a row from a store.
    pub(super) fn load(&mut self, row: &UsageRow, bounds: &Bounds) {
        let start = row.interval.start(row.begin);
        let period = self.periods[row.interval as usize].entry(start).or_default();
        period.sum(&row.dimensions, bounds.max_rows).totals.add(&row.totals);
    }

    /// The rows that have changed since the last call.
    pub(super) fn take_changed(&mut self) -> Vec<UsageRow> {
        let mut rows = Vec::new();
        for (interval, periods) in Interval::ALL.into_iter().zip(&mut self.periods) {
            for (&begin, period) in periods.iter_mut().filter(|(_, period)| period.changed) {
                period.changed = false;
                let changed = period.rows.iter_mut().filter(|(_, sum)| sum.changed);
                rows.extend(changed.map(|(dimensions, sum)| {
                    sum.changed = false;
                    UsageRow::new(interval, begin, dimensions.clone(), sum.totals)
                }));
            }
        }
        rows
    }

    pub(super) fn has_changed(&self) -> bool {
        self.periods.iter().flat_map(BTreeMap::values).any(|period| period.changed)
    }

    /// Marks a row as changed again, because the store failed to write it.
    pub(super) fn mark_changed(&mut self, row: &UsageRow) {
        let periods = &mut self.periods[row.interval as usize];
        let Some(period) = periods.get_mut(&row.begin) else { return };
        if let Some(sum) = period.rows.get_mut(&row.dimensions) {
            (sum.changed, period.changed) = (true, true);
        }
    }

    /// The rows of all intervals that start at `from` or later and before `to`.
    pub(super) fn between(
        &self,
        interval: Interval,
        from: u64,
        to: u64,
    ) -> impl Iterator<Item = (u64, &Rows)> {
        let periods = self.periods[interval as usize].range(from..to.max(from));
        periods.map(|(start, period)| (*start, &period.rows))
    }

    /// The start of the first interval of this length.
    pub(super) fn first_start(&self, interval: Interval) -> Option<u64> {
        self.periods[interval as usize].first_key_value().map(|(start, _)| *start)
    }
}

impl Period {
    /// The sum of a row. Callers choose tags and models, so both are bounded: beyond `max_rows` rows, new
    /// tags are combined, and beyond twice as many, new models too. Then only the number of keys matters.
    fn sum(&mut self, dimensions: &Dimensions, max_rows: usize) -> &mut Sum {
        let combine = |name: &mut Option<Arc<str>>| {
            name.iter_mut().for_each(|name| *name = "(other)".into());
        };
        let mut dimensions = dimensions.clone();
        if self.rows.len() >= max_rows && !self.rows.contains_key(&dimensions) {
            combine(&mut dimensions.tag);
            if self.rows.len() >= 2 * max_rows && !self.rows.contains_key(&dimensions) {
                combine(&mut dimensions.model);
            }
        }
        match self.rows.entry(dimensions) {
            Entry::Occupied(sum) => sum.into_mut(),
            Entry::Vacant(place) => place.insert(Sum::default()),
        }
    }
}
