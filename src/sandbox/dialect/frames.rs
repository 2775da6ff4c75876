//! The bytes of an answer: in one piece, or frame by frame.

use bytes::Bytes;
use serde_json::Value;

use super::{
    answer::{Answer, Part},
    anthropic, gemini, openai,
    reply::{data, event},
    responses,
};
use crate::sandbox::route::Api;

/// A frame of a stream: one event, with the blank line that ends it.
pub(in crate::sandbox) struct Frame {
    pub(in crate::sandbox) bytes: Bytes,
    /// Answer tokens in this frame.
    pub(in crate::sandbox) tokens: u64,
}

/// The answer in one piece.
pub(in crate::sandbox) fn whole(answer: &Answer) -> Value {
    match answer.api {
        Api::Chat => openai::chat(answer),
        Api::Embeddings => openai::embeddings(answer),
        Api::Models => openai::models(answer),
        Api::Responses => responses::response(answer, responses::Stage::Completed),
        Api::Messages => anthropic::message(answer),
        Api::Generate => gemini::chunk(answer, 0..answer.tokens),
    }
}

/// One frame of the stream.
pub(in crate::sandbox) fn frame(answer: &Answer, number: u64) -> Frame {
    let part = answer.part(number);
    let tokens = match &part {
        Part::Text(range) => range.end - range.start,
        Part::Head(_) | Part::Tail(_) => 0,
    };
    let text = match answer.api {
        Api::Responses => responses::frame(answer, number, &part),
        Api::Messages => anthropic::frame(answer, &part),
        Api::Generate => gemini::frame(answer, number, &part),
        _ => openai::frame(answer, &part),
    };
    Frame { bytes: text.into(), tokens }
}

/// An error in place of the frame with this number.
pub(in crate::sandbox) fn error_frame(answer: &Answer, number: u64) -> Bytes {
    let error = answer.error.clone().unwrap_or_else(|| match answer.api {
        Api::Responses => responses::error(),
        Api::Messages => anthropic::error(),
        Api::Generate => gemini::error(),
        _ => openai::error(),
    });
    let text = match answer.api {
        Api::Responses => responses::error_frame(answer, number, &error),
        Api::Messages => event("error", &error),
        Api::Generate => gemini::error_frame(answer, number, &error),
        _ => data(&error),
    };
    text.into()
}
