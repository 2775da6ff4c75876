//! Reading a request: whose it is, and what it asks for.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Uri, header};
use serde_json::Value;

use crate::sandbox::{
    dialect::{Form, Route, Tongue},
    prompt::{self, Prompt},
    refusal::Refusal,
};

/// The one secret a request carries, if it comes in a way that counts here.
pub(super) fn credential<'a>(
    headers: &'a HeaderMap,
    uri: &'a Uri,
    tongue: Tongue,
) -> Result<&'a str, Refusal> {
    let bearer = all(headers, header::AUTHORIZATION.as_str());
    let bearer = bearer.map(|value| (Carrier::Bearer, value.and_then(after_bearer)));
    let anthropic = all(headers, "x-api-key").map(|value| (Carrier::XApiKey, value));
    let google = all(headers, "x-goog-api-key").map(|value| (Carrier::XGoogApiKey, value));
    let query = query(uri, "key").map(|value| (Carrier::Query, Some(value)));

    let mut credentials = bearer.chain(anthropic).chain(google).chain(query);
    match (credentials.next(), credentials.next()) {
        (Some(_), Some(_)) => Err(Refusal::SeveralCredentials),
        (Some((carrier, Some(secret))), None) if counts(carrier, tongue) => Ok(secret),
        _ => Err(Refusal::NoCredential),
    }
}

#[derive(Clone, Copy)]
enum Carrier {
    Bearer,
    XApiKey,
    XGoogApiKey,
    Query,
}

fn counts(carrier: Carrier, tongue: Tongue) -> bool {
    match tongue {
        Tongue::OpenAi | Tongue::GeminiList => matches!(carrier, Carrier::Bearer),
        Tongue::Anthropic => matches!(carrier, Carrier::XApiKey | Carrier::Bearer),
        Tongue::Gemini => matches!(carrier, Carrier::XGoogApiKey | Carrier::Query),
    }
}

fn all<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = Option<&'a str>> {
    headers.get_all(name).into_iter().map(|value: &HeaderValue| value.to_str().ok())
}

fn after_bearer(value: &str) -> Option<&str> {
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// Every value of a parameter of the query.
pub(super) fn query<'a>(uri: &'a Uri, name: &str) -> impl Iterator<Item = &'a str> {
    let pairs = uri.query().unwrap_or_default().split('&');
    pairs
        .filter_map(move |pair| pair.split_once('=').filter(|(key, _)| *key == name))
        .map(|(_, value)| value)
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) form: Form,
    /// None in a request that calls no model.
    pub(super) model: Option<Arc<str>>,
    pub(super) prompt: Prompt,
    /// The most tokens of the answer, if said.
    pub(super) most: Option<u64>,
    pub(super) streaming: Streaming,
    /// Whether a stream has an extra chunk for the usage.
    pub(super) include_usage: bool,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Streaming {
    /// In one piece.
    No,
    /// As server-sent events.
    Events,
    /// As the elements of one JSON array.
    List,
}

/// Counts the tokens of a text.
pub(super) type Count = Arc<dyn Fn(&str) -> u64 + Send + Sync>;

pub(super) fn read(route: &Route, body: &[u8], count: Option<&Count>) -> Result<Asked, Refusal> {
    let form = route.form.ok_or(Refusal::UnknownPath)?;
    if form == Form::Models {
        let streaming = Streaming::No;
        return Ok(Asked {
            form,
            model: None,
            prompt: Prompt::default(),
            most: Some(0),
            streaming,
            include_usage: false,
        });
    }
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return Err(Refusal::BadRequest("We could not parse the JSON body of your request."));
    };
    let named = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    let model = route.model.or(named).map(Arc::from);
    if model.is_none() {
        return Err(Refusal::BadRequest("you must provide a model parameter"));
    }
    let number = |name| body.get(name).and_then(Value::as_u64);
    let flag = |name| body.get(name).and_then(Value::as_bool).unwrap_or_default();
    let most = match form {
        Form::Models | Form::Embeddings => Some(0),
        Form::Chat => number("max_completion_tokens").or(number("max_tokens")),
        Form::Responses => number("max_output_tokens"),
        Form::Messages => number("max_tokens"),
        Form::Generate => {
            let config = body.get("generationConfig");
            config.and_then(|config| config.get("maxOutputTokens")).and_then(Value::as_u64)
        }
    };
    if form == Form::Messages && most.is_none() {
        return Err(Refusal::BadRequest("max_tokens: Field required"));
    }
    let streaming = match form {
        Form::Chat | Form::Responses | Form::Messages if flag("stream") => Streaming::Events,
        _ => route.streaming,
    };
    let include_usage = body.get("stream_options").and_then(|options| options.get("include_usage"));
    let prompt = prompt::read(form, model.as_deref().unwrap_or_default(), &body, count);
    Ok(Asked {
        form,
        model,
        prompt,
        most,
        streaming,
        include_usage: include_usage.and_then(Value::as_bool).unwrap_or_default(),
    })
}
