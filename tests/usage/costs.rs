//! What answers cost in each dialect, with sums made by hand. A price of $1 per million tokens is 1,000
//! billionths of a dollar per token.

use serde_json::{Value, json};
use tower_key_rotation::{
    AzureOpenAi,
    provider::{
        Bedrock, Cerebras, Cohere, DeepSeek, Fireworks, Generic, Groq, Mistral, OpenRouter,
        Perplexity, Provider, ProviderSpec, Together, XAi,
    },
    usage::{Charge, Prices, Tariff, UsageReader},
};

use super::*;

/// Round prices, different for each kind, in dollars per million tokens: input 1, cache read 0.1, cache
/// write 1.25, cache write for an hour 2, output 10.
fn prices(names: &[&str]) -> Prices {
    let row = json!({
        "input_cost_per_token": 1e-06,
        "cache_read_input_token_cost": 1e-07,
        "cache_creation_input_token_cost": 1.25e-06,
        "cache_creation_input_token_cost_above_1hr": 2e-06,
        "output_cost_per_token": 1e-05,
    });
    let rows: serde_json::Map<_, _> =
        names.iter().map(|name| (name.to_string(), row.clone())).collect();
    let prices = Prices::none();
    assert_eq!(prices.load(&Value::from(rows).to_string()).unwrap(), Vec::<String>::new());
    prices
}

fn of(provider: &impl Provider) -> ProviderSpec {
    provider.spec().clone()
}

fn charge(facts: &ProviderSpec, prices: &Prices, answer: &Value) -> Charge {
    let mut reader = UsageReader::new(facts.usage);
    reader.feed(answer.to_string().as_bytes());
    let usage = reader.usage().unwrap_or_else(|| panic!("no usage in {answer}"));
    prices.charge(&facts.name, "m", &usage, Tariff::Standard)
}

/// In billionths of a dollar: an input token costs 1,000, a cache read 100, a cache write 1,250, a cache
/// write for an hour 2,000, and an output token 10,000.
#[test]
fn each_dialect_costs_the_sum_made_by_hand() {
    // A prompt of 1,000 with 600 cached; an answer of 50 with 20 of reasoning:
    // 400 x 1,000 + 600 x 100 + 50 x 10,000 = 400,000 + 60,000 + 500,000.
    let chat = json!({"usage": {"prompt_tokens": 1_000, "completion_tokens": 50, "total_tokens": 1_050,
        "prompt_tokens_details": {"cached_tokens": 600},
        "completion_tokens_details": {"reasoning_tokens": 20}}});
    const CHAT: u64 = 960_000;
    let azure = AzureOpenAi::new("https://my-resource.openai.azure.com");
    let bedrock = Bedrock::region("us-east-1");
    let (anthropic, openai, gemini) = (Anthropic::default(), OpenAi::default(), Gemini::default());
    let custom =
        ProviderSpec::from(Generic::new("https://llm.example.com")).usage(openai.spec().usage);
    let cases: Vec<(ProviderSpec, &str, Value, u64)> = vec![
        (of(&openai), "m", chat.clone(), CHAT),
        (of(&azure), "azure/m", chat.clone(), CHAT),
        (
            of(&openai),
            "m",
            json!({"response": {"usage": {
            "input_tokens": 1_000, "input_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 100},
            "output_tokens": 50, "output_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 1_050}}}),
            // 300 x 1,000 + 600 x 100 + 100 x 1,250 + 50 x 10,000
            300_000 + 60_000 + 125_000 + 500_000,
        ),
        // Cached tokens are not part of the input: all count, and none twice.
        (
            of(&anthropic),
            "m",
            json!({"usage": {"input_tokens": 1_000, "cache_read_input_tokens": 600,
            "cache_creation_input_tokens": 300, "output_tokens": 50,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 200}}}),
            // 1,000 x 1,000 + 600 x 100 + 100 x 1,250 + 200 x 2,000 + 50 x 10,000
            1_000_000 + 60_000 + 125_000 + 400_000 + 500_000,
        ),
        // Thoughts are not part of the answer; cached tokens are part of the prompt.
        (
            of(&gemini),
            "gemini/m",
            json!({"usageMetadata": {"promptTokenCount": 1_000,
            "cachedContentTokenCount": 600, "candidatesTokenCount": 50, "thoughtsTokenCount": 20,
            "totalTokenCount": 1_070}}),
            // 400 x 1,000 + 600 x 100 + 70 x 10,000
            400_000 + 60_000 + 700_000,
        ),
        (
            of(&bedrock),
            "bedrock/m",
            json!({"usage": {"inputTokens": 400, "outputTokens": 50,
            "cacheReadInputTokens": 600, "cacheWriteInputTokens": 100, "totalTokens": 1_150}}),
            // 400 x 1,000 + 600 x 100 + 100 x 1,250 + 50 x 10,000
            400_000 + 60_000 + 125_000 + 500_000,
        ),
        (of(&Cerebras::default()), "cerebras/m", chat.clone(), CHAT),
        (
            of(&Cohere::default()),
            "cohere_chat/m",
            json!({"usage": {"tokens": {"input_tokens": 1_000.0,
            "output_tokens": 50.0}, "billed_units": {"input_tokens": 30.0}}}),
            // 1,000 x 1,000 + 50 x 10,000
            1_000_000 + 500_000,
        ),
        (
            of(&DeepSeek::default()),
            "deepseek/m",
            json!({"usage": {"prompt_tokens": 1_000,
            "prompt_cache_hit_tokens": 600, "prompt_cache_miss_tokens": 400, "completion_tokens": 50,
            "completion_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 1_050}}),
            CHAT,
        ),
        (of(&Fireworks::default()), "fireworks_ai/m", chat.clone(), CHAT),
        (of(&Groq::default()), "groq/m", json!({"x_groq": chat}), CHAT),
        (
            of(&Mistral::default()),
            "mistral/m",
            json!({"usage": {"prompt_tokens": 1_000,
            "completion_tokens": 50, "total_tokens": 1_050, "num_cached_tokens": 600}}),
            CHAT,
        ),
        (of(&Together::default()), "together_ai/m", chat, CHAT),
        // 9 of answer, and 200 of reasoning that are not part of it, as the total shows:
        // 8 x 1,000 + 4 x 100 + 209 x 10,000.
        (
            of(&XAi::default()),
            "xai/m",
            json!({"usage": {"prompt_tokens": 12, "completion_tokens": 9,
            "total_tokens": 221, "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 200}}}),
            8_000 + 400 + 2_090_000,
        ),
        // The provider reports the cost itself: $0.00123.
        (
            of(&OpenRouter::default()),
            "openrouter/m",
            json!({"usage": {"prompt_tokens": 1_000, "completion_tokens": 50, "cost": 0.00123}}),
            1_230_000,
        ),
        (
            of(&Perplexity::default()),
            "perplexity/m",
            json!({"usage": {"prompt_tokens": 1_000,
            "completion_tokens": 50, "cost": {"request_cost": 0.005, "total_cost": 0.00652}}}),
            6_520_000,
        ),
        (
            of(&XAi::default()),
            "xai/m",
            json!({"usage": {"prompt_tokens": 12, "completion_tokens": 9,
            "cost_in_usd_ticks": 37_756_000}}),
            3_775_600,
        ),
        // A custom provider, found by the plain name of the model.
        (
            custom,
            "m",
            json!({"usage": {"prompt_tokens": 10, "completion_tokens": 1}}),
            10_000 + 10_000,
        ),
    ];
    for (facts, name, answer, nano_dollars) in cases {
        let charge = charge(&facts, &prices(&[name]), &answer);
        let name = &facts.name;
        assert_eq!(
            (charge.nano_dollars, charge.unpriced_tokens),
            (nano_dollars, 0),
            "{name}: {answer}"
        );
        if !answer.to_string().contains("cost") {
            let charge = self::charge(&facts, &Prices::none(), &answer);
            assert!(charge.unpriced_tokens > 0 && charge.nano_dollars == 0, "{name}: {answer}");
        }
    }
}

/// Usage that other tools have charged twice. The built-in prices of Claude Sonnet 4.5 per million tokens:
/// $3 input, $0.30 cache read, $3.75 cache write, $15 output.
#[test]
fn no_token_is_charged_twice() {
    let prices = Prices::builtin();
    let cost = |provider: &dyn Provider, model: &str, answer: Value| {
        let mut reader = UsageReader::new(provider.spec().usage);
        reader.feed(answer.to_string().as_bytes());
        let usage = reader.usage().unwrap();
        let charge = prices.charge(&provider.spec().name, model, &usage, Tariff::Standard);
        assert_eq!(charge.unpriced_tokens, 0, "{answer}");
        charge.nano_dollars
    };
    // A large prompt written to a cache: 4 x $3 + 12,304 x $3.75 + 550 x $15 per million
    // = 12,000 + 46,140,000 + 8,250,000 = $0.054402. If written tokens counted as input too, it would be
    // 12,304 x $3 = $0.036912 more: $0.091314.
    let written = json!({"usage": {"input_tokens": 4, "cache_creation_input_tokens": 12_304,
        "cache_read_input_tokens": 0, "output_tokens": 550}});
    assert_eq!(cost(&Anthropic::default(), "claude-sonnet-4-5", written), 54_402_000);
    // The same prompt read from the cache. The stream reports all figures in its first and in its last
    // event: 4 x $3 + 12,304 x $0.30 + 550 x $15 = 12,000 + 3,691,200 + 8,250,000. A sum of both events
    // would be twice that.
    let start = json!({"type": "message_start", "message": {"usage": {"input_tokens": 4,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 12_304, "output_tokens": 1}}});
    let end = json!({"type": "message_delta", "usage": {"input_tokens": 4,
        "cache_creation_input_tokens": 0, "cache_read_input_tokens": 12_304, "output_tokens": 550}});
    let stream = json!([start, end]);
    assert_eq!(cost(&Anthropic::default(), "claude-sonnet-4-5", stream), 11_953_200);
    // A prompt that is nearly all cached; cached tokens are part of it (GPT-5: $1.25, $0.125, $10):
    // 176 x $1.25 + 99,840 x $0.125 + 100 x $10 = 220,000 + 12,480,000 + 1,000,000. With the whole prompt
    // at the full price too, it would be ten times that.
    let cached = json!({"usage": {"prompt_tokens": 100_016, "completion_tokens": 100,
        "total_tokens": 100_116, "prompt_tokens_details": {"cached_tokens": 99_840}}});
    assert_eq!(cost(&OpenAi::default(), "gpt-5", cached), 13_700_000);
    // Reasoning is part of the answer here (1,000 x $10). Counted again, it would cost half as much more.
    let reasoned = json!({"usage": {"input_tokens": 0, "output_tokens": 1_000, "total_tokens": 1_000,
        "output_tokens_details": {"reasoning_tokens": 500}}});
    assert_eq!(cost(&OpenAi::default(), "gpt-5", reasoned), 10_000_000);
    // Reasoning is not part of the answer here (Gemini 2.5 Pro: $10). Left out, the cost would be a third.
    let thought = json!({"usageMetadata": {"promptTokenCount": 0, "candidatesTokenCount": 500,
        "thoughtsTokenCount": 1_000, "totalTokenCount": 1_500}});
    assert_eq!(cost(&Gemini::default(), "gemini-2.5-pro", thought), 15_000_000);
    // A prompt of 200,001 tokens is a long one, although most are cached: 1 x $2.50 + 200,000 x $0.25.
    let long = json!({"usageMetadata": {"promptTokenCount": 200_001, "candidatesTokenCount": 0,
        "cachedContentTokenCount": 200_000, "totalTokenCount": 200_001}});
    assert_eq!(cost(&Gemini::default(), "gemini-2.5-pro", long), 2_500 + 50_000_000);
}
