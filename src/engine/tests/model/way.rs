//! The round trip to the provider, from all that was ever measured.

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

    /// The shortest round trip so far; very large until there is one.
    pub(super) fn shortest(&self) -> u64 {
        self.took.iter().copied().min().unwrap_or(u64::MAX)
    }

    /// Eight times the average deviation over about 8 or about 32 answers, whichever is larger. It
    /// is known after 16 answers. It is raised by half when it is above the last value, or below
    /// half of it.
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
