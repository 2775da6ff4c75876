//! Where a request goes: which API its method and path name, in which dialect.

use std::borrow::Cow;

use http::{Method, Uri};

/// Which provider a sandbox imitates.
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

/// The target of a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'a> {
    pub(super) wire: WireFormat,
    /// None if no API has this path.
    pub(super) api: Option<Api>,
    /// The model, if the path names it.
    pub(super) model: Option<&'a str>,
    pub(super) delivery: Delivery,
}

/// The shape of credentials, refusals and headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WireFormat {
    OpenAi,
    Anthropic,
    Gemini,
    /// As Gemini's, but each error body is wrapped in an array, as on Gemini's OpenAI-shaped path.
    GeminiArray,
}

/// What a request calls, which decides the shape of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's responses.
    Responses,
    /// OpenAI's embeddings.
    Embeddings,
    /// OpenAI's list of models.
    Models,
    /// Anthropic's messages.
    Messages,
    /// Gemini's content generation.
    Generate,
}

/// How an answer is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// In one piece.
    Whole,
    /// As server-sent events.
    Events,
    /// As the elements of one JSON array.
    Array,
}

impl Delivery {
    pub(super) fn is_stream(self) -> bool {
        self != Self::Whole
    }
}

impl Dialect {
    pub(super) fn route<'a>(self, method: &Method, uri: &'a Uri) -> Route<'a> {
        let path = uri.path();
        let post = *method == Method::POST;
        let (wire, api) = match (self, path) {
            (Self::OpenAi | Self::Anthropic, "/v1/chat/completions") if post => {
                (WireFormat::OpenAi, Some(Api::Chat))
            }
            (Self::OpenAi, "/v1/responses") if post => (WireFormat::OpenAi, Some(Api::Responses)),
            (Self::OpenAi, "/v1/embeddings") if post => (WireFormat::OpenAi, Some(Api::Embeddings)),
            (Self::OpenAi, "/v1/models") if *method == Method::GET => {
                (WireFormat::OpenAi, Some(Api::Models))
            }
            (Self::OpenAi, _) => (WireFormat::OpenAi, None),
            (Self::Anthropic, "/v1/messages") if post => {
                (WireFormat::Anthropic, Some(Api::Messages))
            }
            (Self::Anthropic, _) => (WireFormat::Anthropic, None),
            (Self::Gemini, "/v1beta/openai/chat/completions") if post => {
                (WireFormat::GeminiArray, Some(Api::Chat))
            }
            (Self::Gemini, _) if path.starts_with("/v1beta/openai/") => {
                (WireFormat::GeminiArray, None)
            }
            (Self::Gemini, _) => return gemini(post, uri),
        };
        Route { wire, api, model: None, delivery: Delivery::Whole }
    }
}

/// `/v1beta/models/{model}:{method}`
fn gemini(post: bool, uri: &Uri) -> Route<'_> {
    let call = uri.path().strip_prefix("/v1beta/models/").and_then(|rest| rest.split_once(':'));
    let sse = query_values(uri, "alt").any(|alt| alt == "sse");
    let (model, delivery) = match call {
        Some((model, "generateContent")) => (Some(model), Delivery::Whole),
        Some((model, "streamGenerateContent")) if sse => (Some(model), Delivery::Events),
        Some((model, "streamGenerateContent")) => (Some(model), Delivery::Array),
        _ => (None, Delivery::Whole),
    };
    let api = (post && model.is_some_and(|model| !model.is_empty())).then_some(Api::Generate);
    Route { wire: WireFormat::Gemini, api, model, delivery }
}

/// Each value of a query parameter.
pub(super) fn query_values<'a>(uri: &'a Uri, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.filter(move |(key, _)| key == name).map(|(_, value)| value)
}
