//! What all dialects share to word a refusal or headers.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header::IntoHeaderName};
use serde_json::Value;

/// The facts of a request that refusals and headers mention.
#[derive(Clone, Copy, Debug)]
pub(in crate::sandbox) struct ReplyContext<'a> {
    /// Time since the sandbox was built.
    pub(in crate::sandbox) now: Duration,
    pub(in crate::sandbox) account: &'a str,
    pub(in crate::sandbox) model: &'a str,
    pub(in crate::sandbox) path: &'a str,
    pub(in crate::sandbox) request_id: &'a str,
}

/// A refusal as a dialect words it.
pub(in crate::sandbox) struct RefusalReply {
    pub(in crate::sandbox) status: StatusCode,
    pub(in crate::sandbox) headers: HeaderMap,
    pub(in crate::sandbox) body: Value,
}

/// Inserts a header; leaves it out if its value is no valid header value.
pub(super) fn put(headers: &mut HeaderMap, name: impl IntoHeaderName, value: impl Into<String>) {
    if let Ok(value) = HeaderValue::try_from(value.into()) {
        headers.insert(name, value);
    }
}

/// The name of a period: `minute`.
pub(super) fn period_name(period: Duration) -> String {
    match (period.as_secs(), period.subsec_nanos()) {
        (1, 0) => "second".into(),
        (60, 0) => "minute".into(),
        (3_600, 0) => "hour".into(),
        (86_400, 0) => "day".into(),
        _ => format!("{period:?}"),
    }
}

/// A server-sent event without a name: `data: {..}` and a blank line.
pub(super) fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// A server-sent event with a name: `event: name`, `data: {..}` and a blank line.
pub(super) fn event(name: &str, value: &Value) -> String {
    format!("event: {name}\ndata: {value}\n\n")
}
