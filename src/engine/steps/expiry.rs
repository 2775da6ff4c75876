//! Keys that are good until a date.

use crate::{
    engine::{Engine, ids::KeyIx, roster::account::Life, time::Time},
    event::Event,
};

const DAY: u64 = 86_400 * crate::engine::time::SECOND;
/// So long before its end a key is spoken of.
const WARNINGS: [u64; 2] = [7 * DAY, DAY];

impl Engine {
    /// A key is good until then.
    pub(crate) fn set_expiry(&mut self, now: Time, ix: KeyIx, expires: Option<Time>) {
        self.expiries.forget(ix);
        let key = &self.keys[ix.index()];
        if key.life == Life::Expired && expires.is_none_or(|expires| expires > now) {
            let account = key.account;
            self.change_key(ix, |key| key.life = Life::Good);
            self.catch_up(ix);
            self.revive(account);
        }
        if let Some(expires) = expires {
            // Whoever comes within the last week is spoken of at once.
            self.expiries.set(ix, expires, expires.minus(WARNINGS[0]).max(now));
        }
        self.tell_the_time(now);
    }

    /// Does and tells what is due by now. To be called before anything else is done at a moment.
    #[inline]
    pub(crate) fn tell_the_time(&mut self, now: Time) {
        if !self.expiries.is_empty() {
            self.tell_what_is_due(now);
        }
    }

    fn tell_what_is_due(&mut self, now: Time) {
        while let Some((ix, expires)) = self.expiries.due(now) {
            let key = &self.keys[ix.index()];
            let (id, account) = (key.id.clone(), self.accounts[key.account.index()].name.clone());
            if expires > now {
                let later = WARNINGS.map(|before| expires.minus(before));
                let next = later.into_iter().find(|then| *then > now).unwrap_or(expires);
                self.expiries.set(ix, expires, next);
                let wait = now.until(expires);
                self.events.push(Event::KeyExpires { key: id, account, wait });
                continue;
            }
            if key.life == Life::Good {
                self.change_key(ix, |key| key.life = Life::Expired);
                self.forget_refusals(ix);
                self.unstall();
            }
            self.expiries.forget(ix);
            let (live, total) = (self.live_keys, self.total_keys);
            self.events.push(Event::KeyExpired { key: id, account, live, total });
        }
    }
}
