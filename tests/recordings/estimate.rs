//! The estimate of streams that report no usage, beside the true count of those that do.

use std::{
    convert::Infallible,
    future::ready,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full};
use memchr::memmem;
use serde_json::Value;
use tower::{Layer, ServiceExt};
use tower_key_rotation::{
    ApiKey, KeyPool, ReplayBody, RotationStack,
    provider::Provider,
    usage::{Usage, UsageRecord, UsageSink},
};

use crate::{dialect, recording, recording::Recording, say};

/// An answer of a few tokens has one or two that are not seen, such as the one that ends it.
const FEW: u64 = 3;
/// A tool call is written in a template of the model's own, which is not seen.
const TEMPLATE: u64 = 10;

#[derive(Debug, Default)]
struct Kept(Mutex<Option<Usage>>);

impl UsageSink for Kept {
    fn record(&self, record: &UsageRecord<'_>) {
        *self.0.lock().unwrap() = record.usage;
    }
}

#[tokio::test]
async fn streams_are_estimated_within_a_quarter_of_the_true_count() {
    let Some(folder) = std::env::var_os("RECORDINGS_DIR") else { return };
    let mut wrong = Vec::new();
    say(format_args!("{:>6} {:>9} {:>6}  stream", "true", "estimated", "ratio"));
    for recording in recording::all(folder.as_ref()) {
        let provider = dialect(&recording.provider);
        let Some(told) = told(&*provider, &recording) else { continue };
        let estimated = estimated(provider, &recording).await;
        let why = excluded(&recording, &told);
        let name = recording.name.rsplit("/").take(2).collect::<Vec<_>>();
        let ratio = estimated as f64 / told.all_output() as f64;
        let row = format!(
            "{:>6} {estimated:>9} {ratio:>6.2}  {}/{} {}",
            told.all_output(),
            name[1],
            name[0],
            why.unwrap_or_default()
        );
        say(&row);
        let room = (told.all_output() / 4).max(FEW) + TEMPLATE * calls(&recording);
        if why.is_none() && estimated.abs_diff(told.all_output()) > room {
            wrong.push(row);
        }
    }
    assert!(wrong.is_empty(), "off by more than a quarter:\n{}", wrong.join("\n"));
}

/// The true count, if it is a stream that reports one.
fn told(provider: &dyn Provider, recording: &Recording) -> Option<Usage> {
    let is_stream = !recording.is_refusal()
        && recording.headers.get(CONTENT_TYPE)?.to_str().ok()?.starts_with("text/event-stream");
    let mut reader = provider.usage_reader(&recording.headers).filter(|_| is_stream)?;
    reader.feed(&recording.body);
    reader.usage().filter(|usage| usage.all_output() > 0)
}

/// What is recorded for the same stream if it does not report it.
async fn estimated(provider: Arc<dyn Provider>, recording: &Recording) -> u64 {
    let kept = Arc::new(Kept::default());
    let origin = provider.spec().origin.clone();
    let pool =
        KeyPool::builder(provider).key(ApiKey::new("not-a-real-key")).usage_sink(Arc::clone(&kept));
    let pool = pool.build().unwrap();
    let mut body = recording.body.clone();
    for at in memmem::find_iter(&recording.body, b"\"usage") {
        body[at + 1] = b'_';
    }
    let answer = move |_: Request<ReplayBody>| {
        let response = Response::builder().header(CONTENT_TYPE, "text/event-stream");
        ready(Ok::<_, Infallible>(response.body(Full::new(Bytes::from(body.clone()))).unwrap()))
    };
    let path = recording.uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder().method(recording.method.clone());
    let request = request.uri(format!("{origin}{path}"));
    let request = request.body(String::from_utf8(recording.asked.clone()).unwrap()).unwrap();
    let stack = RotationStack::new(&pool).layer(tower::service_fn(answer));
    let response = stack.oneshot(request).await.unwrap();
    response.into_body().collect().await.unwrap();
    let usage = kept.0.lock().unwrap().take();
    usage.map_or(0, |usage| usage.all_output())
}

/// Why a stream is not compared: not all that was generated is in it.
fn excluded(recording: &Recording, told: &Usage) -> Option<&'static str> {
    let reasoning: usize = recording.documents().iter().map(reasoning).sum();
    if !recording.errors_within().is_empty() {
        return Some("(not compared: it failed)");
    }
    // Less than a letter for each token that is reported.
    (told.reasoning > reasoning as u64).then_some("(not compared: its reasoning is hidden)")
}

/// How long the text of reasoning in an event is, in bytes.
fn reasoning(document: &Value) -> usize {
    let kind = document["type"].as_str().unwrap_or_default();
    let delta = match kind.contains("reasoning") {
        true => document["delta"].as_str().map_or(0, str::len),
        false => 0,
    };
    delta + named(document, &["reasoning", "reasoning_content", "thinking"])
}

fn named(value: &Value, names: &[&str]) -> usize {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) if names.contains(&&**name) => text.len(),
                _ => named(value, names),
            })
            .sum(),
        Value::Array(items) => items.iter().map(|item| named(item, names)).sum(),
        _ => 0,
    }
}

/// How many tools are called.
fn calls(recording: &Recording) -> u64 {
    recording.documents().iter().map(calls_in).max().unwrap_or(0).max(
        recording
            .documents()
            .iter()
            .filter(|event| event["response"].is_null())
            .map(calls_in)
            .sum(),
    )
}

fn calls_in(value: &Value) -> u64 {
    match value {
        Value::Object(members) => {
            let is_call = members.get("name").is_some_and(Value::is_string)
                && ["arguments", "input", "args"].iter().any(|name| members.contains_key(*name));
            u64::from(is_call) + members.values().map(calls_in).sum::<u64>()
        }
        Value::Array(items) => items.iter().map(calls_in).sum(),
        _ => 0,
    }
}
