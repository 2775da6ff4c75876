//! Asking for usage in a request for a stream.

use bytes::Bytes;

use crate::json::Members;

/// The member `stream_options` as it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamOptions<'a> {
    pub(super) value: &'a [u8],
    /// Where it begins in the body.
    pub(super) at: usize,
}

/// The body, an object with members, with `stream_options.include_usage` set; `None` if its options say
/// something about it already.
pub(super) fn with_usage(body: &[u8], options: Option<StreamOptions<'_>>) -> Option<Bytes> {
    const OPTION: &[u8] = br#""include_usage":true"#;
    let Some(StreamOptions { value, at }) = options else {
        let inner = body.trim_ascii_start().strip_prefix(b"{")?;
        return Some([b"{\"stream_options\":{", OPTION, b"},", inner].concat().into());
    };
    let (before, after) = (body.get(..at)?, body.get(at + value.len()..)?);
    if value == b"null" {
        return Some([before, b"{", OPTION, b"}", after].concat().into());
    }
    let mut inside = Members::of(value);
    if inside.any(|member| member.name == b"include_usage") {
        return None;
    }
    let inner = value.strip_prefix(b"{")?;
    let comma: &[u8] = if inside.is_empty() { b"" } else { b"," };
    Some([before, b"{", OPTION, comma, inner, after].concat().into())
}
