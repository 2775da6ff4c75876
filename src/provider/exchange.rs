//! A request and a response as a provider sees them.

use std::{cell::OnceCell, fmt, time::SystemTime};

use http::{HeaderMap, Method, StatusCode, Uri, header};

use super::{clock, error_body::ErrorBody, request_body::RequestBody};

/// A request as a provider sees it.
///
/// Its body is parsed at most once, when its model, tokens or conversation are first asked for.
#[derive(Clone)]
pub struct Call<'a> {
    method: &'a Method,
    uri: &'a Uri,
    headers: &'a HeaderMap,
    body: &'a [u8],
    json: OnceCell<RequestBody<'a>>,
}

impl<'a> Call<'a> {
    /// A request without a body, or whose body was not buffered.
    #[must_use]
    pub fn new(method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap) -> Self {
        Self { method, uri, headers, body: &[], json: OnceCell::new() }
    }

    /// The same request with a buffered body.
    #[must_use]
    pub fn with_body(self, body: &'a [u8]) -> Self {
        Self { body, json: OnceCell::new(), ..self }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &'a Method {
        self.method
    }

    /// The whole URI.
    #[must_use]
    pub fn uri(&self) -> &'a Uri {
        self.uri
    }

    /// The headers, the caller's own credentials among them.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// The body; empty if it was not buffered.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The body, read as JSON.
    pub(crate) fn json(&self) -> &RequestBody<'a> {
        self.json.get_or_init(|| RequestBody::read(self.body))
    }
}

/// Shows neither headers, query nor body: they can hold keys.
impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("method", self.method)
            .field("path", &self.uri.path())
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// A response as a provider sees it.
///
/// Its body is unpacked and parsed at most once, when a rule first asks for it.
#[derive(Clone)]
pub struct Answer<'a> {
    status: StatusCode,
    headers: &'a HeaderMap,
    body: &'a [u8],
    now: SystemTime,
    error: OnceCell<ErrorBody>,
}

impl<'a> Answer<'a> {
    /// A response without a body. `now` is when it arrived, by our clock.
    #[must_use]
    pub fn new(status: StatusCode, headers: &'a HeaderMap, now: SystemTime) -> Self {
        Self { status, headers, body: &[], now, error: OnceCell::new() }
    }

    /// The same response with a body.
    #[must_use]
    pub fn with_body(self, body: &'a [u8]) -> Self {
        Self { body, error: OnceCell::new(), ..self }
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }

    /// Of a refusal, the first 64 KiB of its body as sent. Of an error event in a stream, its data.
    /// Empty for other responses.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// When it arrived, by our clock. The provider's own clock (`date`) takes precedence.
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.now
    }

    /// The body, read as a description of the error.
    pub(super) fn error(&self) -> &ErrorBody {
        self.error.get_or_init(|| ErrorBody::read(self.headers, self.body))
    }

    /// The status of the failure: that of the response, or the one that an error event reports.
    pub(super) fn failure(&self) -> Option<u16> {
        match self.status.as_u16() {
            status @ 400.. => Some(status),
            _ => self.error().status(),
        }
    }

    /// When the provider sent it: by its `date`, or when it arrived if there is none.
    pub(super) fn sent_at(&self) -> SystemTime {
        self.headers
            .get(header::DATE)
            .and_then(clock::text)
            .and_then(|date| httpdate::parse_http_date(date).ok())
            .unwrap_or(self.now)
    }
}

/// Shows neither headers nor body: some providers repeat the key in a refusal.
impl fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
