//! Telling a request at the door how long it would wait.

use std::time::Duration;

use crate::{Exhausted, Reason, limit::Metered};

use super::{AccountIx, Ask, Engine, Time, line::Sum, room::Room};

/// No further than a day ahead.
const HORIZON: u64 = 24 * 3_600 * 1_000_000_000;
/// How exact the answer is.
const STEP: u64 = 1_000_000;
/// Beyond so many accounts, a sample of them speaks for all.
const SAMPLE: usize = 64;

const PER_TIME: [Metered; 5] = [
    Metered::Requests,
    Metered::InputTokens,
    Metered::OutputTokens,
    Metered::Tokens,
    Metered::Spend,
];

impl Engine {
    /// Why a request would wait in vain, if it is known now.
    pub(crate) fn refusal(&self, now: Time, ask: &Ask) -> Option<Exhausted> {
        if self.is_keyless(ask) {
            return Some(Exhausted::new(Reason::NoKey, None));
        }
        if !self.fits_anywhere(ask) {
            return Some(Exhausted::new(Reason::TooLarge, None));
        }
        let at = self.forecast(now, ask);
        let refuse = |reason| Some(Exhausted::new(reason, at.map(|at| now.until(at))));
        if self.waiting >= self.longest_line {
            return refuse(Reason::LineFull);
        }
        if at.is_some_and(|at| at > ask.deadline) || ask.deadline <= now {
            return refuse(Reason::Busy);
        }
        None
    }

    /// What to tell somebody who does not wait in line.
    pub(crate) fn turned_away(&self, now: Time, ask: &Ask) -> Exhausted {
        let at_once = Ask { deadline: now, ..ask.clone() };
        self.refusal(now, &at_once).unwrap_or_else(|| self.busy(now, ask))
    }

    /// What to tell somebody who has waited too long.
    pub(crate) fn busy(&self, now: Time, ask: &Ask) -> Exhausted {
        let wait = self.forecast(now, ask).map(|at| now.until(at));
        Exhausted::new(Reason::Busy, wait.map(|wait| wait.max(Duration::from_millis(1))))
    }

    fn fits_anywhere(&self, ask: &Ask) -> bool {
        let lane = &self.lanes[ask.lane];
        self.accounts.iter().enumerate().any(|(i, account)| {
            let meters = lane.seat(AccountIx::new(i)).meters;
            account.counting(meters).all(|meter| meter.room(&ask.cost) != Room::Never)
        })
    }

    /// When a request could be admitted that joined the line now; `None` if no clock tells.
    ///
    /// The allowance of all accounts together must serve everybody ahead, and one account must have
    /// room for this demand.
    fn forecast(&self, now: Time, ask: &Ask) -> Option<Time> {
        let lane = self.lanes[ask.lane].line.ahead_of(ask.rank);
        let lines = self.lanes.iter().map(|lane| lane.line.ahead_of(ask.rank));
        let all = lines.fold(Sum::default(), Sum::plus);
        let enough = |then: Time| {
            self.serves(now, then, ask, lane, false) && self.serves(now, then, ask, all, true)
        };
        let mut late = STEP;
        while !enough(now.plus(late)) {
            late *= 2;
            if late > HORIZON {
                return None;
            }
        }
        let mut early = if late == STEP { 0 } else { late / 2 };
        while late - early > STEP {
            let middle = early + (late - early) / 2;
            if enough(now.plus(middle)) { late = middle } else { early = middle }
        }
        Some(now.plus(late))
    }

    /// Whether, by then, everybody ahead and this request can have been admitted. `shared` looks at
    /// the limits that all models share, and at those who wait for any model.
    fn serves(&self, now: Time, then: Time, ask: &Ask, ahead: Sum, shared: bool) -> bool {
        let stride = self.accounts.len().div_ceil(SAMPLE).max(1);
        let mut free = [0u64; PER_TIME.len()];
        let mut fits = false;
        for index in (0..self.accounts.len()).step_by(stride) {
            let account = AccountIx::new(index);
            if !self.opens_by(then, ask, account) {
                continue;
            }
            let meters = self.lanes[ask.lane].seat(account).meters;
            let state = &self.accounts[index];
            let room = state.room(meters, &ask.cost);
            fits |= room == Room::OnChange || matches!(room, Room::At(at) if at <= then);
            for (free, metered) in free.iter_mut().zip(PER_TIME) {
                let units = state
                    .counting(meters)
                    .filter(|meter| meter.limit.metered() == metered)
                    .filter(|meter| !shared || meter.limit.model_pattern().is_none())
                    .filter_map(|meter| meter.free_by(now, then))
                    .min();
                *free = free.saturating_add(units.unwrap_or(u64::MAX));
            }
        }
        fits && PER_TIME.iter().zip(free).all(|(&metered, free)| {
            let wanted = ahead.of(metered).saturating_add(ask.cost.of(metered));
            free.saturating_mul(stride as u64) >= wanted
        })
    }

    /// Whether cooldowns will have ended by then.
    fn opens_by(&self, then: Time, ask: &Ask, account: AccountIx) -> bool {
        let state = &self.accounts[account.index()];
        let seat = self.lanes[ask.lane].seat(account);
        let until = [state.standing.until(), seat.standing.until(), self.provider.until()];
        let has_key = state
            .keys
            .iter()
            .any(|key| self.is_usable(ask.lane, *key) && !ask.excluded.contains(key));
        has_key && until.into_iter().all(|until| until <= then)
    }
}
