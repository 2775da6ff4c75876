//! Actions of an operator on keys while the gateway serves.

use std::{fs, path::Path, sync::Arc};

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::{
    fake::{Fake, Seen, ok, refusal},
    gateway::{config::Config, routes::Gateway},
    start::{chat, one_pool},
};

const ADMIN: &str = "admin_token = \"a-canary\"";
const SECOND: &str =
    "[[pool.account]]\nname = \"org-2\"\nkeys = [{ id = \"k/2\", secret = \"sk-canary-2\" }]";

/// Two accounts. The first one is used as long as possible.
fn config(before: &str) -> Config {
    one_pool("openai", before, "strategy = \"sequential\"", SECOND)
}

struct Running {
    gateway: Arc<Gateway>,
    fake: Fake,
}

impl Running {
    fn new(fake: &Fake, config: Config) -> Self {
        let gateway = Arc::new(Gateway::new(config, &fake.upstream()).unwrap());
        Self { gateway, fake: fake.clone() }
    }

    async fn send(&self, request: Request<Body>) -> (u16, Value) {
        let router = Arc::clone(&self.gateway).router();
        let (head, body) = router.oneshot(request).await.unwrap().into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        assert!(!String::from_utf8_lossy(&text).contains("canary"), "{text:?}");
        (head.status.as_u16(), serde_json::from_slice(&text).unwrap_or_default())
    }

    async fn act(&self, path: &str) -> (u16, Value) {
        self.send(action(path, &[("x-api-key", "a-canary")])).await
    }

    /// The secret that a chat is sent with.
    async fn chat(&self) -> Option<String> {
        let before = self.fake.calls();
        let request =
            Request::post("/v1/chat/completions").header("content-type", "application/json");
        let (status, _) = self.send(request.body(Body::from(chat("gpt-4o", false))).unwrap()).await;
        assert_eq!(status == 200, self.fake.calls() > before, "{status}");
        self.fake.last().filter(|_| status == 200).map(|seen| seen.secret)
    }
}

fn action(path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let request = Request::post(format!("/-/keys/{path}"));
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    request.body(Body::empty()).unwrap()
}

fn sent_with(secret: &str) -> Option<String> {
    Some(secret.to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_switched_off_is_not_used_until_it_is_switched_on() {
    let running = Running::new(&Fake::new(ok), config(ADMIN));
    assert_eq!(running.chat().await, sent_with("sk-canary"));
    let (status, key) = running.act("openai/k1/disable").await;
    assert_eq!((status, &key["id"]), (200, &"k1".into()), "{key}");
    assert_eq!((&key["disabled"], &key["alive"]), (&true.into(), &false.into()), "{key}");
    assert_eq!(running.chat().await, sent_with("sk-canary-2"));
    let (status, told) = running.act("openai/k1/disable").await;
    assert_eq!((status, &told["error"]["code"]), (409, &"unchanged".into()), "{told}");

    // The name of a key may contain any character.
    assert_eq!(running.act("openai/k%2F2/disable").await.0, 200);
    assert_eq!(running.chat().await, None);
    let (status, key) = running.act("openai/k1/enable").await;
    assert_eq!((status, &key["disabled"], &key["alive"]), (200, &false.into(), &true.into()));
    assert_eq!(running.act("openai/k1/enable").await.0, 409);
    assert_eq!(running.chat().await, sent_with("sk-canary"));
}

#[tokio::test(start_paused = true)]
async fn a_revived_key_is_used_at_once() {
    let fake = Fake::new(|seen: &Seen| {
        let rejected =
            r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#;
        let is_bad = seen.secret == "sk-canary" && seen.is_before(1.0);
        if is_bad { refusal(401, &[], rejected) } else { ok(seen) }
    });
    let running = Running::new(&fake, config(ADMIN));
    assert_eq!(running.chat().await, sent_with("sk-canary-2"));
    tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    assert_eq!(running.chat().await, sent_with("sk-canary-2"));
    let request = Request::get("/-/status").header("x-api-key", "a-canary");
    let (_, status) = running.send(request.body(Body::empty()).unwrap()).await;
    let standing = &status["pools"][0]["standings"][0];
    assert_eq!((&standing["key"], &standing["kind"]), (&"k1".into(), &"credential".into()));
    assert_eq!(
        (&standing["rule"], &standing["told"]),
        (&"openai/invalid-key".into(), &true.into())
    );
    assert_eq!((&standing["proven"], &standing["half_open"]), (&true.into(), &false.into()));
    assert!(standing["place"].is_string() && standing["wait"].is_f64(), "{standing:#}");
    assert_eq!(status["pools"][0]["second_opinions"], 0, "{status:#}");

    let (status, key) = running.act("openai/k1/revive").await;
    assert_eq!((status, &key["alive"]), (200, &true.into()), "{key}");
    assert_eq!(running.chat().await, sent_with("sk-canary"));
    assert_eq!(running.act("openai/k1/revive").await.0, 200, "a second time");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_pool_key_or_action_is_reported() {
    let running = Running::new(&Fake::new(ok), config(ADMIN));
    for (path, word) in [
        ("nobody/k1/disable", "pool \"nobody\""),
        ("openai/k9/disable", "key \"k9\""),
        ("openai/k1/delete", "action \"delete\""),
        ("openai/%ff/disable", "key"),
    ] {
        let (status, told) = running.act(path).await;
        assert_eq!((status, &told["error"]["code"]), (404, &"not_found".into()), "{path}: {told}");
        assert!(told["error"]["message"].as_str().unwrap().contains(word), "{path}: {told}");
    }
    let request = Request::get("/-/keys/openai/k1/disable").header("x-api-key", "a-canary");
    assert_eq!(running.send(request.body(Body::empty()).unwrap()).await.0, 405);
}

#[tokio::test(start_paused = true)]
async fn actions_need_the_admin_token_and_no_foreign_web_page() {
    let tokens = format!("client_tokens = [\"t-canary\"]\n{ADMIN}");
    let running = Running::new(&Fake::new(ok), config(&tokens));
    let (admin, path) = (("x-api-key", "a-canary"), "openai/k1/disable");
    for (headers, status) in [
        (&[][..], 401),
        (&[("x-api-key", "t-canary")], 401),
        (&[admin, ("sec-fetch-site", "cross-site")], 403),
        (&[admin, ("sec-fetch-site", "same-site")], 403),
        (&[admin, ("sec-fetch-site", "same-origin")], 200),
    ] {
        assert_eq!(running.send(action(path, headers)).await.0, status, "{headers:?}");
    }
    // Without an admin token no caller may, not even on this machine.
    let running = Running::new(&Fake::new(ok), config(""));
    let (status, told) = running.send(action(path, &[("host", "localhost")])).await;
    assert_eq!((status, &told["error"]["code"]), (404, &"not_found".into()), "{told}");
    assert_eq!(running.chat().await, sent_with("sk-canary"));
}

#[tokio::test(start_paused = true)]
async fn a_disabled_key_stays_off_after_a_reload_and_a_restart() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("switched");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    let before = format!("{ADMIN}\n[usage]\ndatabase = {:?}", folder.join("usage.sqlite"));
    let fake = Fake::new(ok);
    let running = Running::new(&fake, config(&before));
    assert_eq!(running.act("openai/k1/disable").await.0, 200);
    running.gateway.reload(config(&before)).unwrap();
    assert_eq!(running.chat().await, sent_with("sk-canary-2"));
    drop(running);

    let running = Running::new(&fake, config(&before));
    assert_eq!(running.chat().await, sent_with("sk-canary-2"));
    assert_eq!(running.act("openai/k1/disable").await.0, 409);
    assert_eq!(running.act("openai/k1/enable").await.0, 200);
    drop(running);

    let running = Running::new(&fake, config(&before));
    assert_eq!(running.chat().await, sent_with("sk-canary"));
}
