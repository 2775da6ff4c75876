//! Answers that do not come from the provider just now.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response,
    header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER},
};
use http_body::Body;

use crate::{Exhausted, Ruling, Verdict, pool::Refusal, provider::Provider};

use crate::rotate::body::ResponseBody;

/// Whether an SDK is to try again, as OpenAI's and Anthropic's SDKs take it from their providers
/// (`_should_retry` of `_base_client.py` in openai-python, 2026-11).
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
/// Why it was refused, on answers that are ours and not the provider's.
const REFUSED: HeaderName = HeaderName::from_static("x-key-pool-refused");

/// Nothing is left to admit the request: the provider's own error shape, and when to come back.
pub(super) fn exhausted<B: Body<Data = Bytes>>(
    provider: &dyn Provider,
    exhausted: Exhausted,
) -> Response<ResponseBody<B>> {
    let body = provider.refusal_body(&exhausted);
    let length = body.len();
    let mut response = Response::new(ResponseBody::whole(body));
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

/// An SDK that is told to come back in minutes sleeps for so long, whoever waits for it: where no retry can
/// help, it is told not to try again. What the provider says of that itself stays.
pub(super) fn discourage(headers: &mut HeaderMap, ruling: &Ruling) {
    if let Verdict::QuotaExhausted { .. } = ruling.verdict {
        headers.entry(SHOULD_RETRY).or_insert(HeaderValue::from_static("false"));
    }
}

/// The last answer that the provider gave to this request: better than one of ours.
pub(super) fn again<B: Body<Data = Bytes>>(refusal: &Refusal) -> Response<ResponseBody<B>> {
    let mut response = Response::new(ResponseBody::whole(refusal.body.clone()));
    *response.status_mut() = refusal.status;
    *response.version_mut() = refusal.version;
    *response.headers_mut() = refusal.headers.clone();
    response
}
