//! Whether a place that was refused may be used again.

use super::{Check, When, ensure};

const SECOND: u64 = 1_000_000_000;
const LONGEST_HINT: u64 = 86_400 * SECOND;

/// What is wrong with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Wrong {
    Rate,
    Quota,
    Credential,
    Permission,
    Overload,
    Fault,
}

impl Wrong {
    /// The first and the longest guessed rest, in nanoseconds.
    fn guesses(self) -> (u64, u64) {
        match self {
            Self::Rate => (SECOND, 60 * SECOND),
            Self::Quota => (300 * SECOND, 3_600 * SECOND),
            Self::Credential => (5 * SECOND, 3_600 * SECOND),
            Self::Permission => (60 * SECOND, 3_600 * SECOND),
            Self::Overload => (SECOND / 4, 8 * SECOND),
            Self::Fault => (SECOND, 30 * SECOND),
        }
    }

    fn guess(self, number: u32) -> u64 {
        let (first, longest) = self.guesses();
        first.saturating_mul(1 << number.min(30)).min(longest)
    }
}

/// Why a place rests, and whether the provider names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Cause {
    pub(in super::super) wrong: Wrong,
    pub(in super::super) is_told: bool,
}

impl Cause {
    fn is_in_doubt(self) -> bool {
        self.wrong == Wrong::Permission || self.wrong == Wrong::Credential && !self.is_told
    }
}

/// The ends of the proven and the suspected rest in the engine, which adds a jitter of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Seen {
    pub(in super::super) until: u64,
    pub(in super::super) suspected: u64,
}

/// A suspicion.
#[derive(Clone, Debug)]
pub(in super::super) struct Doubt {
    pub(super) cause: Cause,
    sent: u64,
    was_probe: bool,
    until: u64,
}

/// How it is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum End {
    Confirmed,
    Withdrawn,
    Lapsed,
}

#[derive(Clone, Debug, Default)]
pub(in super::super) struct Standing {
    pub(in super::super) until: u64,
    pub(in super::super) suspected: u64,
    pub(super) cause: Option<Cause>,
    doubts: usize,
    /// Suspicions by different requests that lapsed.
    unsettled: u32,
    /// The last refusal that was news.
    pub(super) began: u64,
    guesses: u32,
    trust: Trust,
}

#[derive(Clone, Debug, Default)]
enum Trust {
    #[default]
    Whole,
    /// One request goes first: the probe.
    Probe(Option<usize>),
    /// How many may go at once, and which ones go.
    Few(usize, Vec<usize>),
}

impl Standing {
    fn ends(&self) -> u64 {
        self.until.max(self.suspected)
    }

    pub(super) fn when(&self, now: u64) -> When {
        match &self.trust {
            Trust::Probe(Some(_)) => When::OnChange,
            Trust::Few(most, going) if going.len() >= *most => When::OnChange,
            _ => When::At(self.ends().max(now)),
        }
    }

    /// For requests that should not be the probe: a second later.
    pub(super) fn when_after_others(&self, now: u64) -> When {
        match &self.trust {
            Trust::Probe(_) => When::At((self.ends() + SECOND).max(now)),
            _ => When::At(self.ends().max(now)),
        }
    }

    /// Whether anything is remembered.
    pub(super) fn is_marked(&self) -> bool {
        self.cause.is_some()
    }

    /// For a request that has no other place.
    pub(super) fn when_in_need(&self, now: u64) -> When {
        match (self.when(now), self.cause) {
            (When::At(_), Some(cause)) if cause.is_in_doubt() => When::At(now),
            (When::At(_), _) => When::At(self.until.max(now)),
            (when, _) => when,
        }
    }

    /// The same as if all requests under way ended without proving anything.
    pub(super) fn when_in_need_alone(&self, now: u64) -> When {
        match self.cause {
            Some(cause) if cause.is_in_doubt() => When::At(now),
            _ => When::At(self.until.max(now)),
        }
    }

    /// As if all requests under way ended without proving anything.
    pub(super) fn when_alone(&self, now: u64) -> When {
        When::At(self.ends().max(now))
    }

    pub(in super::super) fn is_whole(&self) -> bool {
        matches!(self.trust, Trust::Whole)
    }

    pub(super) fn is_troubled(&self, now: u64) -> bool {
        self.ends() > now || matches!(self.trust, Trust::Probe(_))
    }

    pub(super) fn is_proven(&self, now: u64) -> bool {
        self.until > now || matches!(self.trust, Trust::Probe(_))
    }

    pub(super) fn is_for(&self, wrong: Wrong, now: u64) -> bool {
        self.is_troubled(now) && self.cause.is_some_and(|cause| cause.wrong == wrong)
    }

    /// Takes over an end from the engine, if it lies within the allowed range.
    fn take_over(&mut self, least: u64, most: u64, seen: u64) -> Check {
        let (first, last) = (self.until.max(least), self.until.max(most));
        ensure!(
            (first..=last).contains(&seen),
            "a rest ends at {seen}, not in {first}..={last}; it would have at {}",
            self.until
        );
        self.until = seen;
        Ok(())
    }

    /// The rest that ends last counts; another kind of trouble begins at its first rung.
    fn blame(&mut self, now: u64, before: u64, cause: Cause) {
        if before <= now || self.until > before {
            if self.cause.is_some_and(|old| old.wrong != cause.wrong) {
                self.guesses = 0;
            }
            self.cause = Some(cause);
        }
    }

    /// A request sent at `sent` was refused; `seen` is the engine's result.
    pub(super) fn refused(
        &mut self,
        now: u64,
        sent: u64,
        hint: Option<u64>,
        cause: Cause,
        seen: Seen,
    ) -> Check {
        self.cause.get_or_insert(cause);
        let Some(hint) = hint else { return self.guess(now, sent, cause, seen) };
        let hint = hint.min(LONGEST_HINT);
        let before = self.until;
        self.take_over(now + hint, now + hint + hint / 20, seen.until)?;
        self.blame(now, before, cause);
        if sent >= self.began {
            self.began = now;
            self.trust = match &self.trust {
                Trust::Whole | Trust::Few(..) => Trust::Whole,
                Trust::Probe(_) => Trust::Probe(None),
            };
        }
        Ok(())
    }

    fn guess(&mut self, now: u64, sent: u64, cause: Cause, seen: Seen) -> Check {
        // A request that passed during a rest of the key repeats what is known.
        let is_known = matches!(cause.wrong, Wrong::Credential | Wrong::Permission)
            && sent < self.until
            && self.cause.is_some_and(|old| old.wrong == cause.wrong);
        if sent < self.began || is_known {
            return self.take_over(0, 0, seen.until);
        }
        if self.cause.is_some_and(|old| old.wrong != cause.wrong) {
            self.guesses = 0;
        }
        let guess = cause.wrong.guess(self.guesses);
        let before = self.until;
        self.take_over(now + guess, now + guess + guess / 4, seen.until)?;
        self.blame(now, before, cause);
        self.guesses += 1;
        (self.began, self.unsettled, self.trust) = (now, 0, Trust::Probe(None));
        Ok(())
    }

    /// A request was refused, but may be at fault itself.
    pub(super) fn suspected(
        &mut self,
        now: u64,
        (sent, was_probe): (u64, bool),
        cause: Cause,
        seen: Seen,
    ) -> Result<Doubt, String> {
        self.cause.get_or_insert(cause);
        self.doubts += 1;
        let guess = cause.wrong.guess(0);
        let mut until = now + guess;
        if sent >= self.began {
            if self.until <= now && self.is_whole() {
                self.cause = Some(cause);
            }
            let (first, last) = (now + guess, now + guess + guess / 4);
            let (first, last) = (self.suspected.max(first), self.suspected.max(last));
            ensure!(
                (first..=last).contains(&seen.suspected),
                "a suspicion ends at {}, not in {first}..={last}",
                seen.suspected
            );
            until = seen.suspected;
            self.suspected = seen.suspected;
        }
        Ok(Doubt { cause, sent, was_probe, until })
    }

    /// A suspicion is settled.
    pub(super) fn settled(&mut self, now: u64, doubt: &Doubt, end: End, seen: Seen) -> Check {
        self.doubts -= 1;
        // The engine may have forgotten what is over.
        let is_forgotten = seen.until == 0 && self.until <= now;
        let seen = Seen { until: if is_forgotten { self.until } else { seen.until }, ..seen };
        let Doubt { cause, sent, was_probe, until } = *doubt;
        match end {
            End::Withdrawn => {}
            End::Confirmed => self.guess(now, sent, cause, seen)?,
            End::Lapsed if was_probe => self.guess(now, sent, cause, seen)?,
            End::Lapsed if sent >= self.began => {
                self.unsettled += 1;
                if cause.is_told || self.unsettled >= 2 {
                    // Bounded by the suspected rests, of which only the last end is known.
                    let before = self.until;
                    self.take_over(0, until, seen.until)?;
                    self.blame(now, before, cause);
                    self.guesses = self.guesses.max(1);
                    (self.began, self.trust) = (now, Trust::Probe(None));
                }
            }
            End::Lapsed => {}
        }
        if self.doubts == 0 {
            self.suspected = 0;
        }
        self.forget(now);
        Ok(())
    }

    pub(super) fn succeeded(&mut self, sent: u64) {
        if sent < self.began {
            return;
        }
        (self.guesses, self.unsettled) = (0, 0);
        self.trust = match std::mem::take(&mut self.trust) {
            Trust::Probe(_) => {
                self.until = self.until.min(sent);
                Trust::Few(2, Vec::new())
            }
            Trust::Few(most, going) if most < 16 => Trust::Few(2 * most, going),
            Trust::Few(..) | Trust::Whole => Trust::Whole,
        };
        self.forget(sent);
    }

    /// Clears all that was wrong.
    fn forget(&mut self, now: u64) {
        if self.is_whole()
            && self.ends() <= now
            && (self.doubts, self.guesses, self.unsettled) == (0, 0, 0)
        {
            *self = Self::default();
        }
    }

    /// Whether a request is the probe.
    pub(super) fn sending(&mut self, now: u64, who: usize) -> Result<bool, String> {
        if self.ends() > now && !matches!(self.trust, Trust::Probe(Some(_))) {
            self.trust = Trust::Probe(None);
        }
        match &mut self.trust {
            Trust::Whole => {}
            Trust::Probe(probe) => {
                ensure!(probe.is_none(), "two probes at once: {probe:?} and {who}");
                *probe = Some(who);
                return Ok(true);
            }
            Trust::Few(most, going) => {
                going.push(who);
                ensure!(going.len() <= *most, "{} at once, {most} are trusted", going.len());
            }
        }
        Ok(false)
    }

    pub(super) fn ended(&mut self, who: usize) {
        match &mut self.trust {
            Trust::Probe(probe) if *probe == Some(who) => *probe = None,
            Trust::Few(_, going) => going.retain(|other| *other != who),
            _ => {}
        }
    }
}
