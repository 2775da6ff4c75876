//! What each dialect makes of a refusal: one row for each kind that providers are known to send,
//! and for what the things between us and them make of it.

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
    Scope, Verdict,
    provider::{Answer, Provider},
};

/// What it is, status, headers, body; the verdict with its scope and wait, and the rule that gives it.
type Row = (
    &'static str,
    u16,
    &'static [(&'static str, &'static str)],
    &'static str,
    Verdict,
    &'static str,
);

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
    for (name, status, headers, body, expected, rule) in rows {
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
        let ruling = provider.classify(&answer);
        let dialect = &provider.facts().name;
        assert_eq!(ruling.verdict, *expected, "{dialect}: {name}");
        assert_eq!(ruling.rule, *rule, "{dialect}: {name}");
    }
}

/// What the table of a dialect shows.
struct Shown {
    dialect: String,
    rows: usize,
    verdicts: BTreeSet<&'static str>,
}

/// The table of a dialect: each of its own rules must be the one that fires in some row.
fn table(provider: &dyn Provider, rows: &[Row]) -> Shown {
    check(provider, rows);
    let facts = provider.facts();
    let own = facts.rules.iter().filter(|rule| {
        rule.name().split_once('/').is_some_and(|(dialect, _)| dialect == facts.name)
    });
    for rule in own {
        let fires = rows.iter().any(|row| row.5 == rule.name());
        assert!(fires, "no row shows {}", rule.name());
    }
    let verdicts = rows.iter().map(|row| row.4.name()).collect();
    Shown { dialect: facts.name.to_string(), rows: rows.len(), verdicts }
}

/// So many rows there are, and what they show of each dialect: every verdict that it has words for.
#[test]
fn every_verdict_of_every_dialect() {
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
    const ALL: [&str; 7] = [
        "rate_limited",
        "quota_exhausted",
        "key_rejected",
        "model_refused",
        "overloaded",
        "transient",
        "caller_fault",
    ];
    for shown in &all {
        let missing: Vec<_> = ALL.into_iter().filter(|one| !shown.verdicts.contains(one)).collect();
        println!("{:12} {:3} rows, without {missing:?}", shown.dialect, shown.rows);
        // Not all refuse a model to a key, and GitHub sells nothing by the request.
        let may_miss = |one: &&str| {
            *one == "model_refused" || (&*shown.dialect, *one) == ("github", "quota_exhausted")
        };
        assert!(missing.iter().all(may_miss), "{}: {missing:?}", shown.dialect);
    }
    let rows: usize = all.iter().map(|shown| shown.rows).sum();
    println!("{:12} {rows:3} rows", "all");
    assert!(rows >= 150, "{rows} rows");
}
