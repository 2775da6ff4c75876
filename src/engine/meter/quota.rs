//! All that counts a request on one account, as one: it has room when all of it has.

use crate::{
    Limit,
    engine::{ask::Cost, ids::Meters, meter::Meter, room::Room, time::Time},
    limit::Metered,
};

/// The meters of an account that count a model, and those that were learnt for that model alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota<'a> {
    of_account: &'a [Meter],
    /// Which of these count.
    counting: Meters,
    learnt: &'a [Meter],
}

impl<'a> Quota<'a> {
    pub(crate) fn new(of_account: &'a [Meter], counting: Meters, learnt: &'a [Meter]) -> Self {
        Self { of_account, counting, learnt }
    }

    /// Meters that count every model, such as a key's.
    pub(crate) fn of(meters: &'a [Meter]) -> Self {
        Self::new(&[], 0, meters)
    }

    /// The declared ones and those that the account was told of.
    pub(crate) fn of_account(self) -> impl Iterator<Item = &'a Meter> + Clone {
        let counts = move |(i, _): &(usize, &Meter)| self.counting >> i & 1 == 1;
        self.of_account.iter().enumerate().filter(counts).map(|(_, meter)| meter)
    }

    pub(crate) fn learnt(self) -> &'a [Meter] {
        self.learnt
    }

    pub(crate) fn meters(self) -> impl Iterator<Item = &'a Meter> + Clone {
        self.of_account().chain(self.learnt)
    }

    /// When a demand fits into all of it.
    #[inline]
    pub(crate) fn room(self, cost: &Cost) -> Room {
        self.meters().map(|meter| meter.room(cost)).fold(Room::At(Time::ZERO), Room::max)
    }

    /// When a demand fits, from a moment on, if time alone makes room: what is under way may end at any
    /// moment. Never if it is larger than a limit.
    pub(crate) fn opens(self, from: Time, cost: &Cost) -> Option<Time> {
        self.meters().try_fold(from, |latest, meter| match meter.room(cost) {
            Room::At(open) => Some(latest.max(open)),
            Room::OnChange => Some(latest),
            Room::Never => None,
        })
    }

    /// How much of what is metered so may be spent until a moment; none if nothing limits it.
    pub(crate) fn free_by(self, metered: Metered, now: Time, then: Time) -> Option<u64> {
        let limits = self.meters().filter(|meter| meter.limit.metered() == metered);
        limits.filter_map(|meter| meter.free_by(now, then)).min()
    }

    /// The spent share of the limit that is nearest to its end, in 65,536ths. How many may go at once until
    /// something is known is no limit.
    pub(crate) fn used_share(self, now: Time) -> u64 {
        let limits = self.meters().filter(|meter| !meter.is_guess());
        limits.map(|meter| meter.used_share(now)).max().unwrap_or(0)
    }

    pub(crate) fn limits(self) -> impl Iterator<Item = &'a Limit> + Clone {
        self.of_account().map(|meter| &*meter.limit)
    }
}
