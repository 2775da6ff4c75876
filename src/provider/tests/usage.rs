//! Where the shapes find what an answer used.

use serde_json::{Value, json};

use super::*;

/// Input that is not from the cache, output that is not reasoning, read from the cache, reasoning.
fn read(provider: &dyn Provider, answer: &Value) -> Option<[u64; 4]> {
    let headers = headers(&[("content-type", "application/json")]);
    let mut reader = provider.usage_reader(&headers)?;
    reader.feed(answer.to_string().as_bytes());
    let usage = reader.usage()?;
    Some([usage.input, usage.output, usage.cache_read, usage.reasoning])
}

#[test]
fn usage_is_read_from_every_dialect() {
    let chat = json!({"usage": {
        "prompt_tokens": 9, "completion_tokens": 8,
        "prompt_tokens_details": {"cached_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": 6},
    }});
    let responses = json!({"type": "response.completed", "response": {"usage": {
        "input_tokens": 9, "output_tokens": 8,
        "input_tokens_details": {"cached_tokens": 7},
        "output_tokens_details": {"reasoning_tokens": 6},
    }}});
    let messages = json!({"usage": {
        "input_tokens": 9, "output_tokens": 8, "cache_read_input_tokens": 7,
        "cache_creation_input_tokens": 0, "output_tokens_details": {"thinking_tokens": 6},
    }});
    let native = |name: &str| match name {
        "gemini" => json!({"usageMetadata": {
            "promptTokenCount": 9, "candidatesTokenCount": 8,
            "cachedContentTokenCount": 7, "thoughtsTokenCount": 6,
        }}),
        "cohere" => json!({"delta": {"usage": {
            "billed_units": {"input_tokens": 1, "output_tokens": 1},
            "tokens": {"input_tokens": 9, "output_tokens": 8, "reasoning_tokens": 6},
            "cached_tokens": 7,
        }}}),
        "groq" => json!({"x_groq": chat}),
        "together" | "perplexity" => json!({"usage": {
            "prompt_tokens": 9, "completion_tokens": 8, "cached_tokens": 7, "reasoning_tokens": 6,
            "prompt_tokens_details": {"cached_tokens": 7},
        }}),
        "anthropic" => messages.clone(),
        _ => chat.clone(),
    };
    for provider in all() {
        let name = &*provider.spec().name;
        let expected = match name {
            "github" | "generic" => None,
            // Reasoning beside the answer.
            "gemini" | "xai" => Some([2, 8, 7, 6]),
            // The cache beside the prompt.
            "anthropic" => Some([9, 2, 7, 6]),
            _ => Some([2, 2, 7, 6]),
        };
        assert_eq!(read(&*provider, &native(name)), expected, "{name}");
    }
    for (provider, answer, input) in [
        (&OpenAi::default() as &dyn Provider, &responses, 2),
        (&AzureOpenAi::new(""), &responses, 2),
        (&AzureOpenAi::new(""), &messages, 9),
        (&DeepSeek::default(), &messages, 9),
        (&Bedrock::region("r"), &messages, 9),
    ] {
        assert_eq!(read(provider, answer), Some([input, 2, 7, 6]), "{provider:?}: {answer}");
    }
    let converse = json!({"usage": {
        "inputTokens": 9, "outputTokens": 8, "cacheReadInputTokens": 7, "totalTokens": 24,
    }});
    assert_eq!(read(&Bedrock::region("r"), &converse), Some([9, 8, 7, 0]));
    let billed = json!({"meta": {"billed_units": {"input_tokens": 3}}});
    assert_eq!(read(&Cohere::default(), &billed), Some([3, 0, 0, 0]));
}

/// Each of these would be counted twice or not at all by the shape of another dialect.
#[test]
fn figures_include_what_the_shape_says() {
    let shape = |provider: &dyn Provider| provider.spec().usage[0];
    for (provider, cache_in_input, reasoning_in_output) in [
        (&OpenAi::default() as &dyn Provider, true, true),
        (&Anthropic::default(), false, true),
        (&Gemini::default(), true, false),
        (&XAi::default(), true, false),
        (&Bedrock::region("r"), false, true),
    ] {
        let shape = shape(provider);
        let includes = (shape.input_has_cache, shape.output_has_reasoning);
        assert_eq!(includes, (cache_in_input, reasoning_in_output), "{provider:?}");
    }
    assert!(XAi::default().spec().usage[1].output_has_reasoning, "not so in its responses");
}

/// AWS's frames, with lengths and checksums around headers and JSON.
#[test]
fn usage_of_converse_is_found_between_its_frames() {
    let frame = |kind: &str, payload: &str| {
        let mut headers = vec![11];
        headers.extend(b":event-type\x07");
        headers.extend([0, kind.len() as u8]);
        headers.extend(kind.as_bytes());
        let length = (16 + headers.len() + payload.len()) as u32;
        let prelude = [length.to_be_bytes(), (headers.len() as u32).to_be_bytes()].concat();
        [&prelude[..], b"\x22\xff\x00\x80", &headers, payload.as_bytes(), b"\"us\x7b"].concat()
    };
    let body = [
        frame("contentBlockDelta", r#"{"delta":{"text":"\"usage\":{"}}"#),
        frame("messageStop", r#"{"stopReason":"end_turn"}"#),
        frame("metadata", r#"{"metrics":{},"usage":{"inputTokens":9,"outputTokens":8}}"#),
    ]
    .concat();
    let mut headers = HeaderMap::new();
    headers.insert("content-type", "application/vnd.amazon.eventstream".parse().unwrap());
    for size in [1, 3, 1_000] {
        let mut reader = Bedrock::region("r").usage_reader(&headers).unwrap();
        body.chunks(size).for_each(|piece| reader.feed(piece));
        assert_eq!(reader.usage().map(|usage| (usage.input, usage.output)), Some((9, 8)), "{size}");
    }
}
