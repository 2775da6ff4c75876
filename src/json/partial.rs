//! JSON that breaks off, because only the beginning of a body was read or came; or that is not UTF-8.

use serde_json::Value;

use super::walker::{Mark, Walker};

/// A JSON document. If it breaks off, what came of it: the text or list in which it ends is closed, and
/// a value that did not come whole is left out.
pub(crate) fn parse_partial(text: &[u8]) -> Option<Value> {
    match serde_json::from_slice(text) {
        Ok(value) => Some(value),
        Err(error) if error.is_eof() => close(text),
        // A message in another encoding: everything but its letters can be read.
        Err(_) if std::str::from_utf8(text).is_err() => {
            parse_partial(String::from_utf8_lossy(text).as_bytes())
        }
        Err(_) => None,
    }
}

/// The document with all closed that is open at its end.
fn close(text: &[u8]) -> Option<Value> {
    let end = End::of(text);
    if end.walker.is_in_text() {
        let begun = if end.walker.is_escaped() { text.strip_suffix(b"\\")? } else { text };
        // It can be a name, or end within a character: then it is left out.
        if let Some(value) = end.parse(begun, b"\"") {
            return Some(value);
        }
    }
    let whole = text.get(..end.whole)?;
    End::of(whole).parse(whole, b"")
}

/// Where a document breaks off.
#[derive(Default)]
struct End {
    walker: Walker,
    /// What closes the open brackets, the outermost first.
    closers: Vec<u8>,
    /// Up to where all values are whole.
    whole: usize,
}

impl End {
    fn of(text: &[u8]) -> Self {
        let (mut end, mut from) = (Self::default(), 0);
        while let Some((at, mark)) = end.walker.next(text, from) {
            from = at + 1;
            match mark {
                Mark::Open => {
                    end.closers.push(if text.get(at) == Some(&b'{') { b'}' } else { b']' });
                    end.whole = from;
                }
                Mark::Close => {
                    end.closers.pop();
                    end.whole = from;
                }
                Mark::Comma => end.whole = at,
                Mark::TextBegins | Mark::TextEnds => {}
            }
        }
        end
    }

    /// Parses a text that ends here, once it is closed.
    fn parse(&self, text: &[u8], quote: &[u8]) -> Option<Value> {
        let closers = self.closers.iter().rev();
        let closed: Vec<u8> = text.iter().chain(quote).chain(closers).copied().collect();
        serde_json::from_slice(&closed).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_that_breaks_off_keeps_its_whole_values() {
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
            assert_eq!(parse_partial(text.as_bytes()), Some(whole), "{text}");
        }
        assert_eq!(parse_partial(b"{\"a\":1,\"b\":\"\xc3"), Some(serde_json::json!({"a": 1})));
    }

    #[test]
    fn letters_in_another_encoding_leave_the_rest_readable() {
        for text in [&b"{\"a\":\"\xe4\xff\",\"b\":7}"[..], b"{\"b\":7,\"a\":\"\xe4\xff"] {
            assert_eq!(parse_partial(text).map(|value| value["b"] == 7), Some(true), "{text:?}");
        }
    }

    #[test]
    fn a_text_that_is_no_json_gives_no_object() {
        for text in ["", " ", "text", "tru", "{\"a\" 1", "}", "]{", "\"", "<html>", "{,"] {
            assert!(
                parse_partial(text.as_bytes()).is_none_or(|value| !value.is_object()),
                "{text}"
            );
        }
    }
}
