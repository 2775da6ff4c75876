//! The usual value of something: a moving average (EWMA), and how far single values deviate from
//! it.

/// A moving average over about eight values, and the average deviation from it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Average {
    mean: u64,
    stray: u64,
}

impl Average {
    pub(crate) fn note(&mut self, value: u64) {
        if self.mean == 0 {
            (self.mean, self.stray) = (value, value / 2);
            return;
        }
        let off = value.abs_diff(self.mean);
        self.stray = self.stray - self.stray / 4 + off / 4;
        self.mean = self.mean - self.mean / 8 + value / 8;
    }

    /// Nearly every value is below this one; 0 until there is a value.
    pub(crate) fn usual(&self) -> u64 {
        self.mean.saturating_add(self.stray.saturating_mul(2))
    }
}
