//! How each provider speaks: its paths, its refusals, its answers.

mod answer;
mod anthropic;
mod gemini;
mod openai;
mod responses;

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header::IntoHeaderName};
use serde_json::Value;

pub(super) use answer::Answer;

use crate::sandbox::{
    limits::Left,
    refusal::Refusal,
    request::{self, Streaming},
};

/// Which provider a sandbox pretends to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// `https://api.openai.com`
    OpenAi,
    /// `https://api.anthropic.com`
    Anthropic,
    /// `https://generativelanguage.googleapis.com`
    Gemini,
}

/// Whose shape a refusal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tongue {
    OpenAi,
    Anthropic,
    Gemini,
    /// Gemini's own, but in an array, as on its OpenAI-shaped path.
    GeminiList,
}

/// What shape an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Chat,
    Responses,
    Embeddings,
    Models,
    Messages,
    Generate,
}

/// Where a request goes, as its method and path say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'a> {
    pub(super) tongue: Tongue,
    /// None where there is nothing.
    pub(super) form: Option<Form>,
    pub(super) model: Option<&'a str>,
    pub(super) streaming: Streaming,
}

impl Dialect {
    pub(super) fn route<'a>(self, method: &Method, uri: &'a Uri) -> Route<'a> {
        let path = uri.path();
        let post = *method == Method::POST;
        let (tongue, form) = match (self, path) {
            (Self::OpenAi | Self::Anthropic, "/v1/chat/completions") if post => {
                (Tongue::OpenAi, Some(Form::Chat))
            }
            (Self::OpenAi, "/v1/responses") if post => (Tongue::OpenAi, Some(Form::Responses)),
            (Self::OpenAi, "/v1/embeddings") if post => (Tongue::OpenAi, Some(Form::Embeddings)),
            (Self::OpenAi, "/v1/models") if *method == Method::GET => {
                (Tongue::OpenAi, Some(Form::Models))
            }
            (Self::OpenAi, _) => (Tongue::OpenAi, None),
            (Self::Anthropic, "/v1/messages") if post => (Tongue::Anthropic, Some(Form::Messages)),
            (Self::Anthropic, _) => (Tongue::Anthropic, None),
            (Self::Gemini, "/v1beta/openai/chat/completions") if post => {
                (Tongue::GeminiList, Some(Form::Chat))
            }
            (Self::Gemini, _) if path.starts_with("/v1beta/openai/") => (Tongue::GeminiList, None),
            (Self::Gemini, _) => return generate(post, uri),
        };
        Route { tongue, form, model: None, streaming: Streaming::No }
    }
}

/// `/v1beta/models/{model}:{method}`
fn generate(post: bool, uri: &Uri) -> Route<'_> {
    let call = uri.path().strip_prefix("/v1beta/models/").and_then(|rest| rest.split_once(':'));
    let sse = request::query(uri, "alt").any(|alt| alt == "sse");
    let (model, streaming) = match call {
        Some((model, "generateContent")) => (Some(model), Streaming::No),
        Some((model, "streamGenerateContent")) if sse => (Some(model), Streaming::Events),
        Some((model, "streamGenerateContent")) => (Some(model), Streaming::List),
        _ => (None, Streaming::No),
    };
    let form = (post && model.is_some_and(|model| !model.is_empty())).then_some(Form::Generate);
    Route { tongue: Tongue::Gemini, form, model, streaming }
}

/// What a refusal or the headers of an answer speak about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub(super) now: Duration,
    pub(super) account: &'a str,
    pub(super) model: &'a str,
    pub(super) path: &'a str,
    pub(super) request_id: &'a str,
}

/// A refusal in the words of a dialect.
pub(super) struct Told {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Tongue {
    pub(super) fn refuse(self, refusal: &Refusal, context: &Context<'_>) -> Told {
        match self {
            Self::OpenAi => openai::refuse(refusal, context),
            Self::Anthropic => anthropic::refuse(refusal, context),
            Self::Gemini => gemini::refuse(refusal, context),
            Self::GeminiList => {
                let told = gemini::refuse(refusal, context);
                Told { body: Value::Array(vec![told.body]), ..told }
            }
        }
    }

    /// The headers of every response to a known key.
    pub(super) fn greet(self, headers: &mut HeaderMap, context: &Context<'_>) {
        match self {
            Self::OpenAi => openai::greet(headers, context),
            Self::Anthropic => anthropic::greet(headers, context),
            Self::Gemini | Self::GeminiList => {}
        }
    }

    /// The headers that tell what is left of the limits.
    pub(super) fn tell_left(self, headers: &mut HeaderMap, left: &[Left], context: &Context<'_>) {
        match self {
            Self::OpenAi => openai::tell_left(headers, left),
            Self::Anthropic => anthropic::tell_left(headers, left, context),
            Self::Gemini | Self::GeminiList => {}
        }
    }

    /// The header that tells how long an answer took.
    pub(super) fn tell_time(self, headers: &mut HeaderMap, took: Duration) {
        let (name, value) = match self {
            Self::OpenAi => ("openai-processing-ms", took.as_millis().to_string()),
            Self::Anthropic => ("x-envoy-upstream-service-time", took.as_millis().to_string()),
            Self::Gemini | Self::GeminiList => {
                ("server-timing", format!("gfet4t7; dur={}", took.as_millis()))
            }
        };
        put(headers, name, value);
    }
}

/// Inserts a header, unless its value holds what no header can.
fn put(headers: &mut HeaderMap, name: impl IntoHeaderName, value: impl Into<String>) {
    if let Ok(value) = HeaderValue::try_from(value.into()) {
        headers.insert(name, value);
    }
}

/// Per how long, in a word.
fn per(period: Duration) -> String {
    match (period.as_secs(), period.subsec_nanos()) {
        (1, 0) => "second".into(),
        (60, 0) => "minute".into(),
        (3_600, 0) => "hour".into(),
        (86_400, 0) => "day".into(),
        _ => format!("{period:?}"),
    }
}
