//! Admission and settlement without HTTP: by the number of accounts, by the share of cooling accounts, and
//! with threads; compared with alternatives that users would write or take.
//!
//! ```text
//! cargo bench --bench engine                    # criterion: time, with its spread
//! cargo bench --bench engine -- cooling         # rows whose names contain a text
//! cargo bench --bench engine -- --instructions  # instructions, where valgrind is installed
//! ```

mod support;

use std::{env, process::ExitCode, time::Duration};

use criterion::Criterion;
use support::{engine, instructions};

fn main() -> ExitCode {
    let args: Vec<_> = env::args().collect();
    let has = |name: &str| args.iter().any(|arg| arg == name);
    if let Some((row, number)) = instructions::asked(&args) {
        engine::rows().into_iter().filter(|other| other.name == row).for_each(|row| {
            let mut work = (row.make)();
            (0..number).for_each(|_| work());
        });
        return ExitCode::SUCCESS;
    }
    if has("--instructions") {
        let names: Vec<_> = engine::rows().into_iter().map(|row| row.name).collect();
        return instructions::count(&names);
    }
    // A smoke run is short, and so is one without `--bench`, which cargo adds.
    let short = has("--short") || !has("--bench");
    let filter = args.iter().skip(1).find(|arg| !arg.starts_with("--"));
    let (warm_up, time, samples) = if short { (50, 100, 10) } else { (500, 2_000, 50) };
    let mut criterion = Criterion::default()
        .without_plots()
        .warm_up_time(Duration::from_millis(warm_up))
        .measurement_time(Duration::from_millis(time))
        .sample_size(samples);
    for row in engine::rows() {
        if filter.is_none_or(|filter| row.name.contains(filter.as_str())) {
            let mut work = (row.make)();
            criterion.bench_function(&row.name, |bencher| bencher.iter(&mut work));
        }
    }
    criterion.final_summary();
    ExitCode::SUCCESS
}
