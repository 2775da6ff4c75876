//! Refusals on their way through the stack: they are judged in any encoding, passed on unchanged, and
//! change the state of the place that they are about.
#![cfg(feature = "retry")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    convert::Infallible,
    future::ready,
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use tower::{Layer, ServiceExt, service_fn};
use tower_key_rotation::{
    Anthropic, ApiKey, Exhausted, Gemini, KeyPool, KeyPoolBuilder, KeyRotation, KeyUsed, OpenAi,
    ReplayBody, RotationStack, Trail, Verdict,
    provider::{GitHub, Match, Provider, Rule, Wait},
    verdict::Place,
};

const QUOTA: &[u8] =
    br#"{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}"#;

fn pool(provider: impl Provider, keys: usize) -> KeyPoolBuilder {
    let key = |i| ApiKey::new(format!("sk-not-a-real-key-{i}")).id(format!("k{i}"));
    (1..=keys).map(key).fold(KeyPool::builder(provider).seed(7), KeyPoolBuilder::key)
}

fn request(provider: &dyn Provider) -> Request<Full<Bytes>> {
    let body = Full::from(r#"{"model":"m","messages":[]}"#);
    Request::post(format!("{}/v1/chat/completions", provider.spec().origin)).body(body).unwrap()
}

/// Sends one request to a provider that refuses it, and returns the response that the caller gets.
async fn refused(
    pool: &KeyPool,
    status: u16,
    headers: &[(&'static str, &'static str)],
    body: Bytes,
) -> Response<Bytes> {
    let mut refusal = Response::builder().status(status);
    for (name, value) in headers {
        refusal = refusal.header(*name, *value);
    }
    let refusal = refusal.body(Full::from(body)).unwrap();
    let inner = service_fn(move |_: Request<_>| ready(Ok::<_, Infallible>(refusal.clone())));
    let request = request(pool.provider());
    let response = KeyRotation::new(inner, pool).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    Response::from_parts(head, body.collect().await.unwrap().to_bytes())
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// One block that is not compressed, then the end (RFC 7932, section 9.2).
fn brotli(text: &[u8]) -> Vec<u8> {
    let header = (1_u32 << 20) | ((text.len() as u32 - 1) << 4);
    [&header.to_le_bytes()[..3], text, &[0x03]].concat()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_any_encoding_is_judged_and_passed_on_unchanged() {
    // Without its checksum and the last byte of the compressed data.
    let cut_gzip = gzip(QUOTA)[..gzip(QUOTA).len() - 9].to_vec();
    let cut = &QUOTA[..QUOTA.len() - 3];
    let garbage: &[u8] = b"\xff\xfe\x00\x80{\"error\"";
    let latin = [&QUOTA[..30], b"\xe9", &QUOTA[30..]].concat();
    for (name, encoding, body, rule) in [
        ("plain", None, QUOTA.to_vec(), "openai/insufficient-quota"),
        ("gzip", Some("gzip"), gzip(QUOTA), "openai/insufficient-quota"),
        ("gzip, cut", Some("gzip"), cut_gzip, "openai/insufficient-quota"),
        ("deflate", Some("deflate"), zlib(QUOTA), "openai/insufficient-quota"),
        ("brotli", Some("br"), brotli(QUOTA), "openai/insufficient-quota"),
        ("labelled gzip, but plain", Some("gzip"), QUOTA.to_vec(), "openai/insufficient-quota"),
        ("unknown", Some("zstd"), garbage.to_vec(), "status/429"),
        ("empty", None, Vec::new(), "status/429"),
        ("empty gzip", Some("gzip"), Vec::new(), "status/429"),
        ("cut", None, cut.to_vec(), "openai/insufficient-quota"),
        ("not UTF-8", None, garbage.to_vec(), "status/429"),
        ("JSON with a byte that is not UTF-8", None, latin, "openai/insufficient-quota"),
    ] {
        let pool = pool(OpenAi::default(), 1).build().unwrap();
        let headers = encoding.map(|encoding| ("content-encoding", encoding));
        let headers: Vec<_> = headers.into_iter().collect();
        let seen = refused(&pool, 429, &headers, body.clone().into()).await;
        assert_eq!(seen.extensions().get::<KeyUsed>().unwrap().rule, rule, "{name}");
        assert_eq!(seen.body(), &body, "{name}");
        let told = seen.headers().get("content-encoding").map(|value| value.to_str().unwrap());
        assert_eq!(told, encoding, "{name}");
    }
}

/// A body of ten megabytes: its beginning is read ahead, the rest is passed on as it comes.
#[tokio::test(start_paused = true)]
async fn a_long_body_is_judged_by_its_beginning_and_passed_on() {
    const CHUNK: usize = 16 * 1024;
    let taken = Arc::new(AtomicUsize::new(0));
    let start = [&QUOTA[..QUOTA.len() - 2], br#","long":""#].concat();
    let whole = [start.as_slice(), &vec![b'a'; 10 << 20], br#""}}"#].concat();
    let (count, sent) = (Arc::clone(&taken), whole.clone());
    let inner = service_fn(move |_: Request<Full<Bytes>>| {
        let (count, sent) = (Arc::clone(&count), sent.clone());
        let chunks = (0..sent.len().div_ceil(CHUNK)).map(move |i| {
            count.fetch_add(1, Ordering::Relaxed);
            let chunk = &sent[i * CHUNK..sent.len().min((i + 1) * CHUNK)];
            Ok::<_, Infallible>(Frame::data(Bytes::copy_from_slice(chunk)))
        });
        let body = StreamBody::new(tokio_stream::iter(chunks));
        ready(Ok::<_, Infallible>(Response::builder().status(429).body(body).unwrap()))
    });
    let pool = pool(OpenAi::default(), 1).build().unwrap();
    let response =
        KeyRotation::new(inner, &pool).oneshot(request(&OpenAi::default())).await.unwrap();
    let used = response.extensions().get::<KeyUsed>().unwrap();
    assert_eq!(used.rule, "openai/insufficient-quota");
    let read = taken.load(Ordering::Relaxed) * CHUNK;
    assert!(read <= 64 * 1024 + CHUNK, "{read} bytes were read ahead");
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), whole);
}

/// `CONSUMER_SUSPENDED` of Google repeats the key, and may be compressed.
#[tokio::test(start_paused = true)]
async fn a_key_in_a_compressed_body_is_overwritten() {
    let text = |key: &str| {
        format!(
            r#"{{"error":{{"code":403,"status":"PERMISSION_DENIED","message":"Permission denied: Consumer 'api_key:{key}' has been suspended.","details":[{{"reason":"CONSUMER_SUSPENDED"}}]}}}}"#
        )
    };
    for (encoding, pack) in [("gzip", gzip as fn(&[u8]) -> Vec<u8>), ("deflate", zlib)] {
        let pool = pool(Gemini::default(), 1).build().unwrap();
        let body = pack(text("sk-not-a-real-key-1").as_bytes());
        let seen = refused(&pool, 403, &[("content-encoding", encoding)], body.into()).await;
        assert_eq!(seen.extensions().get::<KeyUsed>().unwrap().verdict, Verdict::KeyRejected);
        let redacted = text(&"*".repeat("sk-not-a-real-key-1".len()));
        assert_eq!(seen.body(), redacted.as_bytes(), "{encoding}");
        assert_eq!(seen.headers().get("content-encoding"), None);
    }
}

/// Sends one request to a pool of three keys. Returns how often the provider is called, how many keys are
/// rejected afterwards, and the rule of each attempt.
async fn calls_and_rejected_keys(
    provider: impl Provider,
    status: u16,
    body: &'static str,
) -> (usize, usize, Vec<String>) {
    let pool = pool(provider, 3).max_wait(Duration::ZERO).build().unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let inner = service_fn(move |_: Request<ReplayBody>| {
        count.fetch_add(1, Ordering::Relaxed);
        ready(Ok::<_, Infallible>(
            Response::builder().status(status).body(Full::<Bytes>::from(body)).unwrap(),
        ))
    });
    let trail = Trail::new();
    let mut request = request(pool.provider());
    request.extensions_mut().insert(trail.clone());
    let response = RotationStack::new(&pool).layer(inner).oneshot(request).await.unwrap();
    // If every key is rejected, the middleware answers; otherwise the provider's answer is passed on.
    let seen =
        response.extensions().get::<Exhausted>().map_or(status, |told| told.status().as_u16());
    assert_eq!(response.status(), seen);
    assert_eq!(response.extensions().get::<Exhausted>().is_some(), pool.snapshot().live_keys == 0);
    let dead = 3 - pool.snapshot().live_keys;
    let rules = trail.attempts().into_iter().map(|attempt| attempt.rule.into_owned()).collect();
    (calls.load(Ordering::Relaxed), dead, rules)
}

/// A refusal that no key can change is sent once and rests no key. One that may be about the key is tried
/// with the other keys.
#[tokio::test(start_paused = true)]
async fn only_a_refusal_that_may_be_about_the_key_is_tried_with_another() {
    let region = r#"{"error":{"code":"unsupported_country_region_territory","message":"Country, region, or territory not supported","type":"request_forbidden"}}"#;
    let found = calls_and_rejected_keys(OpenAi::default(), 403, region).await;
    assert_eq!(found, (1, 0, vec!["openai/region".to_owned()]));

    let wrong_name = r#"{"error":{"code":"model_not_found","message":"The model `m` does not exist or you do not have access to it."}}"#;
    let found = calls_and_rejected_keys(OpenAi::default(), 404, wrong_name).await;
    assert_eq!(found, (3, 0, vec!["openai/unknown-model-or-no-access".to_owned(); 3]));

    let no_access = r#"{"error":{"code":"model_not_found","message":"Project `p` does not have access to model `m`"}}"#;
    let found = calls_and_rejected_keys(OpenAi::default(), 403, no_access).await;
    assert_eq!(found, (3, 0, vec!["openai/no-model-access".to_owned(); 3]));

    let wrong_key = r#"{"error":{"code":400,"status":"INVALID_ARGUMENT","message":"API key not valid.","details":[{"reason":"API_KEY_INVALID"}]}}"#;
    let found = calls_and_rejected_keys(Gemini::default(), 400, wrong_key).await;
    assert_eq!(found, (3, 3, vec!["gemini/invalid-key".to_owned(); 3]));

    let no_credit = r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the API."}}"#;
    let found = calls_and_rejected_keys(Anthropic::default(), 400, no_credit).await;
    assert_eq!(found, (3, 0, vec!["anthropic/no-credit".to_owned(); 3]));

    let page = "<html><title>Attention Required!</title></html>";
    let found = calls_and_rejected_keys(OpenAi::default(), 403, page).await;
    assert_eq!(found, (3, 0, vec!["status/403".to_owned(); 3]));
}

#[tokio::test(start_paused = true)]
async fn a_users_rule_is_applied_before_the_dialects() {
    let busy = Rule::rate_limited("mine/busy")
        .status(403)
        .header("x-proxy", Match::Present)
        .json("/reason", Match::is(["busy"]))
        .place(Place::Account)
        .wait(Wait::json("/seconds"));
    let never_dead = Rule::transient("mine/never-dead").status(401);
    let pool = pool(OpenAi::default(), 1).rule(busy).rule(never_dead).build().unwrap();
    let told = |seen: Response<Bytes>| {
        let used = seen.extensions().get::<KeyUsed>().unwrap();
        (used.verdict, used.rule.clone().into_owned())
    };
    let proxy = [("x-proxy", "1")];
    let wrong = br#"{"error":{"code":"invalid_api_key"}}"#.as_slice();
    let seen = refused(&pool, 401, &[], wrong.into()).await;
    assert_eq!(told(seen), (Verdict::Transient, "mine/never-dead".to_owned()));
    let body = br#"{"reason":"busy","seconds":"7"}"#.as_slice();
    let seen = refused(&pool, 403, &[], body.into()).await;
    assert_eq!(
        told(seen),
        (Verdict::PermissionRefused, "status/403".to_owned()),
        "without the header of the proxy"
    );
    let seen = refused(&pool, 403, &proxy, body.into()).await;
    let wait = Some(Duration::from_secs(7));
    assert_eq!(seen.extensions().get::<KeyUsed>().unwrap().place, Place::Account);
    let limited = Verdict::RateLimited { retry_after: wait };
    assert_eq!(told(seen), (limited, "mine/busy".to_owned()));
}

#[test]
fn all_wrong_rules_are_reported_at_once() {
    let error = pool(OpenAi::default(), 1)
        .rule(Rule::transient("a").header("no name", Match::Present))
        .rule(Rule::transient("b").json("code", Match::Present))
        .rule(Rule::rate_limited("c").wait(Wait::midnight("Atlantis/Capital")))
        .rule(Rule::transient(""))
        .build()
        .unwrap_err()
        .to_string();
    for problem in [
        "rule \"a\": \"no name\" is no name of a header",
        "rule \"b\": \"code\" is no JSON pointer",
        "rule \"c\": the time zone \"Atlantis/Capital\" is unknown",
        "rule \"\": its name is empty",
    ] {
        assert!(error.contains(problem), "{problem} is not in {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn required_headers_are_added_if_the_caller_sends_none() {
    let sent = |pool: KeyPool, headers: &'static [(&str, &str)]| async move {
        let seen = Arc::new(std::sync::Mutex::new(HeaderMap::new()));
        let kept = Arc::clone(&seen);
        let inner = service_fn(move |request: Request<Full<Bytes>>| {
            *kept.lock().unwrap() = request.headers().clone();
            ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
        });
        let mut request = request(pool.provider());
        for (name, value) in headers {
            request
                .headers_mut()
                .insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        KeyRotation::new(inner, &pool).oneshot(request).await.unwrap();
        let seen = seen.lock().unwrap().clone();
        move |name: &str| seen.get(name).map(|value| value.to_str().unwrap().to_owned())
    };
    let anthropic = || pool(Anthropic::default(), 1).build().unwrap();
    let header = sent(anthropic(), &[]).await;
    assert_eq!(header("anthropic-version").as_deref(), Some("2023-06-01"));
    let header = sent(anthropic(), &[("anthropic-version", "2099-01-01")]).await;
    assert_eq!(header("anthropic-version").as_deref(), Some("2099-01-01"));
    let header = sent(pool(GitHub::default(), 1).build().unwrap(), &[("accept", "text/x")]).await;
    assert_eq!(header("accept").as_deref(), Some("text/x"));
    assert_eq!(header("user-agent").as_deref(), Some("tower-key-rotation"));
    assert_eq!(header("authorization").as_deref(), Some("Bearer sk-not-a-real-key-1"));
}
