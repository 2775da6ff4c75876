//! Prompt caches of accounts, as answers report them.

use std::time::Duration;

use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::time::{advance, sleep};
use tower_key_rotation::{
    Limit,
    sandbox::{Dialect, Sandbox},
};

use crate::ask;

/// A text of this many tokens, for words of four bytes.
fn text(word: &str, tokens: usize) -> String {
    word.repeat(tokens)
}

fn sandbox(dialect: Dialect) -> Sandbox {
    Sandbox::builder(dialect).account("a", [], ["sk-a"]).account("b", [], ["sk-b"]).build()
}

fn request(uri: &str, header: &str, secret: &str, body: &Value) -> Request<String> {
    Request::post(uri).header(header, secret).body(body.to_string()).unwrap()
}

async fn usage(sandbox: &Sandbox, request: Request<String>, member: &str) -> Value {
    let (status, _, mut body) = ask(sandbox, request.map(Full::from)).await;
    assert_eq!(status, 200);
    body[member].take()
}

async fn chat(sandbox: &Sandbox, key: &str, model: &str, turns: &[&str]) -> (u64, u64) {
    let turns: Vec<_> = turns.iter().map(|text| json!({"role": "user", "content": text})).collect();
    let body = json!({"model": model, "messages": turns});
    let bearer = format!("Bearer {key}");
    let uri = "https://api.openai.com/v1/chat/completions";
    let usage = usage(sandbox, request(uri, "authorization", &bearer, &body), "usage").await;
    let cached = &usage["prompt_tokens_details"]["cached_tokens"];
    (usage["prompt_tokens"].as_u64().unwrap(), cached.as_u64().unwrap())
}

#[tokio::test(start_paused = true)]
async fn openai_caches_by_account_and_model_in_steps_of_128_tokens() {
    let sandbox = sandbox(Dialect::OpenAi);
    let (first, second) = (text("aaaa", 1_200), text("bbbb", 300));
    assert_eq!(chat(&sandbox, "sk-a", "m", &[&first]).await, (1_200, 0));
    // 9 steps of 128 tokens. The longer prompt finds the same prefix.
    assert_eq!(chat(&sandbox, "sk-a", "m", &[&first]).await, (1_200, 1_152));
    assert_eq!(chat(&sandbox, "sk-a", "m", &[&first, &second]).await, (1_500, 1_152));
    assert_eq!(chat(&sandbox, "sk-a", "m", &[&first, &second]).await, (1_500, 1_408));
    assert_eq!(chat(&sandbox, "sk-b", "m", &[&first]).await, (1_200, 0), "another account");
    assert_eq!(chat(&sandbox, "sk-a", "n", &[&first]).await, (1_200, 0), "another model");
    let other = text("bbbb", 1) + &first;
    assert_eq!(chat(&sandbox, "sk-a", "m", &[&other]).await, (1_201, 0), "another prefix");
    let short = text("cccc", 1_000);
    assert_eq!(chat(&sandbox, "sk-a", "m", &[&short]).await, (1_000, 0));
    assert_eq!(chat(&sandbox, "sk-a", "m", &[&short]).await, (1_000, 0), "too short");
    let seen = sandbox.stats();
    assert_eq!(seen.account("a").cache_read_tokens, 1_152 + 1_152 + 1_408);
    assert_eq!(seen.total().cache_read_tokens, seen.key("a-1").cache_read_tokens);
}

#[tokio::test(start_paused = true)]
async fn a_prompt_expires_five_minutes_after_its_last_use() {
    let sandbox = sandbox(Dialect::OpenAi);
    let prompt = text("aaaa", 1_024);
    for (wait, cached) in [(0, 0), (299, 1_024), (299, 1_024), (300, 0)] {
        advance(Duration::from_secs(wait)).await;
        assert_eq!(chat(&sandbox, "sk-a", "m", &[&prompt]).await.1, cached, "after {wait} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_prompt_is_cached_when_its_answer_starts() {
    use tower_key_rotation::sandbox::Script;
    let script = Script::new().latency(Duration::from_secs(2));
    let sandbox = Sandbox::builder(Dialect::OpenAi).account("a", [], ["sk-a"]).answer(script);
    let sandbox = sandbox.build();
    let prompt = text("aaaa", 1_024);
    let later = async {
        sleep(Duration::from_secs(1)).await;
        chat(&sandbox, "sk-a", "m", &[&prompt]).await.1
    };
    let turns = [prompt.as_str()];
    let (first, second) = tokio::join!(chat(&sandbox, "sk-a", "m", &turns), later);
    assert_eq!((first.1, second), (0, 0));
    assert_eq!(chat(&sandbox, "sk-a", "m", &[&prompt]).await.1, 1_024);
}

#[tokio::test(start_paused = true)]
async fn responses_and_gemini_report_cached_tokens_in_their_own_fields() {
    let prompt = text("aaaa", 1_100);
    let openai = sandbox(Dialect::OpenAi);
    let body = json!({"model": "m", "input": prompt});
    let uri = "https://api.openai.com/v1/responses";
    for cached in [0, 1_024] {
        let request = request(uri, "authorization", "Bearer sk-a", &body);
        let usage = usage(&openai, request, "usage").await;
        assert_eq!(usage["input_tokens_details"]["cached_tokens"], cached);
        assert_eq!(usage["input_tokens"], 1_100);
    }
    let gemini = sandbox(Dialect::Gemini);
    let body = json!({"contents": [{"parts": [{"text": prompt}]}]});
    let uri = "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent";
    for cached in [Value::Null, 1_024.into()] {
        let request = request(uri, "x-goog-api-key", "sk-a", &body);
        let usage = usage(&gemini, request, "usageMetadata").await;
        assert_eq!(usage["cachedContentTokenCount"], cached);
        assert_eq!(usage["promptTokenCount"], 1_100);
    }
}

/// Tokens that are uncached, read, written for five minutes, and written for an hour.
async fn message(sandbox: &Sandbox, blocks: &[(&str, Option<&str>)]) -> [u64; 4] {
    let block = |(text, mark): &(&str, Option<&str>)| match mark {
        Some(ttl) => json!({"type": "text", "text": text,
            "cache_control": {"type": "ephemeral", "ttl": ttl}}),
        None => json!({"type": "text", "text": text}),
    };
    let blocks: Vec<_> = blocks.iter().map(block).collect();
    let messages = json!([{"role": "user", "content": blocks}]);
    let body = json!({"model": "m", "max_tokens": 9, "messages": messages});
    let uri = "https://api.anthropic.com/v1/messages";
    let usage = usage(sandbox, request(uri, "x-api-key", "sk-a", &body), "usage").await;
    let of = |name: &str| usage.pointer(name).and_then(Value::as_u64).unwrap();
    let (five, hour) = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens");
    let writes = [five, hour].map(|name| of(&format!("/cache_creation/{name}")));
    assert_eq!(of("/cache_creation_input_tokens"), writes.iter().sum::<u64>());
    [of("/input_tokens"), of("/cache_read_input_tokens"), writes[0], writes[1]]
}

#[tokio::test(start_paused = true)]
async fn anthropic_caches_up_to_marked_blocks() {
    let sandbox = sandbox(Dialect::Anthropic);
    let (a, b, c) = (text("aaaa", 2_000), text("bbbb", 100), text("cccc", 10));
    let (a, b, c) = (a.as_str(), b.as_str(), c.as_str());
    let mark = Some("5m");
    assert_eq!(message(&sandbox, &[(a, None), (c, None)]).await, [2_010, 0, 0, 0]);
    assert_eq!(message(&sandbox, &[(a, mark), (c, None)]).await, [10, 0, 2_000, 0]);
    // The mark moves on; the earlier marked prefix is found before it.
    assert_eq!(message(&sandbox, &[(a, None), (b, mark)]).await, [0, 2_000, 100, 0]);
    assert_eq!(message(&sandbox, &[(a, None), (b, None), (c, mark)]).await, [0, 2_100, 10, 0]);
    assert_eq!(message(&sandbox, &[(b, mark), (c, None)]).await, [110, 0, 0, 0], "too short");

    assert_eq!(
        message(&sandbox, &[(c, None), (a, Some("1h")), (b, mark)]).await,
        [0, 0, 100, 2_010]
    );
    advance(Duration::from_secs(3_000)).await;
    assert_eq!(message(&sandbox, &[(a, mark), (c, None)]).await, [10, 0, 2_000, 0], "five minutes");
    assert_eq!(
        message(&sandbox, &[(c, None), (a, Some("1h")), (b, mark)]).await,
        [0, 2_010, 100, 0]
    );

    // Prefixes more than 20 blocks before a mark are not found.
    let mut blocks = vec![(a, None)];
    blocks.extend([("d", None); 21]);
    let last = blocks.len() - 1;
    blocks[last].1 = mark;
    assert_eq!(message(&sandbox, &blocks).await[1], 0);
    let total = sandbox.stats().total();
    assert_eq!(total.cache_read_tokens, 2_000 + 2_100 + 2_010);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_anthropic_reads_from_a_cache_cost_no_input() {
    let limit = Limit::input_tokens(3_000).per_minute().burst(3_000);
    let sandbox = Sandbox::builder(Dialect::Anthropic).account("a", [limit], ["sk-a"]).build();
    let prompt = text("aaaa", 2_000);
    for read in [0, 2_000, 2_000, 2_000] {
        assert_eq!(message(&sandbox, &[(&prompt, Some("5m"))]).await[1], read);
    }
}
