//! How long answers of a model usually take.

use super::time::Time;

/// A moving average over about eight answers, and how far they stray from it, in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AnswerTime {
    mean: u64,
    stray: u64,
}

impl AnswerTime {
    pub(crate) fn note(&mut self, sent: Time, ended: Time) {
        let took = ended.since(sent);
        if self.mean == 0 {
            (self.mean, self.stray) = (took, took / 2);
            return;
        }
        let off = took.abs_diff(self.mean);
        self.stray = self.stray - self.stray / 4 + off / 4;
        self.mean = self.mean - self.mean / 8 + took / 8;
    }

    /// Nearly every answer has ended after this time; nothing as long as none has.
    pub(crate) fn usual(&self) -> u64 {
        self.mean.saturating_add(self.stray.saturating_mul(2))
    }
}
