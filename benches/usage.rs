//! How fast usage is read from a stream, compared with finding its lines and with parsing its events.
//!
//! ```sh
//! cargo bench --bench usage
//! ```
//!
//! Each row reads the same bytes, in pieces of 16 KiB as from a connection. The best of its rounds counts;
//! rounds of all rows alternate. `--short` is a smoke run.

use std::{env, hint::black_box, time::Duration};

use memchr::memchr_iter;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower_key_rotation::{
    Anthropic, Gemini, OpenAi,
    provider::Provider,
    usage::{UsageReader, UsageShape},
};

const PIECE: usize = 16 * 1024;

fn main() {
    let is = |flag: &str| env::args().any(|arg| arg == flag);
    let is_short = is("--short") || !is("--bench");
    let (size, rounds) = if is_short { (1 << 20, 3) } else { (64 << 20, 15) };
    println!("{:<52} | {:>9} | {:>9} | {:>9}", "GB/s", "reader", "memchr", "serde");
    for (name, event, last) in streams() {
        let shapes = shapes(name);
        let mut body = event.repeat(size / event.len());
        body.push_str(&last);
        let mut best = [Duration::MAX; 3];
        for _ in 0..rounds {
            for (best, run) in best.iter_mut().zip([read, find_lines, parse]) {
                let began = Instant::now();
                assert!(run(shapes, body.as_bytes()) > 0, "{name}: nothing was found");
                *best = began.elapsed().min(*best);
            }
        }
        let [reader, memchr, serde] = best.map(|time| body.len() as f64 / time.as_secs_f64() / 1e9);
        println!("{name:<52} | {reader:>9.2} | {memchr:>9.2} | {serde:>9.2}");
    }
}

/// The streams: one event of content, repeated, and the last events.
fn streams() -> Vec<(&'static str, String, String)> {
    let sse = |event: Value| format!("data: {event}\n\n");
    let chunk = |usage: bool| {
        let mut chunk = json!({
            "id": "chatcmpl-0123456789abcdef", "object": "chat.completion.chunk", "created": 1767225600,
            "model": "gpt-4o", "service_tier": "default", "system_fingerprint": "fp_0123456789",
            "choices": [{"index": 0, "delta": {"content": " wonderful"}, "logprobs": null, "finish_reason": null}],
        });
        if usage {
            chunk["usage"] = Value::Null;
        }
        sse(chunk)
    };
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16});
    let end = sse(json!({"choices": [], "usage": usage}));
    let delta = json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": " wonderful"}});
    let anthropic = format!("event: content_block_delta\ndata: {delta}\n\n");
    let told = json!({"input_tokens": 9, "output_tokens": 7});
    let gemini = sse(json!({
        "candidates": [{"content": {"parts": [{"text": "a wonderful sentence of a few words. "}], "role": "model"}, "index": 0}],
        "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 7, "totalTokenCount": 16},
        "modelVersion": "gemini-2.5-flash",
    }));
    let long = sse(json!({"choices": [{"delta": {"content": "wonderful, ".repeat(100)}}]}));
    vec![
        ("OpenAI, content without usage", chunk(false), end.clone()),
        ("OpenAI, content of long events", long, end.clone()),
        ("Anthropic, content", anthropic, sse(json!({"type": "message_delta", "usage": told}))),
        ("OpenAI, usage asked for: null in each event", chunk(true), end),
        ("Gemini, usage in each event", gemini.clone(), gemini),
    ]
}

/// The shapes of the dialect in the first word of the name.
fn shapes(name: &str) -> &'static [UsageShape] {
    match name.split(',').next() {
        Some("Anthropic") => Anthropic::default().spec().usage,
        Some("Gemini") => Gemini::default().spec().usage,
        _ => OpenAi::default().spec().usage,
    }
}

fn read(shapes: &'static [UsageShape], body: &[u8]) -> u64 {
    let mut reader = UsageReader::new(shapes);
    body.chunks(PIECE).for_each(|piece| reader.feed(piece));
    reader.usage().map_or(0, |usage| usage.total())
}

/// The minimum work on a stream: finding the ends of its lines.
fn find_lines(_: &'static [UsageShape], body: &[u8]) -> u64 {
    body.chunks(PIECE).map(|piece| memchr_iter(b'\n', black_box(piece)).count() as u64).sum()
}

/// The usual way: parsing each event.
fn parse(_: &'static [UsageShape], body: &[u8]) -> u64 {
    let data = body.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"data: "));
    let events = data.filter_map(|data| serde_json::from_slice::<Value>(data).ok());
    let told = |event: Value| {
        let usage = event.get("usage").or_else(|| event.get("usageMetadata"))?;
        let names = ["total_tokens", "totalTokenCount", "output_tokens"];
        names.iter().find_map(|name| usage.get(name)?.as_u64())
    };
    events.filter_map(told).fold(0, |_, told| told)
}
