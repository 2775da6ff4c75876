//! How many tokens a prompt has: by its size, or by a count of its texts.

use memchr::memchr_iter;
use serde_json::Value;

use crate::{
    json::{Member, Members, Text},
    provider::tokens::TokenSize,
};

/// Members that are no part of the prompt, though they are text or contain some.
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

/// The size of a prompt, known without parsing it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Size {
    text_bytes: usize,
    attachments: usize,
}

impl Size {
    pub(super) fn add(&mut self, member: &Member<'_>, attachments: &Attachments) {
        if is_prompt(member) {
            let other = attachments.encoded_bytes + attachments.escape_bytes;
            self.text_bytes += member.value.len().saturating_sub(other);
            self.attachments += attachments.count();
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

/// Whether a member is text, a list or an object, and not only a setting.
fn is_prompt(member: &Member<'_>) -> bool {
    let is_text = matches!(member.value.first(), Some(b'"' | b'[' | b'{'));
    is_text && !SETTINGS.contains(&member.name)
}

/// The tokens of a prompt of this size whose texts are counted one by one; `None` if it has no text.
pub(super) fn count(
    body: &[u8],
    prompt: &Size,
    size: TokenSize,
    count: impl Fn(&str) -> u64,
) -> Option<u64> {
    let (mut tokens, mut has_text) = (0_u64, false);
    for member in Members::of(body).filter(is_prompt) {
        let mut add = |text: &str| {
            tokens = tokens.saturating_add(count(text));
            has_text = true;
        };
        match (member.name, serde_json::from_slice(member.value)) {
            // Models see tools about as they are written.
            (b"tools" | b"functions" | b"toolConfig", _) => {
                std::str::from_utf8(member.value).into_iter().for_each(add);
            }
            (_, Ok(value)) => each_text(&value, &mut add),
            (_, Err(_)) => {}
        }
    }
    has_text.then(|| tokens.saturating_add(prompt.attached_tokens(size)))
}

fn each_text(value: &Value, report: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) if !is_encoded(text.as_bytes()) => report(text),
        Value::Array(items) => items.iter().for_each(|item| each_text(item, report)),
        Value::Object(members) => members
            .iter()
            .filter(|(name, _)| !matches!(name.as_str(), "role" | "type" | "id"))
            .for_each(|(_, value)| each_text(value, report)),
        _ => {}
    }
}

/// What the texts of a member contain that is not text of the prompt: pictures, documents, escapes.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attachments {
    /// Texts that are pictures or documents, and their bytes.
    encoded: usize,
    encoded_bytes: usize,
    /// Parts that are marked as such; the picture itself can be at another place.
    marked: usize,
    /// Bytes that escapes take beyond the characters that they stand for.
    escape_bytes: usize,
    /// Whether the last text was the member name `type`.
    is_behind_type: bool,
}

/// A text from this length on that is all Base64 is a picture or a document, in bytes.
const ENCODED_BYTES: usize = 2_048;

/// Values of `type` in parts of a prompt that are no text: OpenAI's chat completions and responses, and
/// Anthropic's messages.
const KINDS: [&[u8]; 7] =
    [b"image", b"image_url", b"input_image", b"input_audio", b"document", b"file", b"input_file"];

/// Names of members that contain such a part: Gemini's, in both of its spellings.
const PARTS: [&[u8]; 4] = [b"inlineData", b"inline_data", b"fileData", b"file_data"];

impl Attachments {
    /// Takes in the next text of the member.
    pub(super) fn note(&mut self, Text { bytes, is_name, has_escapes }: Text<'_>) {
        let is_kind = std::mem::replace(&mut self.is_behind_type, is_name && bytes == b"type");
        let is_marked = match is_name {
            true => PARTS.contains(&bytes),
            false => is_kind && KINDS.contains(&bytes),
        };
        self.marked += usize::from(is_marked);
        if has_escapes {
            self.escape_bytes += escape_bytes(bytes);
        }
        if is_encoded(bytes) {
            self.encoded += 1;
            self.encoded_bytes += bytes.len();
        }
    }

    fn count(&self) -> usize {
        self.encoded.max(self.marked)
    }
}

fn escape_bytes(text: &[u8]) -> usize {
    let mut behind = 0;
    let mut bytes = 0;
    for at in memchr_iter(b'\\', text) {
        // The second of two backslashes is the character that the first stands for.
        if at < behind {
            continue;
        }
        behind = at + 2;
        // `\u4e2d`: mostly three bytes if written as it is.
        bytes += if text.get(at + 1) == Some(&b'u') { 3 } else { 1 };
    }
    bytes
}

/// Whether a text is a picture or a document.
fn is_encoded(text: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte);
    text.len() >= ENCODED_BYTES && text.iter().rev().take(ENCODED_BYTES / 2).all(is_base64)
}
