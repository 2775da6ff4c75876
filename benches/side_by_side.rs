//! Time of one request through each row, measured in turns: A B C A B C ...
//!
//! Machines are noisy, but conditions are nearly equal within one round. So each ratio is taken within a
//! round, and the median over all rounds is printed.
//!
//! ```text
//! cargo bench --bench side_by_side -- [--short] [--row TEXT] [--rounds N]
//! ```
//!
//! `--short` is a smoke run of a few seconds; without `--bench`, which cargo adds, every run is one.
//! `--row` measures the rows whose names contain a text. A profiler that counts instructions gives
//! those of one request as the difference of two runs over their difference in rounds, of 2,000
//! requests each.

mod support;

use std::env;

use support::{driver::Row, rows};

/// Requests in one turn: few enough that the scheduler rarely interrupts a turn.
const REQUESTS: usize = 1_000;

/// The targets: the first row takes at most this many times the time of the second.
const TARGETS: &[(&str, &str, f64)] = &[
    (rows::ROTATION, rows::HEADER_AND_CHECK, 4.0),
    (rows::ROTATION_MANY, rows::ROTATION, 1.3),
    (rows::ROTATION_COOLING, rows::ROTATION, 1.3),
    (rows::STACK, rows::HAND_MADE, 0.35),
    (rows::STACK_ANNOTATED, rows::HAND_MADE, 0.35),
];

fn main() {
    let options = Options::read();
    let mut rows = rows::rows(&options.row);
    let rounds = measure(&mut rows, options.rounds);
    println!("{:<46} | ns/request | fastest", "row");
    for (place, row) in rows.iter().enumerate() {
        let times: Vec<_> = rounds.iter().map(|round| round[place]).collect();
        let fastest = times.iter().copied().fold(f64::INFINITY, f64::min);
        println!("{:<46} | {:>10.0} | {fastest:>7.0}", row.name, median(times));
    }
    println!();
    for &(name, other, most) in TARGETS {
        let place = |name| rows.iter().position(|row| row.name == name);
        let (Some(this), Some(that)) = (place(name), place(other)) else { continue };
        let ratio = median(rounds.iter().map(|round| round[this] / round[that]).collect());
        let met = if ratio <= most { "target met" } else { "target missed" };
        println!("{ratio:.2} (<= {most}): {met}: {name} / {other}");
    }
}

/// Nanoseconds per request: a line for each round, with a figure for each row.
fn measure(rows: &mut [Row], rounds: usize) -> Vec<Vec<f64>> {
    let turn = |row: &mut Row| {
        // One request first, to warm the caches.
        row.run(REQUESTS);
        row.run(REQUESTS).as_nanos() as f64 / REQUESTS as f64
    };
    (0..rounds).map(|_| rows.iter_mut().map(turn).collect()).collect()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

struct Options {
    row: String,
    rounds: usize,
}

impl Options {
    fn read() -> Self {
        let args: Vec<_> = env::args().collect();
        let value = |name| {
            let place = args.iter().position(|arg| arg == name)?;
            args.get(place + 1).cloned()
        };
        let is = |name| args.iter().any(|arg| arg == name);
        let usual = if is("--short") || !is("--bench") { 20 } else { 200 };
        let rounds = value("--rounds").and_then(|rounds| rounds.parse().ok());
        Self { row: value("--row").unwrap_or_default(), rounds: rounds.unwrap_or(usual) }
    }
}
