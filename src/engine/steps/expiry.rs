//! Keys with an expiry date.

use crate::{
    engine::{Engine, ids::KeyIx, roster::account::Life, time::Time},
    event::Event,
};

const DAY: u64 = 86_400 * crate::engine::time::SECOND;
/// How long before its end a key is announced.
const WARNINGS: [u64; 2] = [7 * DAY, DAY];

impl Engine {
    /// Sets when a key expires.
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
            // A key that is added within its last week is announced at once.
            self.expiries.set(ix, expires, expires.minus(WARNINGS[0]).max(now));
        }
        self.expire_keys(now);
    }

    /// Handles the warnings and expiries that are due. Must be called before any other event at the
    /// same moment.
    #[inline]
    pub(crate) fn expire_keys(&mut self, now: Time) {
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
