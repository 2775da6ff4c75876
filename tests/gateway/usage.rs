//! Usage, as the gateway reports it.

use std::{fs, time::Duration};

use http::HeaderValue;
use serde_json::Value;
use tower_key_rotation::sandbox::{Dialect, Sandbox, Script};

use crate::{
    gateway::{upstream::Upstream, usage::prices::watch},
    origin::Origin,
    start::{Started, chat, one_pool, sandbox, start},
};

const CHAT: &str = "/v1/chat/completions";

async fn gateway(before: &str) -> (Started, Sandbox) {
    let fake = sandbox(Dialect::OpenAi, Script::new());
    let config = one_pool("openai", before, "", "");
    (start(config, Upstream::Sandbox(fake.clone())).await, fake)
}

async fn ask(gateway: &Started, model: &str, stream: bool, tag: Option<&'static [u8]>) -> String {
    let mut request = gateway.post(CHAT, chat(model, stream));
    if let Some(tag) = tag {
        request.headers_mut().insert("x-usage-tag", HeaderValue::from_bytes(tag).unwrap());
    }
    let (status, text) = gateway.text(request).await;
    assert_eq!(status, 200, "{text}");
    text
}

#[tokio::test]
async fn usage_is_reported_by_each_dimension_in_both_formats() {
    let (gateway, fake) = gateway("").await;
    ask(&gateway, "gpt-4o", false, Some(b"team-a")).await;
    ask(&gateway, "gpt-4o", false, Some(b"team-a")).await;
    ask(&gateway, "gpt-unknown", false, Some(b"=1+1")).await;
    // The usage of a stream whose caller did not ask for it is counted, and hidden from the caller.
    let text = ask(&gateway, "gpt-4o", true, None).await;
    assert!(!text.contains("prompt_tokens"), "{text}");

    let (status, csv) = gateway.text(gateway.get("/-/usage?by=key,model,tag&format=csv")).await;
    assert_eq!(status, 200);
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert!(lines[0].starts_with("key,model,tag,requests,"), "{csv}");
    // 2 tokens of prompt at $2.50 and 12 of answer at $10 a million, twice.
    assert!(lines[1].starts_with("k1,gpt-4o,,1,0,0,2,"), "{csv}");
    assert_eq!(lines[2], "k1,gpt-4o,team-a,2,0,0,4,0,0,0,24,0,0,0,0,250000,0,0.000250000");
    assert!(lines[3].starts_with("k1,gpt-unknown,'=1+1,1,"), "{csv}");

    let (_, report) = gateway.json(gateway.get("/-/usage?by=account,day&from=2020-01-01")).await;
    let books = fake.stats().total();
    assert_eq!(report["total"]["input"], books.prompt_tokens);
    assert_eq!(report["total"]["output"], books.answer_tokens);
    assert_eq!(
        (&report["total"]["requests"], &report["total"]["estimated_requests"]),
        (&4.into(), &0.into())
    );
    assert_eq!(report["lines"][0]["account"], "org");
    assert_eq!(report["total"]["dollars"], "0.000375000");
    assert_eq!(report["unpriced"], serde_json::json!({"gpt-unknown": 14}));

    for (query, word) in [("by=colour", "colour"), ("format=xml", "xml"), ("from=x", "from")] {
        let (status, body) = gateway.json(gateway.get(&format!("/-/usage?{query}"))).await;
        assert_eq!((status, &body["error"]["code"]), (400, &"invalid_query".into()));
        assert!(body["error"]["message"].as_str().unwrap().contains(word), "{body}");
    }
}

#[tokio::test]
async fn a_gateway_that_stops_writes_all_usage() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("stopped");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    let usage = format!("[usage]\ndatabase = {:?}", folder.join("usage.sqlite"));
    for round in 1..=3 {
        let (mut gateway, _) = gateway(&usage).await;
        ask(&gateway, "gpt-4o", false, None).await;
        let (_, report) = gateway.json(gateway.get("/-/usage")).await;
        assert_eq!(report["total"]["requests"], round);
        let (_, status) = gateway.json(gateway.get("/-/status")).await;
        assert_eq!(status["usage"]["at_risk"], "the last second, if the process is killed");
        gateway.stop.take().unwrap().send(()).unwrap();
        gateway.served.await.unwrap();
    }
}

#[tokio::test]
async fn only_the_admin_sees_usage() {
    let (gateway, _) = gateway("client_tokens = [\"t-one\"]\nadmin_token = \"a-canary\"").await;
    let with = |token| {
        let mut request = gateway.get("/-/usage?by=key");
        request.headers_mut().insert("x-api-key", HeaderValue::from_static(token));
        request
    };
    assert_eq!(gateway.text(gateway.get("/-/usage")).await.0, 401);
    assert_eq!(gateway.text(with("t-one")).await.0, 401);
    let (status, report) = gateway.text(with("a-canary")).await;
    assert_eq!(status, 200, "{report}");
    assert!(!report.contains("canary"));
}

#[tokio::test]
async fn a_tag_is_not_passed_on_and_is_bounded() {
    let origin = Origin::bind().await;
    let base = format!("base_url = {:?}", origin.url);
    let before = "[usage]\ntag_header = \"x-cost-centre\"";
    let gateway =
        start(one_pool("openai", before, &base, ""), Upstream::providers().unwrap()).await;
    let mut request = gateway.post(CHAT, chat("gpt-4o", false));
    request.headers_mut().insert("x-cost-centre", HeaderValue::from_bytes(&[0xe4; 500]).unwrap());
    let body = r#"{"usage":{"prompt_tokens":7,"completion_tokens":1,"total_tokens":8}}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let (seen, _) = tokio::join!(origin.answer(&answer), gateway.text(request));
    assert!(!seen.to_ascii_lowercase().contains("x-cost-centre"), "{seen}");
    let (_, report) = gateway.json(gateway.get("/-/usage?by=tag")).await;
    let tag = report["lines"][0]["tag"].as_str().unwrap();
    assert!(tag.starts_with('\u{fffd}') && tag.len() <= 128, "{tag}");
}

#[tokio::test]
async fn a_request_without_a_tag_is_recorded_under_its_tenant() {
    let tenant = "[[tenant]]\nname = \"team-b\"\ntokens = [\"t-team\"]";
    let (gateway, _) = gateway(&format!("client_tokens = [\"t-one\"]\n{tenant}")).await;
    for (token, tag) in [("t-team", None), ("t-team", Some("x")), ("t-one", None)] {
        let mut request = gateway.post(CHAT, chat("gpt-4o", false));
        request.headers_mut().insert("x-api-key", HeaderValue::from_static(token));
        if let Some(tag) = tag {
            request.headers_mut().insert("x-usage-tag", HeaderValue::from_static(tag));
        }
        assert_eq!(gateway.text(request).await.0, 200);
    }
    let (_, report) = gateway.json(gateway.get("/-/usage?by=tag")).await;
    let tags: Vec<_> =
        report["lines"].as_array().unwrap().iter().map(|line| &line["tag"]).collect();
    assert_eq!(tags, [&Value::Null, &"team-b".into(), &"x".into()]);
}

#[tokio::test(start_paused = true)]
async fn prices_are_read_again_when_their_file_changes() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("prices");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("prices.json");
    let write = |input: &str| {
        let text = format!(
            r#"{{"gpt-x": {{"input_cost_per_token": {input}, "output_cost_per_token": 0}}}}"#
        );
        fs::write(&file, text).unwrap();
    };
    write("1e-06");
    let fake = sandbox(Dialect::OpenAi, Script::new());
    let config = one_pool("openai", &format!("[usage]\nprices = {file:?}"), "", "");
    let gateway = start(config, Upstream::Sandbox(fake)).await;
    let (path, prices) = gateway.gateway.usage().prices().unwrap();
    tokio::spawn(watch(path, prices));
    let cost = async || {
        ask(&gateway, "gpt-x", false, None).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let (_, report) = gateway.json(gateway.get("/-/usage")).await;
        report["total"]["nano_dollars"].as_u64().unwrap()
    };
    // Two tokens each.
    assert_eq!(cost().await, 2_000);
    write("0.0000050");
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(cost().await, 2_000 + 10_000);
    fs::write(&file, "{\"gpt-x\": {").unwrap();
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(cost().await, 12_000 + 10_000, "a file that cannot be read changes nothing");
}
