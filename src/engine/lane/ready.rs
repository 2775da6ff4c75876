//! A set of accounts in declared order. It finds the next of a hundred thousand in a few steps,
//! however few are in the set.

use crate::engine::ids::AccountIx;

const BITS: usize = u64::BITS as usize;

/// One bit for each account; above that, one bit for each non-empty word of the level below, and so
/// on.
#[derive(Debug)]
pub(in crate::engine) struct Ready {
    levels: Vec<Vec<u64>>,
    number: usize,
}

impl Ready {
    /// The set of the first `number` accounts.
    pub(in crate::engine) fn all(number: usize) -> Self {
        let mut levels = Vec::new();
        let mut of = number;
        loop {
            let words = of.div_ceil(BITS).max(1);
            levels.push((0..words).map(|word| low_bits(of - (word * BITS).min(of))).collect());
            if words == 1 {
                return Self { levels, number };
            }
            of = words;
        }
    }

    /// Grows to so many accounts; the new ones are not in the set.
    pub(in crate::engine) fn make_place(&mut self, number: usize) {
        let mut of = number;
        for height in 0.. {
            let words = of.div_ceil(BITS).max(1);
            match self.levels.get_mut(height) {
                Some(level) => level.resize(words.max(level.len()), 0),
                // The level below has more than one word now.
                None => {
                    let below = self.levels[height - 1].chunks(BITS);
                    self.levels.push(below.map(non_empty).collect());
                }
            }
            if self.levels[height].len() == 1 {
                return;
            }
            of = self.levels[height].len();
        }
    }

    pub(in crate::engine) fn number(&self) -> usize {
        self.number
    }

    pub(in crate::engine) fn contains(&self, account: AccountIx) -> bool {
        let place = account.index();
        self.levels[0][place / BITS] >> (place % BITS) & 1 == 1
    }

    pub(in crate::engine) fn insert(&mut self, account: AccountIx) {
        if self.contains(account) {
            return;
        }
        self.number += 1;
        let mut place = account.index();
        for level in &mut self.levels {
            let word = &mut level[place / BITS];
            let was_empty = *word == 0;
            *word |= 1 << (place % BITS);
            if !was_empty {
                return;
            }
            place /= BITS;
        }
    }

    pub(in crate::engine) fn remove(&mut self, account: AccountIx) {
        if !self.contains(account) {
            return;
        }
        self.number -= 1;
        let mut place = account.index();
        for level in &mut self.levels {
            let word = &mut level[place / BITS];
            *word &= !(1 << (place % BITS));
            if *word != 0 {
                return;
            }
            place /= BITS;
        }
    }

    /// The first account in the set at or after `from`.
    pub(in crate::engine) fn next(&self, from: AccountIx) -> Option<AccountIx> {
        let mut place = from.index();
        // Go up until a word has a bit to the right of the place.
        for (height, level) in self.levels.iter().enumerate() {
            let left =
                level.get(place / BITS).map_or(0, |word| word & (u64::MAX << (place % BITS)));
            if left != 0 {
                let mut found = place / BITS * BITS + left.trailing_zeros() as usize;
                // Go down again, to the first bit of each word.
                for level in self.levels[..height].iter().rev() {
                    found = found * BITS + level[found].trailing_zeros() as usize;
                }
                return Some(AccountIx::new(found));
            }
            place = place / BITS + 1;
        }
        None
    }
}

/// One bit for each of these words that is not empty.
fn non_empty(words: &[u64]) -> u64 {
    let bits = words.iter().enumerate().map(|(place, word)| u64::from(*word != 0) << place);
    bits.fold(0, |all, bit| all | bit)
}

fn low_bits(number: usize) -> u64 {
    if number >= BITS { u64::MAX } else { (1 << number) - 1 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_ready_set_grows_and_keeps_its_members() {
        let mut grown = Ready::all(1);
        for number in 1..5_000 {
            assert_eq!(grown.next(AccountIx::new(number)), None, "a new one is in the set");
            grown.make_place(number + 1);
            grown.insert(AccountIx::new(number));
            assert_eq!(grown.next(AccountIx::new(number)), Some(AccountIx::new(number)));
        }
        assert_eq!(grown.levels, Ready::all(5_000).levels);
    }

    #[test]
    fn a_ready_set_is_ordered() {
        let mut rng = fastrand::Rng::with_seed(7);
        for number in [1, 2, 63, 64, 65, 4_096, 4_097, 300_000] {
            let mut ready = Ready::all(number);
            let mut set: BTreeSet<_> = (0..number).collect();
            // Nearly empty, so that words of every level are empty.
            for place in 0..number {
                if rng.u32(0..1_000) > 0 {
                    ready.remove(AccountIx::new(place));
                    set.remove(&place);
                }
            }
            for _ in 0..2_000 {
                let place = rng.usize(0..number);
                if rng.bool() {
                    ready.insert(AccountIx::new(place));
                    set.insert(place);
                } else {
                    ready.remove(AccountIx::new(place));
                    set.remove(&place);
                }
                let from = rng.usize(0..number);
                let next = ready.next(AccountIx::new(from)).map(AccountIx::index);
                assert_eq!(next, set.range(from..).next().copied(), "from {from} of {number}");
                assert_eq!(ready.number(), set.len());
            }
        }
    }
}
