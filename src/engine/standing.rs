//! Whether something that failed may be used again: a cooldown, and the probe that follows it.

use std::time::Duration;

use super::{
    room::Room,
    time::{Time, nanos},
};

/// So many at once that trust is whole again.
const ENOUGH: u16 = 16;

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
    trust: Trust,
}

/// How far it is trusted after a cooldown whose end was a guess: one request goes first as a probe;
/// when that has succeeded two go at once, then four, and so on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trust {
    #[default]
    Whole,
    ProbeDue,
    ProbeOut,
    Growing {
        most: u16,
        going: u16,
    },
}

/// What a request is to a standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Part {
    #[default]
    Ordinary,
    Probe,
    /// One of the few that go while trust grows.
    Counted,
}

/// What a success changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Nothing,
    /// More may go at once.
    Room,
    /// It is in use again.
    Recovered,
}

impl Standing {
    /// When it may be used.
    pub(crate) fn room(&self) -> Room {
        match self.trust {
            Trust::ProbeOut => Room::OnChange,
            Trust::Growing { most, going } if going >= most => Room::OnChange,
            _ => Room::At(self.until),
        }
    }

    pub(crate) fn until(&self) -> Time {
        self.until
    }

    /// Whether any number of requests may go at once.
    pub(crate) fn is_trusted(&self) -> bool {
        self.trust == Trust::Whole
    }

    /// Whether it is out of use, or a probe is all that it may get.
    pub(crate) fn is_troubled(&self, now: Time) -> bool {
        self.until > now || matches!(self.trust, Trust::ProbeDue | Trust::ProbeOut)
    }

    /// What must not be forgotten of it: until when it is out, the rung of its ladder, and whether a probe
    /// goes first. Nothing if nothing is wrong.
    pub(crate) fn saved(&self, now: Time) -> Option<(Time, u8, bool)> {
        let is_probed = matches!(self.trust, Trust::ProbeDue | Trust::ProbeOut);
        self.is_troubled(now).then_some((self.until, self.rung, is_probed))
    }

    /// Takes up what was saved.
    pub(crate) fn restore(&mut self, now: Time, until: Time, rung: u8, is_probed: bool) {
        if until > self.until || is_probed && self.trust == Trust::Whole {
            self.until = self.until.max(until);
            (self.since, self.rung) = (now, rung);
            self.trust = if is_probed { Trust::ProbeDue } else { self.trust };
        }
    }

    /// A request sent at `sent` was refused. Whether this lengthens the cooldown.
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
            Some(hint) => jittered(hint, 20, rng),
            None if news => jittered(ladder.rung(self.rung), 4, rng),
            None => 0,
        };
        let was = self.until;
        self.until = self.until.max(now.plus(delay));
        if news {
            self.since = now;
            self.trust = match (hint, self.trust) {
                (None, _) | (Some(_), Trust::ProbeDue | Trust::ProbeOut) => Trust::ProbeDue,
                // The end is known, and nothing has to be found out.
                (Some(_), Trust::Whole | Trust::Growing { .. }) => Trust::Whole,
            };
            if hint.is_none() {
                self.rung = self.rung.saturating_add(1);
            }
        }
        self.until > was
    }

    /// A request sent at `sent` succeeded.
    pub(crate) fn succeeded(&mut self, sent: Time) -> Progress {
        if sent < self.since {
            return Progress::Nothing;
        }
        self.rung = 0;
        match self.trust {
            Trust::Whole => Progress::Nothing,
            Trust::ProbeDue | Trust::ProbeOut => {
                self.trust = Trust::Growing { most: 2, going: 0 };
                Progress::Recovered
            }
            Trust::Growing { most, going } => {
                let more = Trust::Growing { most: most * 2, going };
                self.trust = if most < ENOUGH { more } else { Trust::Whole };
                Progress::Room
            }
        }
    }

    /// A request is about to be sent.
    pub(crate) fn sending(&mut self) -> Part {
        match &mut self.trust {
            Trust::ProbeDue => {
                self.trust = Trust::ProbeOut;
                Part::Probe
            }
            Trust::Growing { going, .. } => {
                *going = going.saturating_add(1);
                Part::Counted
            }
            Trust::Whole | Trust::ProbeOut => Part::Ordinary,
        }
    }

    /// A request sent at `sent` has ended. Whether that makes room: a probe that told nothing is
    /// followed by another.
    pub(crate) fn ended(&mut self, part: Part, sent: Time) -> bool {
        if sent < self.since {
            return false;
        }
        match (part, &mut self.trust) {
            (Part::Probe, trust @ Trust::ProbeOut) => *trust = Trust::ProbeDue,
            (Part::Counted, Trust::Growing { going, .. }) => *going = going.saturating_sub(1),
            _ => return false,
        }
        true
    }
}

/// Never earlier than said, and up to a `1 / part` later, so that not everybody comes at once.
fn jittered(delay: Duration, part: u64, rng: &mut fastrand::Rng) -> u64 {
    let delay = nanos(delay);
    delay.saturating_add(rng.u64(0..=delay / part))
}
