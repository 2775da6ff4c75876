//! The savings of keeping conversations on the account that has them in its prompt cache. It compares the
//! pool with the pool without affinity, round robin, and one account that has all limits.
//!
//! ```text
//! cargo run --release --example affinity                # an hour of traffic
//! cargo run --release --example affinity -- --short     # 20 minutes of it
//! cargo run --release --example affinity -- --only Anthropic --seed 3
//! ```
//!
//! All time is virtual (a paused tokio clock) and all randomness has a seed: the same arguments print the
//! same bytes, on any machine. The process fails if a target is missed.

mod run;
mod scenario;
mod table;
mod traffic;

use std::process::ExitCode;

use scenario::{Scenario, Way};
use table::Figures;

fn main() -> ExitCode {
    let (mut short, mut seed, mut only) = (false, 7, String::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), args.len()) {
            ("--short", _) => short = true,
            ("--seed", 1..) => {
                seed = args.next().and_then(|seed| seed.parse().ok()).unwrap_or(seed)
            }
            ("--only", 1..) => only = args.next().unwrap_or(only),
            _ => {
                eprintln!("affinity [--short] [--seed N] [--only TEXT]");
                return ExitCode::from(2);
            }
        }
    }
    let mut met = true;
    for scenario in Scenario::all(short).into_iter().filter(|it| it.name.contains(&only)) {
        let all = traffic::conversations(&scenario, seed);
        table::head(&scenario, &all);
        let figures = |way| Figures::of(&scenario, &run::run(&scenario, &all, way, seed));
        let [affinity, headroom, round_robin, ideal] = Way::ALL.map(figures);
        for (way, figures) in Way::ALL.iter().zip([&affinity, &headroom, &round_robin, &ideal]) {
            table::row(way.name(), figures, &round_robin, &ideal);
        }
        met &= table::targets(&affinity, &round_robin, &ideal);
    }
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
