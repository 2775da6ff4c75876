//! The steps that can happen.

#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) what: What,
    pub(super) seed: u64,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// A request asks, and joins the line if it is not admitted at once.
    Ask,
    /// A request leaves the line.
    Leave,
    Settle,
    End,
    Refund,
    Judge,
    Brake,
    /// A suspicion is confirmed or withdrawn, or lapses.
    Blame,
    Read,
    /// Time passes.
    Wait,
    /// Time passes until the engine wants to be called.
    WakeUp,
    /// Keys, accounts or limits are added, changed or removed.
    Change,
    /// Time passes until about the end of a window, or of a later one.
    Edge,
    /// All requests leave and end, and then a single one asks.
    Quiet,
}

/// A random list of steps; how often each kind occurs is drawn anew for every list.
pub(super) fn list(rng: &mut fastrand::Rng, length: usize) -> Vec<Step> {
    use What::*;
    let usual = [
        (Ask, 40),
        (Leave, 3),
        (Settle, 12),
        (End, 15),
        (Refund, 4),
        (Judge, 12),
        (Brake, 1),
        (Blame, 8),
        (Read, 4),
        (Wait, 15),
        (WakeUp, 12),
        (Edge, 4),
        (Quiet, 1),
        (Change, 10),
    ];
    let weights = usual.map(|(what, weight)| (what, weight * [1, 2, 4][rng.usize(0..3)]));
    let sum: u32 = weights.iter().map(|(_, weight)| weight).sum();
    let mut draw = || {
        let mut drawn = rng.u32(0..sum);
        let what = weights.iter().find(|(_, weight)| {
            let found = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            found
        });
        Step { what: what.map_or(Ask, |(what, _)| *what), seed: rng.u64(..) }
    };
    (0..length).map(|_| draw()).collect()
}
