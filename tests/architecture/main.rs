//! The structure of `src/`: no circles of imports, the floors of the crate and of the engine, long files.
//!
//! File A *uses* file B if it names an item that B defines. A re-export is followed to the definition:
//! `crate::Limit` is a use of the file that defines `Limit`, not of `lib.rs`. Method calls are not seen,
//! and tests inside `src/` are left out.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod file;
mod made_up;
mod tokens;
mod tree;

use std::{collections::BTreeMap, fs, path::Path};

use tree::{Tree, Use, circles};

/// The floors of the crate, from the lowest. A room is a file or a folder of `src/`. It uses only rooms
/// on lower floors; rooms on one floor do not know each other. A room that
/// uses nothing and is not used needs no floor.
const FLOORS: [&[&str]; 10] = [
    // Plain data and small tools that stand alone.
    &["affinity", "endpoint", "error", "json", "macros", "money", "strategy", "verdict"],
    // Amounts per time; bodies that can be sent again; bodies cut into events.
    &["limit", "replay", "stream"],
    &["key"],
    // What an account is, what changed in a set of them, and what requests used.
    &["account", "changes", "usage"],
    // What operators are told, what dialects know, and where keys come from.
    &["event", "provider", "source"],
    &["demand", "snapshot"],
    // Decides; knows no clock, lock or future.
    &["engine"],
    // The engine with a lock, timers and secrets.
    &["pool"],
    // The middleware.
    &["retry", "rotate"],
    // What is made of the middleware. The sandbox is here so that no other room uses it.
    &["balance", "sandbox", "stack"],
];

/// The sandbox shares no arithmetic with the engine, so that a mistake there shows up as a refusal here.
const USED_BY_SANDBOX: [&str; 2] = ["key", "limit"];

/// A file with more lines says at its head why it is long.
const LONG: usize = 400;

#[test]
fn imports_form_no_circle() {
    assert_none(&circle_faults(&crate_tree()));
}

#[test]
fn a_room_uses_only_lower_floors() {
    assert_none(&floor_faults(&crate_tree()));
}

#[test]
fn parts_of_the_engine_do_not_know_the_engine() {
    assert_none(&part_faults(&crate_tree()));
}

#[test]
fn steps_of_the_engine_own_no_data() {
    assert_none(&step_faults(&crate_tree()));
}

#[test]
fn a_long_file_says_why_it_is_long() {
    let mut faults = Vec::new();
    for (path, text) in ["src", "tests", "examples", "benches"].iter().flat_map(|top| sources(top))
    {
        let lines = text.lines().count();
        let mut head = text.lines().take_while(|line| line.starts_with("//!"));
        if lines > LONG && !head.any(|line| line.contains("Long")) {
            faults.push(format!(
                "{path}:1 has {lines} lines: split it if it holds two ideas; otherwise say why in its \
                 head, as in `//! Long, for it is one table.`"
            ));
        }
    }
    assert_none(&faults);
}

fn circle_faults(tree: &Tree) -> Vec<String> {
    let uses = tree.uses();
    let mut faults = Vec::new();
    for circle in circles(tree.files.len(), &uses) {
        let next = circle.iter().cycle().skip(1);
        let lines = circle.iter().zip(next).flat_map(|(by, of)| {
            let is_link = move |used: &&Use| (used.by, used.of) == (*by, *of);
            uses.iter().filter(is_link).map(|used| format!("\n    {}", describe(tree, used)))
        });
        faults.push(format!(
            "a circle of imports: move what is used on both sides to a file below them.{}",
            lines.collect::<String>()
        ));
    }
    faults
}

fn floor_faults(tree: &Tree) -> Vec<String> {
    let floors = FLOORS.iter().enumerate();
    let floors: BTreeMap<_, _> =
        floors.flat_map(|(floor, rooms)| rooms.iter().map(move |room| (*room, floor))).collect();
    let room = |file: usize| tree.files[file].module.first().map(String::as_str);
    let mut faults = Vec::new();
    for used in tree.uses() {
        // `lib.rs` holds exports and documentation.
        let (Some(by), Some(of)) = (room(used.by), room(used.of)) else { continue };
        if by == of {
            continue;
        }
        let what_to_do = match (floors.get(by), floors.get(of)) {
            (None, _) => format!("`{by}` is on no floor: add it to `FLOORS`"),
            (_, None) => format!("`{of}` is on no floor: add it to `FLOORS`"),
            _ if by == "sandbox" && !USED_BY_SANDBOX.contains(&of) => {
                format!("the sandbox uses only {USED_BY_SANDBOX:?}: give it something of its own")
            }
            (Some(floor), Some(below)) if floor <= below => format!(
                "`{by}` is not above `{of}`: move the item to a lower room, or hand it in as an argument"
            ),
            _ => continue,
        };
        faults.push(format!("{}: {what_to_do}", describe(tree, &used)));
    }
    faults
}

/// A part is a file of `src/engine/` that is no step: data with its invariants.
fn part_faults(tree: &Tree) -> Vec<String> {
    let is_above = |file: usize| {
        let path = &*tree.files[file].path;
        path == "src/engine/mod.rs" || is_step(path)
    };
    let uses = tree.uses().into_iter().filter(|used| {
        tree.files[used.by].path.starts_with("src/engine/")
            && !is_above(used.by)
            && is_above(used.of)
    });
    let fault = |used| {
        format!(
            "{}: a part knows neither `Engine` nor its steps. Move the function to `steps/`, or the \
             item to a part",
            describe(tree, &used)
        )
    };
    uses.map(fault).collect()
}

/// A step is a file of functions on `Engine`.
fn step_faults(tree: &Tree) -> Vec<String> {
    let mut faults = Vec::new();
    for (ix, file) in tree.files.iter().enumerate() {
        // `mod.rs` holds declarations alone.
        if is_step(&file.path)
            && !file.path.ends_with("/mod.rs")
            && !file.implemented.contains("Engine")
        {
            faults.push(format!(
                "{}:1 has no `impl Engine`: move it out of the steps, to a part",
                file.path
            ));
        }
        let is_of_engine = |of: &str| of == "Engine" && file.path == "src/engine/mod.rs";
        for (_, field) in file.fields.iter().filter(|(of, _)| is_of_engine(of)) {
            let Some((of, item)) = tree.item(ix, field) else { continue };
            if is_step(&tree.files[of].path) {
                faults.push(format!(
                    "{}:{} is a field of `Engine` with `{item}` of {}: a step owns no data. Move the \
                     type to a part",
                    file.path, field.line, tree.files[of].path
                ));
            }
        }
    }
    faults
}

fn is_step(path: &str) -> bool {
    path.starts_with("src/engine/steps/") || path.starts_with("src/engine/report/")
}

fn describe(tree: &Tree, used: &Use) -> String {
    let (by, of) = (&tree.files[used.by].path, &tree.files[used.of].path);
    format!("{by}:{} uses `{}` of {of}", used.line, used.item)
}

/// The crate without its tests.
fn crate_tree() -> Tree {
    let is_test = |path: &str| path.contains("/tests/") || path.ends_with("/tests.rs");
    let sources = sources("src");
    let code = sources.iter().filter(|(path, _)| !is_test(path));
    Tree::new(code.map(|(path, text)| (&**path, &**text)))
}

/// The Rust files below a folder of the project, with their texts, in order of their paths.
fn sources(folder: &str) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.path().is_dir() {
            found.extend(sources(&path));
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).unwrap();
            found.push((path, text));
        }
    }
    found.sort();
    found
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n\n{}\n", faults.join("\n\n"));
}
