//! All meters that count a request on one account, seen as one quota: it has room when each meter
//! has.

use crate::{
    Limit,
    engine::{ask::Cost, ids::Meters, meter::Meter, room::Room, time::Time},
    limit::Metered,
};

/// The meters of an account that count a model, and the limits learned for that model alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quota<'a> {
    of_account: &'a [Meter],
    /// The bits of the meters that count the model.
    counting: Meters,
    learnt: &'a [Meter],
}

impl<'a> Quota<'a> {
    pub(crate) fn new(of_account: &'a [Meter], counting: Meters, learnt: &'a [Meter]) -> Self {
        Self { of_account, counting, learnt }
    }

    /// A quota of meters that count every model, such as those of a key.
    pub(crate) fn of(meters: &'a [Meter]) -> Self {
        Self::new(&[], 0, meters)
    }

    /// The declared meters and those that the provider reported for the account.
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

    /// When a demand fits into all meters.
    #[inline]
    pub(crate) fn room(self, cost: &Cost) -> Room {
        self.meters().map(|meter| meter.room(cost)).fold(Room::At(Time::ZERO), Room::max)
    }

    /// When a demand fits if only time makes room, from a moment on. Requests under way are taken
    /// to end at any moment. `None` if the demand is larger than a limit.
    pub(crate) fn opens(self, from: Time, cost: &Cost) -> Option<Time> {
        self.meters().try_fold(from, |latest, meter| match meter.room(cost) {
            Room::At(open) => Some(latest.max(open)),
            Room::OnChange => Some(latest),
            Room::Never => None,
        })
    }

    /// How many units of this kind can be spent until `then`; `None` if no limit counts them.
    pub(crate) fn free_by(self, metered: Metered, now: Time, then: Time) -> Option<u64> {
        let limits = self.meters().filter(|meter| meter.limit.metered() == metered);
        limits.filter_map(|meter| meter.free_by(now, then)).min()
    }

    /// The spent share of the tightest limit, in 65,536ths. The placeholder until a limit is known
    /// does not count.
    pub(crate) fn used_share(self, now: Time) -> u64 {
        let limits = self.meters().filter(|meter| !meter.is_guess());
        limits.map(|meter| meter.used_share(now)).max().unwrap_or(0)
    }

    pub(crate) fn limits(self) -> impl Iterator<Item = &'a Limit> + Clone {
        self.of_account().map(|meter| &*meter.limit)
    }
}
