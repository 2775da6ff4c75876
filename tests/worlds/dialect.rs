//! What requests and refusals look like with each provider.

use bytes::Bytes;
use fastrand::Rng;
use http::{Request, Response, response::Builder};
use http_body_util::Full;
use tower_key_rotation::{Anthropic, KeyPool, KeyPoolBuilder, OpenAi, provider::Generic};

use super::plan::{Fault, Outage, Task, What};

pub(crate) type Answer = Response<Full<Bytes>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
    Generic,
}

const PAGE: &str = "<html><head><title>Access denied</title></head><body>Blocked</body></html>";

impl Dialect {
    pub(crate) fn drawn(rng: &mut Rng) -> Self {
        match rng.u32(..4) {
            0 | 1 => Self::OpenAi,
            2 => Self::Anthropic,
            _ => Self::Generic,
        }
    }

    pub(crate) fn pool(self) -> KeyPoolBuilder {
        match self {
            Self::OpenAi => KeyPool::builder(OpenAi::default()),
            Self::Anthropic => KeyPool::builder(Anthropic::default()),
            Self::Generic => KeyPool::builder(Generic::new(self.origin())),
        }
    }

    fn origin(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com",
            Self::Anthropic => "https://api.anthropic.com",
            Self::Generic => "https://api.example.com",
        }
    }

    /// A request, with the model that it names.
    pub(crate) fn request(self, task: Task, fault: Option<Fault>) -> Request<Full<Bytes>> {
        let path = match (self, task) {
            (_, Task::Files) => "/v1/files",
            (Self::Anthropic, Task::Embedding) => "/v1/messages/count_tokens",
            (Self::Anthropic, _) => "/v1/messages",
            (_, Task::Embedding) => "/v1/embeddings",
            (_, _) => "/v1/chat/completions",
        };
        let path = if fault == Some(Fault::UnknownPath) { "/v1/no/such/path" } else { path };
        let request = Request::builder().uri([self.origin(), path].concat());
        match model(task, fault) {
            None => request.body(Full::default()),
            Some(model) => {
                let body = format!(
                    r#"{{"model":"{model}","max_tokens":8,"messages":[{{"role":"user","content":"Hello"}}]}}"#
                );
                request.method("POST").header("content-type", "application/json").body(body.into())
            }
        }
        .unwrap()
    }

    /// How many ladders a rejected key stands on. Words that name it are believed of what every key may do,
    /// and of nothing else: not of files, of counting, nor of what is not known.
    pub(crate) fn ladders(self, is_told: bool) -> usize {
        match self {
            Self::OpenAi if is_told => 2,
            Self::Anthropic if is_told => 3,
            _ => Task::ALL.len(),
        }
    }

    /// The secret that a request was sent with.
    pub(crate) fn secret<B>(self, request: &Request<B>) -> &str {
        let header = if self == Self::Anthropic { "x-api-key" } else { "authorization" };
        let value = request.headers().get(header).map_or("", |value| value.to_str().unwrap());
        value.trim_start_matches("Bearer ")
    }

    pub(crate) fn served(self) -> Answer {
        let body = match self {
            Self::OpenAi => {
                r#"{"object":"chat.completion","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1,"total_tokens":10}}"#
            }
            Self::Anthropic => {
                r#"{"type":"message","content":[],"usage":{"input_tokens":9,"output_tokens":1}}"#
            }
            Self::Generic => "{}",
        };
        json(Response::builder(), body)
    }

    /// Refused for what is wrong in the world.
    pub(crate) fn refused(self, what: What) -> Answer {
        match what {
            What::Revoked { is_told: false, .. } => bare(401),
            What::Revoked { .. } | What::Outage(Outage::Keys) => self.wrong_key(),
            What::MayNot { .. } => self.missing_scope(),
            What::Overloaded { status, .. } => self.overloaded(status),
            What::Outage(Outage::Failing) => bare(500),
            What::Outage(Outage::Page) => {
                let page = Response::builder().status(403).header("content-type", "text/html");
                page.body(PAGE.into()).unwrap()
            }
        }
    }

    /// Refused whatever the key.
    pub(crate) fn at_fault(self, fault: Fault) -> Answer {
        match fault {
            Fault::Unauthorized => bare(401),
            Fault::Forbidden => bare(403),
            Fault::UnknownPath => bare(404),
            Fault::Limited => bare(429),
            Fault::ForbiddenModel => match self {
                Self::OpenAi => json(
                    Response::builder().status(403),
                    r#"{"error":{"code":"model_not_found","message":"Project `p` does not have access to model `forbidden`"}}"#,
                ),
                _ => self.missing_scope(),
            },
            Fault::UnknownModel => json(
                Response::builder().status(404),
                match self {
                    Self::OpenAi => {
                        r#"{"error":{"code":"model_not_found","message":"The model `unknown` does not exist or you do not have access to it."}}"#
                    }
                    _ => {
                        r#"{"type":"error","error":{"type":"not_found_error","message":"model: unknown"}}"#
                    }
                },
            ),
        }
    }

    /// Refused for the rate of its account.
    pub(crate) fn limited(self, seconds: u64) -> Answer {
        let refusal = Response::builder().status(429).header("retry-after", seconds.to_string());
        let body = match self {
            Self::OpenAi => {
                r#"{"error":{"code":"rate_limit_exceeded","type":"requests","message":"Rate limit reached on requests per min (RPM)."}}"#
            }
            Self::Anthropic => {
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit."}}"#
            }
            Self::Generic => r#"{"message":"slow down"}"#,
        };
        json(refusal, body)
    }

    fn wrong_key(self) -> Answer {
        let body = match self {
            Self::OpenAi => {
                r#"{"error":{"code":"invalid_api_key","type":"invalid_request_error","message":"Incorrect API key provided."}}"#
            }
            Self::Anthropic => {
                r#"{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}"#
            }
            Self::Generic => r#"{"message":"Invalid API key"}"#,
        };
        json(Response::builder().status(401), body)
    }

    fn missing_scope(self) -> Answer {
        let body = match self {
            Self::OpenAi => {
                r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: model.request."}}"#
            }
            Self::Anthropic => {
                r#"{"type":"error","error":{"type":"permission_error","message":"Your API key does not have permission to use the specified resource"}}"#
            }
            Self::Generic => r#"{"message":"forbidden"}"#,
        };
        json(Response::builder().status(403), body)
    }

    fn overloaded(self, status: u16) -> Answer {
        match self {
            Self::Anthropic => json(
                Response::builder().status(status),
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ),
            _ => bare(status),
        }
    }
}

/// The model that a request names, if any.
pub(crate) fn model(task: Task, fault: Option<Fault>) -> Option<&'static str> {
    match (fault, task) {
        (Some(Fault::ForbiddenModel), _) => Some("forbidden"),
        (Some(Fault::UnknownModel), _) => Some("unknown"),
        (_, Task::LargeChat) => Some("large"),
        (_, Task::SmallChat) => Some("small"),
        (_, Task::Embedding) => Some("embedding"),
        (_, Task::Files) => None,
    }
}

fn bare(status: u16) -> Answer {
    Response::builder().status(status).body(Full::default()).unwrap()
}

fn json(answer: Builder, body: &'static str) -> Answer {
    answer.header("content-type", "application/json").body(body.into()).unwrap()
}
