//! Checks the claims of the project's pages. Rust blocks of the README and the guides are doc tests, other
//! blocks run in `.ci/readme`; these tests check that each block is run in one of these ways, and that all
//! named tests exist.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{fs, path::Path};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// The Markdown files of a folder, by their paths from the root.
fn pages_in(folder: &str) -> Vec<(String, String)> {
    let entries = fs::read_dir(Path::new(ROOT).join(folder)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let pages = names.filter(|name| Path::new(name).extension().is_some_and(|end| end == "md"));
    let paths = pages.map(|name| Path::new(folder).join(name).display().to_string());
    paths.map(|path| (path.clone(), read(path))).collect()
}

/// The pages beside `Cargo.toml`, and the guides.
fn pages() -> Vec<(String, String)> {
    let mut pages = pages_in("");
    pages.extend(pages_in("src/docs"));
    pages
}

/// The marks at the start of each code block.
fn marks(text: &str) -> Vec<&str> {
    let fences: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("```")).collect();
    fences.chunks(2).map(|fence| fence[0]).collect()
}

#[test]
fn every_code_block_is_run_or_is_plain_text() {
    let mut blocks = 0;
    for (page, text) in pages() {
        // Doc tests, and what `.ci/readme` runs.
        let is_run = page == "README.md" || page.starts_with("src/docs");
        let known: &[&str] = match is_run {
            true => &["rust", "rust,no_run", "sh", "toml", "python", "text"],
            false => &["sh", "text"],
        };
        for mark in marks(&text) {
            assert!(known.contains(&mark), "{page}: a block is marked {mark:?}");
            blocks += 1;
        }
    }
    assert!(blocks >= 30, "{blocks} blocks: the pages were not read correctly");
}

#[test]
fn every_guide_is_a_page_of_the_crate_documentation() {
    let module = read("src/docs/mod.rs");
    let guides = pages_in("src/docs");
    assert!(guides.len() >= 10, "{} guides: the pages were not read correctly", guides.len());
    for (path, _) in guides {
        let name = Path::new(&path).file_stem().unwrap().to_str().unwrap();
        let page = format!("#[doc = include_str!(\"{name}.md\")]\npub mod {name} {{}}\n");
        assert!(module.contains(&page), "src/docs/mod.rs does not include {path}");
    }
}

#[test]
fn the_readme_is_short_and_names_the_two_commands_to_try() {
    let readme = read("README.md");
    for command in ["cargo run --release --example gateway", "cargo test --all-features"] {
        assert!(readme.lines().any(|line| line == command), "no line {command:?}");
    }
    assert!(readme.lines().count() <= 200);
}

/// `tests/goodput.rs` `a_request_repeated_after_retry_after_is_served`: files, each followed by the names of
/// its tests.
#[test]
fn every_test_that_is_named_exists() {
    let mut names = 0;
    for (page, text) in pages() {
        let cells = text.lines().filter(|line| line.starts_with('|')).flat_map(|l| l.split('|'));
        for cell in cells {
            let is_file = |word: &&str| word.ends_with(".rs") && word.contains('/');
            let words = cell.split('`').skip(1).step_by(2).skip_while(|word| !is_file(word));
            let mut source = String::new();
            for word in words {
                if is_file(&word) {
                    assert!(Path::new(ROOT).join(word).exists(), "{page}: there is no {word}");
                    source = read(word);
                } else {
                    assert!(source.contains(&format!("fn {word}(")), "{page}: there is no {word}");
                    names += 1;
                }
            }
        }
    }
    assert!(names >= 80, "{names} names: the pages were not read correctly");
}
