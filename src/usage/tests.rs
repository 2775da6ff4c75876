//! Every dialect's own way of counting, undone; and the same from every cut.

use serde_json::{Value, json};

use super::*;
use crate::{
    Anthropic, Bedrock, Cohere, DeepSeek, Gemini, Groq, Mistral, OpenAi, OpenRouter, Perplexity,
    XAi,
    provider::{Facts, Provider, UsageShape},
};

fn facts(dialect: &str) -> Facts {
    match dialect {
        "Anthropic" => Anthropic::default().facts().clone(),
        "Bedrock" => Bedrock::region("r").facts().clone(),
        "Cohere" => Cohere::default().facts().clone(),
        "DeepSeek" => DeepSeek::default().facts().clone(),
        "Gemini" => Gemini::default().facts().clone(),
        "Groq" => Groq::default().facts().clone(),
        "Mistral" => Mistral::default().facts().clone(),
        "OpenAI" => OpenAi::default().facts().clone(),
        "OpenRouter" => OpenRouter::default().facts().clone(),
        "Perplexity" => Perplexity::default().facts().clone(),
        "xAI" => XAi::default().facts().clone(),
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

/// Usage as each dialect tells it, the kinds it comes to, and the total that the provider reports, if
/// it does.
fn fixtures() -> Vec<(&'static str, Value, [u64; 6], Option<u64>)> {
    vec![
        (
            "OpenAI chat: 1,000 = 300 + 600 cached + 100 written; 500 = 180 + 320 reasoning",
            json!({"usage": {"prompt_tokens": 1000, "completion_tokens": 500, "total_tokens": 1500,
                "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 100, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 320, "accepted_prediction_tokens": 0}}}),
            [300, 600, 100, 0, 180, 320],
            Some(1500),
        ),
        (
            "OpenAI responses, inside the last event",
            json!({"type": "response.completed", "response": {"output": [{"text": "\"usage\":{\"input_tokens\":9}"}],
                "usage": {"input_tokens": 88, "input_tokens_details": {"cached_tokens": 64}, "output_tokens": 14,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 102}}}),
            [24, 64, 0, 0, 14, 0],
            Some(102),
        ),
        (
            "OpenAI embeddings have no answer",
            json!({"usage": {"prompt_tokens": 8, "total_tokens": 8}}),
            [8, 0, 0, 0, 0, 0],
            Some(8),
        ),
        (
            "Anthropic: caches beside the prompt, an hour's among what was written",
            json!({"usage": {"input_tokens": 30, "cache_creation_input_tokens": 700, "cache_read_input_tokens": 2000,
                "cache_creation": {"ephemeral_5m_input_tokens": 500, "ephemeral_1h_input_tokens": 200},
                "output_tokens": 90, "output_tokens_details": {"thinking_tokens": 60}, "service_tier": "standard"}}),
            [30, 2000, 500, 200, 30, 60],
            None,
        ),
        (
            "Anthropic without the breakdown",
            json!({"usage": {"input_tokens": 30, "cache_creation_input_tokens": 700, "output_tokens": 90}}),
            [30, 0, 700, 0, 90, 0],
            None,
        ),
        (
            "Gemini: the cached inside the prompt, thoughts and tools' results beside",
            json!({"usageMetadata": {"promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 20,
                "thoughtsTokenCount": 50, "toolUsePromptTokenCount": 7, "totalTokenCount": 177,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}]}}),
            [47, 60, 0, 0, 20, 50],
            Some(177),
        ),
        (
            "Gemini that said nothing",
            json!({"usageMetadata": {"promptTokenCount": 100, "totalTokenCount": 100}}),
            [100, 0, 0, 0, 0, 0],
            Some(100),
        ),
        (
            "Gemini's interactions",
            json!({"interaction": {"usage": {"total_input_tokens": 9, "total_output_tokens": 5, "total_thought_tokens": 3,
                "total_cached_tokens": 4, "total_tool_use_tokens": 0, "total_tokens": 17}}}),
            [5, 4, 0, 0, 5, 3],
            Some(17),
        ),
        (
            "OpenAI's dialect, spoken by xAI: reasoning beside the answer, as its total shows",
            json!({"usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 221,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 200}, "cost_in_usd_ticks": 1_234_560}}),
            [8, 4, 0, 0, 9, 200],
            Some(221),
        ),
        (
            "xAI: the same",
            json!({"usage": {"prompt_tokens": 12, "completion_tokens": 9, "total_tokens": 221,
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 200}}}),
            [8, 4, 0, 0, 9, 200],
            Some(221),
        ),
        (
            "xAI responses have it inside",
            json!({"response": {"usage": {"input_tokens": 12, "output_tokens": 90, "total_tokens": 102,
                "output_tokens_details": {"reasoning_tokens": 20}}}}),
            [12, 0, 0, 0, 70, 20],
            Some(102),
        ),
        (
            "xAI with little reasoning",
            json!({"usage": {"prompt_tokens": 12, "completion_tokens": 90, "total_tokens": 122,
                "completion_tokens_details": {"reasoning_tokens": 20}}}),
            [12, 0, 0, 0, 90, 20],
            Some(122),
        ),
        (
            "DeepSeek",
            json!({"usage": {"prompt_tokens": 100, "completion_tokens": 40, "total_tokens": 140,
                "prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 36,
                "completion_tokens_details": {"reasoning_tokens": 30}}}),
            [36, 64, 0, 0, 10, 30],
            Some(140),
        ),
        (
            "Groq tells in a place of its own",
            json!({"x_groq": {"id": "req", "usage": {"queue_time": 0.1, "prompt_tokens": 5, "completion_tokens": 6,
                "total_tokens": 11}}, "choices": [{}]}),
            [5, 0, 0, 0, 6, 0],
            Some(11),
        ),
        (
            "Mistral",
            json!({"usage": {"prompt_tokens": 50, "completion_tokens": 6, "total_tokens": 56, "num_cached_tokens": 32}}),
            [18, 32, 0, 0, 6, 0],
            Some(56),
        ),
        (
            "Mistral with sound, which is beside the prompt",
            json!({"usage": {"prompt_audio_seconds": 5, "prompt_tokens": 11, "completion_tokens": 15, "total_tokens": 401,
                "prompt_tokens_details": {"audio_tokens": 375, "cached_tokens": 9}}}),
            [377, 9, 0, 0, 15, 0],
            Some(401),
        ),
        (
            "OpenAI with sound, which is inside",
            json!({"usage": {"prompt_tokens": 90, "completion_tokens": 15, "total_tokens": 105,
                "prompt_tokens_details": {"audio_tokens": 70, "cached_tokens": 0}}}),
            [90, 0, 0, 0, 15, 0],
            Some(105),
        ),
        (
            "OpenAI: more from the cache than there was in all",
            json!({"usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8,
                "prompt_tokens_details": {"cached_tokens": 163}}}),
            [0, 7, 0, 0, 1, 0],
            Some(8),
        ),
        (
            "OpenRouter: more reasoning than there was output, and no more in its total",
            json!({"usage": {"prompt_tokens": 43, "completion_tokens": 10, "total_tokens": 53,
                "completion_tokens_details": {"reasoning_tokens": 11}}}),
            [43, 0, 0, 0, 0, 10],
            Some(53),
        ),
        (
            "Cohere, whose counts are no whole numbers",
            json!({"delta": {"usage": {"billed_units": {"input_tokens": 3.0, "output_tokens": 4.0},
                "tokens": {"input_tokens": 70.0, "output_tokens": 6.0, "reasoning_tokens": 2.0}}}}),
            [70, 0, 0, 0, 4, 2],
            None,
        ),
        (
            "Cohere of version 1",
            json!({"response": {"meta": {"api_version": {"version": "1"},
                "billed_units": {"input_tokens": 3.0}, "tokens": {"input_tokens": 70.0, "output_tokens": 6.0}}}}),
            [70, 0, 0, 0, 6, 0],
            None,
        ),
        (
            "Bedrock's last event, whatever the model",
            json!({"amazon-bedrock-invocationMetrics": {"inputTokenCount": 10, "outputTokenCount": 4,
                "cacheReadInputTokenCount": 20, "cacheWriteInputTokenCount": 5}}),
            [10, 20, 5, 0, 4, 0],
            None,
        ),
        (
            "Bedrock's converse",
            json!({"usage": {"inputTokens": 10, "outputTokens": 4, "totalTokens": 39, "cacheReadInputTokens": 20,
                "cacheWriteInputTokens": 5}}),
            [10, 20, 5, 0, 4, 0],
            Some(39),
        ),
    ]
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
fn what_a_provider_says_it_cost_is_read_to_the_nano_dollar() {
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

/// Streams that tell more than once: the last counts, figure by figure, and nothing is added.
#[test]
fn of_several_the_last_counts() {
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
fn every_cut_gives_the_same() {
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
fn what_is_no_usage_tells_nothing() {
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
fn headers_tell_what_the_body_does_not() {
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
fn an_endless_object_is_given_up_and_the_next_one_read() {
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
fn the_kinds_add_up_to_what_is_reported() {
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

#[test]
fn the_running_count_is_near_what_was_said() {
    // A stream of 200 events, each of a token of four bytes in 150 bytes of JSON.
    let mut running = Running::default();
    (0..200).for_each(|_| running.event(154));
    assert_eq!(running.tokens(), 200);
    // Fewer events of more text: 20 of 40 tokens each.
    let mut running = Running::default();
    running.event(154);
    (0..20).for_each(|_| running.event(150 + 160));
    assert!((780..840).contains(&running.tokens()), "{}", running.tokens());
    let mut running = Running::default();
    running.bytes(4_000);
    assert_eq!(running.tokens(), 1_000);
    assert_eq!(Running::default().tokens(), 0);
}
