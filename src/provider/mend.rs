//! JSON that breaks off, for only the beginning of a body was read, or came; or that is not UTF-8.

use serde_json::Value;

/// A JSON document. Of one that breaks off, what came of it: the text or list in which it ends is
/// closed, and what was not told to its end is left out.
pub(crate) fn parse(text: &[u8]) -> Option<Value> {
    match serde_json::from_slice(text) {
        Ok(value) => Some(value),
        Err(error) if error.is_eof() => mended(text),
        // Somebody's message in another encoding: all but its letters can be read.
        Err(_) if std::str::from_utf8(text).is_err() => {
            parse(String::from_utf8_lossy(text).as_bytes())
        }
        Err(_) => None,
    }
}

fn mended(text: &[u8]) -> Option<Value> {
    let whole = Scan::of(text);
    let closed = |text: &[u8], quote: &[u8], scan: &Scan| {
        let closers = scan.closers.iter().rev();
        let closed: Vec<u8> = text.iter().chain(quote).chain(closers).copied().collect();
        serde_json::from_slice(&closed).ok()
    };
    if whole.in_text {
        let told = if whole.escaped { text.strip_suffix(b"\\")? } else { text };
        // It may have been a name, or end within a character: then it is left out.
        if let Some(value) = closed(told, b"\"", &whole) {
            return Some(value);
        }
    }
    let told = text.get(..whole.cut)?;
    closed(told, b"", &Scan::of(told))
}

#[derive(Default)]
struct Scan {
    /// What would close all that is open.
    closers: Vec<u8>,
    in_text: bool,
    escaped: bool,
    /// Up to where all is told to its end.
    cut: usize,
}

impl Scan {
    fn of(text: &[u8]) -> Self {
        let mut scan = Self::default();
        for (at, byte) in text.iter().enumerate() {
            match byte {
                _ if scan.escaped => scan.escaped = false,
                b'\\' if scan.in_text => scan.escaped = true,
                b'"' => scan.in_text = !scan.in_text,
                _ if scan.in_text => {}
                b'{' | b'[' => {
                    scan.closers.push(if *byte == b'{' { b'}' } else { b']' });
                    scan.cut = at + 1;
                }
                b'}' | b']' => {
                    scan.closers.pop();
                    scan.cut = at + 1;
                }
                b',' => scan.cut = at,
                _ => {}
            }
        }
        scan
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_to_its_end_is_kept() {
        for (text, whole) in [
            (
                r#"{"error":{"code":"c","message":"mess"#,
                r#"{"error":{"code":"c","message":"mess"}}"#,
            ),
            (r#"{"error":{"code":"c","mess"#, r#"{"error":{"code":"c"}}"#),
            (r#"{"error":{"code":"c","message":"#, r#"{"error":{"code":"c"}}"#),
            (r#"{"error":{"code":"c","#, r#"{"error":{"code":"c"}}"#),
            (r#"{"error":{"code":"c"}"#, r#"{"error":{"code":"c"}}"#),
            (r#"{"error":{"code":"c","status":42"#, r#"{"error":{"code":"c"}}"#),
            (r#"{"error":{"code":"c","m":"a \"b\" \"#, r#"{"error":{"code":"c","m":"a \"b\" "}}"#),
            (r#"{"error":{"code":"c","m":"a\u00"#, r#"{"error":{"code":"c"}}"#),
            (r#"{"a":[{"b":1},{"c":"#, r#"{"a":[{"b":1},{}]}"#),
            (r#"{"a":"#, "{}"),
            (r#"[{"error":{"code":"c""#, r#"[{"error":{}}]"#),
            (r#"{"whole":1}"#, r#"{"whole":1}"#),
        ] {
            let whole: Value = serde_json::from_str(whole).unwrap();
            assert_eq!(parse(text.as_bytes()), Some(whole), "{text}");
        }
        assert_eq!(parse(b"{\"a\":1,\"b\":\"\xc3"), Some(serde_json::json!({"a": 1})));
    }

    #[test]
    fn letters_in_another_encoding_harm_nothing_else() {
        for text in [&b"{\"a\":\"\xe4\xff\",\"b\":7}"[..], b"{\"b\":7,\"a\":\"\xe4\xff"] {
            assert_eq!(parse(text).map(|value| value["b"] == 7), Some(true), "{text:?}");
        }
    }

    #[test]
    fn what_is_no_json_stays_so() {
        for text in ["", " ", "text", "tru", "{\"a\" 1", "}", "]{", "\"", "<html>", "{,"] {
            assert!(parse(text.as_bytes()).is_none_or(|value| !value.is_object()), "{text}");
        }
    }
}
