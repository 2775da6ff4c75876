//! What is known of an account's limits for one model beyond what was declared.

use std::time::Duration;

use jiff::Timestamp;

use crate::{Limit, limit::Metered};

use super::{
    demand::Cost,
    grant::Grant,
    meter::{Meter, Source},
    pace::{Pace, Rates},
    round_trip::RoundTrip,
    time::{SECOND, Time},
};

/// More limits than any provider tells of for one model.
const MOST_TOLD: usize = 8;
/// So many answers at once, and nobody refuses: there is no limit to be found.
const ENOUGH: u64 = 1_024;

#[derive(Debug, Default)]
pub(crate) struct Learnt {
    pub(crate) meters: Vec<Meter>,
    pace: Pace,
}

/// What a refusal has taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lesson {
    /// Nothing: limits are known, and one refusal may have any reason.
    Nothing,
    /// That the pace is not found yet; nothing was accepted since it was last corrected.
    Learning,
    /// How much is accepted in a time: the next request is due after so long.
    Paced {
        wait: Duration,
        /// Whether its limits were thought to be known.
        was_known: bool,
    },
}

impl Lesson {
    /// Whether there was nothing wider behind it than the account's own limits.
    pub(crate) fn is_own(self) -> bool {
        self != Self::Nothing
    }

    pub(crate) fn wait(self) -> Option<Duration> {
        match self {
            Self::Paced { wait, .. } => Some(wait),
            Self::Nothing | Self::Learning => None,
        }
    }
}

impl Learnt {
    /// Nothing is known: so many at once, and one more for each answer.
    pub(crate) fn start(now: Time, most: u64, wall: Timestamp, way: &RoundTrip) -> Self {
        let limit = Limit::concurrent(most);
        let meter = Meter::learnt(limit, Source::Start, wall, now, way);
        Self { meters: vec![meter], pace: Pace::start(now) }
    }

    /// The provider has told a limit: what is to be found out about others is less urgent.
    pub(crate) fn know(&mut self) {
        self.meters.retain(|meter| meter.source != Source::Start);
        self.pace.watch();
    }

    /// Makes room for one more told limit, if there is any.
    pub(crate) fn add(&mut self, meter: Meter) {
        if self.meters.len() < MOST_TOLD {
            self.meters.push(meter);
        }
    }

    /// A request was accepted. Whether there is more room now.
    pub(crate) fn accepted(&mut self, now: Time, cost: &Cost, way: &RoundTrip) -> bool {
        self.pace.accepted(cost);
        let is_used =
            |meter: &Meter| meter.source == Source::Paced && meter.used_share(now) >= 1 << 15;
        let raised = if self.meters.iter().any(is_used) { self.pace.raise(now) } else { None };
        let mut more = false;
        for meter in &mut self.meters {
            let amount = match (meter.source, raised) {
                (Source::Start, _) => meter.limit.amount() + 1,
                (Source::Paced, Some(rates)) => rates.of(meter.limit.metered()),
                _ => continue,
            };
            meter.set_amount(amount, meter.limit.burst.map(|_| Rates::burst(amount)), way);
            more = true;
        }
        let is_paced = self.pace.is_paced();
        self.meters.retain(|meter| match meter.source {
            Source::Start => meter.limit.amount() < ENOUGH,
            Source::Paced => is_paced,
            Source::Told | Source::Declared { .. } => true,
        });
        more
    }

    /// A request was refused for its rate.
    pub(crate) fn refused(
        &mut self,
        now: Time,
        grant: &Grant,
        wall: Timestamp,
        way: &RoundTrip,
    ) -> Lesson {
        let was_known = self.pace.knows_limits();
        if !self.pace.refused(now, grant.sent) {
            let known = self.pace.knows_limits();
            return if known { Lesson::Nothing } else { Lesson::Learning };
        }
        self.meters.retain(|meter| meter.source != Source::Start);
        for metered in [Metered::Requests, Metered::Tokens] {
            let amount = self.pace.rates().of(metered);
            let paced = |meter: &&mut Meter| {
                meter.source == Source::Paced && meter.limit.metered() == metered
            };
            match self.meters.iter_mut().find(paced) {
                Some(meter) => meter.set_amount(amount, Some(Rates::burst(amount)), way),
                None if amount == 0 => {}
                None => {
                    let limit = Rates::limit(metered, amount);
                    self.add(Meter::learnt(limit, Source::Paced, wall, now, way));
                }
            }
        }
        // Whatever was saved up here, there is nothing left of it there.
        let paced = self.meters.iter_mut().filter(|meter| meter.source == Source::Paced);
        paced.for_each(|meter| meter.empty(now));
        let spans = self.meters.iter().map(|meter| meter.span(&grant.reserved));
        let wait = Duration::from_nanos(spans.max().unwrap_or(0).min(SECOND));
        Lesson::Paced { wait, was_known }
    }
}
