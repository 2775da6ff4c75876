//! The rules find what they are for: made-up trees that break them.

use crate::{circle_faults, floor_faults, part_faults, step_faults, tree::Tree};

#[test]
fn a_circle_through_a_reexport_is_found() {
    let tree = Tree::new([
        ("src/lib.rs", "mod a; mod b; mod c; pub use a::{A, self as other};"),
        ("src/a.rs", "use crate::b::B;\npub struct A(B);"),
        ("src/b.rs", "pub struct B;\nfn f() -> Option<super::c::C> { None }"),
        ("src/c.rs", "/* crate::b::B */\nuse std::fmt;\nuse crate::{A as Renamed};\npub struct C;"),
    ]);
    let faults = circle_faults(&tree);
    assert_eq!(faults.len(), 1);
    for line in ["src/a.rs:1 uses `B`", "src/b.rs:2 uses `C`", "src/c.rs:3 uses `A` of src/a.rs"] {
        assert!(faults[0].contains(line), "{}", faults[0]);
    }
}

#[test]
fn comments_texts_tests_and_declarations_are_no_uses() {
    let tree = Tree::new([
        ("src/lib.rs", "mod a; pub mod b; pub(crate) use a::A;"),
        ("src/a.rs", "use crate::b::B; pub struct A<'a>(&'a B);"),
        (
            "src/b.rs",
            r##"
            //! [`crate::a::A`]
            pub(in crate::a) struct B;
            const TEXT: (&str, &str, char) = ("\" crate::a::A", r#"" crate::a::A"#, '"');
            fn f(a: &str) -> impl Iterator<Item = char> + use<'_> { a.chars() }
            #[cfg(test)]
            mod tests { use crate::a::A; }
            "##,
        ),
    ]);
    let uses = tree.uses();
    assert_eq!(uses.iter().map(|used| (used.by, used.of)).collect::<Vec<_>>(), [(1, 2)]);
}

#[test]
fn a_climbing_import_is_found() {
    let tree = Tree::new([
        ("src/key.rs", "\nuse crate::pool::Pool;"),
        ("src/pool/mod.rs", "pub use inner::Pool; mod inner;"),
        ("src/pool/inner.rs", "pub struct Pool; use crate::attic::Box;"),
        ("src/lib.rs", "mod key; mod pool; mod attic;"),
        ("src/attic.rs", "pub struct Box;"),
        ("src/sandbox.rs", "use crate::pool::Pool;"),
    ]);
    let faults = floor_faults(&tree);
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].starts_with("src/key.rs:2 uses `Pool` of src/pool/inner.rs"));
    assert!(faults[1].contains("`attic` is on no floor"));
    assert!(faults[2].starts_with("src/sandbox.rs:1"));
}

#[test]
fn a_part_that_knows_the_engine_is_found() {
    let tree = Tree::new([
        ("src/engine/mod.rs", "use steps::Step; pub struct Engine {\n step: Vec<Step>,\n }"),
        ("src/engine/lane/mod.rs", "mod seat;"),
        ("src/engine/lane/seat.rs", "use super::super::Engine;"),
        ("src/engine/steps/mod.rs", "mod judge; pub use judge::Step;"),
        ("src/engine/steps/judge.rs", "pub struct Step;"),
        ("src/lib.rs", "mod engine;"),
    ]);
    let faults = [part_faults(&tree), step_faults(&tree)].concat();
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].starts_with("src/engine/lane/seat.rs:1 uses `Engine`"));
    assert!(faults[1].starts_with("src/engine/mod.rs:2"));
    assert!(faults[2].starts_with("src/engine/steps/judge.rs:1"));
}
