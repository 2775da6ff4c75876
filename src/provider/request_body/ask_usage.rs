//! Asking for usage in a request for a stream.

use std::ops::Range;

use bytes::Bytes;

use crate::json::Members;

/// A change of a request's body at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodyEdit {
    /// The bytes that are replaced. An empty range inserts.
    at: Range<usize>,
    with: &'static str,
}

impl BodyEdit {
    /// Replaces these bytes of a body by a text.
    #[must_use]
    pub fn new(at: Range<usize>, with: &'static str) -> Self {
        Self { at, with }
    }

    /// The changed body; `None` if the range is not in it.
    pub(crate) fn apply(&self, body: &[u8]) -> Option<Bytes> {
        let (before, after) = (body.get(..self.at.start)?, body.get(self.at.end..)?);
        let replaced = self.at.start <= self.at.end;
        replaced.then(|| [before, self.with.as_bytes(), after].concat().into())
    }
}

/// The member `stream_options` as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamOptions<'a> {
    pub(super) value: &'a [u8],
    /// Where it begins in the body.
    pub(super) at: usize,
}

/// What sets `stream_options.include_usage` in a body that is an object with members; `None` if its options
/// say something about it already.
pub(super) fn with_usage(body: &[u8], options: Option<StreamOptions<'_>>) -> Option<BodyEdit> {
    let insert = |at: usize, with| Some(BodyEdit::new(at..at, with));
    let Some(StreamOptions { value, at }) = options else {
        let brace = body.iter().position(|byte| !byte.is_ascii_whitespace())?;
        return insert(brace + 1, r#""stream_options":{"include_usage":true},"#);
    };
    if value == b"null" {
        return Some(BodyEdit::new(at..at + value.len(), r#"{"include_usage":true}"#));
    }
    let mut inside = Members::of(value);
    if !value.starts_with(b"{") || inside.any(|member| member.name == b"include_usage") {
        return None;
    }
    match inside.is_empty() {
        true => insert(at + 1, r#""include_usage":true"#),
        false => insert(at + 1, r#""include_usage":true,"#),
    }
}
