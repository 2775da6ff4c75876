//! What providers say of requests under way.

use std::time::Duration;

use fastrand::Rng;

use crate::{Scope, Verdict};

use super::{
    super::model::{Check, Seen},
    play::Play,
};

impl Play {
    pub(super) fn judge(&mut self, rng: &mut Rng) -> Check {
        let Some(place) = self.draw(rng) else { return Ok(()) };
        // Nothing is sent at the very moment of a verdict.
        self.now += 1;
        self.look_at_the_clock();
        let verdict = self.verdict(rng);
        let now = self.time();
        let (id, grant) = &mut self.held[place];
        if rng.u8(0..4) > 0 {
            self.engine.answered(now, grant, None);
            self.world.answered(self.now, *id);
        }
        self.judge_one(place, verdict)
    }

    pub(super) fn judge_one(&mut self, place: usize, verdict: Verdict) -> Check {
        let now = self.time();
        let (id, grant) = &mut self.held[place];
        self.engine.judge(now, grant, verdict, "test");
        let (id, account, lane) = (*id, grant.account, grant.lane);
        let seen = Seen {
            seat: self.engine.lanes[lane].seat(account).standing.until().nanos(),
            account: self.engine.accounts[account.index()].standing.until().nanos(),
            provider: self.engine.provider.until().nanos(),
        };
        self.tell(|| format!("{id}: {verdict:?}"));
        self.world.judge(self.now, id, verdict, seen)
    }

    fn verdict(&self, rng: &mut Rng) -> Verdict {
        if rng.u8(0..100) >= self.setting.refusals {
            return if rng.u8(0..8) == 0 { Verdict::CallerFault } else { Verdict::Accepted };
        }
        let seconds = [0.0, 0.3, 5.0, 60.0, 100_000.0][rng.usize(0..5)];
        let retry_after = rng.bool().then(|| Duration::from_secs_f64(seconds));
        let scope = if rng.bool() { Scope::Model } else { Scope::Account };
        if rng.u8(0..100) < self.setting.failures {
            return Verdict::Transient;
        }
        match rng.u8(0..16) {
            0..8 => Verdict::RateLimited { retry_after, scope },
            8..11 => Verdict::QuotaExhausted { retry_after, scope },
            11..13 => Verdict::Overloaded { retry_after },
            13 => Verdict::KeyRejected,
            _ => Verdict::ModelRefused,
        }
    }

    pub(super) fn brake(&mut self) -> Check {
        self.now += 1;
        self.look_at_the_clock();
        let now = self.time();
        self.engine.brake(now, now, None, None);
        self.tell(|| "the provider is braked".into());
        self.world.brake(self.now, self.engine.provider.until().nanos())
    }
}
