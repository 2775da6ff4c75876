//! Counters since the pool was built.

use std::collections::BTreeMap;

use crate::Verdict;

/// Counts since the pool was built.
#[derive(Debug, Default)]
pub(in crate::engine) struct Counters {
    verdicts: [u64; Verdict::NAMES.len()],
}

impl Counters {
    /// Counts each request once, by its last verdict.
    pub(in crate::engine) fn count(&mut self, verdict: Verdict, before: Option<Verdict>) {
        self.verdicts[verdict.index()] += 1;
        if let Some(before) = before {
            self.verdicts[before.index()] -= 1;
        }
    }

    pub(in crate::engine) fn verdicts(&self) -> BTreeMap<&'static str, u64> {
        let counted = Verdict::NAMES.into_iter().zip(self.verdicts);
        counted.filter(|(_, count)| *count > 0).collect()
    }
}
