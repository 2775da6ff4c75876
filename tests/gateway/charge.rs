//! What requests are charged: R1 to R3. Limits and records say the same.

use axum::body::Body;
use http::Request;
use serde_json::{Value, json};

use crate::{
    blame::{Running, chat_stream, get, pool_after, post, run},
    fake::{Reply, Seen, ok, refusal, stream},
    gateway::config::Config,
};

/// Little enough that a second request of 10,000 tokens is refused.
const LIMITS: &str = r#"["20000 tokens/day fixed", "$0.10/day fixed"]"#;

/// A pool of one account, where every tag has these limits.
fn limited(provider: &str) -> Config {
    let models = "models = [\"*\"]\nmax_wait = \"0s\"\naffinity = \"off\"";
    pool_after(
        "",
        provider,
        1,
        &format!("{models}\n[[pool.budget]]\ntag = \"t\"\nlimits = {LIMITS}"),
    )
}

/// A request of the tag that is limited.
fn tagged(mut request: Request<Body>) -> Request<Body> {
    request.headers_mut().insert("x-usage-tag", "t".parse().unwrap());
    request
}

/// The total of the gateway's records.
pub(crate) async fn books(running: &Running) -> Value {
    let told = running.send(get("/-/usage?by=tag")).await;
    told.is_answered("usage");
    let report: Value = serde_json::from_str(&told.text).unwrap();
    report["total"].clone()
}

/// Ten requests are served, and nothing is booked.
async fn is_free(what: &str, running: &Running, ask: impl Fn() -> Request<Body>) {
    for _ in 0..10 {
        running.send(tagged(ask())).await.is_answered(what);
    }
    let total = books(running).await;
    for figure in ["requests", "input", "output", "reasoning", "nano_dollars"] {
        assert_eq!(total[figure], 0, "{what}: {total}");
    }
}

fn stored(seen: &Seen) -> Reply {
    let usage = json!({"input_tokens": 9_000, "output_tokens": 9_000, "total_tokens": 18_000});
    let body = json!({"id": "x", "object": "response", "status": "completed", "model": "gpt-4o",
        "error": null, "output": [{"type": "message", "content": [{"type": "output_text",
        "text": "Hello"}]}], "usage": usage});
    assert!(!seen.secret.is_empty());
    refusal(200, &[], body.to_string())
}

#[tokio::test(start_paused = true)]
async fn r1_reading_what_is_stored_costs_nothing() {
    for path in [
        "/openai/v1/responses/resp_1",
        "/openai/v1/batches/batch_1",
        "/openai/v1/chat/completions/c_1",
    ] {
        let running = run(limited("openai"), stored);
        is_free(path, &running, || get(path)).await;
    }
    let running = run(limited("openai"), stored);
    let cancel = || post("/openai/v1/responses/resp_1/cancel", &json!({}));
    is_free("a response that is cancelled", &running, cancel).await;
}

#[tokio::test(start_paused = true)]
async fn r1_a_stored_answer_that_is_streamed_again_costs_nothing() {
    let events = [
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"Hello\"}",
        "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"usage\":{\"input_tokens\":9000,\"output_tokens\":9000}}}",
    ];
    let running = run(limited("openai"), move |_| stream(&events));
    is_free("a stream", &running, || get("/openai/v1/responses/resp_1?stream=true")).await;
}

#[tokio::test(start_paused = true)]
async fn r2_counting_tokens_costs_nothing() {
    let words = "word ".repeat(10_000);
    let cases: [(&str, &str, Value, Value); 3] = [
        (
            "anthropic",
            "/anthropic/v1/messages/count_tokens",
            json!({"model": "claude-sonnet-4-5", "messages": [{"role": "user", "content": words}]}),
            json!({"input_tokens": 10_000}),
        ),
        (
            "gemini",
            "/gemini/v1beta/models/gemini-2.5-flash:countTokens",
            json!({"contents": [{"role": "user", "parts": [{"text": words}]}]}),
            json!({"totalTokens": 10_000}),
        ),
        (
            "openai",
            "/openai/v1/responses/input_tokens",
            json!({"model": "gpt-4o", "input": words}),
            json!({"object": "response.input_tokens", "input_tokens": 10_000}),
        ),
    ];
    for (provider, path, body, answer) in cases {
        let running = run(limited(provider), move |_| refusal(200, &[], answer.to_string()));
        is_free(path, &running, || post(path, &body)).await;
        assert_eq!(running.fake.calls(), 10, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_generates_is_charged_and_limited_as_before() {
    let words = "word ".repeat(10_000);
    let chat = || {
        let body = json!({"model": "gpt-4o", "messages": [{"role": "user", "content": words}]});
        tagged(post("/openai/v1/chat/completions", &body))
    };
    let running = run(limited("openai"), ok);
    running.send(chat()).await.is_answered("there is room");
    let refused = running.send(chat()).await;
    assert!(matches!(refused.status, 413 | 429), "{refused}");
    let total = books(&running).await;
    assert!(total["input"].as_u64().unwrap() > 10_000, "{total}");
    // What costs nothing is served nevertheless.
    let small = || {
        let body = json!({"model": "gpt-4o", "max_tokens": 5_000, "messages": [{"role": "user", "content": "a"}]});
        tagged(post("/openai/v1/chat/completions", &body))
    };
    while running.send(small()).await.status == 200 {}
    let count =
        post("/openai/v1/responses/input_tokens", &json!({"model": "gpt-4o", "input": words}));
    running.send(tagged(count)).await.is_answered("counting");
    running.send(tagged(get("/openai/v1/responses/resp_1"))).await.is_answered("reading");
}

/// A whole answer that reports no usage is charged by its text, in limits and records alike; a picture is not
/// charged in tokens.
#[tokio::test(start_paused = true)]
async fn a_whole_answer_without_usage_is_charged_as_it_is_recorded() {
    let answer = json!({"object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "word ".repeat(100)}}]});
    let body = json!({"model": "gpt-4o", "max_tokens": 1_000,
        "messages": [{"role": "user", "content": "Say it again."}]});
    let running = run(limited("openai"), move |_| refusal(200, &[], answer.to_string()));
    running.send(tagged(post("/openai/v1/chat/completions", &body))).await.is_answered("chat");
    let total = books(&running).await;
    assert_eq!(
        (&total["output"], &total["estimated_requests"]),
        (&100.into(), &1.into()),
        "{total}"
    );
    assert_eq!(spent(&running).await, total["nano_dollars"].as_u64().unwrap());

    let body = json!({"model": "dall-e-3", "prompt": "word ".repeat(1_000)});
    let answer = json!({"created": 1, "data": [{"url": "https://example.com/a.png"}]});
    let running = run(limited("openai"), move |_| refusal(200, &[], answer.to_string()));
    running
        .send(tagged(post("/openai/v1/images/generations", &body)))
        .await
        .is_answered("a picture");
    let total = books(&running).await;
    assert_eq!((&total["input"], &total["unmetered_requests"]), (&0.into(), &1.into()), "{total}");
    assert_eq!(spent(&running).await, 0);
}

/// How many nano-dollars the budget of the tag has counted.
async fn spent(running: &Running) -> u64 {
    let told = running.send(get("/-/status")).await;
    let status: Value = serde_json::from_str(&told.text).unwrap();
    let budgets = &status["pools"][0]["budgets"];
    let meter = budgets[0]["limits"].as_array().or_else(|| budgets[0]["meters"].as_array());
    let meter = meter.unwrap().iter().find(|meter| meter.to_string().contains('$')).unwrap();
    let remaining = meter["remaining"].as_u64().unwrap();
    100_000_000 - remaining
}

const DONE: &str = "data: [DONE]";

fn word() -> String {
    let chunk = json!({"id": "chatcmpl-0123456789", "object": "chat.completion.chunk",
        "model": "gpt-4o-2024-08-06", "system_fingerprint": "fp_0123456789", "choices":
        [{"index": 0, "delta": {"content": "word "}, "logprobs": null, "finish_reason": null}]});
    format!("data: {chunk}")
}

/// Streams of a hundred words, none of which reports usage.
fn hundred() -> [(&'static str, Vec<String>); 6] {
    let words = || vec![word(); 100];
    let with = |at: usize, events: &[&str]| {
        let mut all = words();
        all.splice(at..at, events.iter().map(ToString::to_string));
        all.push(DONE.to_owned());
        all
    };
    let long = format!("data: {}", json!({"id": "x".repeat(50_000), "choices": [{"delta": {}}]}));
    [
        ("as it is", with(0, &[])),
        ("without its end", words()),
        ("pings", with(50, &[": ping", "event: ping\ndata: {\"type\":\"ping\"}"])),
        ("empty events", with(50, &["data: {}", "data:", "data: [DONE]", "data: []"])),
        ("long envelopes", with(50, &[&long, &long])),
        ("no text", with(1, &["data: {\"choices\":[]}", "data: null", "data: \"text\""])),
    ]
}

#[tokio::test(start_paused = true)]
async fn r3_a_stream_without_usage_is_estimated_by_its_text() {
    for (what, events) in hundred() {
        let running = run(pool_after("", "openai", 1, ""), move |_| {
            stream(&events.iter().map(String::as_str).collect::<Vec<_>>())
        });
        running.send(chat_stream()).await.is_answered(what);
        let total = books(&running).await;
        let output = total["output"].as_u64().unwrap();
        assert!((95..=105).contains(&output), "{what}: {total}");
        assert_eq!(total["estimated_requests"], 1, "{what}");
    }
}
