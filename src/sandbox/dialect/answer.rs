//! An answer as plain data, and the parts of its stream, before a dialect words them.

use std::{ops::Range, sync::Arc};

use serde_json::Value;

use crate::sandbox::{
    cache::CacheUse,
    route::{Api, Delivery},
};

/// What an answer says. Its API decides the shape.
#[derive(Clone, Debug)]
pub(in crate::sandbox) struct Answer {
    pub(in crate::sandbox) api: Api,
    pub(in crate::sandbox) delivery: Delivery,
    pub(in crate::sandbox) id: String,
    /// Seconds since 1970.
    pub(in crate::sandbox) created: u64,
    pub(in crate::sandbox) model: Arc<str>,
    /// The models that exist, for the list of models.
    pub(in crate::sandbox) models: Arc<[Arc<str>]>,
    pub(in crate::sandbox) prompt_tokens: u64,
    pub(in crate::sandbox) cache_use: CacheUse,
    /// Tokens of the answer.
    pub(in crate::sandbox) tokens: u64,
    /// Whether the request allowed fewer tokens than the script has.
    pub(in crate::sandbox) is_truncated: bool,
    /// How many events carry text.
    pub(in crate::sandbox) text_events: u64,
    /// Whether a stream ends with an extra chunk for the usage.
    pub(in crate::sandbox) include_usage: bool,
    /// What an error event says; none for the default error of the API.
    pub(in crate::sandbox) error: Option<Value>,
}

/// A frame of a stream, by its position.
pub(super) enum Part {
    /// Before the text; counted from 0.
    Head(u64),
    /// These tokens of the text.
    Text(Range<u64>),
    /// After the text; counted from 0.
    Tail(u64),
}

impl Answer {
    pub(in crate::sandbox) fn content_type(&self) -> &'static str {
        match (self.delivery, self.api) {
            (Delivery::Events, Api::Generate) => "text/event-stream",
            (Delivery::Events, _) => "text/event-stream; charset=utf-8",
            (_, Api::Generate) => "application/json; charset=UTF-8",
            _ => "application/json",
        }
    }

    /// How many frames the stream has.
    pub(in crate::sandbox) fn frame_count(&self) -> u64 {
        self.texts().saturating_add(self.heads() + self.tails())
    }

    /// The part that a frame holds. It follows from the number alone, so a stream needs no memory.
    pub(super) fn part(&self, number: u64) -> Part {
        let (heads, texts) = (self.heads(), self.texts());
        if number < heads {
            Part::Head(number)
        } else if number - heads < texts {
            Part::Text(self.tokens_of(number - heads, texts))
        } else {
            Part::Tail(number - heads - texts)
        }
    }

    /// How many frames come before the text.
    fn heads(&self) -> u64 {
        match self.api {
            // `message_start`, `content_block_start` and `ping`.
            Api::Messages => 3,
            Api::Generate => 0,
            _ => 1,
        }
    }

    /// How many frames carry text. Gemini sends one even if the answer is empty.
    fn texts(&self) -> u64 {
        if self.api == Api::Generate { self.text_events.max(1) } else { self.text_events }
    }

    /// How many frames come after the text.
    fn tails(&self) -> u64 {
        match self.api {
            // `content_block_stop`, `message_delta` and `message_stop`.
            Api::Messages => 3,
            Api::Generate => 0,
            Api::Responses => 1,
            _ => 2 + u64::from(self.include_usage),
        }
    }

    /// The tokens in one of the events that carry text.
    fn tokens_of(&self, event: u64, events: u64) -> Range<u64> {
        let until = |event: u64| {
            let tokens = u128::from(event) * u128::from(self.tokens) / u128::from(events);
            u64::try_from(tokens).unwrap_or(self.tokens)
        };
        until(event)..until(event + 1)
    }
}
