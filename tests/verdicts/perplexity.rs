use tower_key_rotation::provider::Perplexity;

use super::*;

#[test]
fn verdicts() {
    shown();
}

pub(super) fn shown() -> Shown {
    table(
        &Perplexity::default(),
        &[
            (
                "no credit, or no key: nothing is proven about the account",
                401,
                &[],
                r#"{"error":{"message":"Invalid API key or insufficient credits. Please check your account","type":"invalid_api_key","code":401}}"#,
                KEY_REJECTED,
                "perplexity/no-credit-or-key",
            ),
            (
                "the same as a page",
                401,
                &[HTML],
                "<html><head><title>401 Authorization Required</title></head></html>",
                KEY_IN_DOUBT,
                "perplexity/no-credit-or-key",
            ),
            (
                "wrong key",
                401,
                &[],
                r#"{"error":{"message":"Invalid API key provided. Ensure your API key is correct and active.","type":"invalid_api_key","code":401}}"#,
                KEY_REJECTED,
                "perplexity/invalid-key",
            ),
            (
                "pay",
                402,
                &[],
                r#"{"error":{"message":"Payment required","code":402}}"#,
                quota(UNKNOWN, ACCOUNT).inferred(),
                "status/402",
            ),
            (
                "a tier without the model",
                403,
                &[],
                r#"{"error":{"message":"This model is not in your tier","type":"forbidden","code":403}}"#,
                PERMISSION_IN_DOUBT,
                "status/403",
            ),
            (
                "too many",
                429,
                &[],
                r#"{"error":{"message":"Request rate limit exceeded, please try again later.","type":"rate_limit_exceeded","code":429}}"#,
                limited(UNKNOWN, ACCOUNT),
                "openai/rate-limit",
            ),
            (
                "too many, as a page: our address",
                429,
                &[HTML],
                "<html></html>",
                overloaded(UNKNOWN).of(PROVIDER).inferred(),
                "page/429",
            ),
            (
                "prompt too long",
                400,
                &[],
                r#"{"error":{"message":"Prompt is too long","type":"too_many_prompt_tokens","code":400}}"#,
                CALLER_FAULT,
                "status/4xx",
            ),
            ("not a path", 404, &[("content-type", "text/plain")], "", CALLER_FAULT, "status/4xx"),
            ("server error", 500, &[], "", TRANSIENT.inferred(), "status/5xx"),
        ],
    )
}
