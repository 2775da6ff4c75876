//! Heap allocations of one request, beyond those that it takes to build the request itself, and the
//! memory of a pool's keys.
//!
//! `cargo bench --bench allocations` fails when a row allocates more than it may, or a key takes more.

mod support;

use std::process::ExitCode;

use support::{
    driver::{Kind, Row},
    pools, rows,
};
use tower_key_rotation::Demand;

const REQUESTS: usize = 1_000;

/// How many allocations a request may cost.
const MOST: &[(&str, f64)] = &[
    (rows::ROTATION, 0.0),
    (rows::ROTATION_READ, 0.0),
    (rows::ROTATION_MANY, 0.0),
    (rows::ROTATION_COOLING, 0.0),
    (rows::STACK, 2.0),
    (rows::STACK_ANNOTATED, 5.0),
];

/// The bytes that an idle key may take: its account, a limit, a seat in two lanes, and its declaration.
const MOST_A_KEY: u64 = 1_024;

fn main() -> ExitCode {
    let mut request = (0.0, 0.0);
    let mut too_many = false;
    println!("{:<46} | allocs/request | bytes/request", "row");
    for mut row in rows::rows("").into_iter().filter(|row| row.kind != Kind::Contended) {
        let (mut allocs, mut bytes) = count(&mut row);
        if row.name == rows::REQUEST {
            request = (allocs, bytes);
        }
        if row.kind == Kind::Request {
            allocs -= request.0;
            bytes -= request.1;
        }
        let most = MOST.iter().find(|(name, _)| *name == row.name).map(|(_, most)| *most);
        let verdict = match most {
            Some(most) if allocs > most => {
                too_many = true;
                format!("  TOO MANY: at most {most}")
            }
            Some(most) => format!("  at most {most}"),
            None => String::new(),
        };
        println!("{:<46} | {allocs:>14.3} | {bytes:>13.1}{verdict}", row.name);
    }
    let of_key = bytes_of_key();
    println!("\n{of_key} bytes of memory for each idle key (at most {MOST_A_KEY})");
    if too_many || of_key > MOST_A_KEY { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The memory of a pool per key, after one request without a model and one with a model. Each key is an
/// account of its own with a limit.
fn bytes_of_key() -> u64 {
    const KEYS: usize = 10_000;
    let mut kept = None;
    let info = allocation_counter::measure(|| {
        let pool = pools::pool(KEYS);
        drop(pool.try_acquire(&Demand::new()));
        drop(pool.try_acquire(&Demand::new().model("gpt-4o")));
        kept = Some(pool);
    });
    drop(kept);
    u64::try_from(info.bytes_current).unwrap_or(u64::MAX) / KEYS as u64
}

/// Allocations and bytes of one request, after all buffers have their size.
fn count(row: &mut Row) -> (f64, f64) {
    row.run(REQUESTS);
    let info = allocation_counter::measure(|| {
        row.run(REQUESTS);
    });
    let each = |total: u64| total as f64 / REQUESTS as f64;
    (each(info.count_total), each(info.bytes_total))
}
