mod dialects;
mod hostile;
mod readings;

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Answer, Anthropic, Gemini, Generic, OpenAi, Provider, Reading, Ruling};

fn all() -> [Box<dyn Provider>; 4] {
    [
        Box::new(OpenAi::default()),
        Box::new(Anthropic::default()),
        Box::new(Gemini::default()),
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
