//! After a reload or a restart, only what was proven has an effect.

use std::{fs, path::Path, time::Duration};

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{chat, pool_after, post, question, run_before};
use crate::{
    fake::{Fake, Reply, Seen, ok, refusal},
    gateway::config::Config,
};

/// The configuration of two accounts with their state in a file of this name.
fn kept(name: &str) -> impl Fn() -> Config {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    let usage = format!("[usage]\ndatabase = {:?}", folder.join("usage.sqlite"));
    move || pool_after(&usage, "openai", 2, "")
}

fn responses() -> Request<Body> {
    post("/v1/responses", &json!({"model": "gpt-4o", "input": question()}))
}

fn without_scope(seen: &Seen) -> Reply {
    let body = r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.responses.write.","type":"invalid_request_error","param":null,"code":null}}"#;
    if seen.path == "/v1/responses" { refusal(401, &[], body) } else { ok(seen) }
}

#[tokio::test(start_paused = true)]
async fn a_missing_scope_rests_only_its_operation_after_a_reload() {
    let config = kept("blame-reload");
    let running = run_before(&Fake::new(without_scope), config());
    assert_eq!(running.send(responses()).await.status, 401);
    running.gateway.reload(config()).unwrap();
    running.send(chat()).await.is_answered_at_once("after a reload");
    running.all_is_well(2, chat, "after a reload").await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_scope_rests_only_its_operation_after_a_restart() {
    let (fake, config) = (Fake::new(without_scope), kept("blame-restart"));
    let running = run_before(&fake, config());
    assert_eq!(running.send(responses()).await.status, 401);
    drop(running);
    let running = run_before(&fake, config());
    running.send(chat()).await.is_answered_at_once("after a restart");
    running.all_is_well(2, chat, "after a restart").await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_during_an_auth_outage_kills_no_key() {
    let (fake, config) = (
        Fake::new(|seen| {
            let body = r#"{"error":{"message":"Incorrect API key provided: sk-x.","type":"invalid_request_error","param":null,"code":"invalid_api_key"}}"#;
            let is_out = !seen.is_before(2.0) && seen.is_before(3.0);
            if is_out { refusal(401, &[], body) } else { ok(seen) }
        }),
        kept("blame-outage"),
    );
    let gap = Duration::from_millis(200);
    let running = run_before(&fake, config());
    running.pace(14, gap, chat).await;
    drop(running);
    let running = run_before(&fake, config());
    for outcome in running.pace(120, gap, chat).await {
        // Some seconds more, because the restart takes no wall-clock time here.
        if outcome.sent > Duration::from_secs(3 + 10 + 3) {
            outcome.is_answered_at_once("after an outage and a restart");
        }
    }
    running.all_is_well(2, chat, "after an outage and a restart").await;
}
