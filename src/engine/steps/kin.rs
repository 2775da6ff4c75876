//! Affinity: keeps a request on the account that has its prompt cached, or lets it go elsewhere.

use crate::engine::{
    Engine,
    ask::Ask,
    ids::{AccountIx, KeyIx},
    line::LOOK_BEHIND,
    room::Room,
    steps::choose::Passing,
    time::Time,
};

impl Engine {
    /// When the account with the cached prompt has room, if the request waits for it. It does not
    /// wait for long, nor if the line is long.
    pub(in crate::engine) fn waits_for_kin(
        &self,
        now: Time,
        ask: &Ask,
        passing: Option<Passing>,
    ) -> Option<Time> {
        let bond = ask.bond.filter(|bond| bond.patient_until > now)?;
        let at = bond.account?;
        let is_held = passing.is_some_and(|passing| passing.held == Some(at));
        if is_held || self.lanes[ask.lane].line.len() > LOOK_BEHIND / 2 {
            return None;
        }
        match self.room(now, ask, at).max(self.room_of_keys(at, ask)) {
            Room::At(open) if open > now && open <= bond.patient_until => Some(open),
            _ => None,
        }
    }

    /// The account with the cached prompt if it has room and is not much busier than the chosen
    /// one; otherwise the chosen one.
    pub(in crate::engine) fn stay(
        &self,
        now: Time,
        ask: &Ask,
        passing: Option<Passing>,
        chosen: (AccountIx, KeyIx),
    ) -> (AccountIx, KeyIx) {
        let at = ask.bond.and_then(|bond| bond.account).filter(|at| {
            let is_held = passing.is_some_and(|passing| passing.held == Some(*at));
            let is_open = matches!(self.room(now, ask, *at), Room::At(open) if open <= now);
            *at != chosen.0 && !is_held && is_open && !self.is_much_busier(*at, chosen.0)
        });
        let stay = at.and_then(|at| Some((at, self.choose_key(now, at, ask).ok()?)));
        stay.unwrap_or(chosen)
    }

    /// Busier by more than a quarter and by eight requests, by weight. That is about the normal
    /// variation of the number under way, so few requests move without need.
    fn is_much_busier(&self, account: AccountIx, than: AccountIx) -> bool {
        const FEW: u128 = 8;
        let at = |account: AccountIx| {
            let state = &self.accounts[account.index()];
            (u128::from(state.in_flight), u128::from(state.weight.max(1)))
        };
        let ((mine, my_weight), (other, other_weight)) = (at(account), at(than));
        4 * mine * other_weight > 5 * other * my_weight + 4 * FEW * my_weight * other_weight
    }
}
