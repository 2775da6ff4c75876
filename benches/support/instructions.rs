//! The number of instructions of a row: the difference of two runs under callgrind. It does not depend on the
//! load of the machine.

use std::{
    env,
    process::{Command, ExitCode},
};

const WORK: &str = "--work";
const FEW: u64 = 2_000;
const MANY: u64 = 12_000;

/// The row and the number of repetitions, if this process runs under callgrind.
pub(crate) fn asked(args: &[String]) -> Option<(&str, u64)> {
    let place = args.iter().position(|arg| arg == WORK)?;
    Some((args.get(place + 1)?, args.get(place + 2)?.parse().ok()?))
}

pub(crate) fn count(rows: &[String]) -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("LEFT OUT: valgrind is not installed");
        return ExitCode::SUCCESS;
    }
    println!("{:<46} | instructions", "row");
    // Under callgrind two threads take turns, and both are counted.
    for row in rows.iter().filter(|row| !row.contains("threads")) {
        match (run(row, FEW), run(row, MANY)) {
            (Some(few), Some(many)) => {
                println!("{row:<46} | {:>12}", many.saturating_sub(few) / (MANY - FEW));
            }
            _ => {
                println!("{row:<46} | not counted");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn run(row: &str, number: u64) -> Option<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().ok()?)
        .args([WORK, row, &number.to_string()])
        .output()
        .ok()?;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let (_, collected) = told.split_once("Collected : ")?;
    collected.split_whitespace().next()?.parse().ok()
}
