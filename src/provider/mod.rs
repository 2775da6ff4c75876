//! Dialects: how a key is sent, how limits are told, how failures are read.
//!
//! A [`Provider`] turns what is on the wire into the words of this crate. It holds no state and does
//! no I/O. What is known of it stands in its [`Facts`], which are data: how a key is sent, how limits
//! are told, the [rules](rule) by which refusals are judged, where models, tokens and usage are.
//!
//! | dialect | key | limits are of | told by headers | when they are back |
//! | --- | --- | --- | --- | --- |
//! | [`OpenAi`] | `authorization` | account and model | yes | `retry-after`, message |
//! | [`Anthropic`] | `x-api-key` | account and model | yes | `retry-after` |
//! | [`Gemini`] | `x-goog-api-key` | account and model | no | body |
//! | [`AzureOpenAi`] | `api-key` | account and deployment | yes | `retry-after` |
//! | [`Bedrock`] | `authorization` | account and model | no | not told |
//! | [`Cerebras`] | `authorization` | account and model | yes | `retry-after-ms` |
//! | [`Cohere`] | `authorization` | account and model | of trials | not told |
//! | [`DeepSeek`] | `authorization` | account and model | no | not told |
//! | [`Fireworks`] | `authorization` | account | yes | not told |
//! | [`GitHub`] | `authorization` | account and kind of request | yes | a time |
//! | [`Groq`] | `authorization` | account and model | yes | `retry-after`, message |
//! | [`Mistral`] | `authorization` | account and model | yes | not told |
//! | [`OpenRouter`] | `authorization` | account and model | of refusals | a time |
//! | [`Perplexity`] | `authorization` | account | no | not told |
//! | [`Together`] | `authorization` | account and model | yes | `retry-after` |
//! | [`XAi`] | `authorization` | account and model | some | not told |
//!
//! [`Generic`] serves any API that takes a key in a header and refuses with the usual status codes.
//!
//! ```
//! use std::time::SystemTime;
//! use http::{HeaderMap, StatusCode};
//! use tower_key_rotation::{OpenAi, Verdict, provider::{Answer, Provider}};
//!
//! let headers = HeaderMap::new();
//! let answer = Answer {
//!     status: StatusCode::TOO_MANY_REQUESTS,
//!     headers: &headers,
//!     body: br#"{"error":{"type":"insufficient_quota"}}"#,
//!     now: SystemTime::UNIX_EPOCH,
//! };
//! let ruling = OpenAi::default().classify(&answer);
//! assert!(matches!(ruling.verdict, Verdict::QuotaExhausted { .. }));
//! assert_eq!(ruling.rule, "openai/insufficient-quota");
//! ```

mod clock;
mod conversation;
mod decode;
mod dialects;
mod duration;
mod error_body;
mod facts;
mod figures;
mod ietf;
mod in_stream;
mod limits;
mod mend;
mod model_path;
pub mod operation;
mod processing_time;
mod prompt_cache;
mod refusal_body;
mod request_body;
mod retry_after;
pub mod rule;
#[cfg(test)]
mod tests;
mod tokens;
mod usage_shape;

use std::{fmt, hash::RandomState, time::Duration, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header::AUTHORIZATION};

pub(crate) use self::{
    decode::{Decoder, Encoding, unpacked},
    processing_time::processing_time,
    request_body::count,
};
pub use self::{
    dialects::*,
    facts::Facts,
    limits::{Limits, Line},
    operation::Operation,
    prompt_cache::PromptCache,
    rule::{Match, Rule, Ruling, Wait, WaitError},
    tokens::{TokenSize, Tokenizer},
    usage_shape::{Cost, OutputCap, UsageHeaders, UsageShape},
};
pub use crate::stream::{Framing, StreamEvent};
use crate::{
    Exhausted, Scope, Usage, affinity::Kin, demand::Estimate, limit::Metered, usage::UsageReader,
};

/// A request as a provider sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The method.
    pub method: &'a Method,
    /// The whole URI.
    pub uri: &'a Uri,
    /// The headers, the caller's own credentials among them.
    pub headers: &'a HeaderMap,
    /// The body, empty where it has not been buffered.
    pub body: &'a [u8],
}

/// A response as a provider sees it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The first 64 KiB of a refusal's body as sent, or the data of an error event in the midst of an
    /// answer; empty for other responses.
    pub body: &'a [u8],
    /// When it arrived, by our clock. A provider's own clock (`date`) goes before it.
    pub now: SystemTime,
}

/// One line of what a response tells about a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// What is limited.
    pub metered: Metered,
    /// Of what: the account as a whole, or the account for the model of the request.
    pub scope: Scope,
    /// How the allowance comes back.
    pub refill: Refill,
    /// Per how long, where that is known.
    pub period: Option<Duration>,
    /// The whole allowance.
    pub limit: Option<u64>,
    /// What is left of it.
    pub remaining: Option<u64>,
    /// When the whole allowance is back, counted from the arrival of the response.
    pub reset: Option<Duration>,
}

impl Reading {
    /// A reading that tells nothing yet.
    #[must_use]
    pub fn new(metered: Metered, scope: Scope, refill: Refill) -> Self {
        Self { metered, scope, refill, period: None, limit: None, remaining: None, reset: None }
    }
}

/// How an allowance comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refill {
    /// All the time. The reset is when the allowance is whole if nothing more is taken of it, so that
    /// what was used, divided by it, is the rate.
    Rolling,
    /// Whole at once, at the reset.
    Fixed,
}

/// How a key travels in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Carrier {
    /// `authorization: Bearer <key>`.
    Bearer,
    /// The key alone in a header of its own.
    Header(HeaderName),
}

impl Carrier {
    /// The header.
    pub(crate) fn name(&self) -> &HeaderName {
        match self {
            Self::Bearer => &AUTHORIZATION,
            Self::Header(name) => name,
        }
    }
}

/// A dialect: what is known of a provider, and how it is put to use.
///
/// [`Facts`] are all that is needed; each of the other functions follows them unless it is written
/// anew. Every function is called on the path of a request: none may block, and none may panic on
/// anything a provider or caller can send.
pub trait Provider: fmt::Debug + Send + Sync + 'static {
    /// What is known of it.
    fn facts(&self) -> &Facts;

    /// What a request does, by its method and path: which of its kinds of requests the provider takes
    /// it for. By the collections that providers of models have, or else by the path's first segment.
    fn operation<'a>(&self, method: &Method, uri: &'a Uri) -> Operation<'a> {
        self.facts().operations.read(method, uri.path())
    }

    /// Reads what a request asks for.
    fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
        self.facts().estimate(call)
    }

    /// Judges a response with a status of 400 or above, or an error event within one of 200, which is
    /// then the body.
    fn classify(&self, answer: &Answer<'_>) -> Ruling {
        self.facts().judge(answer)
    }

    /// Reads what a response tells about limits, one call of `report` for each.
    fn readings(&self, answer: &Answer<'_>, report: &mut dyn FnMut(Reading)) {
        self.facts().limits.read(answer, report);
    }

    /// How to read the body of a response that began well, if errors may come in it; `None`: they do
    /// not, and it is passed on without being looked at for any. By its type, and
    /// [`Facts::errors_in`].
    ///
    /// `streamed` says whether the request asked for a stream, as far as [`estimate`](Self::estimate)
    /// could tell.
    fn framing(&self, headers: &HeaderMap, streamed: bool) -> Option<Framing> {
        in_stream::framing(headers, streamed, self.facts().errors_in)
    }

    /// Whether an event of a stream is nothing that anybody waits for, such as Anthropic's `ping`, or a
    /// chunk in which all is empty. What comes before the first event that is more may still be taken
    /// back.
    fn is_prelude(&self, event: &StreamEvent<'_>) -> bool {
        in_stream::is_prelude(event)
    }

    /// Whether an event is the last of its stream, such as `[DONE]`. What was used is known by then,
    /// also if the rest is not read.
    fn is_end(&self, event: &StreamEvent<'_>) -> bool {
        in_stream::is_end(event)
    }

    /// Whether an event of a stream only ends the answer, or tells what it used. A stream in which nothing
    /// comes before is empty, and counts as failed: another key may do better.
    fn is_empty_end(&self, event: &StreamEvent<'_>) -> bool {
        in_stream::is_empty_end(event)
    }

    /// Whether an event of a stream tells of an error: its data is judged like the body of a response.
    ///
    /// It is asked about every event of a stream, and has to be quick where there is no error.
    fn is_error(&self, event: &StreamEvent<'_>) -> bool {
        in_stream::is_error(event)
    }

    /// What is to read from a response that began well what was used; none where it does not tell. By
    /// [`Facts::usage`] and [`Facts::usage_headers`], of JSON and server-sent events.
    fn usage_reader(&self, headers: &HeaderMap) -> Option<UsageReader> {
        let facts = self.facts();
        let is_told = !facts.usage.is_empty() && in_stream::is_stream_or_json(headers);
        is_told.then(|| {
            let reader = UsageReader::new(facts.usage);
            match facts.usage_headers {
                Some(names) => reader.headers(names, headers),
                None => reader,
            }
        })
    }

    /// The body of a request for a stream, with its usage asked for; none where it need not be asked
    /// for ([`UsageShape::on_request`]), or the caller has said whether to. It is called for requests
    /// for streams only.
    fn ask_usage(&self, call: &Call<'_>) -> Option<Bytes> {
        // Chat completions, and the older completions.
        let is_asked_for = call.uri.path().ends_with("/completions")
            && self.facts().usage.iter().any(|shape| shape.on_request);
        is_asked_for.then(|| request_body::with_usage(call.body)).flatten()
    }

    /// Whether an event is there for its usage alone. It is left out where we asked for it and the
    /// caller did not.
    fn is_usage_alone(&self, event: &StreamEvent<'_>) -> bool {
        in_stream::is_usage_alone(event)
    }

    /// How many tokens of a prompt count towards limits: all, or those that were not
    /// [read from a cache](Facts::counts_cache_reads).
    fn counted_input(&self, usage: &Usage) -> u64 {
        let all = usage.all_input();
        match self.facts().counts_cache_reads {
            true => all,
            false => all.saturating_sub(usage.cache_read),
        }
    }

    /// Whether a limit on tokens gets back what a request turned out not to need: where only what is
    /// [really produced](OutputCap::Produced) counts.
    fn gives_back(&self) -> bool {
        self.facts().output_cap == OutputCap::Produced
    }

    /// Whether a request may be sent again after a broken connection or a 5xx, when the provider
    /// may have begun to work on it.
    fn may_repeat(&self, method: &Method) -> bool {
        self.facts().may_repeat(method)
    }

    /// The body of the answer when no key is left, in the provider's own error shape (JSON).
    fn refusal_body(&self, exhausted: &Exhausted) -> Bytes {
        self.facts().error_shape.body(exhausted)
    }
}

impl Provider for Facts {
    fn facts(&self) -> &Facts {
        self
    }
}

impl Facts {
    fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
        let mut estimate = match self.reads_bodies {
            true => request_body::estimate(call.body, self.tokens),
            false => Estimate::default(),
        };
        if let Some((model, stream)) = self.model_path.and_then(|path| path.read(call.uri)) {
            estimate.model = Some(model);
            estimate.stream = stream.unwrap_or(estimate.stream);
        }
        estimate
    }

    /// By what a request says of itself: which conversation it goes on with.
    pub(crate) fn kin(
        &self,
        keys: &RandomState,
        call: &Call<'_>,
        model: Option<&str>,
    ) -> Option<Kin> {
        let PromptCache { least_tokens, header, .. } = &self.prompt_cache;
        let named = header.as_ref().and_then(|name| call.headers.get(name));
        match named {
            Some(name) => Some(Kin::named(keys, name.as_bytes())),
            None if self.reads_bodies => {
                let least = self.tokens.bytes_of(*least_tokens);
                conversation::kin(keys, call.body, model, least)
            }
            None => None,
        }
    }
}
