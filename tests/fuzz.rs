//! Arbitrary input from the network: nothing panics, impossible values are ignored, and every format of a
//! value reads the same.
//!
//! Each test runs a thousand inputs. `FUZZ_ITERATIONS=1000000 cargo test --release --test fuzz` runs another
//! number, and `cargo bolero test --all-features refusals` lets a fuzzer choose inputs. A failure shows its
//! seed; `BOLERO_RANDOM_SEED=...` repeats it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    io::Write,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, SystemTime},
};

use flate2::{Compression, write::GzEncoder};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tower_key_rotation::{
    ApiKey, KeyPool, OpenAi, Verdict,
    provider::{
        Answer, Builtin, Call, EventScanner, Framing, Generic, LimitReading, Match, Provider, Rule,
        Ruling, Scanned, Wait,
    },
    verdict::Place,
};

fn all() -> [Arc<dyn Provider>; 17] {
    Builtin::ALL.map(|dialect| dialect.provider("https://api.example.com"))
}

fn iterations() -> usize {
    std::env::var("FUZZ_ITERATIONS").ok().and_then(|number| number.parse().ok()).unwrap_or(1_000)
}

const YEAR: Duration = Duration::from_secs(366 * 86_400);

/// Names that dialects read.
const NAMES: [&str; 20] = [
    "date",
    "content-type",
    "content-encoding",
    "retry-after",
    "retry-after-ms",
    "x-should-retry",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
    "x-ratelimit-remaining-tokens-minute",
    "x-ratelimit-reset-tokens-day",
    "x-ratelimit-renewalperiod-tokens",
    "x-ratelimit-resource",
    "anthropic-ratelimit-input-tokens-remaining",
    "anthropic-ratelimit-input-tokens-reset",
    "ratelimit",
    "ratelimit-policy",
];

/// Pieces that reach deeper into the parsers than random bytes.
#[rustfmt::skip]
const PIECES: [&str; 53] = [
    "0", "9", "-1", ".", "1e9", "400d", "99999999", "99999999999999999999", "18446744073709551615",
    "m", "ms", "h", "s", "\u{b5}s", ";", ",", "=", "\"", "\\", "{", "}", "[", "]", ":", "r=", "t=", "q=",
    "w=", "null", "true", "\"error\":", "\"message\":", "\"code\":", "\"details\":", "\"violations\":",
    "\"retryDelay\":", "\"metadata\":", "\"model\":", "\"max_tokens\":", "gzip", "br", "deflate",
    "2026-01-15T20:00:00Z", "9999-12-31", "Fri, 31 Dec 9999 23:59:59 GMT",
    "Thu, 15 Jan 2026 20:00:00 GMT", "try again in ", "limit: 0", "rate_limit_exceeded", "\u{1F600}",
    r#"{"error":{"status":"RESOURCE_EXHAUSTED","message":"retry in 0s","details":[{"retryDelay":"0s"}]}}"#,
    r#"{"error":{"code":429,"message":"per-day","metadata":{"limit_source":"x","resets_at":"0"}}}"#,
    r#"{"type":"error","error":{"type":"x","message":"You have reached your specified 9999-12-31"}}"#,
];

/// Pieces with random bytes between them.
fn text(noise: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    for byte in noise {
        match PIECES.get(usize::from(*byte) % 64) {
            Some(piece) => text.extend(piece.as_bytes()),
            None => text.push(*byte),
        }
    }
    text
}

fn headers(noise: &[(u8, Vec<u8>)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in noise.iter().take(32) {
        let length = usize::from(name / 64) + 1;
        let name = HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
        let value = &value[..value.len().min(length)];
        if let Ok(value) = HeaderValue::from_bytes(&text(value)) {
            headers.append(name, value);
        }
    }
    headers
}

fn wait(verdict: Verdict) -> Option<Duration> {
    match verdict {
        Verdict::RateLimited { retry_after, .. }
        | Verdict::QuotaExhausted { retry_after, .. }
        | Verdict::Overloaded { retry_after } => retry_after,
        _ => None,
    }
}

fn now(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds % (1 << 40))
}

fn readings(provider: &dyn Provider, answer: &Answer<'_>) -> Vec<LimitReading> {
    let mut readings = Vec::new();
    provider.readings(answer, &mut |reading| readings.push(reading));
    readings
}

#[test]
fn header_values() {
    let providers = AssertUnwindSafe(all());
    bolero::check!()
        .with_iterations(iterations())
        .with_type::<(u16, u64, Vec<(u8, Vec<u8>)>)>()
        .for_each(|(status, at, noise)| {
            let headers = headers(noise);
            let status = StatusCode::from_u16(200 + status % 400).unwrap();
            let answer = Answer::new(status, &headers, now(*at));
            for provider in providers.iter() {
                let found = readings(&**provider, &answer);
                assert!(found.len() <= 13, "{found:?}");
                for reading in found {
                    assert!(reading.limit.or(reading.remaining).is_some(), "{reading:?}");
                    assert!(reading.limit.max(reading.remaining) < Some(1 << 62), "{reading:?}");
                    assert!(reading.reset.unwrap_or_default() <= YEAR, "{reading:?}");
                }
            }
        });
}

#[test]
fn refusals() {
    let providers = AssertUnwindSafe(all());
    type Noise = (u16, u64, Vec<(u8, Vec<u8>)>, Vec<u8>);
    bolero::check!().with_iterations(iterations()).with_type::<Noise>().for_each(
        |(status, at, noise, body)| {
            let headers = headers(noise);
            // Below 400 it is an event inside an answer.
            let status = StatusCode::from_u16(200 + status % 400).unwrap();
            for body in [body.as_slice(), &text(body)] {
                let answer = Answer::new(status, &headers, now(*at)).with_body(body);
                for provider in providers.iter() {
                    let ruling = provider.classify(&answer);
                    assert!(!ruling.rule.is_empty() && ruling.verdict != Verdict::Accepted);
                    let wait = wait(ruling.verdict);
                    assert!(wait.is_none_or(|wait| !wait.is_zero() && wait <= YEAR), "{ruling:?}");
                    let is_of_key = ruling.place <= Place::Key;
                    assert!(is_of_key || !ruling.needs_second_opinion(), "{ruling:?}");
                    assert_eq!(
                        provider.classify(&answer),
                        ruling,
                        "a second call gave another ruling"
                    );
                }
            }
        },
    );
}

/// A document with a few members, as in refusals.
fn document(noise: &[u8]) -> Value {
    let word = |at: usize| {
        let piece = noise.get(at).map_or(0, |byte| usize::from(*byte));
        ["insufficient_quota", "429", "Rate limit reached, try again in 7s", "x", "", "overloaded"]
            [piece % 6]
    };
    let number = noise.len() as u64 + 400;
    json!({"error": {"code": word(0), "type": word(1), "message": word(2), "status_code": number}})
}

#[test]
fn a_compressed_refusal_is_judged_like_a_plain_one() {
    let providers = AssertUnwindSafe(all());
    bolero::check!().with_iterations(iterations()).with_type::<(u16, Vec<u8>)>().for_each(
        |(status, noise)| {
            let status = StatusCode::from_u16(400 + status % 200).unwrap();
            let plain = document(noise).to_string();
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(plain.as_bytes()).unwrap();
            let packed = encoder.finish().unwrap();
            let mut headers = HeaderMap::new();
            for provider in providers.iter() {
                headers.clear();
                let now = SystemTime::UNIX_EPOCH;
                let said = provider
                    .classify(&Answer::new(status, &headers, now).with_body(plain.as_bytes()));
                headers.insert("content-encoding", HeaderValue::from_static("gzip"));
                let again =
                    provider.classify(&Answer::new(status, &headers, now).with_body(&packed));
                assert_eq!(again, said, "{plain}");
            }
        },
    );
}

/// A cut may hide the problem of a key, but must never make a good key look dead.
#[test]
fn a_refusal_that_breaks_off_kills_no_key() {
    let providers = AssertUnwindSafe(all());
    bolero::check!().with_iterations(iterations()).with_type::<(u16, u16, Vec<u8>)>().for_each(
        |(status, cut, noise)| {
            let status = StatusCode::from_u16(402 + status % 198).unwrap();
            let whole = document(noise).to_string();
            let part = &whole[..usize::from(*cut) % whole.len()];
            let (headers, now) = (HeaderMap::new(), SystemTime::UNIX_EPOCH);
            for provider in providers.iter() {
                let judge = |body: &str| {
                    provider
                        .classify(&Answer::new(status, &headers, now).with_body(body.as_bytes()))
                };
                let (said, cut) = (judge(&whole), judge(part));
                let dead = |ruling: &Ruling| ruling.verdict == Verdict::KeyRejected;
                assert!(!dead(&cut) || dead(&said), "{part}: {cut:?}, and whole {said:?}");
            }
        },
    );
}

#[test]
fn durations_in_the_format_of_go_are_read() {
    let openai = OpenAi::default();
    bolero::check!().with_iterations(iterations()).with_type::<(u8, u8, u8, u16)>().for_each(
        |(h, m, s, ms)| {
            let (m, s, ms) = (m % 60, s % 60, ms % 1_000);
            let wait = Duration::from_millis(
                ((u64::from(*h) * 60 + u64::from(m)) * 60 + u64::from(s)) * 1_000 + u64::from(ms),
            );
            for text in [format!("{h}h{m}m{s}.{ms:03}s"), format!("{}ms", wait.as_millis())] {
                let mut headers = HeaderMap::new();
                headers.insert("x-ratelimit-remaining-tokens", HeaderValue::from_static("0"));
                headers.insert("x-ratelimit-reset-tokens", text.parse().unwrap());
                let status = StatusCode::OK;
                let answer = Answer::new(status, &headers, SystemTime::UNIX_EPOCH);
                let reset = readings(&openai, &answer)[0].reset.unwrap();
                // The result with floating-point numbers.
                assert!(reset.abs_diff(wait) < Duration::from_micros(1), "{text}: {reset:?}");
            }
        },
    );
}

/// A time is the same in every format, whatever the local clock says.
#[test]
fn dates_are_read_in_every_format() {
    let generic = Generic::new("https://api.example.com");
    bolero::check!().with_iterations(iterations()).with_type::<(u32, u32, u64)>().for_each(
        |(sent, wait, ours)| {
            let sent = 1_000_000_000 + u64::from(*sent) % 1_000_000_000;
            let wait = 1 + u64::from(*wait) % (365 * 86_400);
            let then = now(sent + wait);
            let rfc3339 = jiff::Timestamp::try_from(then).unwrap().to_string();
            let (seconds, millis) =
                ((sent + wait).to_string(), ((sent + wait) * 1_000).to_string());
            let found = |name: &'static str, value: &str| {
                let mut headers = HeaderMap::new();
                headers.insert("date", httpdate::fmt_http_date(now(sent)).parse().unwrap());
                headers.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
                headers.insert(name, value.parse().unwrap());
                let answer = Answer::new(StatusCode::TOO_MANY_REQUESTS, &headers, now(*ours));
                self::wait(generic.classify(&answer).verdict)
            };
            let expected = Some(Duration::from_secs(wait));
            for text in [&rfc3339, &seconds, &millis] {
                assert_eq!(found("x-ratelimit-reset", text), expected, "{text}");
            }
            assert_eq!(found("retry-after", &httpdate::fmt_http_date(then)), expected);
            assert_eq!(found("retry-after", &wait.to_string()), expected);
        },
    );
}

/// A rule finds a value under any name, and an invalid rule matches nothing.
#[test]
fn rules() {
    bolero::check!()
        .with_iterations(iterations())
        .with_type::<(Vec<u8>, String, String, Vec<u8>)>()
        .for_each(|(name, value, junk, body)| {
            // With all special characters of a JSON pointer.
            let letter = |byte: &u8| char::from(b"a~/01*"[usize::from(*byte) % 6]);
            let name: String = name.iter().map(letter).collect();
            let pointer = format!("/a/{}", name.replace('~', "~0").replace('/', "~1"));
            let there = Rule::overloaded("there").json(pointer, Match::is([value.clone()]));
            let junk_rule = Rule::transient("junk")
                .header(junk, Match::contains([junk.clone()]))
                .json(format!("/{junk}"), Match::starts_with([junk.clone()]))
                .says([junk.clone()])
                .wait(Wait::text(junk.clone()));
            let _ = junk.parse::<Wait>();
            let is_wrong = junk_rule.problem().is_some();
            let builder = KeyPool::builder(OpenAi::default()).key(ApiKey::new("none"));
            let built = builder.rule(there.clone()).rule(junk_rule).build();
            assert_eq!(built.is_err(), is_wrong, "{junk:?}");
            let pool = KeyPool::builder(OpenAi::default()).key(ApiKey::new("none")).rule(there);
            let pool = pool.build().unwrap();
            let headers = HeaderMap::new();
            let judge = |body: &[u8]| {
                let (status, now) = (StatusCode::BAD_REQUEST, SystemTime::UNIX_EPOCH);
                pool.classify(&Answer::new(status, &headers, now).with_body(body)).rule
            };
            // In an object, `*` is an ordinary name, here that of the only member.
            let whole = json!({"a": {name.clone(): value}}).to_string();
            assert_eq!(judge(whole.as_bytes()), "there", "{whole}");
            let other = json!({"a": {name: format!("{value}!")}}).to_string();
            assert_ne!(judge(other.as_bytes()), "there", "{other}");
            let _ = judge(&text(body));
        });
}

#[test]
fn requests() {
    let providers = AssertUnwindSafe(all());
    bolero::check!().with_iterations(iterations()).with_type::<(Vec<u8>, String)>().for_each(
        |(noise, path)| {
            let headers = HeaderMap::new();
            let path = format!("/model/{path}");
            let uri = Uri::try_from(path).unwrap_or_default();
            for body in [noise.as_slice(), &text(noise)] {
                let call = Call::new(&Method::POST, &uri, &headers).with_body(body);
                for provider in providers.iter() {
                    let estimate = provider.estimate(&call);
                    assert!(estimate.input_tokens <= body.len() as u64 + 1_000, "{estimate:?}");
                    let facts = provider.spec();
                    assert!(facts.auth_scheme_of(&uri) < facts.auth_schemes().len());
                }
            }
        },
    );
}

/// The events of a body, for any cut into pieces.
fn events<'p>(framing: Framing, pieces: impl Iterator<Item = &'p [u8]>) -> Vec<Vec<u8>> {
    let (mut scanner, mut found) = (EventScanner::new(framing), Vec::new());
    let shown = |scanned: Scanned<'_>| match scanned {
        Scanned::Event(event) => [event.name.as_bytes(), b"|", event.data].concat(),
        _ => b"unread".to_vec(),
    };
    for piece in pieces {
        let mut from = 0;
        let ended = scanner.feed(piece, |scanned, part| {
            assert!(from <= part.start && part.start < part.end && part.end <= piece.len());
            from = part.end;
            found.push(shown(scanned));
        });
        assert!(from <= ended && ended <= piece.len());
    }
    scanner.finish(|scanned| found.push(shown(scanned)));
    found
}

#[test]
fn the_cut_of_a_body_does_not_change_its_events() {
    const WORDS: [&[u8]; 16] = [
        b"data:",
        b"data: ",
        b"event: e",
        b": c",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b"\\",
        b",",
        b"x",
    ];
    bolero::check!().with_iterations(iterations()).with_type::<(u8, Vec<u8>)>().for_each(
        |(size, noise)| {
            let words = noise.iter().flat_map(|byte| match WORDS.get(usize::from(*byte) % 20) {
                Some(word) => word.to_vec(),
                None => vec![*byte],
            });
            let body: Vec<u8> = words.collect();
            let size = 1 + usize::from(*size) % 8;
            for framing in [Framing::Events, Framing::List] {
                let whole = events(framing, [body.as_slice()].into_iter());
                assert_eq!(events(framing, body.chunks(size)), whole, "by {size}");
            }
        },
    );
}
