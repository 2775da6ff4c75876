//! Whether something that was refused may be used again.

use super::{Check, When, ensure};

/// The first and the longest guess, in nanoseconds.
pub(super) type Ladder = (u64, u64);

const SECOND: u64 = 1_000_000_000;
pub(super) const RATE: Ladder = (SECOND, 60 * SECOND);
pub(super) const QUOTA: Ladder = (300 * SECOND, 3_600 * SECOND);
pub(super) const OVERLOAD: Ladder = (SECOND / 4, 8 * SECOND);
pub(super) const FAILURE: Ladder = (SECOND, 30 * SECOND);
const LONGEST_HINT: u64 = 86_400 * SECOND;

/// Until when things are out of use, as the engine tells: its jitter is its own.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Seen {
    pub(in super::super) seat: u64,
    pub(in super::super) account: u64,
    pub(in super::super) provider: u64,
}

#[derive(Clone, Debug, Default)]
pub(in super::super) struct Standing {
    pub(in super::super) until: u64,
    /// When the last refusal came that was news.
    began: u64,
    guesses: u32,
    trust: Trust,
}

#[derive(Clone, Debug, Default)]
enum Trust {
    #[default]
    Whole,
    /// One request goes first: who.
    Probe(Option<usize>),
    /// So many may go at once: who does.
    Few(usize, Vec<usize>),
}

impl Standing {
    pub(super) fn when(&self, now: u64) -> When {
        match &self.trust {
            Trust::Probe(Some(_)) => When::OnChange,
            Trust::Few(most, going) if going.len() >= *most => When::OnChange,
            _ => When::At(self.until.max(now)),
        }
    }

    pub(in super::super) fn is_whole(&self) -> bool {
        matches!(self.trust, Trust::Whole)
    }

    pub(super) fn is_troubled(&self, now: u64) -> bool {
        self.until > now || matches!(self.trust, Trust::Probe(_))
    }

    /// A request sent at `sent` was refused, and `seen` is what the engine made of it.
    pub(super) fn refused(
        &mut self,
        now: u64,
        sent: u64,
        hint: Option<u64>,
        ladder: Ladder,
        seen: u64,
    ) -> Check {
        let news = sent >= self.began;
        let guess = ladder.0.saturating_mul(1 << self.guesses.min(30)).min(ladder.1);
        let (least, jitter) = match hint {
            Some(hint) => (hint.min(LONGEST_HINT), hint.min(LONGEST_HINT) / 20),
            None if news => (guess, guess / 4),
            None => (0, 0),
        };
        let (first, last) = (self.until.max(now + least), self.until.max(now + least + jitter));
        ensure!(
            (first..=last).contains(&seen),
            "a cooldown ends at {seen}, not in {first}..={last}; it would have at {}",
            self.until
        );
        self.until = seen;
        if news {
            self.began = now;
            self.guesses += u32::from(hint.is_none());
            self.trust = match (hint, &self.trust) {
                (Some(_), Trust::Whole | Trust::Few(..)) => Trust::Whole,
                _ => Trust::Probe(None),
            };
        }
        Ok(())
    }

    pub(super) fn succeeded(&mut self, sent: u64) {
        if sent < self.began {
            return;
        }
        self.guesses = 0;
        self.trust = match std::mem::take(&mut self.trust) {
            Trust::Probe(_) => Trust::Few(2, Vec::new()),
            Trust::Few(most, going) if most < 16 => Trust::Few(2 * most, going),
            Trust::Few(..) | Trust::Whole => Trust::Whole,
        };
    }

    pub(super) fn sending(&mut self, who: usize) -> Check {
        match &mut self.trust {
            Trust::Whole => {}
            Trust::Probe(probe) => {
                ensure!(probe.is_none(), "two probes at once: {probe:?} and {who}");
                *probe = Some(who);
            }
            Trust::Few(most, going) => {
                going.push(who);
                ensure!(going.len() <= *most, "{} at once, {most} are trusted", going.len());
            }
        }
        Ok(())
    }

    pub(super) fn ended(&mut self, who: usize) {
        match &mut self.trust {
            Trust::Probe(probe) if *probe == Some(who) => *probe = None,
            Trust::Few(_, going) => going.retain(|other| *other != who),
            _ => {}
        }
    }
}
