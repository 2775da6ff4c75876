//! Bodies of requests: what an [`Estimate`] needs from them, in one pass that copies nothing.
//!
//! Only the outermost members of the JSON object are looked at, and their values skipped without
//! being parsed: a prompt of a megabyte costs a search for quotes and brackets, and no allocation.

mod include_usage;
mod members;
mod prompt;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde::Deserialize;

pub(super) use self::members::{Member, Members};
use self::prompt::Size;
pub(crate) use self::{include_usage::with_usage, prompt::count};
use super::TokenSize;
use crate::demand::Estimate;

/// Reads a body in the shape of OpenAI, Anthropic, Gemini or Bedrock.
///
/// What is not JSON, or of another type than expected, is unknown: no failure of the call.
pub(crate) fn estimate(body: &[u8], size: TokenSize) -> Estimate<'_> {
    let (mut read, mut prompt) = (Read::default(), Size::default());
    for member in Members::of(body) {
        read.member(member.name, member.value);
        prompt.add(&member);
    }
    Estimate {
        model: read.model,
        input_tokens: prompt.tokens(size),
        output_tokens: read.output.saturating_mul(read.choices.max(1)),
        stream: read.stream,
    }
}

#[derive(Default)]
struct Read<'a> {
    model: Option<Cow<'a, str>>,
    output: u64,
    choices: u64,
    stream: bool,
}

impl<'a> Read<'a> {
    fn member(&mut self, name: &[u8], value: &'a [u8]) {
        match name {
            b"model" => self.model = parse::<Text<'a>>(value).map(|Text(model)| model),
            b"stream" => self.stream = parse(value).unwrap_or(false),
            // Gemini's, and Bedrock's for its own models and converse.
            b"generationConfig"
            | b"generation_config"
            | b"inferenceConfig"
            | b"textGenerationConfig" => {
                Members::of(value).for_each(|inner| self.figure(inner.name, inner.value));
            }
            _ => self.figure(name, value),
        }
    }

    fn figure(&mut self, name: &[u8], value: &[u8]) {
        match name {
            // OpenAI has had three names for it; where two are sent, either may be the cap.
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

/// Borrowed where it has no escapes. (`Option<Cow>` would always be owned.)
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn parse<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}
