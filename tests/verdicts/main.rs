//! The verdict of each dialect on a refusal: one row for each kind that providers, and proxies in front of
//! them, are known to send.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod anthropic;
mod azure;
mod bedrock;
mod cerebras;
mod cohere;
mod deepseek;
mod fireworks;
mod gemini;
mod generic;
mod github;
mod groq;
mod in_between;
mod mistral;
mod openai;
mod openrouter;
mod perplexity;
mod together;
mod traps;
mod xai;

use std::{
    collections::BTreeSet,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, StatusCode};
use tower_key_rotation::{
    Verdict,
    provider::{Answer, Provider, Ruling},
    verdict::{Blame, Place},
};

/// A description, status, headers and body of a refusal; the expected verdict and rule.
type Row = (
    &'static str,
    u16,
    &'static [(&'static str, &'static str)],
    &'static str,
    Expected,
    &'static str,
);

/// A verdict, the place that it is about, and how well that is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Expected {
    verdict: Verdict,
    place: Place,
    blame: Blame,
}

impl Expected {
    const fn told(verdict: Verdict, place: Place) -> Self {
        Self { verdict, place, blame: Blame::Told }
    }

    /// The same, with another place.
    const fn of(self, place: Place) -> Self {
        Self { place, ..self }
    }

    /// The same, but the response does not name what is wrong.
    const fn inferred(self) -> Self {
        Self { blame: Blame::Inferred, ..self }
    }
}

const OPERATION: Place = Place::Operation;
const KEY_MODEL: Place = Place::KeyModel;
const KEY: Place = Place::Key;
const MODEL: Place = Place::Model;
const ACCOUNT: Place = Place::Account;
const PROVIDER: Place = Place::Provider;

const UNKNOWN: Option<Duration> = None;

const fn ms(millis: u64) -> Option<Duration> {
    Some(Duration::from_millis(millis))
}

const fn s(seconds: u64) -> Option<Duration> {
    ms(seconds * 1_000)
}

const fn limited(retry_after: Option<Duration>, place: Place) -> Expected {
    Expected::told(Verdict::RateLimited { retry_after }, place)
}

const fn quota(retry_after: Option<Duration>, place: Place) -> Expected {
    Expected::told(Verdict::QuotaExhausted { retry_after }, place)
}

const fn too_large(limit: Option<u64>) -> Expected {
    Expected::told(Verdict::TooLarge { limit }, MODEL)
}

const fn overloaded(retry_after: Option<Duration>) -> Expected {
    Expected::told(Verdict::Overloaded { retry_after }, Place::ProviderModel)
}

const KEY_REJECTED: Expected = Expected::told(Verdict::KeyRejected, KEY);
const PERMISSION_REFUSED: Expected = Expected::told(Verdict::PermissionRefused, OPERATION);
const TRANSIENT: Expected = Expected::told(Verdict::Transient, ACCOUNT);
/// Nothing rests, so the place does not matter.
const CALLER_FAULT: Expected = Expected::told(Verdict::CallerFault, OPERATION);

/// A key is refused. The refusal does not say whether the key is invalid, lacks a permission, or the request
/// is wrong.
const KEY_IN_DOUBT: Expected = KEY_REJECTED.of(OPERATION).inferred();
/// Something is forbidden. The refusal does not say to whom, and the request may be at fault.
const PERMISSION_IN_DOUBT: Expected = PERMISSION_REFUSED.inferred();

/// The verdict of every dialect on refusals that name neither a key nor an account, a model or the provider.
const BARE: &[Row] = &[
    ("401 and not a word", 401, &[], "", KEY_IN_DOUBT, "status/401"),
    (
        "401 that does not mention the key",
        401,
        &[],
        r#"{"error":{"message":"Unauthorized"}}"#,
        KEY_IN_DOUBT,
        "status/401",
    ),
    ("403 and not a word", 403, &[], "", PERMISSION_IN_DOUBT, "status/403"),
    (
        "403 that does not mention the key",
        403,
        &[],
        r#"{"error":{"message":"Forbidden","type":"forbidden"}}"#,
        PERMISSION_IN_DOUBT,
        "status/403",
    ),
    (
        "a wrong name, or no access",
        404,
        &[],
        r#"{"error":{"message":"`nine` does not exist or you do not have access to it"}}"#,
        PERMISSION_IN_DOUBT,
        "status/404-or-no-access",
    ),
    ("404 and not a word", 404, &[], "", CALLER_FAULT, "status/4xx"),
    ("402 and not a word", 402, &[], "", quota(UNKNOWN, ACCOUNT).inferred(), "status/402"),
];

/// Noon of 2026-01-15 in California is 20:00 here.
const DATE: (&str, &str) = ("date", "Thu, 15 Jan 2026 20:00:00 GMT");
const HTML: (&str, &str) = ("content-type", "text/html; charset=UTF-8");
const BLOCKED: &str = "<!DOCTYPE html><html><title>Attention Required!</title></html>";
const UPSTREAM: &str = "upstream connect error or disconnect/reset before headers";

fn judged(provider: &dyn Provider, status: u16, headers: &HeaderMap, body: &str) -> Ruling {
    let status = StatusCode::from_u16(status).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_768_507_200 - 3_600); // one hour slow
    provider.classify(&Answer::new(status, headers, now).with_body(body.as_bytes()))
}

fn check(provider: &dyn Provider, rows: &[Row]) {
    let dialect = &provider.spec().name;
    let mut problems = Vec::new();
    for (name, status, headers, body, expected, rule) in rows {
        let mut map = HeaderMap::new();
        for (name, value) in *headers {
            map.append(*name, value.parse().unwrap());
        }
        let Ruling { verdict, place, blame, rule: by, .. } = judged(provider, *status, &map, body);
        let found = Expected { verdict, place, blame };
        if (found, &*by) != (*expected, *rule) {
            problems.push(format!(
                "{dialect}: {name}:\n  {expected:?} by {rule} is expected,\n  {found:?} by {by} was found"
            ));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// A status alone proves nothing, and affects only the use of a key for one operation and model.
fn a_status_alone_proves_little(provider: &dyn Provider) {
    for status in 400..=599 {
        let ruling = judged(provider, status, &HeaderMap::new(), "");
        if ruling.verdict.is_refusal() {
            assert_eq!(ruling.blame, Blame::Inferred, "{status}: {ruling:?}");
        }
        if ruling.needs_second_opinion() {
            assert_eq!(ruling.place, OPERATION, "{status}: {ruling:?}");
        }
    }
}

/// The verdicts and rules that the table of a dialect shows.
struct Shown {
    dialect: String,
    rows: usize,
    verdicts: BTreeSet<&'static str>,
}

/// Checks the table of a dialect: each of its own rules must be the one that matches in some row.
fn table(provider: &dyn Provider, rows: &[Row]) -> Shown {
    check(provider, rows);
    check(provider, BARE);
    a_status_alone_proves_little(provider);
    let facts = provider.spec();
    let own = facts.rules.iter().filter(|rule| {
        rule.name().split_once('/').is_some_and(|(dialect, _)| dialect == facts.name)
    });
    for rule in own {
        let fires = rows.iter().any(|row| row.5 == rule.name());
        assert!(fires, "no row shows {}", rule.name());
    }
    let verdicts = rows.iter().map(|row| row.4.verdict.name()).collect();
    Shown { dialect: facts.name.to_string(), rows: rows.len() + BARE.len(), verdicts }
}

/// The dialects that report a single request as larger than the account may send at once.
const TELL_SIZES: [&str; 4] = ["anthropic", "groq", "openai", "openrouter"];

/// The number of rows, and the verdicts that they show for each dialect: all that it has words for.
#[test]
fn every_row_of_every_dialect_has_its_verdict() {
    let all = [
        anthropic::shown(),
        azure::shown(),
        bedrock::shown(),
        cerebras::shown(),
        cohere::shown(),
        deepseek::shown(),
        fireworks::shown(),
        gemini::shown(),
        generic::shown(),
        github::shown(),
        groq::shown(),
        mistral::shown(),
        openai::shown(),
        openrouter::shown(),
        perplexity::shown(),
        together::shown(),
        xai::shown(),
    ];
    const ALL: [&str; 8] = [
        "rate_limited",
        "quota_exhausted",
        "key_rejected",
        "permission_refused",
        "too_large",
        "overloaded",
        "transient",
        "caller_fault",
    ];
    for shown in &all {
        let missing: Vec<_> = ALL.into_iter().filter(|one| !shown.verdicts.contains(one)).collect();
        println!("{:12} {:3} rows, without {missing:?}", shown.dialect, shown.rows);
        let may_miss = |one: &&str| match *one {
            "too_large" => !TELL_SIZES.contains(&&*shown.dialect),
            // GitHub does not bill by the request.
            "quota_exhausted" => shown.dialect == "github",
            _ => false,
        };
        assert!(missing.iter().all(may_miss), "{}: {missing:?}", shown.dialect);
    }
    let rows: usize = all.iter().map(|shown| shown.rows).sum();
    println!("{:12} {rows:3} rows", "all");
    assert!(rows >= 400, "{rows} rows");
}
