//! When a key was last accepted, and for which operation: a recent success speaks against a
//! refusal.

use crate::engine::{
    ids::OpIx,
    time::{SECOND, Time},
};

/// How long a success counts, in seconds.
const RECENT: u32 = 60;

/// Times are stored in seconds plus one, so that zero means never.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accepted {
    operation: OpIx,
    last: u32,
    /// The last success of another operation.
    other: u32,
}

impl Accepted {
    pub(crate) fn note(&mut self, now: Time, operation: OpIx) {
        if operation != self.operation {
            (self.other, self.operation) = (self.last, operation);
        }
        self.last = seconds(now) + 1;
    }

    /// Whether the key was accepted recently, for any operation.
    pub(crate) fn is_recent(&self, now: Time) -> bool {
        is_recent(now, self.last)
    }

    /// Whether it was accepted recently for another operation than this one.
    pub(crate) fn is_recent_for_another(&self, now: Time, operation: OpIx) -> bool {
        let another = if operation == self.operation { self.other } else { self.last };
        is_recent(now, another)
    }
}

fn is_recent(now: Time, then: u32) -> bool {
    then > 0 && seconds(now).saturating_sub(then - 1) <= RECENT
}

fn seconds(now: Time) -> u32 {
    u32::try_from(now.nanos() / SECOND).unwrap_or(u32::MAX - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_success_counts_for_a_minute_and_the_last_of_another_operation_is_known() {
        let at = |seconds: u64| Time::from_nanos(seconds * SECOND);
        let (chat, files) = (OpIx::new(1), OpIx::new(2));
        let mut accepted = Accepted::default();
        assert!(!accepted.is_recent(at(0)) && !accepted.is_recent_for_another(at(0), chat));
        accepted.note(at(0), chat);
        assert!(accepted.is_recent(at(60)) && !accepted.is_recent(at(61)));
        assert!(!accepted.is_recent_for_another(at(1), chat));
        assert!(accepted.is_recent_for_another(at(1), files));
        accepted.note(at(10), files);
        accepted.note(at(20), files);
        assert!(accepted.is_recent_for_another(at(60), files), "chat, at 0");
        assert!(!accepted.is_recent_for_another(at(61), files));
        assert!(accepted.is_recent_for_another(at(80), chat), "files, at 20");
    }
}
