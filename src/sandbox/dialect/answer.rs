//! An answer: in one piece, or frame by frame, each frame made from its number alone.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use serde_json::Value;

use super::{Form, anthropic, gemini, openai, responses};
use crate::sandbox::{cache::Cached, request::Streaming};

/// What there is to say. How it is said follows from the form.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Answer {
    pub(in crate::sandbox) form: Form,
    pub(in crate::sandbox) streaming: Streaming,
    pub(in crate::sandbox) id: String,
    /// Seconds of the wall clock.
    pub(in crate::sandbox) created: u64,
    pub(in crate::sandbox) model: Arc<str>,
    /// The models there are.
    pub(in crate::sandbox) models: Arc<[Arc<str>]>,
    /// Tokens of the prompt.
    pub(in crate::sandbox) prompt: u64,
    /// Those of them that have to do with the cache.
    pub(in crate::sandbox) cached: Cached,
    /// Tokens of the answer.
    pub(in crate::sandbox) tokens: u64,
    /// Whether the request allowed fewer tokens than there would have been.
    pub(in crate::sandbox) cut_short: bool,
    /// How many events carry the text.
    pub(in crate::sandbox) events: u64,
    /// Whether a stream has an extra chunk for the usage.
    pub(in crate::sandbox) include_usage: bool,
    /// What an error event says, if not the usual.
    pub(in crate::sandbox) refusal: Option<Value>,
}

/// A frame of a stream: an event with its blank line.
pub(in crate::sandbox) struct Frame {
    pub(in crate::sandbox) bytes: Bytes,
    /// Tokens of the answer in it.
    pub(in crate::sandbox) tokens: u64,
}

/// A frame by its place.
pub(super) enum Part {
    /// Before the text; counted from 0.
    Head(u64),
    /// So many tokens of the text.
    Text(Range<u64>),
    /// After the text; counted from 0.
    Tail(u64),
}

impl Answer {
    pub(in crate::sandbox) fn content_type(&self) -> &'static str {
        match (self.streaming, self.form) {
            (Streaming::Events, Form::Generate) => "text/event-stream",
            (Streaming::Events, _) => "text/event-stream; charset=utf-8",
            (_, Form::Generate) => "application/json; charset=UTF-8",
            _ => "application/json",
        }
    }

    /// The answer in one piece.
    pub(in crate::sandbox) fn whole(&self) -> Value {
        match self.form {
            Form::Chat => openai::chat(self),
            Form::Embeddings => openai::embeddings(self),
            Form::Models => openai::models(self),
            Form::Responses => responses::response(self, responses::Stage::Completed),
            Form::Messages => anthropic::message(self),
            Form::Generate => gemini::chunk(self, 0..self.tokens),
        }
    }

    /// How many frames the stream has.
    pub(in crate::sandbox) fn frames(&self) -> u64 {
        self.texts().saturating_add(self.head() + self.tail())
    }

    /// One frame of the stream.
    pub(in crate::sandbox) fn frame(&self, number: u64) -> Frame {
        let (head, texts) = (self.head(), self.texts());
        let part = if number < head {
            Part::Head(number)
        } else if number - head < texts {
            Part::Text(self.share(number - head, texts))
        } else {
            Part::Tail(number - head - texts)
        };
        let tokens = match &part {
            Part::Text(range) => range.end - range.start,
            _ => 0,
        };
        let text = match self.form {
            Form::Responses => responses::frame(self, number, &part),
            Form::Messages => anthropic::frame(self, &part),
            Form::Generate => gemini::frame(self, number, &part),
            _ => openai::frame(self, &part),
        };
        Frame { bytes: text.into(), tokens }
    }

    /// An error in place of the frame of this number.
    pub(in crate::sandbox) fn error_frame(&self, number: u64) -> Bytes {
        let error = self.refusal.clone().unwrap_or_else(|| match self.form {
            Form::Responses => responses::error(),
            Form::Messages => anthropic::error(),
            Form::Generate => gemini::error(),
            _ => openai::error(),
        });
        let text = match self.form {
            Form::Responses => responses::error_frame(self, number, &error),
            Form::Messages => event("error", &error),
            Form::Generate => gemini::error_frame(self, number, &error),
            _ => data(&error),
        };
        text.into()
    }

    fn head(&self) -> u64 {
        match self.form {
            Form::Messages => anthropic::HEAD,
            Form::Generate => 0,
            _ => 1,
        }
    }

    /// Gemini says everything, also nothing, in a frame with text.
    fn texts(&self) -> u64 {
        if self.form == Form::Generate { self.events.max(1) } else { self.events }
    }

    fn tail(&self) -> u64 {
        match self.form {
            Form::Messages => anthropic::TAIL,
            Form::Generate => 0,
            Form::Responses => 1,
            _ => 2 + u64::from(self.include_usage),
        }
    }

    /// The tokens in one of so many events.
    fn share(&self, event: u64, events: u64) -> Range<u64> {
        let until = |event: u64| {
            let tokens = u128::from(event) * u128::from(self.tokens) / u128::from(events);
            u64::try_from(tokens).unwrap_or(self.tokens)
        };
        until(event)..until(event + 1)
    }
}

/// `data: {..}` and a blank line.
pub(super) fn data(value: &Value) -> String {
    format!("data: {value}\n\n")
}

/// `event: name`, `data: {..}` and a blank line.
pub(super) fn event(name: &str, value: &Value) -> String {
    format!("event: {name}\ndata: {value}\n\n")
}
