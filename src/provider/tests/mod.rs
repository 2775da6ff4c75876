mod dialects;
mod facts;
mod hostile;
mod limits;
mod readings;
mod streams;
mod usage;

use http::HeaderValue;

use super::*;

fn all() -> Vec<Box<dyn Provider>> {
    vec![
        Box::new(OpenAi::default()),
        Box::new(Anthropic::default()),
        Box::new(Gemini::default()),
        Box::new(AzureOpenAi::new("https://r.openai.azure.com")),
        Box::new(Bedrock::region("us-east-1")),
        Box::new(Cerebras::default()),
        Box::new(Cohere::default()),
        Box::new(DeepSeek::default()),
        Box::new(Fireworks::default()),
        Box::new(GitHub::default()),
        Box::new(Groq::default()),
        Box::new(Mistral::default()),
        Box::new(OpenRouter::default()),
        Box::new(Perplexity::default()),
        Box::new(Together::default()),
        Box::new(XAi::default()),
        Box::new(Generic::new("https://api.example.com")),
    ]
}

/// 2026-01-15T20:00:00Z
const NOW: u64 = 1_768_507_200;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

fn readings(provider: &dyn Provider, status: StatusCode, headers: &HeaderMap) -> Vec<Reading> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let mut all = Vec::new();
    let answer = Answer { status, headers, body: b"", now };
    provider.readings(&answer, &mut |reading| all.push(reading));
    all
}
