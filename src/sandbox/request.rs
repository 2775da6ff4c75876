//! Reads a request: the secret that it carries, and what it asks for.

use std::{borrow::Cow, sync::Arc};

use http::{HeaderMap, HeaderValue, Uri, header};
use serde_json::Value;

use crate::sandbox::{
    prompt::{self, CountTokens, Prompt},
    refusal::Refusal,
    route::{Api, Delivery, Route, WireFormat, query_values},
};

/// The only secret of a request, sent in a place that its wire format accepts.
///
/// # Errors
/// The refusal of a request that carries no such secret, or more than one secret.
pub(super) fn credential<'a>(
    headers: &'a HeaderMap,
    uri: &'a Uri,
    wire: WireFormat,
) -> Result<Cow<'a, str>, Refusal> {
    let in_header = |name, place| {
        let values =
            headers.get_all(name).into_iter().map(|value: &HeaderValue| value.to_str().ok());
        values.map(move |value| (place, value.map(Cow::Borrowed)))
    };
    let bearer = headers.get_all(header::AUTHORIZATION).into_iter().map(|value| {
        let secret = value.to_str().ok().and_then(after_bearer);
        (SecretPlace::Bearer, secret.map(Cow::Borrowed))
    });
    let anthropic = in_header("x-api-key", SecretPlace::XApiKey);
    let google = in_header("x-goog-api-key", SecretPlace::XGoogApiKey);
    let query = query_values(uri, "key").map(|value| (SecretPlace::Query, Some(value)));

    let mut credentials = bearer.chain(anthropic).chain(google).chain(query);
    match (credentials.next(), credentials.next()) {
        (Some(_), Some(_)) => Err(Refusal::SeveralCredentials),
        (Some((place, Some(secret))), None) if place.is_accepted(wire) => Ok(secret),
        _ => Err(Refusal::NoCredential),
    }
}

#[derive(Clone, Copy)]
enum SecretPlace {
    Bearer,
    XApiKey,
    XGoogApiKey,
    Query,
}

impl SecretPlace {
    fn is_accepted(self, wire: WireFormat) -> bool {
        match wire {
            WireFormat::OpenAi | WireFormat::GeminiArray => matches!(self, Self::Bearer),
            WireFormat::Anthropic => matches!(self, Self::XApiKey | Self::Bearer),
            WireFormat::Gemini => matches!(self, Self::XGoogApiKey | Self::Query),
        }
    }
}

fn after_bearer(value: &str) -> Option<&str> {
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// What a request asks for.
#[derive(Clone, Debug)]
pub(super) struct ParsedRequest {
    pub(super) api: Api,
    /// None if the request calls no model.
    pub(super) model: Option<Arc<str>>,
    pub(super) prompt: Prompt,
    /// The largest number of answer tokens that the request allows, if it names one.
    pub(super) max_tokens: Option<u64>,
    pub(super) delivery: Delivery,
    /// Whether a stream ends with an extra chunk for the usage.
    pub(super) include_usage: bool,
}

pub(super) fn read(
    route: &Route<'_>,
    body: &[u8],
    count_tokens: Option<&CountTokens>,
) -> Result<ParsedRequest, Refusal> {
    let api = route.api.ok_or(Refusal::UnknownPath)?;
    if api == Api::Models {
        return Ok(ParsedRequest {
            api,
            model: None,
            prompt: Prompt::default(),
            max_tokens: Some(0),
            delivery: Delivery::Whole,
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
    let max_tokens = match api {
        Api::Models | Api::Embeddings => Some(0),
        Api::Chat => number("max_completion_tokens").or(number("max_tokens")),
        Api::Responses => number("max_output_tokens"),
        Api::Messages => number("max_tokens"),
        Api::Generate => {
            let config = body.get("generationConfig");
            config.and_then(|config| config.get("maxOutputTokens")).and_then(Value::as_u64)
        }
    };
    if api == Api::Messages && max_tokens.is_none() {
        return Err(Refusal::BadRequest("max_tokens: Field required"));
    }
    let delivery = match api {
        Api::Chat | Api::Responses | Api::Messages if flag("stream") => Delivery::Events,
        _ => route.delivery,
    };
    let include_usage = body.get("stream_options").and_then(|options| options.get("include_usage"));
    let prompt = prompt::read(api, model.as_deref().unwrap_or_default(), &body, count_tokens);
    Ok(ParsedRequest {
        api,
        model,
        prompt,
        max_tokens,
        delivery,
        include_usage: include_usage.and_then(Value::as_bool).unwrap_or_default(),
    })
}
