//! Whether a place may be used: one mechanism for all places, from a key for one operation to the
//! provider.
//!
//! A standing is open, or it rests until a time, and then one request goes first as a probe
//! (half-open) before trust grows in steps. Each rest has an end: the provider's, or a rung of a
//! ladder that doubles. Most places are always open; such a standing costs a pointer.
//!
//! ```text
//!                    told: until then                      time is over
//! open ────────────────────────────────────────► resting ───────────────► open
//!  │                                                ▲
//!  │      guessed: the next rung of its ladder      │ the probe is refused
//!  ├────────────────────────────────────────────────┤
//!  │                                                │
//!  │  suspected: the first rung, provisionally      │ confirmed by contrast, or said again
//!  └───────────────► suspected ─────────────────────┘
//!         ▲              │ withdrawn
//!         └──────────────┘
//! ```
//!
//! Long, for it is one state machine: what one state keeps is read by the rules of the others.

use std::{sync::Arc, time::Duration};

use crate::{
    engine::{
        room::Room,
        time::{Time, nanos},
    },
    verdict::Place,
};

/// So many at once that trust is whole again.
const ENOUGH: u16 = 16;
/// So many different requests must say the same before a blame is believed that nothing else proves.
const STRIKES: u8 = 2;

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

/// What is wrong with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Rate,
    /// Nobody knows when somebody pays.
    Quota,
    Credential,
    Permission,
    Size,
    Overload,
    /// Most of its requests fail.
    Fault,
}

impl Kind {
    fn ladder(self) -> Ladder {
        const fn seconds(first: u64, last: u64) -> Ladder {
            Ladder::new(Duration::from_secs(first), Duration::from_secs(last))
        }
        match self {
            Self::Rate => const { seconds(1, 60) },
            Self::Quota | Self::Size => const { seconds(300, 3_600) },
            Self::Credential => const { seconds(5, 3_600) },
            Self::Permission => const { seconds(60, 3_600) },
            Self::Overload => {
                const { Ladder::new(Duration::from_millis(250), Duration::from_secs(8)) }
            }
            Self::Fault => const { seconds(1, 30) },
        }
    }

    pub(crate) const ALL: [Self; 7] = [
        Self::Rate,
        Self::Quota,
        Self::Credential,
        Self::Permission,
        Self::Size,
        Self::Overload,
        Self::Fault,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Quota => "quota",
            Self::Credential => "credential",
            Self::Permission => "permission",
            Self::Size => "size",
            Self::Overload => "overload",
            Self::Fault => "fault",
        }
    }
}

/// Why a place rests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cause {
    pub(crate) kind: Kind,
    pub(crate) rule: Arc<str>,
    /// Whether the provider names it, rather than that it is concluded from a status.
    pub(crate) is_told: bool,
}

impl Cause {
    /// Whether a request that has nowhere else to go is sent all the same: a key is to blame for no better
    /// reason than a status; or it may not do this, and the provider says best what is missing.
    fn is_in_doubt(&self) -> bool {
        self.kind == Kind::Permission || self.kind == Kind::Credential && !self.is_told
    }
}

/// A blame that one answer alone does not prove, until it is settled.
#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    pub(crate) cause: Cause,
    sent: Time,
    /// What the refused request was to the standing.
    part: Part,
    /// Until when the place rests for it, provisionally.
    until: Time,
}

/// What became of a suspicion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The same request was accepted elsewhere.
    Confirmed,
    /// The request is at fault.
    Withdrawn,
    /// It was never settled.
    Lapsed,
}

/// The standing of a place.
///
/// A rest only ever grows: the latest deadline wins, and news from requests that were sent before it
/// began can lengthen it but neither climb the ladder nor end it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing(Option<Box<Trouble>>);

#[derive(Clone, Debug)]
struct Trouble {
    cause: Cause,
    /// When the rest ends that is proven.
    until: Time,
    /// When the rest ends that is only suspected; it is over with the last suspicion.
    suspected_until: Time,
    suspicions: u32,
    /// Blames that nobody settled, by different requests, since the last success.
    strikes: u8,
    since: Time,
    rung: u8,
    trust: Trust,
}

/// How far a place is trusted after a rest whose end was a guess: one request goes first as a probe;
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

/// What a request is to the standing of each place: two bits for each, none where it is an ordinary one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parts(u16);

impl Parts {
    pub(crate) fn set(&mut self, place: Place, part: Part) {
        let bits = match part {
            Part::Ordinary => return,
            Part::Probe => 1,
            Part::Counted => 2,
        };
        self.0 |= bits << (2 * place.index());
    }

    pub(crate) fn of(self, place: Place) -> Part {
        match self.0 >> (2 * place.index()) & 3 {
            0 => Part::Ordinary,
            1 => Part::Probe,
            _ => Part::Counted,
        }
    }

    /// Whether it is an ordinary one everywhere.
    pub(crate) fn are_ordinary(self) -> bool {
        self.0 == 0
    }
}

/// What a success changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    Nothing,
    /// More may go at once.
    Room,
    /// It is in use again.
    Recovered,
}

impl Suspicion {
    /// Whether it was found again by the request that was to find out.
    pub(crate) fn is_of_probe(&self) -> bool {
        self.part == Part::Probe
    }
}

impl Standing {
    /// When it may be used.
    pub(crate) fn room(&self) -> Room {
        self.0.as_ref().map_or(Room::At(Time::ZERO), |trouble| trouble.room())
    }

    /// The same for a request that was refused for its rate already: others try a place first whose end
    /// was a guess, for `later`.
    pub(crate) fn room_after_others(&self, later: u64) -> Room {
        match (self.room(), self.after_others(later)) {
            (Room::At(open), later) => Room::At(open.plus(later)),
            (room, _) => room,
        }
    }

    /// How much later that is: while a probe decides.
    pub(crate) fn after_others(&self, later: u64) -> u64 {
        let is_due = |trouble: &Trouble| matches!(trouble.trust, Trust::ProbeDue | Trust::ProbeOut);
        if self.0.as_deref().is_some_and(is_due) { later } else { 0 }
    }

    /// When it may be used by somebody who has nowhere else to go: what is only inferred or suspected
    /// leaves nobody without a key.
    pub(crate) fn room_in_need(&self) -> Room {
        match &self.0 {
            None => Room::At(Time::ZERO),
            Some(trouble) if trouble.trust == Trust::ProbeOut => Room::OnChange,
            Some(trouble) if trouble.cause.is_in_doubt() => Room::At(Time::ZERO),
            Some(trouble) => match trouble.room() {
                Room::At(_) => Room::At(trouble.until),
                room => room,
            },
        }
    }

    /// Until when it rests.
    pub(crate) fn until(&self) -> Time {
        self.0.as_ref().map_or(Time::ZERO, |trouble| trouble.ends())
    }

    /// Until when it rests for what is proven, and for what is only suspected.
    #[cfg(test)]
    pub(crate) fn ends(&self) -> (Time, Time) {
        self.0.as_ref().map_or_else(Default::default, |it| (it.until, it.suspected_until))
    }

    /// The same for somebody who has nowhere else to go.
    pub(crate) fn until_in_need(&self) -> Time {
        match &self.0 {
            Some(trouble) if trouble.cause.is_in_doubt() => Time::ZERO,
            Some(trouble) => trouble.until,
            None => Time::ZERO,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.0.is_none()
    }

    /// Whether any number of requests may go at once.
    pub(crate) fn is_trusted(&self) -> bool {
        self.0.as_ref().is_none_or(|trouble| trouble.trust == Trust::Whole)
    }

    /// Whether it is out of use, or a probe is all that it may get.
    pub(crate) fn is_troubled(&self, now: Time) -> bool {
        self.0.as_ref().is_some_and(|trouble| trouble.is_out(now))
    }

    /// Why it is out of use, if it is.
    pub(crate) fn cause(&self, now: Time) -> Option<&Cause> {
        self.0.as_ref().filter(|trouble| trouble.is_out(now)).map(|trouble| &trouble.cause)
    }

    /// Why it is out of use, if it is, and when that began.
    pub(crate) fn trouble(&self, now: Time) -> Option<(&Cause, Time)> {
        let trouble = self.0.as_ref().filter(|trouble| trouble.is_out(now))?;
        Some((&trouble.cause, trouble.since))
    }

    /// Whether it rests, or waits for a probe, and that is proven.
    pub(crate) fn is_proven(&self, now: Time) -> bool {
        self.0.as_ref().is_some_and(|trouble| {
            trouble.until > now || matches!(trouble.trust, Trust::ProbeDue | Trust::ProbeOut)
        })
    }

    /// Whether it rests for a rate, and that began at a moment.
    pub(crate) fn is_rest_since(&self, then: Time) -> bool {
        let is_since = |it: &Trouble| it.since == then && it.cause.kind == Kind::Rate;
        self.0.as_deref().is_some_and(is_since)
    }

    /// Whether its rest is over and a probe decides.
    pub(crate) fn is_half_open(&self, now: Time) -> bool {
        self.0.as_ref().is_some_and(|trouble| {
            trouble.ends() <= now && matches!(trouble.trust, Trust::ProbeDue | Trust::ProbeOut)
        })
    }

    /// What must not be forgotten of it: why and until when it rests, the rung of its ladder, and whether a
    /// probe goes first. Nothing if nothing is proven to be wrong.
    pub(crate) fn saved(&self, now: Time) -> Option<(&Cause, Time, u8, bool)> {
        let trouble = self.0.as_ref().filter(|_| self.is_proven(now))?;
        let is_probed = matches!(trouble.trust, Trust::ProbeDue | Trust::ProbeOut);
        Some((&trouble.cause, trouble.until, trouble.rung, is_probed))
    }

    /// Takes up what was saved.
    pub(crate) fn restore(
        &mut self,
        now: Time,
        cause: Cause,
        until: Time,
        rung: u8,
        is_probed: bool,
    ) {
        let is_news = match &self.0 {
            Some(trouble) => until > trouble.until || is_probed && trouble.trust == Trust::Whole,
            None => until > now || is_probed,
        };
        if !is_news {
            return;
        }
        let trouble = self.trouble_for(&cause);
        trouble.cause = cause;
        trouble.until = trouble.until.max(until);
        (trouble.since, trouble.rung) = (now, rung);
        if is_probed {
            trouble.trust = Trust::ProbeDue;
        }
    }

    fn trouble_for(&mut self, cause: &Cause) -> &mut Trouble {
        self.0.get_or_insert_with(|| Box::new(Trouble::new(cause.clone())))
    }

    /// A request sent at `sent` was refused, and that proves something of this place. Whether this
    /// lengthens the rest.
    pub(crate) fn cool(
        &mut self,
        now: Time,
        sent: Time,
        hint: Option<Duration>,
        cause: &Cause,
        rng: &mut fastrand::Rng,
    ) -> bool {
        let trouble = self.trouble_for(cause);
        let was = trouble.until;
        match hint {
            Some(hint) => trouble.rest_until(now, sent, now.plus(jittered(hint, 20, rng)), cause),
            None => trouble.climb(now, sent, cause, rng),
        }
        trouble.until > was
    }

    /// A request sent at `sent` was refused, and it may be its own fault: rests provisionally, for the
    /// first rung.
    pub(crate) fn suspect(
        &mut self,
        now: Time,
        sent: Time,
        part: Part,
        cause: Cause,
        rng: &mut fastrand::Rng,
    ) -> Suspicion {
        let trouble = self.trouble_for(&cause);
        trouble.suspicions += 1;
        let until = now.plus(jittered(cause.kind.ladder().rung(0), 4, rng));
        if sent >= trouble.since {
            if trouble.until <= now && trouble.trust == Trust::Whole {
                trouble.cause = cause.clone();
            }
            trouble.suspected_until = trouble.suspected_until.max(until);
        }
        Suspicion { cause, sent, part, until }
    }

    /// A suspicion has come to its end. Whether the proven rest grew.
    pub(crate) fn settle(
        &mut self,
        now: Time,
        suspicion: &Suspicion,
        outcome: Outcome,
        rng: &mut fastrand::Rng,
    ) -> bool {
        // What it was about may have been forgotten since: the key has a new secret.
        let Some(trouble) = &mut self.0 else { return false };
        let was = trouble.until;
        let Suspicion { cause, sent, part, until } = suspicion;
        trouble.suspicions = trouble.suspicions.saturating_sub(1);
        match outcome {
            Outcome::Withdrawn => {}
            Outcome::Confirmed => trouble.climb(now, *sent, cause, rng),
            // The probe of a rest said the same as the request before it.
            Outcome::Lapsed if *part == Part::Probe => trouble.climb(now, *sent, cause, rng),
            Outcome::Lapsed if *sent >= trouble.since => {
                trouble.strikes = trouble.strikes.saturating_add(1);
                if cause.is_told || trouble.strikes >= STRIKES {
                    trouble.rest_first_rung(now, *until, cause);
                }
            }
            Outcome::Lapsed => {}
        }
        if trouble.suspicions == 0 {
            trouble.suspected_until = Time::ZERO;
        }
        let has_grown = trouble.until > was;
        self.forget_if_open(now);
        has_grown
    }

    /// A request sent at `sent` succeeded.
    pub(crate) fn succeeded(&mut self, sent: Time) -> Progress {
        let Some(trouble) = &mut self.0 else { return Progress::Nothing };
        if sent < trouble.since {
            return Progress::Nothing;
        }
        (trouble.rung, trouble.strikes) = (0, 0);
        let progress = match trouble.trust {
            Trust::Whole => Progress::Nothing,
            Trust::ProbeDue | Trust::ProbeOut => {
                trouble.trust = Trust::Growing { most: 2, going: 0 };
                // Whoever had nowhere else to go may have been let through before its end.
                trouble.until = trouble.until.min(sent);
                Progress::Recovered
            }
            Trust::Growing { most, going } => {
                let more = Trust::Growing { most: most * 2, going };
                trouble.trust = if most < ENOUGH { more } else { Trust::Whole };
                Progress::Room
            }
        };
        self.forget_if_open(sent);
        progress
    }

    /// A request is about to be sent.
    #[inline]
    pub(crate) fn sending(&mut self, now: Time) -> Part {
        let Some(trouble) = &mut self.0 else { return Part::Ordinary };
        // Somebody has nowhere else to go: it finds out whether the place can be used after all.
        if trouble.ends() > now && trouble.trust != Trust::ProbeOut {
            trouble.trust = Trust::ProbeDue;
        }
        match &mut trouble.trust {
            Trust::ProbeDue => {
                trouble.trust = Trust::ProbeOut;
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
        let Some(trouble) = self.0.as_mut().filter(|trouble| sent >= trouble.since) else {
            return false;
        };
        match (part, &mut trouble.trust) {
            (Part::Probe, trust @ Trust::ProbeOut) => *trust = Trust::ProbeDue,
            (Part::Counted, Trust::Growing { going, .. }) => *going = going.saturating_sub(1),
            _ => return false,
        }
        true
    }

    /// Is open at once, whatever was wrong.
    pub(crate) fn revive(&mut self) {
        self.0 = None;
    }

    fn forget_if_open(&mut self, now: Time) {
        if self.0.as_ref().is_some_and(|trouble| trouble.is_over(now)) {
            self.0 = None;
        }
    }
}

impl Trouble {
    fn new(cause: Cause) -> Self {
        Self {
            cause,
            until: Time::ZERO,
            suspected_until: Time::ZERO,
            suspicions: 0,
            strikes: 0,
            since: Time::ZERO,
            rung: 0,
            trust: Trust::Whole,
        }
    }

    fn ends(&self) -> Time {
        self.until.max(self.suspected_until)
    }

    fn room(&self) -> Room {
        match self.trust {
            Trust::ProbeOut => Room::OnChange,
            Trust::Growing { most, going } if going >= most => Room::OnChange,
            _ => Room::At(self.ends()),
        }
    }

    fn is_out(&self, now: Time) -> bool {
        self.ends() > now || matches!(self.trust, Trust::ProbeDue | Trust::ProbeOut)
    }

    fn is_over(&self, now: Time) -> bool {
        self.trust == Trust::Whole
            && self.ends() <= now
            && self.suspicions == 0
            && (self.rung, self.strikes) == (0, 0)
    }

    /// The end is known, and nothing has to be found out, unless something had to be before.
    fn rest_until(&mut self, now: Time, sent: Time, until: Time, cause: &Cause) {
        self.blame(now, until, cause);
        self.until = self.until.max(until);
        if sent >= self.since {
            self.since = now;
            self.trust = match self.trust {
                Trust::ProbeDue | Trust::ProbeOut => Trust::ProbeDue,
                Trust::Whole | Trust::Growing { .. } => Trust::Whole,
            };
        }
    }

    /// The end is a guess. What was sent before the last rest began says nothing new; nor does what was sent
    /// during it, for want of another place.
    fn climb(&mut self, now: Time, sent: Time, cause: &Cause, rng: &mut fastrand::Rng) {
        let is_of_key = matches!(cause.kind, Kind::Credential | Kind::Permission);
        let is_known = is_of_key && sent < self.until && cause.kind == self.cause.kind;
        if sent < self.since || is_known {
            return;
        }
        // Another ladder begins at its foot.
        let rung = if cause.kind == self.cause.kind { self.rung } else { 0 };
        let until = now.plus(jittered(cause.kind.ladder().rung(rung), 4, rng));
        self.rung = rung;
        self.blame(now, until, cause);
        self.until = self.until.max(until);
        self.rung = self.rung.saturating_add(1);
        (self.since, self.strikes, self.trust) = (now, 0, Trust::ProbeDue);
    }

    /// What was suspected is believed, and for no longer.
    fn rest_first_rung(&mut self, now: Time, until: Time, cause: &Cause) {
        self.blame(now, until, cause);
        self.until = self.until.max(until);
        self.rung = self.rung.max(1);
        (self.since, self.trust) = (now, Trust::ProbeDue);
    }

    /// The rest that ends last is the one to be told of.
    fn blame(&mut self, now: Time, until: Time, cause: &Cause) {
        if self.until <= now || until >= self.until {
            if self.cause.kind != cause.kind {
                self.rung = 0;
            }
            self.cause.clone_from(cause);
        }
    }
}

/// Never earlier than said, and up to a `1 / part` later, so that not everybody comes at once.
fn jittered(delay: Duration, part: u64, rng: &mut fastrand::Rng) -> u64 {
    let delay = nanos(delay);
    delay.saturating_add(rng.u64(0..=delay / part))
}
