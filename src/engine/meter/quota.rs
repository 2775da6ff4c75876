//! All meters that count a request on one account, seen as one quota: it has room when each meter
//! has.

use crate::{
    engine::{
        ask::Cost,
        ids::Meters,
        learn::{Allowances, Belief, Learner},
        meter::Meter,
        room::Room,
        time::Time,
    },
    limit::Metered,
};

/// The meters of an account that count a model, and what was learnt beyond the limits that were declared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota<'a> {
    meters: &'a [Meter],
    /// The bits of the meters that count the model.
    counting: Meters,
    /// Limits of the whole account that headers tell.
    told: Option<&'a Allowances>,
    /// What was learnt for the model.
    learnt: Option<&'a Learner>,
}

impl<'a> Quota<'a> {
    pub(crate) fn new(
        meters: &'a [Meter],
        counting: Meters,
        told: Option<&'a Allowances>,
        learnt: Option<&'a Learner>,
    ) -> Self {
        Self { meters, counting, told, learnt }
    }

    /// A quota of meters that count every model, such as those of a key.
    pub(crate) fn of(meters: &'a [Meter]) -> Self {
        Self::new(meters, Meters::MAX, None, None)
    }

    pub(crate) fn meters(self) -> impl Iterator<Item = &'a Meter> + Clone {
        let counts = move |(i, _): &(usize, &Meter)| self.counting >> i & 1 == 1;
        self.meters.iter().enumerate().filter(counts).map(|(_, meter)| meter)
    }

    /// When a demand fits into all meters.
    #[inline]
    pub(crate) fn room(self, now: Time, cost: &Cost) -> Room {
        let room =
            self.meters().map(|meter| meter.room(cost)).fold(Room::At(Time::ZERO), Room::max);
        if self.told.is_none() && self.learnt.is_none() {
            return room;
        }
        room.max(self.learnt_room(now, cost))
    }

    /// The same as far as it was learnt.
    pub(crate) fn learnt_room(self, now: Time, cost: &Cost) -> Room {
        let told = self.told.map_or(Room::At(Time::ZERO), |told| told.room(now, cost));
        self.learnt.map_or(told, |learnt| learnt.room(now, cost).max(told))
    }

    /// When a demand fits if only time makes room, from a moment on. Requests under way are taken
    /// to end at any moment. `None` if the demand is larger than a limit.
    pub(crate) fn opens(self, now: Time, from: Time, cost: &Cost) -> Option<Time> {
        let meters = self.meters().map(|meter| meter.room(cost));
        let told = self.told.map(|told| told.room(now, cost));
        let learnt = self.learnt.map(|learnt| learnt.opens(now, cost));
        meters.chain(told).chain(learnt).try_fold(from, |latest, room| match room {
            Room::At(open) => Some(latest.max(open)),
            Room::OnChange => Some(latest),
            Room::Never => None,
        })
    }

    /// How many units of this kind can be spent until `then`; `None` if no limit counts them. `shared` leaves out
    /// the limits that count some models only.
    pub(crate) fn free_by(
        self,
        metered: Metered,
        now: Time,
        then: Time,
        shared: bool,
    ) -> Option<u64> {
        let limits = self.meters_of(metered, shared).filter_map(|meter| meter.free_by(now, then));
        let told = self.told.and_then(|told| told.free_by(metered, now, then));
        let learnt = self.learnt.filter(|_| !shared);
        limits.chain(told).chain(learnt.and_then(|learnt| learnt.free_by(metered, now, then))).min()
    }

    /// The most room that a demand can need: a larger one is admitted at rest.
    pub(crate) fn most_at_once(self, metered: Metered, shared: bool) -> Option<u64> {
        let limits = self.meters_of(metered, shared).map(Meter::most_at_once);
        let told = self.told.and_then(|told| told.most_at_once(metered));
        let learnt = self.learnt.filter(|_| !shared);
        limits.chain(told).chain(learnt.and_then(|learnt| learnt.most_at_once(metered))).min()
    }

    /// The spent share of the tightest limit, in 65,536ths. The placeholder until a limit is known
    /// does not count.
    pub(crate) fn used_share(self, now: Time) -> u64 {
        let meters = self.meters().map(|meter| meter.used_share(now)).max().unwrap_or(0);
        if self.told.is_none() && self.learnt.is_none() {
            return meters;
        }
        let told = self.told.map_or(0.0, |told| told.used_share(now));
        let learnt = self.learnt.map_or(told, |learnt| learnt.used_share(now).max(told));
        // A conversion from a float saturates.
        meters.max((learnt * 65_536.0) as u64)
    }

    /// How many more requests may be sent at once, now; none if nothing limits that.
    #[cfg(feature = "balance")]
    pub(crate) fn left(self, now: Time) -> Option<u64> {
        let by_request = |meter: &&Meter| {
            matches!(meter.limit.metered(), Metered::Requests | Metered::Concurrent)
        };
        let meters = self.meters().filter(by_request).map(|meter| meter.remaining(now));
        let told = self.told.and_then(|told| told.free_by(Metered::Requests, now, now));
        meters.chain(told).chain(self.learnt.and_then(|learnt| learnt.left(now))).min()
    }

    /// What is believed beyond the limits that were declared.
    pub(crate) fn beliefs(self, now: Time) -> impl Iterator<Item = Belief> + use<'a> {
        let told = self.told.into_iter().flat_map(move |told| told.limits(now));
        told.chain(self.learnt.into_iter().flat_map(move |learnt| learnt.limits(now)))
    }

    fn meters_of(self, metered: Metered, shared: bool) -> impl Iterator<Item = &'a Meter> {
        self.meters().filter(move |meter| {
            let counts = !shared || meter.limit.model_pattern().is_none();
            counts && meter.limit.metered() == metered
        })
    }
}
