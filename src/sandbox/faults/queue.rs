//! Faults that strike in turn.

use std::collections::VecDeque;

/// Things that happen in turn, each a number of times.
pub(in crate::sandbox) struct Queue<T>(VecDeque<(T, u64)>);

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T: Clone> Queue<T> {
    /// Always true, as nothing is named that could be missing.
    pub(super) fn push(&mut self, thing: T, times: u64) -> bool {
        if times > 0 {
            self.0.push_back((thing, times));
        }
        true
    }

    pub(in crate::sandbox) fn take(&mut self) -> Option<T> {
        let (thing, times) = self.0.front_mut()?;
        let thing = thing.clone();
        *times -= 1;
        if *times == 0 {
            self.0.pop_front();
        }
        Some(thing)
    }
}
