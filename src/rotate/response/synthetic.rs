//! Responses that do not come from the provider now, and a header that the middleware adds to those that
//! do.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};

use crate::{
    Exhausted, Verdict,
    pool::Refusal,
    provider::{Provider, Ruling},
};

/// Tells an SDK whether to try again, as the SDKs of OpenAI and Anthropic accept it from their providers
/// (`_should_retry` of `_base_client.py` in openai-python, 2026-11).
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Marks a response of the middleware, with the name of the [`Reason`](crate::pool::Reason).
const REFUSED: HeaderName = HeaderName::from_static("x-key-pool-refused");

/// The response to a request that cannot be admitted: an error in the provider's own shape, with the time
/// until a new attempt is useful.
pub(super) fn exhausted(provider: &dyn Provider, exhausted: Exhausted) -> Response<Bytes> {
    let mut response = Response::new(provider.refusal_body(&exhausted));
    let length = response.body().len();
    *response.status_mut() = exhausted.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CONTENT_LENGTH, length.into());
    let should_retry = if exhausted.should_retry() { "true" } else { "false" };
    headers.insert(SHOULD_RETRY, HeaderValue::from_static(should_retry));
    headers.insert(REFUSED, HeaderValue::from_static(exhausted.reason().name()));
    if let Some(seconds) = exhausted.retry_after_secs() {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    response.extensions_mut().insert(exhausted);
    response
}

/// A response that the provider gave to an earlier attempt at the same request.
pub(super) fn repeated(refusal: &Refusal) -> Response<Bytes> {
    let mut response = Response::new(refusal.body.clone());
    *response.status_mut() = refusal.status;
    *response.version_mut() = refusal.version;
    *response.headers_mut() = refusal.headers.clone();
    response
}

/// Tells SDKs not to try again if the quota is spent. Otherwise they would sleep for minutes or hours, as
/// long as the response says. A header of the provider stays as it is.
pub(super) fn discourage_retry(headers: &mut HeaderMap, ruling: &Ruling) {
    if let Verdict::QuotaExhausted { .. } = ruling.verdict {
        headers.entry(SHOULD_RETRY).or_insert(HeaderValue::from_static("false"));
    }
}
