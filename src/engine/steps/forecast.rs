//! Forecasts how long a request would wait, so that one that cannot be served in time is rejected
//! at once with a true `Retry-After`.

use std::time::Duration;

use crate::{
    Exhausted,
    engine::{
        Engine,
        ask::{Among, Ask},
        ids::{AccountIx, KeyIx, LaneIx},
        line::Sum,
        room::Room,
        roster::account::Key,
        standing::Standing,
        time::Time,
    },
    error::Reason,
    limit::Metered,
};

/// The forecast looks one day ahead, in nanoseconds.
const HORIZON: u64 = 24 * 3_600 * 1_000_000_000;
/// The precision of the forecast: one millisecond.
const STEP: u64 = 1_000_000;
/// With more accounts than this, a sample represents all.
const SAMPLE: usize = 64;

const PER_TIME: [Metered; 5] = [
    Metered::Requests,
    Metered::InputTokens,
    Metered::OutputTokens,
    Metered::Tokens,
    Metered::Spend,
];

impl Engine {
    /// Why a request cannot be served in time, if that is known now.
    pub(crate) fn refusal(&self, now: Time, ask: &Ask) -> Option<Exhausted> {
        if let Some(refusal) = self.forbidden(now, ask).or_else(|| self.hopeless(now, ask)) {
            return Some(refusal);
        }
        let at = self.forecast(now, ask);
        let wait = at.map(|at| now.until(at));
        if self.waiting >= self.max_queued && self.crowding(ask.tenant).is_none() {
            return Some(Exhausted::new(Reason::LineFull, wait));
        }
        let latest = self.latest_start(ask);
        // A refusal for rate proves that the forecast is missing a limit, so it is not trusted.
        let is_too_late = at.is_some_and(|at| at > latest) && !ask.before.is_limited;
        if is_too_late || latest <= now {
            return Some(self.explain(now, ask, wait));
        }
        None
    }

    /// The refusal of a request that does not wait in line.
    pub(crate) fn turned_away(&mut self, now: Time, ask: &Ask) -> Exhausted {
        self.not_admitted(now, ask);
        let at_once = Ask { deadline: now, ..ask.clone() };
        self.refusal(now, &at_once).unwrap_or_else(|| self.busy(now, ask))
    }

    /// The refusal of a request that has waited too long.
    pub(crate) fn busy(&self, now: Time, ask: &Ask) -> Exhausted {
        let wait = self.forecast(now, ask).map(|at| now.until(at));
        self.explain(now, ask, wait.map(|wait| wait.max(Duration::from_millis(1))))
    }

    /// Why a request can never be admitted; `None` if it can.
    pub(in crate::engine) fn hopeless(&self, now: Time, ask: &Ask) -> Option<Exhausted> {
        let can = |account: &AccountIx| {
            self.opens(now, ask, *account).is_some() && !self.is_known_too_large(ask, *account)
        };
        if match ask.among {
            Among::All => self.order.iter().any(can),
            Among::One(key) => can(&self.keys[key.index()].account),
            Among::None => false,
        } {
            return None;
        }
        let reason = if self.is_keyless(ask) { Reason::NoKey } else { Reason::TooLarge };
        Some(Exhausted::new(reason, None))
    }

    /// Whether the request was refused for its size before, and this account takes none as large.
    fn is_known_too_large(&self, ask: &Ask, account: AccountIx) -> bool {
        let largest = self.lanes[ask.lane].seat(account).largest.as_ref();
        ask.before.is_too_large
            && largest.is_some_and(|largest| largest.room(&ask.cost) > Room::At(Time::ZERO))
    }

    /// When an account has room for a demand if only time makes room. Requests under way are taken
    /// to end at any moment. `None` if it never has.
    fn opens(&self, now: Time, ask: &Ask, account: AccountIx) -> Option<Time> {
        self.opens_by_standing(now, ask, account, Standing::until)
    }

    fn opens_by_standing(
        &self,
        now: Time,
        ask: &Ask,
        account: AccountIx,
        until: fn(&Standing) -> Time,
    ) -> Option<Time> {
        let seat = self.lanes[ask.lane].seat(account);
        let state = &self.accounts[account.index()];
        let of_model = &self.lanes[ask.lane].standing;
        let standings = [of_model, &state.standing, &seat.standing];
        let provider = self.provider_until(ask.lane, until);
        let cooled = standings.map(until).into_iter().fold(provider, Time::max);
        let cooled = match seat.largest.as_ref().map(|largest| largest.room(&ask.cost)) {
            Some(Room::At(open)) => cooled.max(open),
            _ => cooled,
        };
        let open = state.quota(seat).opens(now, cooled, &ask.cost)?;
        let keys = self.keys_for(ask, account);
        keys.filter_map(|key| {
            key.quota().opens(now, open.max(self.key_until(ask, key.ix, until)), &ask.cost)
        })
        .min()
    }

    fn keys_for(&self, ask: &Ask, account: AccountIx) -> impl Iterator<Item = &Key> {
        let keys = self.accounts[account.index()].keys.iter();
        keys.filter(|key| self.is_usable(**key) && ask.allows(**key))
            .map(|key| &self.keys[key.index()])
    }

    /// The latest end of the rests of a key's own places.
    fn key_until(&self, ask: &Ask, key: KeyIx, until: fn(&Standing) -> Time) -> Time {
        let own = until(&self.keys[key.index()].standing);
        let keys = &self.lanes[ask.lane].keys;
        if keys.is_empty() {
            return own;
        }
        let of = |operation| keys.get(&(key, operation)).map_or(own, until);
        own.max(of(None)).max(of(Some(ask.operation)))
    }

    /// Whether every key that can be used before the deadline is excluded. Then the tried ones are
    /// worth another try.
    pub(crate) fn is_tried_out(&self, ask: &Ask) -> bool {
        !self.has_key_by(ask.deadline, ask)
    }

    /// Whether a key that is not excluded can be used by `then`, as far as rests allow. Limits do
    /// not count.
    pub(crate) fn has_key_by(&self, then: Time, ask: &Ask) -> bool {
        let is_in_time = |account: AccountIx| {
            let seat = self.lanes[ask.lane].seat(account);
            let account_until = self.accounts[account.index()].standing.until();
            let until = account_until.max(seat.standing.until());
            self.keys_for(ask, account)
                .any(|key| until.max(self.key_until(ask, key.ix, Standing::until_in_need)) <= then)
        };
        match ask.among {
            Among::All => self.sample().any(is_in_time),
            Among::One(_) | Among::None => !self.is_keyless(ask),
        }
    }

    /// Whether a request that joins the line now would be admitted before its deadline.
    pub(crate) fn is_served_in_time(&self, now: Time, ask: &Ask) -> bool {
        self.forecast(now, ask).is_some_and(|at| at <= ask.deadline)
    }

    /// When a request that joins the line now could be admitted; `None` if that cannot be computed.
    ///
    /// One account must have room for the demand, and all accounts together must have enough
    /// allowance for the requests ahead.
    pub(in crate::engine) fn forecast(&self, now: Time, ask: &Ask) -> Option<Time> {
        if let Among::One(key) = ask.among {
            // The requests ahead may use other keys.
            let fits = self.opens(now, ask, self.keys[key.index()].account)?;
            return Some(fits.max(now.plus(STEP)));
        }
        let opens = |until: fn(&Standing) -> Time| {
            let opens = |account| self.opens_by_standing(now, ask, account, until);
            self.sample().filter_map(opens).min()
        };
        let (mut fits, mut until): (_, fn(&Standing) -> Time) =
            (opens(Standing::until), Standing::until);
        if now < self.in_doubt_until && fits.is_none_or(|fits| fits > ask.deadline) {
            // No other place is left, so rests in doubt do not count.
            (fits, until) = (opens(Standing::until_in_need), Standing::until_in_need);
        }
        let fits = fits?;
        let fits = fits.max(now.plus(STEP));
        let lane = self.lanes[ask.lane].line.ahead_of(ask, &self.tenants);
        let lines = self.lanes.iter().map(|lane| lane.line.ahead_of(ask, &self.tenants));
        let all = lines.fold(Sum::default(), Sum::plus);
        let enough = |then: Time| {
            self.serves(now, then, ask, (lane, false), until)
                && self.serves(now, then, ask, (all, true), until)
        };
        if all.requests == 0 || enough(fits) {
            return Some(fits);
        }
        let mut late = STEP;
        while !enough(fits.plus(late)) {
            if late > HORIZON {
                return Some(fits.plus(late));
            }
            late *= 2;
        }
        let mut early = late / 2;
        while late - early > STEP {
            let middle = early + (late - early) / 2;
            if enough(fits.plus(middle)) { late = middle } else { early = middle }
        }
        Some(fits.plus(late))
    }

    pub(in crate::engine) fn sample(&self) -> impl Iterator<Item = AccountIx> {
        self.order.iter().step_by(self.stride()).copied()
    }

    fn stride(&self) -> usize {
        self.order.len().div_ceil(SAMPLE).max(1)
    }

    /// Whether the requests ahead and this one can all have been admitted by `then`. `shared`
    /// counts the limits that all models share, and the waiting requests of all models.
    fn serves(
        &self,
        now: Time,
        then: Time,
        ask: &Ask,
        (ahead, shared): (Sum, bool),
        until: fn(&Standing) -> Time,
    ) -> bool {
        let mut free = [0u64; PER_TIME.len()];
        let mut needed = PER_TIME.map(|metered| ask.cost.of(metered));
        for account in self.sample().filter(|account| self.opens_by(then, ask, *account, until)) {
            let seat = self.lanes[ask.lane].seat(account);
            for ((free, needed), metered) in free.iter_mut().zip(&mut needed).zip(PER_TIME) {
                let quota = self.accounts[account.index()].quota(seat);
                let units = quota.free_by(metered, now, then, shared).unwrap_or(u64::MAX);
                let most = quota.most_at_once(metered, shared).unwrap_or(u64::MAX);
                *needed = (*needed).min(most);
                // The sum has no bound once a key has no such limit.
                let of_keys = self
                    .keys_for(ask, account)
                    .map(|key| key.quota().free_by(metered, now, then, false).unwrap_or(u64::MAX))
                    .try_fold(0, u64::checked_add);
                *free = free.saturating_add(units.min(of_keys.unwrap_or(u64::MAX)));
            }
        }
        PER_TIME.iter().zip(free).zip(needed).all(|((&metered, free), needed)| {
            free.saturating_mul(self.stride() as u64) >= ahead.of(metered).saturating_add(needed)
        })
    }

    /// Whether the rests end by `then`.
    fn opens_by(
        &self,
        then: Time,
        ask: &Ask,
        account: AccountIx,
        until: fn(&Standing) -> Time,
    ) -> bool {
        let seat = self.lanes[ask.lane].seat(account);
        let state = &self.accounts[account.index()];
        let of_model = &self.lanes[ask.lane].standing;
        let standings = [of_model, &state.standing, &seat.standing];
        self.keys_for(ask, account).any(|key| self.key_until(ask, key.ix, until) <= then)
            && standings.into_iter().all(|standing| until(standing) <= then)
            && self.provider_until(ask.lane, until) <= then
    }

    /// The latest end of the rests of the provider for a model.
    fn provider_until(&self, lane: LaneIx, until: fn(&Standing) -> Time) -> Time {
        until(&self.provider).plus(self.provider.after_others(self.probe_delay(lane)))
    }
}
