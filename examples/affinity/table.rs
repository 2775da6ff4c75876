//! The figures of a run, and whether they meet the targets.

use tower_key_rotation::sandbox::Counts;

use crate::{
    run::Run,
    scenario::{Prices, Scenario},
    traffic::Conversation,
};

pub(crate) struct Figures {
    answered: u64,
    failed: u64,
    refused: u64,
    moved: u64,
    nano_dollars: u64,
    /// The share of prompt tokens that were read from a cache.
    hits: f64,
    /// How evenly requests and tokens were spread over accounts (Jain's index).
    jain: f64,
    jain_of_tokens: f64,
}

impl Figures {
    pub(crate) fn of(scenario: &Scenario, run: &Run) -> Self {
        let total = &run.total;
        let of = |what: fn(&Counts) -> u64| {
            jain(&run.accounts.iter().map(|tally| what(tally) as f64).collect::<Vec<_>>())
        };
        Self {
            answered: total.accepted,
            failed: run.failed,
            refused: total.rate_limited,
            moved: run.moved,
            nano_dollars: cost(&scenario.dialect.prices(), total),
            hits: total.cache_read_tokens as f64 / total.prompt_tokens as f64,
            jain: of(|tally| tally.accepted),
            jain_of_tokens: of(|tally| tally.prompt_tokens),
        }
    }
}

fn cost(prices: &Prices, tally: &Counts) -> u64 {
    let cached = tally.cache_read_tokens + tally.cache_write_tokens;
    (tally.prompt_tokens - cached) * prices.input
        + tally.cache_read_tokens * prices.cache_read
        + tally.cache_write_tokens * prices.cache_write
        + tally.answer_tokens * prices.output
}

/// Jain's fairness index: 1 if all shares are equal.
fn jain(shares: &[f64]) -> f64 {
    let sum: f64 = shares.iter().sum();
    let squares: f64 = shares.iter().map(|share| share * share).sum();
    if squares > 0.0 { sum * sum / (shares.len() as f64 * squares) } else { 0.0 }
}

pub(crate) fn head(scenario: &Scenario, all: &[Conversation]) {
    let Scenario { name, accounts, time, .. } = scenario;
    let (turns, minutes): (usize, _) =
        (all.iter().map(|it| it.turns.len()).sum(), time.as_secs() / 60);
    println!(
        "{name}: {accounts} accounts, {minutes} min, {} conversations of {turns} turns",
        all.len()
    );
    println!(
        "{:<28} | answered | failed |  429 | moved |      cost | of r. robin | cache hits | of ideal |  Jain | of tokens",
        ""
    );
}

pub(crate) fn row(name: &str, figures: &Figures, round_robin: &Figures, ideal: &Figures) {
    let Figures { answered, failed, refused, moved, nano_dollars, hits, jain, jain_of_tokens } =
        figures;
    println!(
        "{name:<28} | {answered:>8} | {failed:>6} | {refused:>4} | {moved:>5} | {:>9} | {:>10.1}% | {:>9.2}% | {:>7.2}% | {jain:.4} | {jain_of_tokens:.4}",
        dollars(*nano_dollars),
        100.0 * share(figures, round_robin),
        100.0 * hits,
        100.0 * hits / ideal.hits,
    );
}

fn share(figures: &Figures, of: &Figures) -> f64 {
    figures.nano_dollars as f64 / of.nano_dollars as f64
}

fn dollars(nanos: u64) -> String {
    format!("${}.{:04}", nanos / 1_000_000_000, nanos / 100_000 % 10_000)
}

/// Prints whether the pool meets its targets.
pub(crate) fn targets(pool: &Figures, round_robin: &Figures, ideal: &Figures) -> bool {
    let hits = pool.hits / ideal.hits;
    let cheaper = 1.0 - share(pool, round_robin);
    let targets = [
        ("cheaper than round robin by 20 %", cheaper >= 0.20),
        ("95 % of the ideal's cache hits", hits >= 0.95),
        ("Jain index of 0.98", pool.jain >= 0.98),
        ("no failed conversation", pool.failed == 0),
    ];
    let results =
        targets.map(|(what, met)| format!("{what}: {}", if met { "met" } else { "MISSED" }));
    println!("targets: {}\n", results.join("; "));
    targets.iter().all(|(_, met)| *met)
}
