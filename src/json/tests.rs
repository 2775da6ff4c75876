//! Every cut gives the same marks, and every value ends where a parser says it ends.

use serde_json::Value;

use super::{Mark, Members, Text, Walker, end_of_value};

fn marks<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(usize, Mark)> {
    let (mut walker, mut all, mut before) = (Walker::default(), Vec::new(), 0);
    for piece in pieces {
        let mut from = 0;
        while let Some((at, mark)) = walker.next(piece, from) {
            all.push((before + at, mark));
            from = at + 1;
        }
        before += piece.len();
    }
    all
}

/// Random text of what JSON is made of.
fn noise(rng: &mut fastrand::Rng) -> String {
    const WORDS: [&str; 14] =
        ["{", "}", "[", "]", "\"", "\\", ",", ":", " ", "\n", "7", "null", "a", "\u{e4}"];
    (0..rng.usize(0..40)).map(|_| WORDS[rng.usize(0..WORDS.len())]).collect()
}

/// A random value.
fn value(rng: &mut fastrand::Rng, depth: usize) -> Value {
    let text = |rng: &mut fastrand::Rng| noise(rng);
    match rng.usize(0..if depth < 4 { 6 } else { 4 }) {
        0 => Value::Null,
        1 => Value::from(rng.i64(-99..99)),
        2 => Value::from(rng.bool()),
        3 => Value::from(text(rng)),
        4 => (0..rng.usize(0..4)).map(|_| value(rng, depth + 1)).collect(),
        _ => Value::Object(
            (0..rng.usize(0..4)).map(|_| (text(rng), value(rng, depth + 1))).collect(),
        ),
    }
}

fn texts(value: &Value) -> usize {
    match value {
        Value::String(_) => 1,
        Value::Array(items) => items.iter().map(texts).sum(),
        Value::Object(members) => members.values().map(|value| 1 + texts(value)).sum(),
        _ => 0,
    }
}

#[test]
fn marks_do_not_depend_on_the_cut() {
    let mut rng = fastrand::Rng::with_seed(11);
    for _ in 0..20_000 {
        let text = noise(&mut rng);
        let whole = marks([text.as_bytes()]);
        let size = rng.usize(1..5);
        assert_eq!(marks(text.as_bytes().chunks(size)), whole, "{text:?} by {size}");
        let at = rng.usize(0..=text.len());
        let (head, tail) = text.as_bytes().split_at(at);
        assert_eq!(marks([head, &[], tail]), whole, "{text:?} at {at}");
    }
}

#[test]
fn marks_inside_texts_are_not_seen() {
    use Mark::{Close, Comma, Open, TextBegins, TextEnds};
    let found = marks([&br#"{"a\"},{[\\":[1,"]"]}"#[..]]);
    let expected = [
        (0, Open),
        (1, TextBegins),
        (11, TextEnds),
        (13, Open),
        (15, Comma),
        (16, TextBegins),
        (18, TextEnds),
        (19, Close),
        (20, Close),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_walk_closes_to_a_depth_in_any_pieces() {
    let text = br#"{"a":[{"}":1}],"b":"\""} rest"#;
    for size in 1..text.len() {
        let (mut walker, mut before) = (Walker::default(), 0);
        let end = text.chunks(size).find_map(|piece| {
            let end = walker.close_to(0, piece).map(|end| before + end);
            before += piece.len();
            end
        });
        assert_eq!(end, Some(text.len() - " rest".len()), "by {size}");
    }
    assert_eq!(Walker::inside_value().close_to(0, b"1}"), Some(2));
    assert_eq!(Walker::default().close_to(0, b"[[1]"), None);
}

#[test]
fn brackets_that_close_nothing_are_not_counted() {
    let mut walker = Walker::default();
    assert_eq!(walker.next(b"]}", 0), Some((0, Mark::Close)));
    assert_eq!((walker.next(b"]}", 1), walker.depth()), (Some((1, Mark::Close)), 0));
}

#[test]
fn a_value_ends_where_it_was_written_to_end() {
    let mut rng = fastrand::Rng::with_seed(12);
    for _ in 0..5_000 {
        let value = value(&mut rng, 0);
        let pretty = rng.bool();
        let text = if pretty { format!("{value:#}") } else { value.to_string() };
        let mut found = 0;
        let end = end_of_value(format!("{text},7").as_bytes(), |_| found += 1);
        assert_eq!((end, found), (Some(text.len()), texts(&value)), "{text}");
        for cut in [text.len() / 2, text.len().saturating_sub(1)] {
            let is_whole = end_of_value(&text.as_bytes()[..cut], |_| {}).is_some();
            let is_scalar = !matches!(value, Value::String(_) | Value::Array(_) | Value::Object(_));
            assert!(!is_whole || is_scalar, "{text} to {cut}");
        }
    }
}

#[test]
fn noise_ends_no_value_outside_of_itself() {
    let mut rng = fastrand::Rng::with_seed(13);
    for _ in 0..20_000 {
        let text = noise(&mut rng);
        let end = end_of_value(text.as_bytes(), |_| {});
        assert!(end.is_none_or(|end| (1..=text.len()).contains(&end)), "{text:?}");
        for member in Members::of(text.as_bytes()) {
            assert!(text.as_bytes()[member.at..].starts_with(member.value), "{text:?}");
        }
    }
}

#[test]
fn names_are_told_from_values() {
    let mut found = Vec::new();
    let json = br#"{"a" : "b","c":["d",{"e":1}]}"#;
    end_of_value(json, |Text { bytes, is_name, .. }| found.push((bytes, is_name)));
    let expected = [("a", true), ("b", false), ("c", true), ("d", false), ("e", true)];
    assert_eq!(found, expected.map(|(text, is_name)| (text.as_bytes(), is_name)));
}

#[test]
fn members_come_in_order_up_to_what_is_no_json() {
    let members = |text: &str| {
        let mut all = Vec::new();
        for member in Members::of(text.as_bytes()) {
            let part = |bytes| String::from_utf8_lossy(bytes).into_owned();
            all.push(format!("{}={}", part(member.name), part(member.value)));
        }
        all.join(" ")
    };
    for (text, expected) in [
        (r#" { "a" : 1 , "b":"x", "c" : [1, {"d":"}"}]}"#, r#"a=1 b="x" c=[1, {"d":"}"}]"#),
        (r#"{"a":null }"#, "a=null"),
        (r#"{"a":1,"b""#, "a=1"),
        (r#"{"a":1 2,"b":3}"#, "a=1"),
        (r#"{"a":1,,"b":3}"#, "a=1"),
        (r#"{"a":,"b":3}"#, ""),
        (r#"{"a":]}"#, ""),
        (r#"{"a":{"b":[1}"#, ""),
        (r#"{"\"a":1}"#, r#"\"a=1"#),
        ("{}", ""),
        ("[1]", ""),
        ("text", ""),
        ("", ""),
    ] {
        assert_eq!(members(text), expected, "{text}");
    }
}

#[test]
fn a_text_with_escapes_is_marked() {
    let mut found = Vec::new();
    let long = "x".repeat(100);
    let json = format!(r#"["a","\\","b\"","{long}","{long}\n","c"]"#);
    end_of_value(json.as_bytes(), |text| found.push(text.has_escapes));
    assert_eq!(found, [false, true, true, false, true, false]);
}
