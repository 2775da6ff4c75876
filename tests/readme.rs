//! What the project's pages say is so: their Rust blocks are doc tests, and the tests they name exist.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap()
}

/// The pages: all Markdown files beside `Cargo.toml`.
fn pages() -> Vec<(String, String)> {
    let files = fs::read_dir(ROOT).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|end| end == "md"));
    pages.map(|path| (path.display().to_string(), read(path))).collect()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => sources(&path, found),
            false => found.push(path),
        }
    }
}

/// The code blocks of a text that are Rust to those who render it.
fn rust_blocks(text: &str, marked: &[&str]) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<(bool, String)> = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), block.take()) {
            (Some(mark), None) => block = Some((marked.contains(&mark), String::new())),
            (Some(_), Some((is_rust, code))) => blocks.extend(is_rust.then_some(code)),
            (None, Some((is_rust, code))) => block = Some((is_rust, format!("{code}{line}\n"))),
            (None, None) => {}
        }
    }
    blocks
}

/// The doc tests of a source file, without their hidden lines.
fn doc_tests(source: &str) -> Vec<String> {
    let is_doc = |line: &str| {
        let doc = line.trim_start();
        let text = doc.strip_prefix("//!").or_else(|| doc.strip_prefix("///"))?;
        Some(text.strip_prefix(' ').unwrap_or(text).to_owned())
    };
    let docs: Vec<_> = source.lines().filter_map(is_doc).collect();
    let is_shown = |line: &&str| *line != "#" && !line.starts_with("# ");
    let shown = |block: &String| {
        block.lines().filter(is_shown).map(|line| format!("{line}\n")).collect::<String>()
    };
    rust_blocks(&docs.join("\n"), &["", "no_run"]).iter().map(shown).collect()
}

#[test]
fn every_rust_block_is_a_doc_test_word_for_word() {
    let mut files = Vec::new();
    sources(&Path::new(ROOT).join("src"), &mut files);
    let tested: Vec<_> = files.iter().flat_map(|file| doc_tests(&read(file))).collect();
    let mut blocks = 0;
    for (page, text) in pages() {
        for block in rust_blocks(&text, &["rust"]) {
            assert!(tested.contains(&block), "{page}: no doc test reads\n{block}");
            blocks += 1;
        }
    }
    assert!(blocks >= 5, "{blocks} blocks: the pages are read wrongly");
}

/// `tests/goodput.rs` `retry_after_is_true`: files, and behind each the names of tests in it.
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
    assert!(names >= 10, "{names} names: the pages are read wrongly");
}
