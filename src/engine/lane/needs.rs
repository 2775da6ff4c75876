//! Learns how many tokens requests of a model really need, to correct the estimates made before
//! they are sent.
//!
//! Before a request is sent, only the size of its prompt is known, and perhaps a cap on its answer.
//! The usage that answers report corrects both: the ratio of real to estimated prompt tokens, and
//! the usual length of answers. The pool reserves an amount that nearly no request exceeds, and
//! gives back the unused part when the answer reports its usage.

use crate::{
    engine::{ask::Prior, lane::average::Average},
    usage::Usage,
};

/// A ratio of one. Also the scale of answer lengths, so that the average keeps fractions.
const ONE: u64 = 1 << 16;

/// A correction stays between a quarter and four times the estimate. A ratio further off has
/// another cause than the tokens of a language.
const RATIOS: (u64, u64) = (ONE / 4, ONE * 4);

/// The tokens reserved for an answer while nothing is known, if the provider does not count the
/// cap.
const FIRST_ANSWER: u64 = 1_000;

/// What requests of one model usually need.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Needs {
    /// Real prompt tokens per estimated token, in 65,536ths.
    input: Average,
    /// Tokens of answers, in 65,536ths.
    output: Average,
}

impl Needs {
    /// The tokens to reserve for a prompt that is estimated at `estimate` tokens.
    pub(crate) fn input(&self, estimate: u64) -> u64 {
        let ratio = match self.input.usual() {
            0 => return estimate,
            ratio => ratio.clamp(RATIOS.0, RATIOS.1),
        };
        let tokens = (u128::from(estimate) * u128::from(ratio)).div_ceil(u128::from(ONE));
        u64::try_from(tokens).unwrap_or(u64::MAX)
    }

    /// The tokens to reserve for an answer with this cap. `cap_counts` says whether the provider
    /// counts the cap when the request arrives.
    pub(crate) fn output(&self, cap: Option<u64>, cap_counts: bool) -> u64 {
        let usual = self.output.usual().div_ceil(ONE);
        match cap {
            Some(cap) if cap_counts => cap,
            Some(cap) if usual == 0 => cap.min(FIRST_ANSWER),
            Some(cap) => cap.min(usual),
            None => usual,
        }
    }

    /// Learns from the usage that an answer reports.
    pub(crate) fn note(&mut self, prior: &Prior, usage: &Usage) {
        // Far more tokens than any model takes, and no product overflows.
        const MAX_TOKENS: u64 = 1 << 40;
        if let (Some(estimate @ 1..), used @ 1..) = (prior.input, usage.all_input()) {
            let ratio = used.min(MAX_TOKENS) * ONE / estimate;
            self.input.note(ratio.clamp(RATIOS.0, RATIOS.1));
        }
        self.output.note(usage.all_output().min(MAX_TOKENS) * ONE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(answers: impl IntoIterator<Item = (u64, u64)>) -> Needs {
        let mut needs = Needs::default();
        for (estimate, used) in answers {
            let prior = Prior { input: Some(estimate), ..Prior::default() };
            needs.note(&prior, &Usage::tokens(used, used));
        }
        needs
    }

    #[test]
    fn an_estimate_stands_until_an_answer_reports_usage() {
        assert_eq!(Needs::default().input(1_000), 1_000);
        let counted = Prior { input: None, ..Prior::default() };
        let mut needs = Needs::default();
        needs.note(&counted, &Usage::tokens(10, 10));
        assert_eq!(needs.input(1_000), 1_000, "what callers count themselves teaches nothing");
        needs.note(&Prior { input: Some(0), ..counted }, &Usage::tokens(10, 10));
        needs.note(&Prior { input: Some(10), ..counted }, &Usage::tokens(0, 10));
        assert_eq!(needs.input(1_000), 1_000);
    }

    #[test]
    fn a_steady_ratio_is_learned_to_the_token() {
        for (estimate, used) in [(1_000, 1_000), (1_000, 700), (333, 1_000), (1_000, 3_999)] {
            let needs = after((0..100).map(|_| (estimate, used)));
            let off = needs.input(estimate * 10).abs_diff(used * 10);
            assert!(off <= 3, "{estimate} was {used}: {off} off");
        }
    }

    #[test]
    fn a_varying_ratio_reserves_more_than_nearly_all_need() {
        let needs = after((0..200).map(|i| (1_000, 800 + i * 37 % 100 * 4)));
        let reserved = needs.input(1_000);
        assert!((1_150..=1_400).contains(&reserved), "{reserved}");
    }

    #[test]
    fn no_ratio_is_beyond_its_bounds_and_nothing_overflows() {
        let extreme = [(1, u64::MAX), (u64::MAX, 1), (1, 1), (u64::MAX, u64::MAX)];
        for answer in extreme {
            let needs = after([answer; 20]);
            assert!((250..=4_000).contains(&needs.input(1_000)), "{answer:?}");
            assert!(needs.input(u64::MAX) >= u64::MAX / 4);
        }
    }

    #[test]
    fn an_answer_reserves_the_usual_length_unless_its_cap_counts() {
        let unknown = Needs::default();
        assert_eq!(unknown.output(None, true), 0);
        assert_eq!(unknown.output(Some(64_000), false), 1_000);
        assert_eq!(unknown.output(Some(70), false), 70);
        let known = after([(1, 300); 50]);
        for (cap, cap_counts, expected) in [
            (None, true, 300),
            (None, false, 300),
            (Some(64_000), false, 300),
            (Some(70), false, 70),
            (Some(64_000), true, 64_000),
        ] {
            let output = known.output(cap, cap_counts);
            assert!(output.abs_diff(expected) <= 1, "{cap:?}, {cap_counts}: {output}");
        }
    }
}
