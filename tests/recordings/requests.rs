//! What requests ask for, read a second time: the whole body parsed.

use http::HeaderMap;
use serde_json::Value;
use tower_key_rotation::provider::{Call, Provider};

use crate::{coverage::Found, recording::Recording};

pub(crate) fn check(provider: &dyn Provider, recording: &Recording) -> Found {
    let Recording { method, uri, asked, .. } = recording;
    let headers = HeaderMap::new();
    let call = Call::new(method, uri, &headers).with_body(asked);
    let estimate = provider.estimate(&call);
    let body: Value = serde_json::from_slice(asked).unwrap_or_default();
    let facts = provider.spec();
    if facts.name == "github" || facts.name == "generic" {
        return Ok(0);
    }
    let model = in_path(uri.path()).or_else(|| body["model"].as_str().map(str::to_owned));
    let model = model.map(|model| model.trim_start_matches("models/").to_owned());
    if estimate.model.as_deref() != model.as_deref() {
        return Err(format!("the model is {model:?}, and {:?} was read", estimate.model));
    }
    let path = uri.path();
    let by_path = path.contains("streamGenerateContent") || path.ends_with("-stream");
    let is_native = path.contains(':') || path.contains("/model/");
    let stream = if is_native { by_path } else { body["stream"] == true };
    if estimate.stream != stream {
        return Err(format!("stream is {stream}, and {} was read", estimate.stream));
    }
    let cap = cap(&body);
    if estimate.output_tokens != cap {
        return Err(format!("the output cap is {cap}, and {} was read", estimate.output_tokens));
    }
    Ok(usize::from(model.is_some()))
}

fn in_path(path: &str) -> Option<String> {
    let behind = |part: &str| {
        let mut parts = path.split('/').skip_while(|other| *other != part);
        parts.nth(1).map(str::to_owned)
    };
    let google = path.rsplit('/').next()?.split_once(':').map(|(model, _)| model.to_owned());
    let model = google.filter(|_| !path.contains("/model/"));
    let model = model.or_else(|| behind("deployments")).or_else(|| behind("model"))?;
    Some(model.replace("%3A", ":").replace("%3a", ":"))
}

fn cap(body: &Value) -> u64 {
    let config = &body["generationConfig"];
    let inference = &body["inferenceConfig"];
    let caps = [
        &body["max_tokens"],
        &body["max_completion_tokens"],
        &body["max_output_tokens"],
        &body["max_tokens_to_sample"],
        &config["maxOutputTokens"],
        &inference["maxTokens"],
        &inference["max_new_tokens"],
        &body["generation_config"]["max_output_tokens"],
    ];
    let cap = caps.into_iter().filter_map(Value::as_u64).max().unwrap_or(0);
    let choices = body["n"].as_u64().or(config["candidateCount"].as_u64()).unwrap_or(1);
    cap * choices.max(1)
}
