mod dialects;
mod hostile;
mod limits;
mod readings;
mod spec;
mod streams;
mod usage;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::*;
use crate::{Anthropic, AzureOpenAi, Gemini, OpenAi, usage::Usage, verdict::Scope};

/// All dialects, those without an origin of their own at one.
fn all() -> Vec<Arc<dyn Provider>> {
    let origin = |dialect| match dialect {
        Builtin::Azure => "https://r.openai.azure.com",
        Builtin::Bedrock => "https://bedrock-runtime.us-east-1.amazonaws.com",
        _ => "https://api.example.com",
    };
    Builtin::ALL.map(|dialect| dialect.provider(origin(dialect))).into()
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

fn readings(provider: &dyn Provider, status: StatusCode, headers: &HeaderMap) -> Vec<LimitReading> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
    let mut all = Vec::new();
    let answer = Answer::new(status, headers, now);
    provider.readings(&answer, &mut |reading| all.push(reading));
    all
}
