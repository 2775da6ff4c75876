//! The same events from every way a body can be cut.

use super::*;

/// An event as text, so that it can outlive its piece: `name|data`, or `?` for one that was not read.
fn shown(scanned: Scanned<'_>) -> String {
    match scanned {
        Scanned::Event(event) => {
            format!("{}|{}", event.name, String::from_utf8_lossy(event.data))
        }
        Scanned::Unread { .. } => "?".to_owned(),
    }
}

fn scan<'a>(framing: Framing, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    let mut scanner = EventScanner::new(framing);
    let mut all = Vec::new();
    for piece in pieces {
        scanner.feed(piece, |scanned, part| {
            assert!(part.start < part.end && part.end <= piece.len());
            all.push(shown(scanned));
        });
    }
    scanner.finish(|scanned| all.push(shown(scanned)));
    all
}

/// Scans a body whole, cut in two at every byte, in single bytes, and with empty pieces in between.
fn assert_events(framing: Framing, body: &[u8], expected: &[&str]) {
    assert_eq!(scan(framing, [body]), expected, "whole");
    for at in 0..=body.len() {
        let (head, tail) = body.split_at(at);
        assert_eq!(scan(framing, [head, tail]), expected, "cut at {at}");
        assert_eq!(scan(framing, [head, &[], tail]), expected, "cut at {at}, nothing between");
    }
    for size in 1..4 {
        assert_eq!(scan(framing, body.chunks(size)), expected, "in pieces of {size}");
    }
}

#[test]
fn every_line_end_and_every_cut_gives_the_same_events() {
    let body = "\u{feff}: a comment\n\ndata: {\"a\":1}\n\nevent: error\ndata:{\"b\":2}   \nid: 7\nretry: 10\n\n\
                data: first\nevent: late\ndata: second\n\n\n\ndata\n\nevent: nothing\n\ndata: [DONE]\n\n";
    let events = ["|{\"a\":1}", "error|{\"b\":2}   ", "late|first\nsecond", "|[DONE]"];
    for end in ["\n", "\r\n", "\r"] {
        assert_events(Framing::Events, body.replace('\n', end).as_bytes(), &events);
    }
}

#[test]
fn the_last_event_needs_no_blank_line() {
    for body in ["data: a\n\ndata: b", "data: a\n\ndata: b\n", "data: a\r\n\r\ndata: b\r"] {
        assert_events(Framing::Events, body.as_bytes(), &["|a", "|b"]);
    }
}

#[test]
fn lines_of_data_are_joined_and_unknown_fields_ignored() {
    let body = b"data: {\ndata\ndata:  x\ndatas: no\n data: no\ndata: }\n\n";
    assert_events(Framing::Events, body, &["|{\n\n x\n}"]);
}

#[test]
fn data_that_is_not_utf8_is_reported_as_it_is() {
    let body = b"event: \xff\ndata: \xfe\xff\n\n";
    assert_events(Framing::Events, body, &["|\u{fffd}\u{fffd}"]);
}

#[test]
fn elements_of_an_array_come_one_by_one() {
    let body = "\u{feff}[{\n \"a\": \"}],{\\\"\\\\\"}\r\n,\r\n{\"b\":[{},[1]]}, 7, \"{\", [[2]]\n]\n{\"c\":1}";
    let events = ["|{\n \"a\": \"}],{\\\"\\\\\"}", "|{\"b\":[{},[1]]}", "|[[2]]"];
    assert_events(Framing::List, body.as_bytes(), &events);
    assert_events(Framing::List, b"[]", &[]);
    assert_events(Framing::List, b" [ ", &[]);
}

#[test]
fn one_object_is_an_element_by_itself() {
    assert_events(Framing::List, b" {\"a\":{\"b\":\"{\"}} {\"c\":1}", &["|{\"a\":{\"b\":\"{\"}}"]);
    assert_events(Framing::List, b"{\"a\":", &[]);
}

#[test]
fn a_body_that_is_no_list_is_reported_once() {
    for body in ["data: {}", "\"[{}]\"", "}{}", "null", "<html>[{}]"] {
        assert_events(Framing::List, body.as_bytes(), &["?"]);
    }
    assert_events(Framing::List, b" \n", &[]);
}

/// Whatever the size of the pieces, an event is reported up to 64 KiB, and skipped above.
#[test]
fn an_event_above_64_kib_is_skipped_to_its_end() {
    let sizes = [1_000, LONGEST, LONGEST + 1, 3 * LONGEST];
    let line = |length: usize| format!("data: {}", "x".repeat(length - 6));
    for length in [LONGEST - 1, LONGEST, LONGEST + 1, 10 * LONGEST] {
        let body = format!("{}\n\ndata: next\n\n", line(length));
        let element = format!("[\"\",{{\"a\":\"{}\"}},{{}}]", "x".repeat(length - 8));
        for size in sizes {
            let events = scan(Framing::Events, body.as_bytes().chunks(size));
            let elements = scan(Framing::List, element.as_bytes().chunks(size));
            assert_eq!((events.len(), elements.len()), (2, 2));
            assert_eq!((&*events[1], &*elements[1]), ("|next", "|{}"));
            assert_eq!(events[0] == "?", length > LONGEST, "{length} in pieces of {size}");
            assert_eq!(elements[0] == "?", length > LONGEST, "{length} in pieces of {size}");
        }
    }
}

#[test]
fn many_lines_and_long_comments_are_bounded_too() {
    let many = "data: xxxxxxxxxx\n".repeat(LONGEST / 10);
    let body = format!(":{}\n\n{many}\ndata: next\n\n", "x".repeat(2 * LONGEST));
    for size in [1_000, 100_000, body.len()] {
        assert_eq!(scan(Framing::Events, body.as_bytes().chunks(size)), ["?", "|next"]);
    }
    let mut scanner = EventScanner::new(Framing::Events);
    for _ in 0..1_000 {
        scanner.feed(&[b'x'; 1_000], |_, _| panic!("no event has ended"));
    }
    let Kind::Events(events) = &scanner.0 else { panic!() };
    assert!(events.kept() <= LONGEST);
}

/// Random nonsense in random pieces: no panic, and the same events as in one piece.
#[test]
fn events_of_random_bytes_do_not_depend_on_the_cut() {
    const WORDS: &[&str] = &[
        "data:", "data: ", "event: e", ": c", "\n", "\r", "\r\n", "\n\n", "{", "}", "[", "]", "\"",
        "\\", ",", "x", "\u{feff}", "data", " ",
    ];
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..20_000 {
        let body: String =
            (0..rng.usize(0..24)).map(|_| WORDS[rng.usize(0..WORDS.len())]).collect();
        for framing in [Framing::Events, Framing::List] {
            let whole = scan(framing, [body.as_bytes()]);
            let size = rng.usize(1..6);
            assert_eq!(scan(framing, body.as_bytes().chunks(size)), whole, "{body:?} by {size}");
        }
    }
}
