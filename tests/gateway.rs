//! The gateway example as its callers see it: started on a free port and called over HTTP.

#![allow(clippy::unwrap_used, reason = "helpers of tests, too, say by a panic what is wrong")]

#[path = "gateway/affinity.rs"]
mod affinity;
#[path = "gateway/blame.rs"]
mod blame;
#[path = "gateway/budgets.rs"]
mod budgets;
#[path = "gateway/charge.rs"]
mod charge;
#[path = "gateway/fake.rs"]
mod fake;
#[allow(dead_code, reason = "the example's own main is not called here")]
#[path = "../examples/gateway/main.rs"]
mod gateway;
#[path = "gateway/include_usage.rs"]
mod include_usage;
#[path = "gateway/origin.rs"]
mod origin;
#[path = "gateway/process.rs"]
mod process;
#[path = "gateway/reload.rs"]
mod reload;
#[path = "gateway/start.rs"]
mod start;
#[path = "gateway/streams.rs"]
mod streams;
#[path = "gateway/traps.rs"]
mod traps;
#[path = "gateway/upstream.rs"]
mod upstream;
#[path = "gateway/usage.rs"]
mod usage;

use std::time::Duration;

use http::{HeaderValue, Version, header};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;
use tower_key_rotation::sandbox::{Dialect, Fault, Script};

use gateway::upstream::Upstream;
use origin::Origin;
use start::{Started, chat, one_pool, sandbox, start};

const CHAT: &str = "/v1/chat/completions";

async fn openai() -> Started {
    let sandbox = sandbox(Dialect::OpenAi, Script::new());
    start(one_pool("openai", "", "", ""), Upstream::Sandbox(sandbox)).await
}

/// A gateway in front of a provider of the test.
async fn before(origin: &Origin) -> Started {
    let base = format!("base_url = {:?}", origin.url);
    start(one_pool("openai", "", &base, ""), Upstream::providers().unwrap()).await
}

#[tokio::test]
async fn a_plain_chat_completion() {
    let gateway = openai().await;
    let response = gateway.send(gateway.post(CHAT, chat("gpt-4o", false))).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
    assert!(response.headers().contains_key(header::CONTENT_LENGTH));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["choices"][0]["message"]["role"], "assistant", "{body}");
}

#[tokio::test]
async fn a_streamed_chat_completion() {
    let gateway = openai().await;
    let response = gateway.send(gateway.post(CHAT, chat("gpt-4o", true))).await;
    assert_eq!(response.status(), 200);
    assert!(
        response.headers()[header::CONTENT_TYPE].to_str().unwrap().starts_with("text/event-stream")
    );
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.matches("data: ").count() > 10, "{text}");
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
}

#[tokio::test]
async fn an_unknown_model_is_refused_with_the_known_ones() {
    let gateway = openai().await;
    let (status, body) = gateway.json(gateway.post(CHAT, chat("claude-9", false))).await;
    assert_eq!(status, 404);
    assert_eq!(body["error"]["code"], "model_not_found");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("claude-9") && message.contains("gpt-*"), "{message}");

    let (status, body) = gateway.json(gateway.post("/nowhere/v1/x", "{}")).await;
    assert_eq!(status, 404);
    assert_eq!(body["error"]["code"], "pool_not_found");
    assert!(body["error"]["message"].as_str().unwrap().contains("/openai/"), "{body}");
}

#[tokio::test]
async fn a_body_without_a_model_goes_to_the_first_pool_and_an_invalid_one_is_refused() {
    let gateway = openai().await;
    let (status, body) = gateway.json(gateway.get("/v1/models")).await;
    assert_eq!((status, &body["object"]), (200, &"list".into()), "{body}");
    let (status, body) = gateway.json(gateway.post(CHAT, r#"{"model": 5, "sk-canary""#)).await;
    assert_eq!((status, &body["error"]["code"]), (400, &"invalid_json".into()));
    assert!(!body.to_string().contains("canary"), "{body}");
    let (status, body) = gateway.json(gateway.post(CHAT, " ".repeat((32 << 20) + 1))).await;
    assert_eq!((status, &body["error"]["code"]), (413, &"request_too_large".into()));
}

#[tokio::test]
async fn only_client_tokens_are_accepted_and_none_is_passed_on() {
    let tokens = r#"client_tokens = ["t-one", "t-two"]"#;
    let sandbox = sandbox(Dialect::OpenAi, Script::new());
    let gateway = start(one_pool("openai", tokens, "", ""), Upstream::Sandbox(sandbox)).await;
    for path in [CHAT, "/openai/v1/chat/completions", "/nowhere"] {
        for token in [None, Some("Bearer wrong"), Some("Bearer sk-canary")] {
            let mut request = gateway.post(path, chat("gpt-4o", false));
            if let Some(token) = token {
                request
                    .headers_mut()
                    .insert(header::AUTHORIZATION, HeaderValue::from_static(token));
            }
            let (status, body) = gateway.json(request).await;
            assert_eq!(
                (status, &body["error"]["code"]),
                (401, &"invalid_api_key".into()),
                "{path}"
            );
        }
    }
    // The sandbox accepts one credential only, so a second one that was passed on would be refused.
    for name in ["authorization", "x-api-key", "api-key", "x-goog-api-key"] {
        let mut request = gateway.post(CHAT, chat("gpt-4o", false));
        request.headers_mut().insert(name, HeaderValue::from_static("t-two"));
        assert_eq!(gateway.text(request).await.0, 200, "{name}");
    }
    let path = format!("{CHAT}?key=t-one");
    assert_eq!(gateway.text(gateway.post(&path, chat("gpt-4o", false))).await.0, 200);
}

#[tokio::test]
async fn the_native_route_serves_the_api_of_each_provider() {
    let messages = r#"{"model":"claude-sonnet-4-5","max_tokens":16,"messages":[{"role":"user","content":"Hello"}]}"#;
    let sandbox_of = |dialect| Upstream::Sandbox(sandbox(dialect, Script::new()));
    let anthropic = start(one_pool("anthropic", "", "", ""), sandbox_of(Dialect::Anthropic)).await;
    let mut request = anthropic.post("/anthropic/v1/messages", messages);
    request.headers_mut().insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    let (status, body) = anthropic.json(request).await;
    assert_eq!((status, &body["type"]), (200, &"message".into()), "{body}");
    let (status, body) =
        anthropic.json(anthropic.post(CHAT, chat("claude-sonnet-4-5", false))).await;
    assert_eq!((status, body["choices"].is_array()), (200, true), "{body}");

    let contents = r#"{"contents":[{"parts":[{"text":"Hello"}]}]}"#;
    let gemini = start(one_pool("gemini", "", "", ""), sandbox_of(Dialect::Gemini)).await;
    let path = "/gemini/v1beta/models/gemini-2.5-flash:generateContent?key=anything";
    let (status, body) = gemini.json(gemini.post(path, contents)).await;
    assert_eq!((status, body["candidates"].is_array()), (200, true), "{body}");
    let (status, body) = gemini.json(gemini.post(CHAT, chat("gemini-2.5-flash", false))).await;
    assert_eq!((status, body["choices"].is_array()), (200, true), "{body}");
}

#[tokio::test]
async fn the_status_page_shows_the_keys_but_no_secret() {
    let tokens = "client_tokens = [\"t-canary\"]\nadmin_token = \"a-canary\"";
    let fake = sandbox(Dialect::OpenAi, Script::new());
    let config = one_pool("openai", tokens, "", r#"limits = ["500 requests/min"]"#);
    let gateway = start(config, Upstream::Sandbox(fake.clone())).await;
    let with = |path: &str, token| {
        let mut request = gateway.get(path);
        request.headers_mut().insert("x-api-key", HeaderValue::from_static(token));
        request
    };
    let ask = || {
        let mut request = gateway.post(CHAT, chat("gpt-4o", false));
        request.headers_mut().insert("x-api-key", HeaderValue::from_static("t-canary"));
        request
    };
    assert_eq!(gateway.text(ask()).await.0, 200);
    fake.fail(Fault::revoke("sk-canary"));
    let (_, refusal) = gateway.text(ask()).await;
    assert!(!refusal.contains("canary"), "{refusal}");

    assert_eq!(gateway.text(with("/-/status", "t-canary")).await.0, 401);
    let (status, body) = gateway.json(with("/-/status", "a-canary")).await;
    assert_eq!(status, 200);
    let account = &body["pools"][0]["accounts"][0];
    assert_eq!(account["name"], "org", "{body}");
    assert_eq!(account["meters"][0]["limit"], "500 requests/min");
    assert_eq!(
        (&account["keys"][0]["id"], &account["keys"][0]["alive"]),
        (&"k1".into(), &false.into())
    );
    assert!(!body.to_string().contains("canary"), "{body}");

    assert_eq!(
        gateway.text(gateway.get("/-/health")).await,
        (200, r#"{"status":"ok"}"#.to_owned())
    );
}

#[tokio::test]
async fn a_caller_that_hangs_up_frees_its_concurrency() {
    let slow = Script::new().tokens(100).gap(Duration::from_secs(3_600));
    let config = one_pool("openai", "", r#"hold_back = "0s""#, r#"limits = ["1 concurrent"]"#);
    let gateway = start(config, Upstream::Sandbox(sandbox(Dialect::OpenAi, slow))).await;
    let mut first = gateway.send(gateway.post(CHAT, chat("gpt-4o", true))).await;
    first.body_mut().frame().await.unwrap().unwrap();
    let (_, status) = gateway.json(gateway.get("/-/status")).await;
    assert_eq!(status["pools"][0]["accounts"][0]["in_flight"], 1, "{status}");

    // The second request waits for the only slot, which is free when the first caller has hung up.
    let second = gateway.text(gateway.post(CHAT, chat("gpt-4o", false)));
    let (second, ()) = tokio::join!(second, async { drop(first) });
    assert_eq!(second.0, 200, "{}", second.1);
    let (_, status) = gateway.json(gateway.get("/-/status")).await;
    assert_eq!(status["pools"][0]["accounts"][0]["in_flight"], 0, "{status}");
}

#[tokio::test]
async fn a_megabyte_of_events_arrives_one_by_one() {
    let origin = Origin::bind().await;
    let gateway = before(&origin).await;
    let ask = gateway.send(gateway.post(CHAT, chat("gpt-4o", true)));
    let provide = async {
        let (_, mut stream) = origin.request().await;
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(b"data: first\n\n").await.unwrap();
        stream
    };
    let (response, mut stream) = tokio::join!(ask, provide);
    assert_eq!(response.status(), 200);
    let mut body = response.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "data: first\n\n");
    // The next event is not written before the last one has arrived. So an event that is held back fails the
    // test.
    let event = format!("data: {}\n\n", "x".repeat(1_000));
    for number in 0..1_000 {
        stream.write_all(event.as_bytes()).await.unwrap();
        let mut arrived = 0;
        while arrived < event.len() {
            let frame = body.frame().await.unwrap_or_else(|| panic!("ended at {number}"));
            arrived += frame.unwrap().into_data().unwrap().len();
        }
    }
    drop(stream);
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn http2_without_tls_is_served_too() {
    let gateway = openai().await;
    let http2 = hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let response = http2.request(gateway.post(CHAT, chat("gpt-4o", false))).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, Version::HTTP_2));
}

#[tokio::test]
async fn a_stop_lets_answers_end() {
    let origin = Origin::bind().await;
    let mut gateway = before(&origin).await;
    let ask = gateway.send(gateway.get("/openai/v1/models"));
    let ((_, mut stream), response) = tokio::join!(
        async {
            let (seen, mut stream) = origin.request().await;
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nnot").await.unwrap();
            (seen, stream)
        },
        ask
    );
    gateway.stop.take().unwrap().send(()).unwrap();
    while tokio::net::TcpStream::connect(&gateway.url["http://".len()..]).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!gateway.served.is_finished(), "an answer is on its way");
    stream.write_all(b"yet").await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "notyet");
    gateway.served.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn events_that_are_ready_are_written_together() {
    let origin = Origin::bind().await;
    let gateway = before(&origin).await;
    let event = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n";
    let events = format!("{:x}\r\n{event}\r\n", event.len()).repeat(100);
    let head =
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let answer = format!("{head}{events}0\r\n\r\n");
    let ask = gateway.send(gateway.post(CHAT, chat("gpt-4o", true)));
    let (_, response) = tokio::join!(origin.answer(&answer), ask);
    let (mut body, mut frames, mut bytes) = (response.into_body(), 0, 0);
    while let Some(frame) = body.frame().await {
        frames += 1;
        bytes += frame.unwrap().into_data().unwrap().len();
    }
    assert_eq!(bytes, 100 * event.len());
    assert!(frames < 20, "{frames} frames");
}

#[tokio::test]
async fn tenants_have_their_own_tokens_and_are_listed_while_they_wait() {
    let tokens = r#"
        client_tokens = ["t"]
        [[tenant]]
        name = "team-a"
        tokens = ["t-a"]
        [[tenant]]
        name = "team-b"
        weight = 3
        tokens = ["t-b"]
    "#;
    // One request at a time, and a slow answer.
    let script = Script::new().latency(Duration::from_secs(600));
    let sandbox = Upstream::Sandbox(sandbox(Dialect::OpenAi, script));
    let config = one_pool("openai", tokens, "", r#"limits = ["1 concurrent"]"#);
    let gateway = start(config, sandbox).await;
    let mut calls = tokio::task::JoinSet::new();
    for token in ["t-a", "t-a", "t-a", "t-b", "t"] {
        let mut request = gateway.post(CHAT, chat("gpt-4o", false));
        request.headers_mut().insert("x-api-key", HeaderValue::from_static(token));
        calls.spawn(gateway.client.request(request));
    }
    let tenants = loop {
        let (_, body) = gateway.json(gateway.get("/-/status")).await;
        if body["pools"][0]["waiting"] == 4 {
            break body["pools"][0]["tenants"].clone();
        }
    };
    // The first request is being answered.
    let waiting = |name: serde_json::Value| {
        let tenant = tenants.as_array().unwrap().iter().find(|tenant| tenant["name"] == name);
        tenant.map_or(0, |tenant| tenant["waiting"].as_u64().unwrap())
    };
    let all = [waiting("team-a".into()), waiting("team-b".into()), waiting(().into())];
    assert!([[2, 1, 1], [3, 0, 1], [3, 1, 0]].contains(&all), "{tenants}");
}

#[tokio::test]
async fn in_a_dry_run_no_request_is_held_back() {
    let sandbox = sandbox(Dialect::OpenAi, Script::new());
    let limits = r#"limits = ["2 requests/h burst 1"]"#;
    let config = one_pool("openai", "", "shadow = true", limits);
    let gateway = start(config, Upstream::Sandbox(sandbox)).await;
    for _ in 0..10 {
        let (status, body) = gateway.text(gateway.post(CHAT, chat("gpt-4o", false))).await;
        assert_eq!(status, 200, "{body}");
    }
    let (_, body) = gateway.json(gateway.get("/-/status")).await;
    assert_eq!(body["pools"][0]["shadow_held_back"], 9, "{body}");
}
