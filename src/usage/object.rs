//! Reading one usage object of any dialect.

use serde_json::{Map, Value};

use super::told::{Counted, Told};

/// A usage object as JSON; none if it tells no tokens.
pub(super) fn read(json: &[u8]) -> Option<Told> {
    let Ok(Value::Object(object)) = serde_json::from_slice(json) else { return None };
    let told = of(&object);
    (told.input.is_some() || told.output.is_some()).then_some(told)
}

fn of(object: &Map<String, Value>) -> Told {
    let at = |path: &[&str]| count(follow(object, path)?);
    let any = |paths: &[&[&str]]| paths.iter().find_map(|path| at(path));

    // Google: the prompt has what came from a cache in it, the answer not its thoughts.
    // <https://ai.google.dev/api/generate-content#UsageMetadata>
    if object.contains_key("promptTokenCount") || object.contains_key("totalTokenCount") {
        return Told {
            input: at(&["promptTokenCount"]),
            other_input: at(&["toolUsePromptTokenCount"]),
            cache_read: at(&["cachedContentTokenCount"]),
            output: at(&["candidatesTokenCount"]),
            reasoning: at(&["thoughtsTokenCount"]),
            total: at(&["totalTokenCount"]),
            counted: Counted { cache: true, reasoning: false },
            ..Told::default()
        };
    }
    // The same in Gemini's interactions.
    if object.contains_key("total_input_tokens") {
        return Told {
            input: at(&["total_input_tokens"]),
            other_input: at(&["total_tool_use_tokens"]),
            cache_read: at(&["total_cached_tokens"]),
            output: at(&["total_output_tokens"]),
            reasoning: at(&["total_thought_tokens"]),
            total: at(&["total_tokens"]),
            counted: Counted { cache: true, reasoning: false },
            ..Told::default()
        };
    }
    // Amazon: caches beside the prompt.
    // <https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_TokenUsage.html>
    if object.contains_key("inputTokens") {
        return Told {
            input: at(&["inputTokens"]),
            cache_read: at(&["cacheReadInputTokens"]),
            cache_write: at(&["cacheWriteInputTokens"]),
            output: at(&["outputTokens"]),
            total: at(&["totalTokens"]),
            counted: Counted { cache: false, reasoning: true },
            ..Told::default()
        };
    }
    // Anthropic: caches beside the prompt, thinking inside the answer.
    // <https://docs.claude.com/en/docs/build-with-claude/prompt-caching#tracking-cache-performance>
    let is_anthropic = ["cache_creation_input_tokens", "cache_read_input_tokens", "cache_creation"];
    if is_anthropic.into_iter().any(|name| object.contains_key(name)) {
        return Told {
            input: at(&["input_tokens"]),
            cache_read: at(&["cache_read_input_tokens"]),
            cache_write: at(&["cache_creation_input_tokens"]),
            cache_write_1h: at(&["cache_creation", "ephemeral_1h_input_tokens"]),
            output: at(&["output_tokens"]),
            reasoning: at(&["output_tokens_details", "thinking_tokens"]),
            counted: Counted { cache: false, reasoning: true },
            ..Told::default()
        };
    }
    // OpenAI and all who speak so, in the words of either of its APIs: caches inside the prompt, and
    // reasoning mostly inside the answer (xAI's is not, which its total shows).
    // <https://platform.openai.com/docs/api-reference/chat/object>
    // Cohere's words differ in their place alone: <https://docs.cohere.com/reference/chat>.
    let mut told = Told {
        input: any(&[
            &["prompt_tokens"],
            &["input_tokens"],
            &["tokens", "input_tokens"],
            &["billed_units", "input_tokens"],
        ]),
        other_input: None,
        cache_read: any(&[
            &["prompt_tokens_details", "cached_tokens"],
            &["input_tokens_details", "cached_tokens"],
            &["prompt_cache_hit_tokens"],
            &["cached_tokens"],
            &["num_cached_tokens"],
        ]),
        cache_write: any(&[
            &["prompt_tokens_details", "cache_write_tokens"],
            &["input_tokens_details", "cache_write_tokens"],
        ]),
        cache_write_1h: None,
        output: any(&[
            &["completion_tokens"],
            &["output_tokens"],
            &["tokens", "output_tokens"],
            &["billed_units", "output_tokens"],
        ]),
        reasoning: any(&[
            &["completion_tokens_details", "reasoning_tokens"],
            &["output_tokens_details", "reasoning_tokens"],
            &["reasoning_tokens"],
            &["tokens", "reasoning_tokens"],
        ]),
        total: at(&["total_tokens"]),
        nano_dollars: cost(object),
        counted: Counted { cache: true, reasoning: true },
    };
    // Mistral counts sound beside the prompt, which its total shows.
    let of = |figure: Option<u64>| figure.unwrap_or_default();
    let audio = of(at(&["prompt_tokens_details", "audio_tokens"]));
    if audio > 0 && told.total == Some(of(told.input) + of(told.output) + audio) {
        told.other_input = Some(audio);
    }
    told
}

/// What it cost: OpenRouter's `cost` and Perplexity's `cost.total_cost` in dollars, xAI's ticks of a
/// ten-billionth.
fn cost(object: &Map<String, Value>) -> Option<u64> {
    let dollars = follow(object, &["cost", "total_cost"]).or_else(|| object.get("cost"));
    let nanos = dollars.and_then(Value::as_f64).map(|dollars| dollars * 1e9);
    let nanos = nanos.filter(|nanos| (0.0..1e18).contains(nanos)).map(|nanos| nanos.round() as u64);
    let ticks = || count(object.get("cost_in_usd_ticks")?).map(|ticks| ticks.div_ceil(10));
    nanos.or_else(ticks)
}

fn follow<'v>(object: &'v Map<String, Value>, path: &[&str]) -> Option<&'v Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(*first)?, |value, name| value.get(name))
}

/// A count, also where it is written as `3.0`. More than 2^53 is none.
fn count(value: &Value) -> Option<u64> {
    const MOST: u64 = 1 << 53;
    let whole = |number: f64| (number >= 0.0 && number.fract() == 0.0).then_some(number as u64);
    value.as_u64().or_else(|| whole(value.as_f64()?)).filter(|count| *count <= MOST)
}
