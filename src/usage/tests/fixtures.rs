//! Usage as each dialect reports it.

use serde_json::{Value, json};

/// A name that starts with the dialect, usage in its words, the tokens of each kind, and the total that the
/// provider reports, if any.
type Fixture = (&'static str, Value, [u64; 6], Option<u64>);

pub(super) fn fixtures() -> Vec<Fixture> {
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
            "Anthropic: caches separate from the prompt, writes for an hour part of all writes",
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
            "Gemini: cached tokens part of the prompt, thoughts and results of tools separate",
            json!({"usageMetadata": {"promptTokenCount": 100, "cachedContentTokenCount": 60, "candidatesTokenCount": 20,
                "thoughtsTokenCount": 50, "toolUsePromptTokenCount": 7, "totalTokenCount": 177,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}]}}),
            [47, 60, 0, 0, 20, 50],
            Some(177),
        ),
        (
            "Gemini without an answer",
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
            "OpenAI's dialect from xAI: reasoning separate from the answer, as the total shows",
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
            "xAI responses: reasoning part of the answer",
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
            "Groq reports in its own place",
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
            "Mistral with audio, separate from the prompt",
            json!({"usage": {"prompt_audio_seconds": 5, "prompt_tokens": 11, "completion_tokens": 15, "total_tokens": 401,
                "prompt_tokens_details": {"audio_tokens": 375, "cached_tokens": 9}}}),
            [377, 9, 0, 0, 15, 0],
            Some(401),
        ),
        (
            "OpenAI with audio, part of the prompt",
            json!({"usage": {"prompt_tokens": 90, "completion_tokens": 15, "total_tokens": 105,
                "prompt_tokens_details": {"audio_tokens": 70, "cached_tokens": 0}}}),
            [90, 0, 0, 0, 15, 0],
            Some(105),
        ),
        (
            "OpenAI: more cached tokens than input tokens",
            json!({"usage": {"prompt_tokens": 7, "completion_tokens": 1, "total_tokens": 8,
                "prompt_tokens_details": {"cached_tokens": 163}}}),
            [0, 7, 0, 0, 1, 0],
            Some(8),
        ),
        (
            "OpenRouter: more reasoning than output, and not in the total",
            json!({"usage": {"prompt_tokens": 43, "completion_tokens": 10, "total_tokens": 53,
                "completion_tokens_details": {"reasoning_tokens": 11}}}),
            [43, 0, 0, 0, 0, 10],
            Some(53),
        ),
        (
            "Cohere, with fractional counts",
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
            "Bedrock's last event, for any model",
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
