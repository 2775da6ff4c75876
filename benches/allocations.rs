//! Heap allocations of one request, beyond those that it takes to build the request itself.
//!
//! `cargo bench --bench allocations` fails when a row allocates more than it may.

mod support;

use std::process::ExitCode;

use support::{
    driver::{Kind, Row},
    rows,
};

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
    if too_many { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Allocations and bytes of one request, once everything has its size.
fn count(row: &mut Row) -> (f64, f64) {
    row.run(REQUESTS);
    let info = allocation_counter::measure(|| {
        row.run(REQUESTS);
    });
    let each = |total: u64| total as f64 / REQUESTS as f64;
    (each(info.count_total), each(info.bytes_total))
}
