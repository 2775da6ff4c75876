//! What was reserved for one request, and its end.

use super::{
    Cost, Engine, Time,
    index::{AccountIx, KeyIx, LaneIx, Meters},
};

/// A reservation of a demand on a key.
///
/// It cannot be copied, and its end consumes it: what it holds is given back exactly once.
#[derive(Debug)]
pub(crate) struct Grant {
    pub(crate) account: AccountIx,
    pub(crate) key: KeyIx,
    pub(super) lane: LaneIx,
    pub(super) meters: Meters,
    pub(super) sent: Time,
    pub(super) reserved: Cost,
    pub(super) probes: Probes,
    pub(super) settled: bool,
}

/// Of what this request is the probe.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Probes {
    pub(super) seat: bool,
    pub(super) account: bool,
    pub(super) provider: bool,
}

impl Engine {
    /// Moves the meters from what was reserved to what was used. The first call counts; without one,
    /// what was reserved stays charged.
    pub(crate) fn settle(&mut self, now: Time, grant: &mut Grant, used: Cost) {
        if std::mem::replace(&mut grant.settled, true) {
            return;
        }
        let account = &mut self.accounts[grant.account.index()];
        let mut freed = false;
        for meter in account.counting_mut(grant.meters) {
            freed |= meter.settle(now, grant.sent, &grant.reserved, &used);
        }
        if freed {
            self.revive(grant.account);
        }
    }

    /// The request has ended: its concurrency is free.
    #[expect(clippy::needless_pass_by_value, reason = "an ended grant must not be used again")]
    pub(crate) fn end(&mut self, grant: Grant) {
        let account = &mut self.accounts[grant.account.index()];
        let mut freed = false;
        for meter in account.counting_mut(grant.meters) {
            freed |= meter.release();
        }
        account.in_flight -= 1;
        self.keys[grant.key.index()].in_flight -= 1;
        self.lanes[grant.lane].in_flight -= 1;
        freed |= self.lose_probes(&grant);
        if freed {
            self.revive(grant.account);
        }
    }

    /// The request was never sent: all that it reserved is free, as if it had not been.
    pub(crate) fn refund(&mut self, now: Time, mut grant: Grant) {
        if !std::mem::replace(&mut grant.settled, true) {
            let account = &mut self.accounts[grant.account.index()];
            account
                .counting_mut(grant.meters)
                .for_each(|meter| meter.refund(now, grant.sent, &grant.reserved));
            account.served -= 1;
            self.keys[grant.key.index()].served -= 1;
            self.revive(grant.account);
        }
        self.end(grant);
    }

    fn lose_probes(&mut self, grant: &Grant) -> bool {
        let mut lost = false;
        if grant.probes.seat {
            lost |= self.lanes[grant.lane].seat_mut(grant.account).standing.probe_lost();
        }
        if grant.probes.account {
            lost |= self.accounts[grant.account.index()].standing.probe_lost();
        }
        if grant.probes.provider && self.provider.probe_lost() {
            self.unstall();
        }
        lost
    }

    /// An account changed for the better: every lane looks at it anew.
    pub(super) fn revive(&mut self, account: AccountIx) {
        self.lanes.iter_mut().for_each(|lane| lane.revive(account));
    }

    /// The provider changed for the better.
    pub(super) fn unstall(&mut self) {
        self.lanes.iter_mut().for_each(|lane| lane.stalled = None);
    }
}
