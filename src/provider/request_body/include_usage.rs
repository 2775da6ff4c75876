//! Asking for usage in a request for a stream.

use bytes::Bytes;

use super::members::Members;

/// The body with `stream_options.include_usage` put in; none if it says something of it already, or is
/// no object. All else stays as it is written.
pub(crate) fn with_usage(body: &[u8]) -> Option<Bytes> {
    const OPTION: &[u8] = br#""include_usage":true"#;
    let mut members = Members::of(body);
    let options = members.by_ref().filter(|member| member.name == b"stream_options").last();
    if !members.seen {
        return None;
    }
    let Some(options) = options.map(|member| member.value) else {
        let inner = body.trim_ascii_start().strip_prefix(b"{")?;
        return Some([b"{\"stream_options\":{", OPTION, b"},", inner].concat().into());
    };
    // They are a part of the body.
    let start = (options.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let (before, after) = (body.get(..start)?, body.get(start + options.len()..)?);
    if options == b"null" {
        return Some([before, b"{", OPTION, b"}", after].concat().into());
    }
    let mut inside = Members::of(options);
    if inside.any(|member| member.name == b"include_usage") {
        return None;
    }
    let inner = options.strip_prefix(b"{")?;
    let comma: &[u8] = if inside.seen { b"," } else { b"" };
    Some([before, b"{", OPTION, comma, inner, after].concat().into())
}
