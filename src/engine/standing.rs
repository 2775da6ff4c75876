//! Whether a place may be used: one circuit breaker for all places, from a key for one operation up
//! to the provider.
//!
//! A standing is *open* (requests may pass; other circuit breakers call this state closed), or it
//! *rests* until a time, or it is *half-open*: one request goes first as a probe. After a
//! successful probe, trust grows in steps. Each rest has an end. It comes from the provider, or
//! from a ladder of rests that doubles (exponential backoff with jitter). Most places are always
//! open; such a standing costs a pointer.
//!
//! ```text
//!               the provider reports the end                 time is over
//! open ────────────────────────────────────────► resting ───────────────► open
//!  │                                                ▲
//!  │   no end reported: next rung of its ladder     │ the probe is refused
//!  ├────────────────────────────────────────────────┤
//!  │                                                │
//!  │  suspected: the first rung, provisionally      │ confirmed by another key, or repeated
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

/// Trust is whole again after this many requests at once.
const TRUSTED_AT: u16 = 16;
/// A blame that nothing else proves is believed after this many different requests.
const REQUIRED_STRIKES: u8 = 2;

/// How long a place rests if the provider reports no time: doubles from the first to the last.
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
    /// The pool cannot know when the account is paid for.
    Quota,
    Credential,
    Permission,
    Size,
    Overload,
    /// Most requests fail.
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
    /// Whether the provider names the place, rather than that the status alone suggests it.
    pub(crate) is_told: bool,
}

impl Cause {
    /// Whether a request may still be sent if no other place is left. That is so if only a status
    /// blames the key, and if a permission is missing, because the provider explains best which
    /// one.
    fn is_in_doubt(&self) -> bool {
        self.kind == Kind::Permission || self.kind == Kind::Credential && !self.is_told
    }
}

/// A blame that one answer does not prove, until it is settled.
#[derive(Clone, Debug)]
pub(crate) struct Suspicion {
    pub(crate) cause: Cause,
    sent: Time,
    /// The role of the refused request at this standing.
    role: Role,
    /// The end of the provisional rest.
    until: Time,
}

/// How a suspicion was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Another key was accepted with the same request.
    Confirmed,
    /// The request is at fault.
    Withdrawn,
    /// No other answer decided it.
    Lapsed,
}

/// The standing of a place.
///
/// A rest only grows: the latest end wins. Answers to requests that were sent before a rest began
/// can lengthen it, but neither climb the ladder nor end the rest.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing(Option<Box<Trouble>>);

#[derive(Clone, Debug)]
struct Trouble {
    cause: Cause,
    /// The end of the proven rest.
    until: Time,
    /// The end of the suspected rest; zero once the last suspicion is settled.
    suspected_until: Time,
    suspicions: u32,
    /// Suspicions by different requests that lapsed since the last success.
    strikes: u8,
    since: Time,
    rung: u8,
    trust: Trust,
}

/// How far a place is trusted after a rest whose end was a guess. One request goes first as a probe
/// (half-open). After its success two may go at once, then four, and so on (slow start).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Trust {
    #[default]
    Whole,
    ProbeDue,
    /// The probe was sent then.
    ProbeOut {
        sent: Time,
    },
    Growing {
        max: u16,
        in_flight: u16,
    },
}

/// The role of a request at a standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    #[default]
    Ordinary,
    Probe,
    /// One of the limited number of requests while trust grows.
    Counted,
}

/// The role of a request at each place: two bits for each; 0 is an ordinary request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles(u16);

impl Roles {
    pub(crate) fn set(&mut self, place: Place, role: Role) {
        let bits = match role {
            Role::Ordinary => return,
            Role::Probe => 1,
            Role::Counted => 2,
        };
        self.0 |= bits << (2 * place.index());
    }

    pub(crate) fn of(self, place: Place) -> Role {
        match self.0 >> (2 * place.index()) & 3 {
            0 => Role::Ordinary,
            1 => Role::Probe,
            _ => Role::Counted,
        }
    }

    /// Whether it is an ordinary request at all places.
    pub(crate) fn are_ordinary(self) -> bool {
        self.0 == 0
    }
}

/// What a success changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Progress {
    Nothing,
    /// More requests may go at once.
    Room,
    /// The place is in use again.
    Recovered,
}

impl Suspicion {
    /// Whether the refused request was a probe, so that the place is refused once more.
    pub(crate) fn is_of_probe(&self) -> bool {
        self.role == Role::Probe
    }
}

impl Standing {
    /// When a request may pass.
    pub(crate) fn room(&self) -> Room {
        self.0.as_ref().map_or(Room::At(Time::ZERO), |trouble| trouble.room())
    }

    /// Like [`room`](Self::room), for a request that was refused for its rate before: it lets
    /// others probe first, for `later` nanoseconds.
    pub(crate) fn room_after_others(&self, later: u64) -> Room {
        match (self.room(), self.after_others(later)) {
            (Room::At(open), later) => Room::At(open.plus(later)),
            (room, _) => room,
        }
    }

    /// `later` if the place is half-open, otherwise 0.
    pub(crate) fn after_others(&self, later: u64) -> u64 {
        let is_due = |trouble: &Trouble| trouble.awaits_probe();
        if self.0.as_deref().is_some_and(is_due) { later } else { 0 }
    }

    /// Like [`room`](Self::room), for a request that has no other place to go to: a rest that is
    /// only suspected, or only inferred, does not stop it. A probe that is out does, and so does slow
    /// start.
    pub(crate) fn room_in_need(&self) -> Room {
        match self.room() {
            Room::At(_) => Room::At(self.until_in_need()),
            room => room,
        }
    }

    /// When the rest ends.
    pub(crate) fn until(&self) -> Time {
        self.0.as_ref().map_or(Time::ZERO, |trouble| trouble.ends())
    }

    /// The ends of the proven and of the suspected rest.
    #[cfg(test)]
    pub(crate) fn ends(&self) -> (Time, Time) {
        self.0.as_ref().map_or_else(Default::default, |it| (it.until, it.suspected_until))
    }

    /// Like [`until`](Self::until), for a request that has no other place to go to.
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

    /// Whether the number of requests at once is unlimited.
    pub(crate) fn is_trusted(&self) -> bool {
        self.0.as_ref().is_none_or(|trouble| trouble.trust == Trust::Whole)
    }

    /// Whether it rests, or accepts no more than a probe.
    pub(crate) fn is_troubled(&self, now: Time) -> bool {
        self.0.as_ref().is_some_and(|trouble| trouble.is_out(now))
    }

    /// Why it is out of use; `None` if it is in use.
    pub(crate) fn cause(&self, now: Time) -> Option<&Cause> {
        self.0.as_ref().filter(|trouble| trouble.is_out(now)).map(|trouble| &trouble.cause)
    }

    /// Why it is out of use and since when; `None` if it is in use.
    pub(crate) fn trouble(&self, now: Time) -> Option<(&Cause, Time)> {
        let trouble = self.0.as_ref().filter(|trouble| trouble.is_out(now))?;
        Some((&trouble.cause, trouble.since))
    }

    /// Whether a proven rest lasts, or a probe is due or under way.
    pub(crate) fn is_proven(&self, now: Time) -> bool {
        self.0.as_ref().is_some_and(|trouble| trouble.until > now || trouble.awaits_probe())
    }

    /// Whether it rests for its rate, since exactly this moment.
    pub(crate) fn is_rest_since(&self, then: Time) -> bool {
        let is_since = |it: &Trouble| it.since == then && it.cause.kind == Kind::Rate;
        self.0.as_deref().is_some_and(is_since)
    }

    /// Whether its rest is over and a probe decides.
    pub(crate) fn is_half_open(&self, now: Time) -> bool {
        self.0.as_ref().is_some_and(|trouble| trouble.ends() <= now && trouble.awaits_probe())
    }

    /// What to save over a restart: the cause, the end of the rest, the rung of the ladder, and
    /// whether a probe goes first. `None` if nothing is proven to be wrong.
    pub(crate) fn saved(&self, now: Time) -> Option<(&Cause, Time, u8, bool)> {
        let trouble = self.0.as_ref().filter(|_| self.is_proven(now))?;
        let is_probed = trouble.awaits_probe();
        Some((&trouble.cause, trouble.until, trouble.rung, is_probed))
    }

    /// Restores what was saved, unless more is known already.
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

    /// A request sent at `sent` was refused, which proves that this place is out of order. `hint`
    /// is the wait that the provider reports. Returns whether the rest became longer.
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

    /// A request sent at `sent` was refused, but the request itself may be at fault: the place
    /// rests provisionally, for the first rung.
    pub(crate) fn suspect(
        &mut self,
        now: Time,
        sent: Time,
        role: Role,
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
        Suspicion { cause, sent, role, until }
    }

    /// Settles a suspicion. Returns whether the proven rest became longer.
    pub(crate) fn settle(
        &mut self,
        now: Time,
        suspicion: &Suspicion,
        outcome: Outcome,
        rng: &mut fastrand::Rng,
    ) -> bool {
        // The standing may have been cleared since, because the key has a new secret.
        let Some(trouble) = &mut self.0 else { return false };
        let was = trouble.until;
        let Suspicion { cause, sent, role, until } = suspicion;
        trouble.suspicions = trouble.suspicions.saturating_sub(1);
        match outcome {
            Outcome::Withdrawn => {}
            Outcome::Confirmed => trouble.climb(now, *sent, cause, rng),
            // The probe was refused like the request before it.
            Outcome::Lapsed if *role == Role::Probe => trouble.climb(now, *sent, cause, rng),
            Outcome::Lapsed if *sent >= trouble.since => {
                trouble.strikes = trouble.strikes.saturating_add(1);
                if cause.is_told || trouble.strikes >= REQUIRED_STRIKES {
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
            Trust::ProbeDue | Trust::ProbeOut { .. } => {
                trouble.trust = Trust::Growing { max: 2, in_flight: 0 };
                // A request without another place may have passed before the rest ended.
                trouble.until = trouble.until.min(sent);
                Progress::Recovered
            }
            Trust::Growing { max, in_flight } => {
                let more = Trust::Growing { max: max * 2, in_flight };
                trouble.trust = if max < TRUSTED_AT { more } else { Trust::Whole };
                Progress::Room
            }
        };
        self.forget_if_open(sent);
        progress
    }

    /// A request is about to be sent; returns its role.
    #[inline]
    pub(crate) fn sending(&mut self, now: Time) -> Role {
        let Some(trouble) = &mut self.0 else { return Role::Ordinary };
        // A request without another place passes during a rest: it serves as the probe.
        if trouble.ends() > now && !trouble.is_probe_out() {
            trouble.trust = Trust::ProbeDue;
        }
        match &mut trouble.trust {
            Trust::ProbeDue => {
                trouble.trust = Trust::ProbeOut { sent: now };
                Role::Probe
            }
            Trust::Growing { in_flight, .. } => {
                *in_flight = in_flight.saturating_add(1);
                Role::Counted
            }
            Trust::Whole | Trust::ProbeOut { .. } => Role::Ordinary,
        }
    }

    /// A request sent at `sent` has ended. Returns whether this makes room. A probe that proved
    /// nothing is followed by another.
    pub(crate) fn ended(&mut self, role: Role, sent: Time) -> bool {
        let Some(trouble) = self.0.as_mut().filter(|trouble| sent >= trouble.since) else {
            return false;
        };
        match (role, &mut trouble.trust) {
            // Not one that succeeded before the probe that is out now was sent.
            (Role::Probe, Trust::ProbeOut { sent: out }) if *out == sent => {
                trouble.trust = Trust::ProbeDue;
            }
            (Role::Counted, Trust::Growing { in_flight, .. }) => {
                *in_flight = in_flight.saturating_sub(1)
            }
            _ => return false,
        }
        true
    }

    /// Opens it at once, whatever was wrong.
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
    /// Whether a probe decides, sent or not.
    fn awaits_probe(&self) -> bool {
        self.trust == Trust::ProbeDue || self.is_probe_out()
    }

    fn is_probe_out(&self) -> bool {
        matches!(self.trust, Trust::ProbeOut { .. })
    }

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
            Trust::ProbeOut { .. } => Room::OnChange,
            Trust::Growing { max, in_flight } if in_flight >= max => Room::OnChange,
            _ => Room::At(self.ends()),
        }
    }

    fn is_out(&self, now: Time) -> bool {
        self.ends() > now || self.awaits_probe()
    }

    fn is_over(&self, now: Time) -> bool {
        self.trust == Trust::Whole
            && self.ends() <= now
            && self.suspicions == 0
            && (self.rung, self.strikes) == (0, 0)
    }

    /// The end of the rest is known, so no probe is needed, unless one was needed before.
    fn rest_until(&mut self, now: Time, sent: Time, until: Time, cause: &Cause) {
        self.blame(now, until, cause);
        self.until = self.until.max(until);
        if sent >= self.since {
            self.since = now;
            self.trust = match self.trust {
                Trust::ProbeDue | Trust::ProbeOut { .. } => Trust::ProbeDue,
                Trust::Whole | Trust::Growing { .. } => Trust::Whole,
            };
        }
    }

    /// The end of the rest is a guess: the next rung. Requests sent before the last rest began
    /// prove nothing new. Neither do requests that passed during the rest because no other place
    /// was left.
    fn climb(&mut self, now: Time, sent: Time, cause: &Cause, rng: &mut fastrand::Rng) {
        let is_of_key = matches!(cause.kind, Kind::Credential | Kind::Permission);
        let is_known = is_of_key && sent < self.until && cause.kind == self.cause.kind;
        if sent < self.since || is_known {
            return;
        }
        // Another kind of trouble begins at the first rung.
        let rung = if cause.kind == self.cause.kind { self.rung } else { 0 };
        let until = now.plus(jittered(cause.kind.ladder().rung(rung), 4, rng));
        self.rung = rung;
        self.blame(now, until, cause);
        self.until = self.until.max(until);
        self.rung = self.rung.saturating_add(1);
        (self.since, self.strikes, self.trust) = (now, 0, Trust::ProbeDue);
    }

    /// The suspicion is believed; the rest lasts no longer than the first rung.
    fn rest_first_rung(&mut self, now: Time, until: Time, cause: &Cause) {
        self.blame(now, until, cause);
        self.until = self.until.max(until);
        self.rung = self.rung.max(1);
        (self.since, self.trust) = (now, Trust::ProbeDue);
    }

    /// Keeps the cause of the rest that ends last.
    fn blame(&mut self, now: Time, until: Time, cause: &Cause) {
        if self.until <= now || until >= self.until {
            if self.cause.kind != cause.kind {
                self.rung = 0;
            }
            self.cause.clone_from(cause);
        }
    }
}

/// Never earlier than `delay`, and up to `1 / part` of it later, so that waiting requests do not
/// all come at once.
fn jittered(delay: Duration, part: u64, rng: &mut fastrand::Rng) -> u64 {
    let delay = nanos(delay);
    delay.saturating_add(rng.u64(0..=delay / part))
}
