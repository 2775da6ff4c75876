//! What the rules of a dialect are compared with.

use std::time::Duration;

use crate::provider::{exchange::Answer, limits::Limits};

/// A failed response, and the headers in which its dialect reports limits.
#[derive(Clone, Copy, Debug)]
pub(in crate::provider) struct Seen<'s> {
    pub(super) answer: &'s Answer<'s>,
    limits: &'s Limits,
}

impl<'s> Seen<'s> {
    pub(in crate::provider) fn new(answer: &'s Answer<'s>, limits: &'s Limits) -> Self {
        Self { answer, limits }
    }

    pub(super) fn limits(&self) -> &'s Limits {
        self.limits
    }

    /// The first number that stands right behind these words in the message. The words alone can stand
    /// in it before: "(for limit gpt-4.1) ... Limit 30000".
    pub(super) fn number_after(&self, words: &str) -> Option<u64> {
        let message = self.answer.error().message().to_ascii_lowercase();
        let words = words.to_ascii_lowercase();
        message.match_indices(&words).find_map(|(at, _)| {
            let digits = message[at + words.len()..].trim_start().chars();
            let digits = digits.filter(|c| *c != ',').take_while(char::is_ascii_digit);
            digits.collect::<String>().parse().ok()
        })
    }

    /// Whether the headers report that nothing is left of a limit.
    pub(super) fn is_used_up(&self) -> bool {
        let mut is_used_up = false;
        self.limits.read(self.answer, &mut |reading| {
            is_used_up |= reading.remaining == Some(0);
        });
        is_used_up
    }

    /// When every limit is back of which nothing is left: the latest of their resets.
    pub(super) fn reset_of_used_up(&self) -> Option<Duration> {
        let mut latest = None;
        self.limits.read(self.answer, &mut |reading| {
            if reading.remaining == Some(0) {
                latest = latest.max(reading.reset);
            }
        });
        latest
    }
}
