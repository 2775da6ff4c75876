//! Bodies of requests, read in one walk that copies nothing.
//!
//! The walk goes over the outermost members of the JSON object and skips their values without parsing
//! them: a prompt of a megabyte costs a search for quotes and brackets, and no allocation. What it finds
//! answers all questions about the body: model, tokens and stream ([`RequestBody::estimate`]), the
//! conversation ([`RequestBody::kin`]), and where to ask for usage ([`RequestBody::with_usage`]).

mod ask_usage;
mod conversation;
mod prompt;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, hash::RandomState};

use serde::Deserialize;

pub use self::ask_usage::BodyEdit;
use self::{
    ask_usage::StreamOptions,
    conversation::Conversation,
    prompt::{Attachments, Size},
};
use super::tokens::TokenSize;
use crate::{
    affinity::Kin,
    json::{Member, Members},
};

/// What a request asks for, as read from the request itself without copying it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate<'a> {
    /// The model named in the body or the path.
    pub model: Option<Cow<'a, str>>,
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// The most tokens that the answer may have; 0 if the request does not say.
    pub output_tokens: u64,
    /// Whether the request asks for a stream of events.
    pub stream: bool,
}

/// A body in the shape of OpenAI, Anthropic, Gemini or Bedrock.
///
/// A body that is not JSON, or has other types than expected, is unknown: that is no failure of the
/// request.
#[derive(Clone, Debug)]
pub(crate) struct RequestBody<'a> {
    body: &'a [u8],
    /// Whether it is an object with members.
    has_members: bool,
    model: Option<Cow<'a, str>>,
    /// The cap on the output of one choice.
    output: u64,
    choices: u64,
    stream: bool,
    prompt: Size,
    stream_options: Option<StreamOptions<'a>>,
    conversation: Conversation<'a>,
}

impl<'a> RequestBody<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Self {
        let mut read = Self {
            body,
            has_members: false,
            model: None,
            output: 0,
            choices: 0,
            stream: false,
            prompt: Size::default(),
            stream_options: None,
            conversation: Conversation::default(),
        };
        let mut members = Members::of(body);
        loop {
            let mut attachments = Attachments::default();
            let Some(member) = members.next_with(|text| attachments.note(text)) else { break };
            read.member(&member);
            read.prompt.add(&member, &attachments);
            read.conversation.member(&member);
        }
        read.has_members = !members.is_empty();
        read
    }

    /// The model, the tokens and whether it asks for a stream.
    pub(crate) fn estimate(&self, size: TokenSize) -> Estimate<'a> {
        Estimate {
            model: self.model.clone(),
            input_tokens: self.prompt.tokens(size),
            output_tokens: self.output.saturating_mul(self.choices.max(1)),
            stream: self.stream,
        }
    }

    /// The tokens of the prompt, by a count of its texts one by one; `None` if it has no text. An
    /// attachment counts as in [`TokenSize`]. This parses the prompt, which the walk does not.
    pub(crate) fn count(&self, size: TokenSize, count: impl Fn(&str) -> u64) -> Option<u64> {
        prompt::count(self.body, &self.prompt, size, count)
    }

    /// Which conversation it continues: by the name in the body, or by the beginnings of its prompt that
    /// have at least `least` bytes.
    pub(crate) fn kin(&self, keys: &RandomState, model: Option<&str>, least: usize) -> Option<Kin> {
        let is_long = self.body.len() >= least;
        self.conversation.named(keys).or_else(|| {
            let kin = || self.conversation.beginnings(keys, model, least);
            is_long.then(kin).flatten()
        })
    }

    /// What sets `stream_options.include_usage`; `None` if the body says something about it already or is no
    /// object.
    pub(crate) fn with_usage(&self) -> Option<BodyEdit> {
        self.has_members.then(|| ask_usage::with_usage(self.body, self.stream_options)).flatten()
    }

    fn member(&mut self, member: &Member<'a>) {
        let value = member.value;
        match member.name {
            b"model" => self.model = parse::<Text<'a>>(value).map(|Text(model)| model),
            b"stream" => self.stream = parse(value).unwrap_or(false),
            b"stream_options" => {
                self.stream_options = Some(StreamOptions { value, at: member.at });
            }
            // Gemini's, and Bedrock's for its own models and converse.
            b"generationConfig"
            | b"generation_config"
            | b"inferenceConfig"
            | b"textGenerationConfig" => {
                Members::of(value).for_each(|inner| self.figure(inner.name, inner.value));
            }
            name => self.figure(name, value),
        }
    }

    fn figure(&mut self, name: &[u8], value: &[u8]) {
        match name {
            // OpenAI has had three names for it; if two are sent, either can be the cap.
            b"max_tokens"
            | b"max_completion_tokens"
            | b"max_output_tokens"
            | b"maxOutputTokens"
            // Anthropic's completions; Bedrock's converse, Nova, Titan and Llama.
            | b"max_tokens_to_sample"
            | b"maxTokens"
            | b"max_new_tokens"
            | b"maxTokenCount"
            | b"max_gen_len" => self.output = self.output.max(parse(value).unwrap_or(0)),
            b"n" | b"candidateCount" => self.choices = parse(value).unwrap_or(1),
            _ => {}
        }
    }
}

/// Borrowed if it has no escapes. (`Option<Cow>` would always be owned.)
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn parse<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}
