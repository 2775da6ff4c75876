//! How each provider words its refusals and answers.

mod answer;
mod anthropic;
pub(super) mod frames;
mod gemini;
mod openai;
mod reply;
mod responses;
pub(super) mod wire;

pub(super) use answer::Answer;
pub(super) use reply::ReplyContext;
