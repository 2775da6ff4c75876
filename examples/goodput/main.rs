//! How much of the quota becomes answers. It compares the pool with hand-made clients and with the best
//! possible result, in front of providers that enforce their limits exactly.
//!
//! ```text
//! cargo run --release --example goodput                 # all rows, minutes
//! cargo run --release --example goodput -- --short      # some rows, seconds
//! cargo run --release --example goodput -- --only fixed --seed 3
//! ```
//!
//! All time is virtual (a paused tokio clock) and all randomness has a seed: the same arguments print
//! the same bytes, on any machine.
//!
//! | module | contents |
//! | --- | --- |
//! | [`scenario`], [`scenarios`] | a simulated scenario, and the list of all |
//! | [`workload`] | the callers, their times and their demands |
//! | [`world`], [`uplink`] | the provider, the pool, and the network between them |
//! | [`clients`] | the compared clients: with the pool, and hand-made ones |
//! | [`day`] | a day with many faults, with its own clients and figures |
//! | [`ideal`] | one queue with perfect knowledge, computed without a clock |
//! | [`drive`], [`figures`], [`table`], [`targets`] | a run, its figures, how they are printed, and the targets |

mod args;
mod clients;
mod day;
mod drive;
mod figures;
mod ideal;
mod scenario;
mod scenarios;
mod table;
mod targets;
mod uplink;
mod workload;
mod world;

use std::process::ExitCode;

use clients::Kind;
use figures::Figures;

fn main() -> ExitCode {
    let args = match args::Args::read(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::from(2);
        }
    };
    table::begin(&args);
    let mut rows = Vec::new();
    let all = scenarios::all(args.short);
    for scenario in all.into_iter().filter(|scenario| scenario.name().contains(&args.only)) {
        let jobs = workload::jobs(&scenario, args.seed);
        let ideal = Figures::of(&scenario, &jobs, &ideal::run(&scenario, &jobs));
        table::head(&scenario, &jobs);
        for kind in Kind::all(&scenario) {
            let run = drive::run(&scenario, &jobs, kind, args.seed);
            let figures = Figures::of(&scenario, &jobs, &run);
            table::row(kind.name(), &figures, &ideal);
            rows.push(targets::Row { scenario: scenario.clone(), kind, figures, ideal });
        }
        table::row("ideal FIFO", &ideal, &ideal);
    }
    let days = day::all(args.short).into_iter().filter(|day| day.name().contains(&args.only));
    let days: Vec<_> = days.flat_map(|day| day.rows(args.seed)).collect();
    targets::print(&rows, &days);
    ExitCode::SUCCESS
}
