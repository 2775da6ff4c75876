//! Whether something that failed may be used again: a cooldown, and the probe that follows it.

use std::time::Duration;

use super::{
    room::Room,
    time::{Time, nanos},
};

/// Once 16 requests at once have gone well, recovery is over.
const LAST_STEP: u8 = 4;

/// The longest that a hint from a provider may bench anything.
const LONGEST_HINT: Duration = Duration::from_secs(24 * 3_600);

/// How long to stay away when nobody says: doubling from the first to the last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ladder {
    first: Duration,
    last: Duration,
}

impl Ladder {
    const fn new(first: Duration, last: Duration) -> Self {
        Self { first, last }
    }

    fn rung(self, rung: u8) -> Duration {
        self.first.saturating_mul(1 << rung.min(16)).min(self.last)
    }
}

/// After a rate limit without a hint.
pub(crate) const RATE: Ladder = Ladder::new(Duration::from_secs(1), Duration::from_secs(60));
/// After a billing stop: nobody knows when somebody pays.
pub(crate) const QUOTA: Ladder = Ladder::new(Duration::from_secs(300), Duration::from_secs(3_600));
/// While a provider is overloaded.
pub(crate) const OVERLOAD: Ladder = Ladder::new(Duration::from_millis(250), Duration::from_secs(8));
/// While most of an account's requests fail.
pub(crate) const FAILURE: Ladder = Ladder::new(Duration::from_secs(1), Duration::from_secs(30));

/// The standing of a provider, an account, or an account for one model.
///
/// A cooldown only ever grows: the latest deadline wins, and news from requests that were sent
/// before it began can lengthen it but neither climb the ladder nor end it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Standing {
    until: Time,
    since: Time,
    rung: u8,
    probe: Probe,
    /// Steps of recovery taken since the probe succeeded; none when it is over.
    recovery: Option<u8>,
}

/// After a cooldown whose end was a guess, one request goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Probe {
    #[default]
    NotNeeded,
    Due,
    Out,
}

impl Standing {
    /// When it may be used, with so many of its requests in flight: after a cooldown that was guessed
    /// by one probe, then by two at once, four, and so on.
    pub(crate) fn room(&self, in_flight: u64) -> Room {
        match (self.probe, self.recovery) {
            (Probe::Out, _) => Room::OnChange,
            (_, Some(step)) if in_flight >= 1 << step => Room::OnChange,
            _ => Room::At(self.until),
        }
    }

    /// Whether the end of any request makes room.
    pub(crate) fn is_recovering(&self) -> bool {
        self.recovery.is_some()
    }

    pub(crate) fn until(&self) -> Time {
        self.until
    }

    /// Whether it is out of use, or on probation.
    pub(crate) fn is_troubled(&self, now: Time) -> bool {
        self.until > now || self.probe != Probe::NotNeeded
    }

    /// It was refused by a request sent at `sent`. Whether this is news.
    pub(crate) fn cool(
        &mut self,
        now: Time,
        sent: Time,
        hint: Option<Duration>,
        ladder: Ladder,
        rng: &mut fastrand::Rng,
    ) -> bool {
        let news = sent >= self.since;
        let delay = match hint {
            Some(hint) => jittered(hint.min(LONGEST_HINT), 20, rng),
            None if news => jittered(ladder.rung(self.rung), 4, rng),
            None => 0,
        };
        let was = self.until;
        self.until = self.until.max(now.plus(delay));
        if news {
            self.since = now;
            self.recovery = None;
            if hint.is_none() {
                self.rung = self.rung.saturating_add(1);
                self.probe = Probe::Due;
            } else if self.probe == Probe::Out {
                self.probe = Probe::Due;
            }
        }
        self.until > was
    }

    /// A request that was sent at `sent` succeeded. Whether it ended a cooldown or probation.
    pub(crate) fn clear(&mut self, sent: Time) -> bool {
        if sent < self.since {
            return false;
        }
        if let Some(step) = self.recovery {
            self.recovery = (step < LAST_STEP).then_some(step + 1);
        }
        let ends = self.rung > 0 || self.probe != Probe::NotNeeded;
        if ends {
            let (until, since) = (self.until, self.since);
            *self = Self { until, since, recovery: Some(1), ..Self::default() };
        }
        ends
    }

    /// A request is about to be sent. Whether it is the probe.
    pub(crate) fn send(&mut self) -> bool {
        let is_probe = self.probe == Probe::Due;
        if is_probe {
            self.probe = Probe::Out;
        }
        is_probe
    }

    /// The probe ended without telling anything: another goes. Whether that makes room.
    pub(crate) fn probe_lost(&mut self) -> bool {
        let lost = self.probe == Probe::Out;
        if lost {
            self.probe = Probe::Due;
        }
        lost
    }
}

/// Never earlier than said, and up to a `1 / part` later, so that not everybody comes at once.
fn jittered(delay: Duration, part: u64, rng: &mut fastrand::Rng) -> u64 {
    let delay = nanos(delay);
    delay.saturating_add(rng.u64(0..=delay / part))
}
