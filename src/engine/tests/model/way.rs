//! How long the way to the provider and back takes, from all that was ever measured.

const UNMEASURED: u64 = 250_000_000;

#[derive(Debug, Default)]
pub(in super::super) struct Way {
    /// How long each answer took.
    took: Vec<u64>,
}

impl Way {
    pub(super) fn note(&mut self, took: u64) {
        self.took.push(took);
    }

    /// The shortest that a round trip was ever taken to last; at first nobody knows.
    pub(super) fn shortest(&self) -> u64 {
        self.took.iter().copied().min().unwrap_or(u64::MAX)
    }

    /// Eight times what answers stray from their average over about eight answers: about eight of them or
    /// thirty-two, whichever stray more. Looked at once sixteen are known, and taken with a half more
    /// when it is above the last, or below half of it.
    pub(super) fn margin(&self) -> u64 {
        let (mut mean, mut margin) = (0, UNMEASURED);
        let (mut stray, mut steady) = (0, 0);
        for (i, took) in self.took.iter().enumerate() {
            if i == 0 {
                (mean, stray, steady) = (*took, took / 8, took / 8);
            }
            stray = stray - stray / 8 + took.abs_diff(mean) / 8;
            steady = steady - steady / 32 + took.abs_diff(mean) / 32;
            mean = mean - mean / 8 + took / 8;
            let needed = (stray.max(steady) * 8).clamp(50_000_000, UNMEASURED);
            if i >= 15 && (needed > margin || needed < margin / 2) {
                margin = (needed + needed / 2).min(UNMEASURED);
            }
        }
        margin
    }
}
