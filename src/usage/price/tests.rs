//! Prices and costs, with sums made by hand.

use serde_json::json;

use super::*;
use crate::usage::Usage;

const FILE: &str = r#"{
    "sample_spec": {"input_cost_per_token": "an explanation", "litellm_provider": 7},
    "m": {"litellm_provider": "openai", "input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06},
    "m-2026-01-31": {"litellm_provider": "openai", "input_cost_per_token": 3e-06, "output_cost_per_token": 9e-06},
    "groq/m": {"litellm_provider": "groq", "input_cost_per_token": 1e-07, "output_cost_per_token": 1e-07},
    "groq/meta/m": {"litellm_provider": "groq", "input_cost_per_token": 5e-08, "output_cost_per_token": 1e-07},
    "shared": {"input_cost_per_token": 4e-08, "output_cost_per_token": 0},
    "tiers": {"litellm_provider": "gemini",
        "input_cost_per_token": 1e-06, "input_cost_per_token_above_200k_tokens": 2e-06,
        "output_cost_per_token": 1e-05, "output_cost_per_token_above_200k_tokens": 1.5e-05,
        "cache_read_input_token_cost": 1e-07, "input_cost_per_token_above_128k_tokens": 1.5e-06,
        "input_cost_per_token_batches": 5e-07, "output_cost_per_token_batches": 5e-06},
    "reasons": {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06,
        "output_cost_per_reasoning_token": 3e-06, "cache_read_input_token_cost": null},
    "images": {"litellm_provider": "openai", "output_cost_per_image": 0.04, "mode": "image_generation"}
}"#;

fn prices() -> Prices {
    let prices = Prices::none();
    assert_eq!(prices.load(FILE).unwrap(), Vec::<String>::new());
    prices
}

/// What 10 tokens of prompt cost, in billionths of a dollar; none if they are unpriced.
fn of(prices: &Prices, dialect: &str, model: &str) -> Option<u64> {
    let charge = prices.charge(dialect, model, &Usage::tokens(10, 0), Tariff::Standard);
    (charge.unpriced_tokens == 0).then_some(charge.nano_dollars)
}

#[test]
fn a_model_is_found_by_its_whole_name_and_provider() {
    let prices = prices();
    for (dialect, model, expected) in [
        ("openai", "m", Some(20_000)),
        ("openai", "m-2026-01-31", Some(30_000)),
        // Versions differ in price, so a date counts.
        ("openai", "m-2026-02-28", None),
        ("openai", "m-mini", None),
        ("openai", "M", None),
        ("openai", "", None),
        ("groq", "m", Some(1_000)),
        ("groq", "meta/m", Some(500)),
        ("groq", "groq/m", Some(1_000)),
        // Prices of other providers do not apply.
        ("xai", "m", None),
        ("openai", "groq/m", None),
        ("mistral", "shared", Some(400)),
        // Price files have no name for this dialect, so every provider matches.
        ("my-proxy", "m", Some(20_000)),
        ("my-proxy", "groq/m", Some(1_000)),
        ("openai", "images", None),
        ("openai", "sample_spec", None),
    ] {
        assert_eq!(of(&prices, dialect, model), expected, "{dialect} {model}");
    }
}

#[test]
fn a_reported_cost_takes_precedence_and_no_usage_costs_nothing() {
    let prices = prices();
    for stated in [0, 7] {
        for model in ["m", "unknown"] {
            let usage = Usage::tokens(10, 10).nano_dollars(stated);
            let charge = prices.charge("openai", model, &usage, Tariff::Standard);
            assert_eq!(charge, Charge { nano_dollars: stated, unpriced_tokens: 0 }, "{model}");
        }
    }
}

#[test]
fn the_length_of_the_prompt_decides_the_tier_of_all_tokens() {
    let prices = prices();
    let cost = |input: u64, cache_read: u64, tariff| {
        let usage = Usage { input, cache_read, output: 10, ..Usage::default() };
        prices.charge("gemini", "tiers", &usage, tariff)
    };
    let priced = |nano_dollars| Charge { nano_dollars, unpriced_tokens: 0 };
    // 128,000 x $1 + 10 x $10 per million. With one more token, all cost $1.50.
    assert_eq!(cost(128_000, 0, Tariff::Standard), priced(128_000_000 + 100_000));
    assert_eq!(cost(128_001, 0, Tariff::Standard), priced(192_001_500 + 100_000));
    assert_eq!(cost(200_000, 0, Tariff::Standard), priced(300_000_000 + 100_000));
    // $2 and $15.
    assert_eq!(cost(200_001, 0, Tariff::Standard), priced(400_002_000 + 150_000));
    // Cached tokens count for the length: 1 x $2, 200,000 x $0.10 (one price for every length).
    assert_eq!(cost(1, 200_000, Tariff::Standard), priced(2_000 + 20_000_000 + 150_000));
    // A batch uses batch prices only: 100 x $0.50 + 10 x $5, and 3 tokens are unpriced.
    let batch = Charge { nano_dollars: 50_000 + 50_000, unpriced_tokens: 3 };
    assert_eq!(cost(100, 3, Tariff::Batch), batch);
}

#[test]
fn a_kind_without_a_price_is_counted_as_unpriced() {
    let prices = prices();
    let usage = Usage {
        input: 1,
        cache_read: 20,
        cache_write: 300,
        cache_write_1h: 4_000,
        output: 50_000,
        reasoning: 600_000,
        ..Usage::default()
    };
    // Reasoning costs as much as the answer: (50,000 + 600,000) x $8 + 1 x $2 per million.
    let charge = prices.charge("openai", "m", &usage, Tariff::Standard);
    assert_eq!(charge.nano_dollars, 5_200_000_000 + 2_000);
    assert_eq!(charge.unpriced_tokens, 4_320);
    // Reasoning has its own price: 50,000 x $2 + 600,000 x $3 + 1 x $1.
    let charge = prices.charge("openai", "reasons", &usage, Tariff::Standard);
    assert_eq!(charge.nano_dollars, 100_000_000 + 1_800_000_000 + 1_000);
    assert_eq!(charge.unpriced_tokens, 4_320);
}

#[test]
fn huge_usage_does_not_overflow() {
    let most = u64::MAX;
    let usage = Usage { input: most, cache_read: most, output: most, ..Usage::default() };
    let charge = prices().charge("gemini", "tiers", &usage, Tariff::Standard);
    assert_eq!(charge.nano_dollars, u64::MAX);
    assert_eq!(prices().charge("x", "y", &usage, Tariff::Standard).unpriced_tokens, u64::MAX);
}

#[test]
fn a_bad_entry_is_reported_and_left_out_and_a_bad_file_changes_nothing() {
    let prices = prices();
    let others = prices.clone();
    for broken in ["", "[]", "{", "{\"m\": {}", "null", "{\"m\": {}} x"] {
        let error = prices.load(broken).unwrap_err().to_string();
        assert!(error.contains("JSON object of models"), "{broken}: {error}");
    }
    assert_eq!(of(&prices, "openai", "m"), Some(20_000));

    let file = json!({
        "good": {"input_cost_per_token": 1e-06},
        "text": {"input_cost_per_token": "1e-06"},
        "negative": {"input_cost_per_token": 1e-06, "output_cost_per_token": -1e-06},
        "dear": {"input_cost_per_token": 19},
        "list": [],
        "ownerless": {"litellm_provider": 7, "input_cost_per_token": 1e-06},
    });
    let problems = prices.load(&file.to_string()).unwrap();
    assert_eq!(
        problems,
        [
            "model \"dear\": input_cost_per_token: is more than 18 dollars per token",
            "model \"list\": is not an object",
            "model \"negative\": output_cost_per_token: is negative",
            "model \"ownerless\": litellm_provider: is not a string",
            "model \"text\": input_cost_per_token: is not a number",
        ]
    );
    // All clones have the new prices in place of the old ones.
    assert_eq!(of(&others, "generic", "good"), Some(10_000));
    assert_eq!(of(&others, "openai", "negative"), None);
    assert_eq!(of(&others, "openai", "m"), None);
}

#[test]
fn a_file_takes_precedence_over_the_built_in_table() {
    let prices = Prices::builtin();
    // $2.50 per million.
    assert_eq!(of(&prices, "openai", "gpt-4o"), Some(25_000));
    assert_eq!(of(&prices, "gemini", "gemini-2.5-flash"), Some(3_000));
    assert_eq!(of(&prices, "groq", "gpt-4o"), None);
    assert_eq!(of(&Prices::none(), "openai", "gpt-4o"), None);
    let file = json!({"gpt-4o": {"litellm_provider": "openai", "input_cost_per_token": 1e-09}});
    prices.load(&file.to_string()).unwrap();
    assert_eq!(of(&prices, "openai", "gpt-4o"), Some(10));
    assert_eq!(of(&prices, "openai", "gpt-4o-mini"), Some(1_500));
}
