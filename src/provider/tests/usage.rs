//! Where the shapes find what an answer used.

use serde_json::{Value, json};

use super::*;

/// Input, output, read from the cache, reasoning.
fn read(provider: &dyn Provider, answer: &Value) -> Option<(&'static str, [Option<u64>; 4])> {
    provider.facts().usage.iter().find_map(|shape| {
        let usage = shape.at.iter().find_map(|at| answer.pointer(at))?;
        let number = |places: &[&str]| places.iter().find_map(|at| usage.pointer(at)?.as_u64());
        let marked = shape.mark.is_none_or(|mark| usage.pointer(mark).is_some());
        let input = number(shape.input).filter(|_| marked)?;
        let (cache, reasoning) = (number(shape.cache_read), number(shape.reasoning));
        Some((shape.name, [Some(input), number(shape.output), cache, reasoning]))
    })
}

#[test]
fn every_dialect_tells_what_it_used() {
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
    const ALL: [Option<u64>; 4] = [Some(9), Some(8), Some(7), Some(6)];
    for provider in all() {
        let name = &*provider.facts().name;
        if matches!(name, "github" | "generic") {
            assert!(provider.facts().usage.is_empty());
            continue;
        }
        let (shape, figures) = read(&*provider, &native(name)).unwrap();
        assert_eq!(figures, ALL, "{name}: {shape}");
    }
    for (provider, answer, shape) in [
        (&OpenAi::default() as &dyn Provider, &responses, "responses"),
        (&AzureOpenAi::new(""), &responses, "responses"),
        (&AzureOpenAi::new(""), &messages, "messages"),
        (&DeepSeek::default(), &messages, "messages"),
        (&Bedrock::region("r"), &messages, "messages"),
    ] {
        assert_eq!(read(provider, answer), Some((shape, ALL)));
    }
    let converse = json!({"usage": {
        "inputTokens": 9, "outputTokens": 8, "cacheReadInputTokens": 7, "totalTokens": 24,
    }});
    let converse = read(&Bedrock::region("r"), &converse);
    assert_eq!(converse, Some(("converse", [Some(9), Some(8), Some(7), None])));
    let billed = json!({"meta": {"billed_units": {"input_tokens": 3}}});
    let billed = read(&Cohere::default(), &billed);
    assert_eq!(billed, Some(("cohere", [Some(3), None, None, None])));
}

/// Each of these would be counted twice, or left out, by whoever takes one dialect for the other.
#[test]
fn what_the_figures_include() {
    let shape = |provider: &dyn Provider| provider.facts().usage[0];
    for (provider, cache_in_input, reasoning_in_output) in [
        (&OpenAi::default() as &dyn Provider, true, true),
        (&Anthropic::default(), false, true),
        (&Gemini::default(), true, false),
        (&XAi::default(), true, false),
        (&Bedrock::region("r"), false, true),
    ] {
        let shape = shape(provider);
        let includes = (shape.input_has_cache_read, shape.output_has_reasoning);
        assert_eq!(includes, (cache_in_input, reasoning_in_output), "{provider:?}");
    }
    assert!(XAi::default().facts().usage[1].output_has_reasoning, "not so in its responses");
}
