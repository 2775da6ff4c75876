//! What each dialect makes of a refusal: one row for each kind that providers are known to send,
//! and for what the things between us and them make of it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod anthropic;
mod gemini;
mod generic;
mod in_between;
mod openai;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use tower_key_rotation::{
    Scope, Verdict,
    provider::{Answer, Provider},
};

/// Name, status, headers, body, verdict.
type Row = (&'static str, u16, &'static [(&'static str, &'static str)], &'static str, Verdict);

const ACCOUNT: Scope = Scope::Account;
const MODEL: Scope = Scope::Model;
const UNKNOWN: Option<Duration> = None;

const fn ms(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

const fn s(seconds: u64) -> Option<Duration> {
    ms(seconds * 1_000)
}

const fn limited(retry_after: Option<Duration>, scope: Scope) -> Verdict {
    Verdict::RateLimited { retry_after, scope }
}

const fn quota(retry_after: Option<Duration>, scope: Scope) -> Verdict {
    Verdict::QuotaExhausted { retry_after, scope }
}

const fn overloaded(retry_after: Option<Duration>) -> Verdict {
    Verdict::Overloaded { retry_after }
}

use Verdict::{CallerFault, KeyRejected, ModelRefused, Transient};

/// Noon of 2026-01-15 in California is 20:00 here.
const DATE: (&str, &str) = ("date", "Thu, 15 Jan 2026 20:00:00 GMT");
const HTML: (&str, &str) = ("content-type", "text/html; charset=UTF-8");
const BLOCKED: &str = "<!DOCTYPE html><html><title>Attention Required!</title></html>";
const UPSTREAM: &str = "upstream connect error or disconnect/reset before headers";

fn check(provider: &dyn Provider, rows: &[Row]) {
    for (name, status, headers, body, expected) in rows {
        let mut map = HeaderMap::new();
        for (name, value) in *headers {
            map.append(*name, value.parse().unwrap());
        }
        let answer = Answer {
            status: StatusCode::from_u16(*status).unwrap(),
            headers: &map,
            body: body.as_bytes(),
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_768_507_200 - 3_600), // an hour slow
        };
        assert_eq!(
            provider.classify(&answer).verdict,
            *expected,
            "{}: {name}",
            provider.facts().name
        );
    }
}
