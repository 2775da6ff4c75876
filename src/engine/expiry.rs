//! Keys that are good until a date.

use super::{Engine, Event, Time, account::Life, index::KeyIx};

const DAY: u64 = 86_400 * super::time::SECOND;
/// So long before its end a key is spoken of.
const WARNINGS: [u64; 2] = [7 * DAY, DAY];

/// Until when a key is good.
#[derive(Debug)]
pub(crate) struct Expiry {
    at: Time,
    /// When something is to be told or done about that.
    notice: Option<Time>,
}

impl Engine {
    /// A key is good until then.
    pub(crate) fn set_expiry(&mut self, now: Time, ix: KeyIx, expires: Option<Time>) {
        self.forget_expiry(ix);
        let key = &self.keys[ix.index()];
        if key.life == Life::Expired && expires.is_none_or(|expires| expires > now) {
            let account = key.account;
            self.change_key(ix, |key| key.life = Life::Good);
            self.catch_up(ix);
            self.revive(account);
        }
        // Whoever comes within the last week is spoken of at once.
        let first = expires.map(|expires| expires.minus(WARNINGS[0]).max(now));
        if let Some(at) = expires {
            self.expiries.insert(ix, Expiry { at, notice: None });
        }
        self.set_notice(ix, first);
        self.tell_the_time(now);
    }

    /// A key has no end, or has come to it.
    pub(super) fn forget_expiry(&mut self, ix: KeyIx) {
        self.set_notice(ix, None);
        self.expiries.remove(&ix);
    }

    fn set_notice(&mut self, ix: KeyIx, notice: Option<Time>) {
        let Some(expiry) = self.expiries.get_mut(&ix) else { return };
        if let Some(old) = std::mem::replace(&mut expiry.notice, notice) {
            self.notices.remove(&(old, ix));
        }
        self.notices.extend(notice.map(|notice| (notice, ix)));
    }

    /// Does and tells what is due by now. To be called before anything else is done at a moment.
    #[inline]
    pub(crate) fn tell_the_time(&mut self, now: Time) {
        if !self.notices.is_empty() {
            self.tell_what_is_due(now);
        }
    }

    fn tell_what_is_due(&mut self, now: Time) {
        while let Some(&(due, ix)) = self.notices.first()
            && due <= now
        {
            self.notice(now, ix);
        }
    }

    fn notice(&mut self, now: Time, ix: KeyIx) {
        let Some(&Expiry { at: expires, .. }) = self.expiries.get(&ix) else {
            self.notices.pop_first();
            return;
        };
        let key = &self.keys[ix.index()];
        let (id, account) = (key.id.clone(), self.accounts[key.account.index()].name.clone());
        if expires > now {
            let later = WARNINGS.map(|before| expires.minus(before));
            let next = later.into_iter().find(|then| *then > now).unwrap_or(expires);
            self.set_notice(ix, Some(next));
            let wait = now.until(expires);
            self.events.push(Event::KeyExpires { key: id, account, wait });
            return;
        }
        if key.life == Life::Good {
            self.change_key(ix, |key| key.life = Life::Expired);
            self.forget_refusals(ix);
            self.unstall();
        }
        self.forget_expiry(ix);
        let (live, total) = (self.live_keys, self.total_keys);
        self.events.push(Event::KeyExpired { key: id, account, live, total });
    }

    /// When the next key comes to its end, or is spoken of.
    pub(super) fn next_notice(&self) -> Option<Time> {
        self.notices.first().map(|(due, _)| *due)
    }
}
