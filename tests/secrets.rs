//! Searches every output for one known key.
#![cfg(all(feature = "sandbox", feature = "retry"))]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    convert::Infallible,
    fmt::Debug,
    future::ready,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderName, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt};
use tower_key_rotation::{
    Account, Anthropic, ApiKey, Demand, Gemini, KeyPool, KeyRotationLayer, OpenAi, QuotaAwareRetry,
    RotationStack,
    provider::{Generic, Provider},
    source::{KeyFile, SecretSource},
};

const CANARY: &str = "sk-canary-7f3a9c51d2e84b60";
/// The credential of a caller, which it sends in each header and parameter that may contain a key.
const CALLERS: &str = "callers-own-5e1f";
const CARRIERS: [&str; 4] = ["authorization", "x-api-key", "x-goog-api-key", "api-key"];

type Body = Full<Bytes>;

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    for part in [CANARY, "canary", &CANARY[10..20]] {
        assert!(!text.contains(part), "{what} shows the key: {text}");
    }
}

#[track_caller]
fn assert_debug_clean(what: &str, value: &impl Debug) {
    assert_clean(what, &format!("{value:?}"));
    assert_clean(what, &format!("{value:#?}"));
}

fn pool_of(provider: impl Provider) -> KeyPool {
    KeyPool::builder(provider).key(ApiKey::new(CANARY).id("label")).build().unwrap()
}

#[tokio::test]
async fn no_debug_output_shows_the_key() {
    let key = ApiKey::new(CANARY).id("label");
    assert_debug_clean("ApiKey", &key);
    let account = Account::new("org").key(key);
    assert_debug_clean("Account", &account);
    let builder = KeyPool::builder(OpenAi::default()).account(account);
    assert_debug_clean("KeyPoolBuilder", &builder);
    let pool = builder.build().unwrap();
    assert_debug_clean("KeyPool", &pool);
    assert_debug_clean("Snapshot", &pool.snapshot());
    assert_clean("Snapshot as JSON", &serde_json::to_string(&pool.snapshot()).unwrap());
    assert_debug_clean("Acquire", &pool.acquire(&Demand::new()));
    assert_debug_clean("KeyRotationLayer", &KeyRotationLayer::new(&pool));
    assert_debug_clean("QuotaAwareRetry", &QuotaAwareRetry::new(&pool));
    assert_debug_clean("RotationStack", &RotationStack::new(&pool));

    let mut lease = pool.acquire(&Demand::new()).await.unwrap();
    assert_debug_clean("Lease", &lease);
    let mut request = Request::get("https://api.openai.com/").body(()).unwrap();
    lease.apply(&mut request).unwrap();
    assert!(request.headers()["authorization"].to_str().unwrap().contains(CANARY), "no key at all");
    assert_debug_clean("a request with the key", &request);
}

#[tokio::test(start_paused = true)]
async fn no_change_of_keys_shows_a_key() {
    const OTHER: &str = "sk-canary-7f3a9c51d2e84b60-2";
    let pool = pool_of(OpenAi::default());
    let mut events = pool.events();
    let org = |secret: &str| Account::new("label").key(ApiKey::new(secret).id("label"));
    assert_debug_clean("Prepared", &pool.prepare([org(OTHER)]).unwrap());
    assert_debug_clean("Changes", &pool.apply([org(OTHER)]).unwrap());
    assert_debug_clean("Drained", &pool.replace_secret("label", CANARY).unwrap());
    for error in [
        pool.apply([org(&format!("{CANARY}\n"))]).unwrap_err(),
        pool.insert(org(CANARY)).unwrap_err(),
        pool.replace_secret("label", format!("{CANARY}\0")).map(drop).unwrap_err(),
    ] {
        assert_debug_clean("BuildError", &error);
        assert_clean("BuildError", &error.to_string());
    }
    let path = std::env::temp_dir().join(format!("tkr-secrets-{}.txt", std::process::id()));
    for text in [CANARY.to_owned(), format!("label {OTHER}"), format!("label {CANARY} {OTHER}")] {
        std::fs::write(&path, text).unwrap();
        let source = KeyFile::new(&path);
        assert_debug_clean("KeyFile", &source);
        let loaded = source.load().await;
        assert_debug_clean("what was loaded", &loaded);
        drop(loaded.map(|accounts| pool.apply(accounts).unwrap()));
    }
    let every = std::time::Duration::from_secs(1);
    let watch = pool.watch(KeyFile::new(&path), every);
    assert!(tokio::time::timeout(every * 3, watch).await.is_err());
    std::fs::remove_file(&path).unwrap();
    let mut number = 0;
    while let Ok(Some(event)) = events.try_recv() {
        assert_debug_clean("Event", &event);
        number += 1;
    }
    assert!(number >= 4, "{number} events");
    assert_debug_clean("KeySet", &pool.key_set());
    assert_debug_clean("KeyPool", &pool);
}

#[test]
fn no_build_error_shows_the_key() {
    let builder = KeyPool::builder(OpenAi::default())
        .account(Account::new("a").key(ApiKey::new(format!("{CANARY}\n")).id("k")))
        .account(Account::new("a").key(ApiKey::new(format!("{CANARY}\u{0}")).id("k").weight(0)))
        .origin(format!("https://user:{CANARY}@example.com"));
    let error = builder.build().unwrap_err();
    assert!(error.problems().len() >= 5, "not all problems are listed at once: {error}");
    assert_debug_clean("BuildError", &error);
    assert_clean("BuildError", &error.to_string());
}

/// Everything that can be seen of accepted, redirected, refused, failed and exhausted requests.
#[tokio::test(start_paused = true)]
async fn no_response_event_or_future_shows_the_key() {
    let statuses = Arc::new(Mutex::new([200u16, 302, 400, 401, 429, 500].into_iter()));
    let inner = tower::service_fn(move |request: Request<tower_key_rotation::ReplayBody>| {
        // A provider that returns the credentials that it was sent.
        let status = statuses.lock().unwrap().next().unwrap_or(200);
        let text = format!("{{\"error\":{{\"message\":\"Key {CANARY} ({CANARY}) is no good\"}}}}");
        let mut response =
            Response::new(Body::from(if status < 400 { String::new() } else { text }));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        for name in CARRIERS {
            if let Some(value) = request.headers().get(name) {
                response.headers_mut().insert(HeaderName::from_static(name), value.clone());
            }
        }
        ready(Ok::<_, Infallible>(response))
    });
    let pool = pool_of(OpenAi::default());
    let mut events = pool.events();
    let mut service = RotationStack::new(&pool).layer(inner);
    for _ in 0..8 {
        let request = Request::post("https://api.openai.com/v1/x").body(Body::default()).unwrap();
        let service: &mut _ = ServiceExt::<Request<Body>>::ready(&mut service).await.unwrap();
        let call = service.call(request);
        assert_debug_clean("the future", &call);
        let response = call.await.unwrap();
        for name in CARRIERS {
            assert!(!response.headers().contains_key(name), "{name} was echoed to the caller");
        }
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_clean("a response's head", &format!("{head:?} {:?}", head.extensions));
        let body = String::from_utf8_lossy(&body);
        assert_clean("a response's body", &body);
        assert!(
            body.is_empty()
                || body.contains(" is no good\"}}")
                || body.contains("no_key_available"),
            "{body}"
        );
    }
    while let Ok(Some(event)) = events.try_recv() {
        assert_debug_clean("Event", &event);
    }
}

/// A key goes to its origin only, in the header that the provider wants; the credentials of the caller are
/// never sent.
#[tokio::test]
async fn a_callers_credentials_are_removed_and_keys_go_to_their_origin_only() {
    let dialects: [(KeyPool, &str, &str); 5] = [
        (pool_of(OpenAi::default()), "https://api.openai.com/v1/models", "authorization"),
        (pool_of(Anthropic::default()), "https://api.anthropic.com/v1/messages", "x-api-key"),
        (
            pool_of(Gemini::default()),
            "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent",
            "x-goog-api-key",
        ),
        (
            pool_of(Gemini::default()),
            "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
            "authorization",
        ),
        (
            pool_of(
                Generic::new("https://maps.example.com")
                    .header(HeaderName::from_static("x-custom"))
                    .key_parameter("key"),
            ),
            "https://maps.example.com/geo",
            "x-custom",
        ),
    ];
    for (pool, uri, carrier) in dialects {
        let origin: http::Uri = uri.parse().unwrap();
        let elsewhere = [
            "https://evil.example.com/v1/models".to_owned(),
            uri.replace("https:", "http:"),
            uri.replace(".com/", ".com:8443/"),
            uri.replace(".com/", ".com.evil.test/"),
            origin.path().to_owned(),
        ];
        for target in [uri.to_owned()].into_iter().chain(elsewhere) {
            let is_allowed = target == uri;
            let inner = tower::service_fn(move |request: Request<Body>| {
                let sent = request.headers().iter();
                let mut with_key =
                    sent.filter(|(_, value)| value.to_str().unwrap().contains(CANARY));
                match is_allowed {
                    true => {
                        assert_eq!(with_key.next().map(|(name, _)| name.as_str()), Some(carrier));
                        assert!(with_key.next().is_none(), "the key was sent twice");
                    }
                    false => {
                        assert!(with_key.next().is_none(), "the key went to {}", request.uri())
                    }
                }
                let all = format!("{} {:?}", request.uri(), request.headers());
                assert!(!all.contains(CALLERS), "the caller's credential was passed on: {all}");
                assert_eq!(request.headers()["x-other"], "kept");
                ready(Ok::<_, Infallible>(Response::new(Body::default())))
            });
            let parameter =
                if pool.provider().spec().key_parameter.is_some() { "key" } else { "alt" };
            let value = if parameter == "key" { CALLERS } else { "sse" };
            // The same name, escaped.
            let escaped = if parameter == "key" { "%6bey" } else { "%61lt" };
            let query = format!("a=1&{parameter}={value}&{escaped}={value}");
            let mut request = Request::get(format!("{target}?{query}"))
                .header("x-other", "kept")
                .header("x-custom", if carrier == "x-custom" { CALLERS } else { "-" });
            for name in CARRIERS {
                request = request.header(name, format!("Bearer {CALLERS}"));
            }
            let service = KeyRotationLayer::new(&pool).layer(inner);
            service.oneshot(request.body(Body::default()).unwrap()).await.unwrap();
        }
    }
}

/// A lease that is used without the middleware is as strict.
#[tokio::test]
async fn a_lease_refuses_a_foreign_origin() {
    let pool = pool_of(OpenAi::default());
    let mut lease = pool.acquire(&Demand::new()).await.unwrap();
    let mut request =
        Request::get("https://evil.example.com/").header("api-key", CALLERS).body(()).unwrap();
    let error = lease.apply(&mut request).unwrap_err();
    assert!(request.headers().is_empty());
    assert!(error.to_string().contains("https://api.openai.com:443"), "{error}");
    assert_clean("ForeignOrigin", &error.to_string());
    drop(lease);
    assert_eq!(pool.snapshot().accounts[0].served, 0, "a request that was not sent was charged");
}
