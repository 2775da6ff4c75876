//! Usage in the words of each dialect gives tokens by kind, however the answer is cut.

mod estimate;
mod fixtures;

use serde_json::json;

use self::fixtures::fixtures;
use super::*;
use crate::{
    Anthropic, Gemini, OpenAi,
    provider::{
        Bedrock, Cohere, DeepSeek, Groq, Mistral, OpenRouter, Perplexity, Provider, ProviderSpec,
        XAi,
    },
};

fn facts(dialect: &str) -> ProviderSpec {
    match dialect {
        "Anthropic" => Anthropic::default().spec().clone(),
        "Bedrock" => Bedrock::region("r").spec().clone(),
        "Cohere" => Cohere::default().spec().clone(),
        "DeepSeek" => DeepSeek::default().spec().clone(),
        "Gemini" => Gemini::default().spec().clone(),
        "Groq" => Groq::default().spec().clone(),
        "Mistral" => Mistral::default().spec().clone(),
        "OpenAI" => OpenAi::default().spec().clone(),
        "OpenRouter" => OpenRouter::default().spec().clone(),
        "Perplexity" => Perplexity::default().spec().clone(),
        "xAI" => XAi::default().spec().clone(),
        _ => panic!("{dialect}"),
    }
}

/// The shapes of a dialect, whose name begins this one.
fn shapes(name: &str) -> &'static [UsageShape] {
    facts(name.split([' ', ':', ',', '\'']).next().unwrap()).usage
}

fn read<'a>(dialect: &str, pieces: impl IntoIterator<Item = &'a [u8]>) -> Option<Usage> {
    let mut reader = UsageReader::new(shapes(dialect));
    pieces.into_iter().for_each(|piece| reader.feed(piece));
    reader.usage()
}

/// The kinds in a row: input, cache read, cache write (5 min, 1 h), output, reasoning.
fn kinds(usage: &Usage) -> [u64; 6] {
    let Usage { input, cache_read, cache_write, cache_write_1h, output, reasoning, .. } = *usage;
    [input, cache_read, cache_write, cache_write_1h, output, reasoning]
}

#[test]
fn each_token_is_in_one_kind() {
    for (name, body, expected, total) in fixtures() {
        let usage = read(name, [body.to_string().as_bytes()]).expect(name);
        assert_eq!(kinds(&usage), expected, "{name}");
        assert!(!usage.is_estimated, "{name}");
        if let Some(total) = total {
            assert_eq!(usage.total(), total, "{name}");
        }
        assert_eq!(usage.all_input(), expected[..4].iter().sum::<u64>(), "{name}");
        assert_eq!(usage.all_output(), expected[4..].iter().sum::<u64>(), "{name}");
    }
}

#[test]
fn a_reported_cost_is_read_to_the_nano_dollar() {
    for (dialect, usage, nanos) in [
        // $0.000036 = 36,000 nano-dollars.
        (
            "OpenRouter",
            json!({"prompt_tokens": 1, "cost": 0.000036, "is_byok": false}),
            Some(36_000),
        ),
        ("OpenRouter", json!({"prompt_tokens": 1, "cost": 0}), Some(0)),
        // The sum of its parts.
        (
            "Perplexity",
            json!({"prompt_tokens": 1, "cost": {"request_cost": 0.005, "total_cost": 0.005014}}),
            Some(5_014_000),
        ),
        // 37,756,000 ticks of 1e-10 dollars.
        ("xAI", json!({"prompt_tokens": 1, "cost_in_usd_ticks": 37_756_000}), Some(3_775_600)),
        ("xAI", json!({"input_tokens": 1, "cost_in_usd_ticks": 37_756_000}), Some(3_775_600)),
        ("OpenAI", json!({"prompt_tokens": 1, "cost": -1}), None),
        ("OpenAI", json!({"prompt_tokens": 1, "cost": 1e300}), None),
        ("OpenAI", json!({"prompt_tokens": 1, "cost": "free"}), None),
        ("OpenAI", json!({"prompt_tokens": 1}), None),
    ] {
        let usage = read(dialect, [json!({"usage": usage}).to_string().as_bytes()]).unwrap();
        assert_eq!(usage.nano_dollars, nanos, "{dialect}");
    }
}

/// If a stream reports several times, the last value of each figure counts, and nothing is summed.
#[test]
fn the_last_report_counts() {
    let anthropic = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":707,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":300,\"output_tokens\":1}}}\n\n\
        event: content_block_delta\ndata: {\"delta\":{\"text\":\"{\\\"usage\\\": {\\\"input_tokens\\\": 5}}\"}}\n\n\
        event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":150}}\n\n";
    let groq = "data: {\"choices\":[{\"delta\":{}}],\"usage\":null,\"x_groq\":{\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6,\"total_tokens\":11}}\n\ndata: [DONE]\n\n";
    let gemini = "[{\"usageMetadata\": {\"promptTokenCount\": 8,\"candidatesTokenCount\": 3,\"totalTokenCount\": 11}}\r\n,\
        {\"candidates\":[{\"content\":{\"parts\":[{\"functionCall\":{\"args\":{\"usage\":{\"prompt_tokens\":\"x\"}}}}]}}],\"usageMetadata\" : \n {\"promptTokenCount\": 8,\"candidatesTokenCount\": 9,\"totalTokenCount\": 17}}]";
    for (dialect, body, expected) in [
        ("Anthropic", anthropic, [707, 300, 0, 0, 150, 0]),
        // Where messages are one of several shapes, the last object, which names no cache, is still one.
        ("Bedrock", anthropic, [707, 300, 0, 0, 150, 0]),
        ("DeepSeek", anthropic, [707, 300, 0, 0, 150, 0]),
        ("Groq", groq, [5, 0, 0, 0, 6, 0]),
        ("Gemini", gemini, [8, 0, 0, 0, 9, 0]),
    ] {
        assert_eq!(kinds(&read(dialect, [body.as_bytes()]).unwrap()), expected, "{body}");
    }
}

#[test]
fn the_cut_of_an_answer_does_not_matter() {
    for (name, body, expected, _) in fixtures() {
        let body =
            format!("data: {{\"usage\":null,\"a\":\"\\\"usage\"}}\n\ndata: {body}\r\n\r\n: \"usag");
        let body = body.as_bytes();
        for at in 0..=body.len() {
            let (head, tail) = body.split_at(at);
            assert_eq!(kinds(&read(name, [head, tail]).unwrap()), expected, "{name}, cut at {at}");
        }
        for size in [1, 2, 3, 5] {
            assert_eq!(
                kinds(&read(name, body.chunks(size)).unwrap()),
                expected,
                "{name}, by {size}"
            );
        }
    }
}

#[test]
fn an_object_that_is_no_usage_reports_nothing() {
    for body in [
        r#"{"usage":null}"#,
        r#"{"usage":7,"usages":{"prompt_tokens":1}}"#,
        r#"{"usage":{"type":"duration","seconds":7}}"#,
        r#"{"usage":{"prompt_tokens":-1}}"#,
        r#"{"usage":{"prompt_tokens":1.5}}"#,
        r#"{"usage":{"prompt_tokens":99999999999999999999}}"#,
        r#"{"usage":{"prompt_tokens":"7"}}"#,
        r#"{"usageMeta":{"promptTokenCount":1}}"#,
        r#"{"text":"\"usage\":{\"prompt_tokens\":1}"}"#,
        r#"{"properties":{"usage":{"type":"object","properties":{"tokens":{}}}}}"#,
        r#"{"usage":{"prompt_tokens":1"#,
        r#"{"usage":{]]]]"#,
        "\"usage\"",
        "",
    ] {
        for dialect in ["OpenAI", "Gemini", "Cohere", "Bedrock"] {
            assert_eq!(read(dialect, [body.as_bytes()]), None, "{dialect}: {body}");
        }
    }
}

#[test]
fn headers_report_figures_that_the_body_lacks() {
    let mut headers = http::HeaderMap::new();
    for (name, count) in
        [("input", "10"), ("cache-read-input", "20"), ("cache-write-input", "5"), ("output", "4")]
    {
        let name = format!("x-amzn-bedrock-{name}-token-count");
        headers.insert(http::HeaderName::try_from(name).unwrap(), count.parse().unwrap());
    }
    let (bedrock, shapes) = (facts("Bedrock"), shapes("Bedrock"));
    let names = bedrock.usage_headers.unwrap();
    let mut reader = UsageReader::new(shapes).headers(names, &headers);
    reader.feed(br#"{"generation":"Hi","prompt_token_count":35}"#);
    assert_eq!(kinds(&reader.usage().unwrap()), [10, 20, 5, 0, 4, 0]);
    reader.feed(br#"{"usage":{"outputTokens":6}}"#);
    assert_eq!(kinds(&reader.usage().unwrap()), [10, 20, 5, 0, 6, 0]);
    let none = UsageReader::new(shapes).headers(names, &http::HeaderMap::new());
    assert_eq!(none.usage(), None);
}

#[test]
fn an_endless_object_is_given_up_and_the_next_one_is_read() {
    let endless = format!("{{\"usage\":{{\"a\":\"{}\"}},", "x".repeat(100_000));
    let good = r#""usage":{"prompt_tokens":7,"completion_tokens":1}}"#;
    let mut reader = UsageReader::new(shapes("OpenAI"));
    for piece in endless.as_bytes().chunks(1_000) {
        reader.feed(piece);
        assert!(reader.held() <= 8 * 1024);
    }
    assert_eq!(reader.usage(), None);
    reader.feed(good.as_bytes());
    assert_eq!(kinds(&reader.usage().unwrap()), [7, 0, 0, 0, 1, 0]);
}

/// Random figures in each dialect's words: the kinds add up to the total that the provider reports.
#[test]
fn the_kinds_add_up_to_the_reported_total() {
    let mut rng = fastrand::Rng::with_seed(5);
    for _ in 0..2_000 {
        let mut figure = || rng.u64(0..1_000_000);
        let (fresh, read_from, written, hour) = (figure(), figure(), figure(), figure());
        let (text, reasoning, tools) = (figure(), figure(), figure());
        let all = fresh + read_from + written + text + reasoning;
        let details = json!({"cached_tokens": read_from, "cache_write_tokens": written});
        let parts = json!({"reasoning_tokens": reasoning});
        let prompt = fresh + read_from + written;
        let plain = [fresh, read_from, written, 0, text, reasoning];
        let cases = [
            (
                "OpenAI",
                json!({"prompt_tokens": prompt, "completion_tokens": text + reasoning, "total_tokens": all,
                "prompt_tokens_details": details, "completion_tokens_details": parts}),
                plain,
            ),
            (
                "OpenAI",
                json!({"input_tokens": prompt, "output_tokens": text + reasoning, "total_tokens": all,
                "input_tokens_details": details, "output_tokens_details": parts}),
                plain,
            ),
            // xAI's.
            (
                "xAI",
                json!({"prompt_tokens": prompt, "completion_tokens": text, "total_tokens": all,
                "prompt_tokens_details": details, "completion_tokens_details": parts}),
                plain,
            ),
            (
                "Anthropic",
                json!({"input_tokens": fresh, "output_tokens": text + reasoning,
                "cache_read_input_tokens": read_from, "cache_creation_input_tokens": written + hour,
                "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": hour},
                "output_tokens_details": {"thinking_tokens": reasoning}}),
                [fresh, read_from, written, hour, text, reasoning],
            ),
            (
                "Gemini",
                json!({"promptTokenCount": fresh + read_from, "cachedContentTokenCount": read_from,
                "candidatesTokenCount": text, "thoughtsTokenCount": reasoning,
                "toolUsePromptTokenCount": tools,
                "totalTokenCount": fresh + read_from + text + reasoning + tools}),
                [fresh + tools, read_from, 0, 0, text, reasoning],
            ),
            (
                "Bedrock",
                json!({"inputTokens": fresh, "outputTokens": text, "cacheReadInputTokens": read_from,
                "cacheWriteInputTokens": written, "totalTokens": prompt + text}),
                [fresh, read_from, written, 0, text, 0],
            ),
        ];
        for (dialect, object, expected) in cases {
            let reported = ["total_tokens", "totalTokenCount", "totalTokens"]
                .iter()
                .find_map(|name| object.get(name)?.as_u64());
            let member = if dialect == "Gemini" { "usageMetadata" } else { "usage" };
            let usage = read(dialect, [json!({ member: object }).to_string().as_bytes()]).unwrap();
            assert_eq!(kinds(&usage), expected, "{object}");
            assert_eq!(usage.total(), reported.unwrap_or(expected.iter().sum()), "{object}");
        }
    }
}
