//! Nothing that a provider or a caller sends causes a panic.

use fastrand::Rng;
use http::{HeaderName, Method, Uri};

use super::*;
use crate::provider::{Call, clock::believed};

const NAMES: &[&str] = &[
    "date",
    "content-type",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-tokens",
    "x-ratelimit-reset-tokens",
    "x-ratelimit-reset",
    "x-ratelimit-remaining",
    "ratelimit",
    "ratelimit-policy",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
];

/// Pieces that get further into the parsers than noise does.
const PIECES: &[&str] = &[
    "0",
    "9",
    "99999999999999999999",
    "-1",
    ".",
    "1e9",
    "m",
    "ms",
    "h",
    "s",
    "µs",
    "d",
    ";",
    ",",
    "=",
    "\"",
    "r=",
    "t=",
    "q=",
    "\\",
    "{",
    "}",
    "[",
    "]",
    ":",
    "\"error\":",
    "\"message\":",
    "\"details\":",
    "\"model\":",
    "\"max_tokens\":",
    "\"n\":",
    "\"generationConfig\":",
    "null",
    "true",
    " ",
    "\n",
    "2026-01-15T20:00:00Z",
    "+999999-01-01T00:00:00Z",
    "Thu, 15 Jan 2026 20:00:00 GMT",
    "9999-12-31",
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "18446744073709551615",
    "try again in ",
    "retry in ",
    "limit: 0",
    "You have reached your specified ",
    "<",
    "\u{661}",
    "\u{1F600}",
    "PerDay",
    "\"violations\":",
    "\"quotaId\":",
    "\"retryDelay\":",
    "RESOURCE_EXHAUSTED",
    "\"status\":",
];

fn junk(rng: &mut Rng) -> Vec<u8> {
    let mut junk = Vec::new();
    for _ in 0..rng.usize(..24) {
        match rng.u8(..4) {
            0 => junk.push(rng.u8(..)),
            _ => junk.extend(PIECES[rng.usize(..PIECES.len())].as_bytes()),
        }
    }
    junk
}

#[test]
fn noise_never_panics_and_no_wait_is_absurd() {
    let mut rng = Rng::with_seed(42);
    let providers = all();
    for _ in 0..20_000 {
        let mut headers = HeaderMap::new();
        for _ in 0..rng.usize(..8) {
            let name = HeaderName::from_static(NAMES[rng.usize(..NAMES.len())]);
            if let Ok(value) = HeaderValue::from_bytes(&junk(&mut rng)) {
                headers.append(name, value);
            }
        }
        let body = junk(&mut rng);
        let statuses = [400, 401, 402, 403, 404, 408, 413, 429, 429, 429, 500, 503, 529, 999];
        let status = StatusCode::from_u16(statuses[rng.usize(..statuses.len())]).unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(rng.u64(..1 << 60));
        let answer = Answer::new(status, &headers, now).with_body(&body);
        let path = String::from_utf8_lossy(&junk(&mut rng)).replace('%', "");
        let uri = Uri::try_from(format!("/v1beta/models/{path}")).unwrap_or_default();
        let call = Call::new(&Method::POST, &uri, &headers).with_body(&body);
        for provider in &providers {
            let Ruling { verdict, .. } = provider.classify(&answer);
            if let crate::Verdict::RateLimited { retry_after: Some(wait), .. }
            | crate::Verdict::QuotaExhausted { retry_after: Some(wait), .. }
            | crate::Verdict::Overloaded { retry_after: Some(wait) } = verdict
            {
                assert!(!wait.is_zero() && believed(wait).is_some(), "{answer:?}: {wait:?}");
            }
            provider.readings(&answer, &mut |reading| {
                let reset = reading.reset.unwrap_or_default();
                assert!(believed(reset).is_some(), "{answer:?}: {reset:?}");
            });
            let _ = provider.estimate(&call);
            let spec = provider.spec();
            assert!(spec.auth_scheme_of(&uri) < spec.auth_schemes().len());
        }
    }
}

#[test]
fn a_deeply_nested_body_does_not_overflow_the_stack() {
    let body = br#"{"error":["#.repeat(6_553);
    for provider in all() {
        let headers = HeaderMap::new();
        let answer = Answer::new(StatusCode::TOO_MANY_REQUESTS, &headers, SystemTime::UNIX_EPOCH)
            .with_body(&body);
        assert_eq!(provider.classify(&answer).verdict.name(), "rate_limited", "{provider:?}");
    }
}
