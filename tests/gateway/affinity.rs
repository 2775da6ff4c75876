//! Callers name the conversations of their requests.

use tower_key_rotation::sandbox::{Dialect, Script};

use super::{
    CHAT, before,
    origin::Origin,
    start::{Started, chat, sandbox, start, two_accounts},
};
use crate::gateway::upstream::Upstream;

async fn keys(gateway: &Started, name: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for _ in 0..6 {
        let mut request = gateway.post(CHAT, chat("gpt-4o", false));
        request.headers_mut().insert("x-affinity", name.parse().unwrap());
        let answer = gateway.send(request).await;
        assert_eq!(answer.status(), 200);
        keys.push(answer.headers()["x-sandbox-key"].to_str().unwrap().to_owned());
    }
    keys
}

#[tokio::test]
async fn requests_with_the_same_name_stay_on_one_account() {
    for (option, stays) in
        [("", true), ("affinity = \"names\"", true), ("affinity = \"off\"", false)]
    {
        let sandbox = Upstream::Sandbox(sandbox(Dialect::OpenAi, Script::new()));
        let gateway = start(two_accounts("openai", option), sandbox).await;
        let keys = keys(&gateway, "talk-1").await;
        assert_eq!(keys.iter().all(|key| *key == keys[0]), stays, "{option}: {keys:?}");
        let (_, body) = gateway.json(gateway.get("/-/status")).await;
        assert_eq!(body["pools"][0]["affinity"]["stayed"], if stays { 5 } else { 0 }, "{body}");
    }
}

#[tokio::test]
async fn the_name_is_not_sent_on() {
    let origin = Origin::bind().await;
    let gateway = before(&origin).await;
    let mut request = gateway.post(CHAT, chat("gpt-4o", false));
    request.headers_mut().insert("x-affinity", "talk-1".parse().unwrap());
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let (seen, _) = tokio::join!(origin.answer(answer), gateway.send(request));
    assert!(seen.contains("gpt-4o") && !seen.contains("talk-1"), "{seen}");
}
