//! The sums of each minute, hour and day, as many as are kept.

use std::{
    collections::{BTreeMap, HashMap, hash_map::Entry},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use super::{Line, Totals, line::Whose};

/// For how long sums are made. Minutes, hours and days are those of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// From a full minute to the next.
    Minute,
    /// From a full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
}

impl Per {
    /// The finest first.
    pub(super) const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// `minute`, `hour` or `day`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// In seconds.
    pub(super) fn seconds(self) -> u64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }

    /// The beginning of the one that a moment is in.
    pub(super) fn begin(self, at: u64) -> u64 {
        at - at % self.seconds()
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keep {
    /// Of minutes, hours and days.
    pub(super) spans: [Duration; 3],
    /// How many lines of each of them.
    pub(super) lines: usize,
}

impl Keep {
    pub(super) fn span(&self, per: Per) -> u64 {
        self.spans[per as usize].as_secs().max(per.seconds())
    }
}

/// The sums of one minute, hour or day, and whether they have changed since that was last asked.
pub(super) type Lines = HashMap<Whose, Sum>;

#[derive(Debug, Default)]
pub(super) struct Sum {
    pub(super) totals: Totals,
    changed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Books {
    /// By the seconds since 1970 at which they begin; those of minutes, hours and days apart.
    times: [BTreeMap<u64, Time>; 3],
}

#[derive(Debug, Default)]
pub(super) struct Time {
    pub(super) lines: Lines,
    changed: bool,
}

impl Books {
    pub(super) fn add(&mut self, at: SystemTime, whose: &Whose, totals: &Totals, keep: &Keep) {
        let at = since_1970(at);
        for (per, times) in Per::ALL.into_iter().zip(&mut self.times) {
            let begin = per.begin(at);
            if !times.contains_key(&begin) {
                let oldest = begin.saturating_sub(keep.span(per));
                *times = times.split_off(&(oldest + 1));
            }
            let time = times.entry(begin).or_default();
            let sum = time.sum(whose, keep.lines);
            sum.totals.add(totals);
            (sum.changed, time.changed) = (true, true);
        }
    }

    /// Adds what was kept elsewhere.
    pub(super) fn load(&mut self, line: Line, keep: &Keep) {
        let Line { per, begin, whose, totals } = line;
        let time = self.times[per as usize].entry(per.begin(begin)).or_default();
        time.sum(&whose, keep.lines).totals.add(&totals);
    }

    pub(super) fn take_changed(&mut self, mut take: impl FnMut(Line)) {
        for (per, times) in Per::ALL.into_iter().zip(&mut self.times) {
            for (&begin, time) in times.iter_mut().filter(|(_, time)| time.changed) {
                time.changed = false;
                for (whose, sum) in &mut time.lines {
                    if std::mem::take(&mut sum.changed) {
                        let (whose, totals) = (whose.clone(), sum.totals);
                        take(Line { per, begin, whose, totals });
                    }
                }
            }
        }
    }

    pub(super) fn has_changed(&self) -> bool {
        self.times.iter().flat_map(BTreeMap::values).any(|time| time.changed)
    }

    /// What was taken could not be kept: it has changed still.
    pub(super) fn mark_changed(&mut self, line: &Line) {
        let Some(time) = self.times[line.per as usize].get_mut(&line.begin) else { return };
        if let Some(sum) = time.lines.get_mut(&line.whose) {
            (sum.changed, time.changed) = (true, true);
        }
    }

    /// The times between two moments, the second left out.
    pub(super) fn between(
        &self,
        per: Per,
        from: u64,
        to: u64,
    ) -> impl Iterator<Item = (u64, &Lines)> {
        let times = self.times[per as usize].range(from..to.max(from));
        times.map(|(begin, time)| (*begin, &time.lines))
    }

    /// When the first and the last of them begin.
    pub(super) fn span(&self, per: Per) -> Option<(u64, u64)> {
        let times = &self.times[per as usize];
        Some((*times.first_key_value()?.0, *times.last_key_value()?.0))
    }
}

impl Time {
    /// The sum of a line. Where there are too many, tags go first, and then models: both are chosen by
    /// callers. What is left is bounded by the keys.
    fn sum(&mut self, whose: &Whose, most: usize) -> &mut Sum {
        let other = |name: &mut Option<Arc<str>>| {
            name.iter_mut().for_each(|name| *name = "(other)".into());
        };
        let mut whose = whose.clone();
        if self.lines.len() >= most && !self.lines.contains_key(&whose) {
            other(&mut whose.tag);
            if self.lines.len() >= 2 * most && !self.lines.contains_key(&whose) {
                other(&mut whose.model);
            }
        }
        match self.lines.entry(whose) {
            Entry::Occupied(sum) => sum.into_mut(),
            Entry::Vacant(place) => place.insert(Sum::default()),
        }
    }
}

/// Seconds; 0 for what was before.
pub(super) fn since_1970(at: SystemTime) -> u64 {
    at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// A name that came from a caller, bounded.
pub(super) fn bounded(name: &Arc<str>) -> Arc<str> {
    const LONGEST: usize = 256;
    match name
        .char_indices()
        .map(|(at, c)| at + c.len_utf8())
        .take_while(|end| *end <= LONGEST)
        .last()
    {
        _ if name.len() <= LONGEST => Arc::clone(name),
        end => name[..end.unwrap_or(0)].into(),
    }
}
