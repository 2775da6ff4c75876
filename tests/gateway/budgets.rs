//! Budgets of tags.

use tower_key_rotation::sandbox::{Dialect, Script};

use super::{
    CHAT,
    start::{chat, one_pool, sandbox, start},
};
use crate::gateway::upstream::Upstream;

#[tokio::test]
async fn a_tag_has_its_own_budget() {
    let budget = r#"
        [[pool.budget]]
        tag = "team-a"
        limits = ["2 requests/day fixed"]
        [[pool.budget]]
        limits = ["1 requests/day fixed"]
    "#;
    let sandbox = Upstream::Sandbox(sandbox(Dialect::OpenAi, Script::new()));
    let gateway = start(one_pool("openai", "", budget, ""), sandbox).await;
    let mut told = Vec::new();
    for tag in ["team-a", "team-a", "team-a", "x", "x", ""] {
        let mut request = gateway.post(CHAT, chat("gpt-4o", false));
        if !tag.is_empty() {
            request.headers_mut().insert("x-usage-tag", tag.parse().unwrap());
        }
        let (status, body) = gateway.text(request).await;
        told.push(status);
        assert_eq!(body.contains("budget_exceeded"), status == 429, "{body}");
    }
    assert_eq!(told, [200, 200, 429, 200, 429, 200]);
    let (_, body) = gateway.json(gateway.get("/-/status")).await;
    assert_eq!(body["pools"][0]["budgets"][0]["tag"], "team-a", "{body}");
}
