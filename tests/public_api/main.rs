//! The public face of the crate, name by name: `names.txt` is its list, made from the sources, so that a
//! change of the face is seen in a diff. `paths.rs` imports each item, so that the compiler confirms the
//! list.
//!
//! After a change that is meant, `UPDATE_PUBLIC_API=1 cargo test --test public_api` writes both files anew.
#![allow(clippy::unwrap_used, reason = "these are tests")]

#[expect(unused_imports, reason = "the items only have to exist")]
mod paths;
mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
    path::Path,
};

use sources::Sources;

fn compare_or_update(file: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/public_api").join(file);
    if std::env::var_os("UPDATE_PUBLIC_API").is_some() {
        fs::write(&path, made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    let (kept, made): (BTreeSet<_>, BTreeSet<_>) = (kept.lines().collect(), made.lines().collect());
    let gone: Vec<_> = kept.difference(&made).collect();
    let new: Vec<_> = made.difference(&kept).collect();
    assert!(
        gone.is_empty() && new.is_empty(),
        "the public face has changed, gone: {gone:#?}, new: {new:#?}; if that is meant, run this test with \
         UPDATE_PUBLIC_API=1 and note it in CHANGELOG.md"
    );
}

#[test]
fn the_public_face_is_the_one_that_is_written_down() {
    let sources = Sources::read();
    let mut names = String::new();
    let mut paths =
        String::from("//! Each public item of the crate, imported once; see `main.rs`.\n\n");
    for (path, item) in sources.public_items() {
        writeln!(paths, "use tower_key_rotation::{path} as _;").unwrap();
        writeln!(names, "{path}").unwrap();
        for member in sources.members(&item) {
            writeln!(names, "{path}{member}").unwrap();
        }
    }
    compare_or_update("paths.rs", &paths);
    compare_or_update("names.txt", &names);
}

#[test]
fn each_public_item_has_one_path() {
    let mut paths: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (path, item) in Sources::read().public_items() {
        paths.entry(item).or_default().push(path);
    }
    paths.retain(|_, paths| paths.len() > 1);
    assert!(paths.is_empty(), "{paths:#?}");
}

#[test]
fn the_root_has_few_names() {
    let items = Sources::read().public_items();
    let root: Vec<_> = items.iter().filter(|(path, _)| !path.contains("::")).collect();
    assert!(root.len() <= 25, "{root:#?}");
}
