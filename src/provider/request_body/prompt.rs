//! How many tokens a prompt has: by its size, or by somebody who can count them.

use serde_json::Value;

use super::members::{Member, Members, is_attachment};
use crate::provider::TokenSize;

/// Members that are no part of the prompt, though they are text or hold some.
const SETTINGS: [&[u8]; 14] = [
    b"model",
    b"metadata",
    b"user",
    b"stop",
    b"stop_sequences",
    b"stream_options",
    b"generationConfig",
    b"generation_config",
    b"inferenceConfig",
    b"textGenerationConfig",
    b"safetySettings",
    b"anthropic_version",
    b"provider",
    b"previous_response_id",
];

/// What is known of a prompt without reading it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    text_bytes: usize,
    attachments: usize,
}

impl Size {
    pub(super) fn add(&mut self, member: &Member<'_>) {
        if is_prompt(member) {
            let other = member.seen.attached_bytes + member.seen.escape_bytes;
            self.text_bytes += member.value.len().saturating_sub(other);
            self.attachments += member.seen.attachments();
        }
    }

    pub(super) fn tokens(&self, size: TokenSize) -> u64 {
        let text = (self.text_bytes as u64).saturating_mul(size.per_1000_bytes).div_ceil(1_000);
        text.saturating_add(self.attached_tokens(size))
    }

    fn attached_tokens(&self, size: TokenSize) -> u64 {
        (self.attachments as u64).saturating_mul(size.per_attachment)
    }
}

/// Text, a list or an object, and not merely about how to answer.
fn is_prompt(member: &Member<'_>) -> bool {
    let is_text = matches!(member.value.first(), Some(b'"' | b'[' | b'{'));
    is_text && !SETTINGS.contains(&member.name)
}

/// The tokens of a prompt whose texts are counted one by one; none if it has no text. Attachments are
/// taken for what they usually are.
pub(crate) fn count(body: &[u8], size: TokenSize, count: impl Fn(&str) -> u64) -> Option<u64> {
    let (mut all, mut tokens, mut has_text) = (Size::default(), 0_u64, false);
    for member in Members::of(body) {
        if !is_prompt(&member) {
            continue;
        }
        all.add(&member);
        let mut add = |text: &str| {
            tokens = tokens.saturating_add(count(text));
            has_text = true;
        };
        match (member.name, serde_json::from_slice(member.value)) {
            // Tools are shown to the model as they are written, more or less.
            (b"tools" | b"functions" | b"toolConfig", _) => {
                std::str::from_utf8(member.value).into_iter().for_each(add);
            }
            (_, Ok(value)) => each_text(&value, &mut add),
            (_, Err(_)) => {}
        }
    }
    has_text.then(|| tokens.saturating_add(all.attached_tokens(size)))
}

fn each_text(value: &Value, tell: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) if !is_attachment(text) => tell(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, tell)),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "role" | "type" | "id"))
            .for_each(|(_, value)| each_text(value, tell)),
        _ => {}
    }
}
