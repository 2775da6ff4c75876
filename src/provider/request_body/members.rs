//! Walking over a JSON object as it is written, without parsing what is in it.

/// A string from this length on that is all Base64 is a picture or a document, not a prompt.
const ATTACHMENT_BYTES: usize = 2_048;

/// Values of `type` in parts of a prompt that are no text: OpenAI's chat completions and responses, and
/// Anthropic's messages.
const KINDS: [&[u8]; 7] =
    [b"image", b"image_url", b"input_image", b"input_audio", b"document", b"file", b"input_file"];

/// Names of members that hold such a part: Gemini's, in both of its spellings.
const PARTS: [&[u8]; 4] = [b"inlineData", b"inline_data", b"fileData", b"file_data"];

/// The members of a JSON object.
pub(in crate::provider) struct Members<'a> {
    rest: &'a [u8],
    /// Whether there was any.
    pub(super) seen: bool,
}

/// A member as it is written, and what was seen on the way over its value.
pub(in crate::provider) struct Member<'a> {
    pub(in crate::provider) name: &'a [u8],
    pub(in crate::provider) value: &'a [u8],
    pub(super) seen: Seen,
}

impl<'a> Members<'a> {
    pub(in crate::provider) fn of(object: &'a [u8]) -> Self {
        let inner = object.trim_ascii_start().strip_prefix(b"{");
        Self { rest: inner.unwrap_or_default(), seen: false }
    }

    /// Takes off what is in front of `end`, together with it.
    fn take(&mut self, end: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.trim_ascii_start();
        Some(taken)
    }

    fn punctuation(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?.trim_ascii_start();
        Some(())
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    /// Ends at the end of the object, and at the first thing that is not JSON.
    fn next(&mut self) -> Option<Member<'a>> {
        if self.seen {
            self.punctuation(b',')?;
        }
        self.rest = self.rest.trim_ascii_start();
        let end = Seen::default().string(self.rest)?;
        let name = self.take(end)?.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        self.punctuation(b':')?;
        let mut seen = Seen::default();
        let end = seen.value(self.rest)?;
        let value = self.take(end)?;
        self.seen = true;
        Some(Member { name, value, seen })
    }
}

/// Finds the ends of values, and counts what is no text in them.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    /// Strings that are pictures or documents, and their bytes.
    attached: usize,
    pub(super) attached_bytes: usize,
    /// Parts that say they are such; the picture may be elsewhere.
    marked: usize,
    /// Bytes that escapes take up beyond the characters they stand for.
    pub(super) escape_bytes: usize,
    /// Whether the last string was the member name `type`.
    behind_type: bool,
}

impl Seen {
    /// Pictures, documents and the like.
    pub(super) fn attachments(&self) -> usize {
        self.attached.max(self.marked)
    }

    /// Where the value at the front ends.
    fn value(&mut self, text: &[u8]) -> Option<usize> {
        let mut depth = 0_usize;
        let mut at = 0;
        loop {
            let ahead = text.get(at..)?;
            match ahead.first()? {
                b'"' => {
                    let end = self.string(ahead)?;
                    let is_name = ahead[end..].trim_ascii_start().first() == Some(&b':');
                    self.note(&ahead[1..end - 1], is_name);
                    at += end;
                }
                b'[' | b'{' => {
                    depth += 1;
                    at += 1;
                }
                b']' | b'}' => {
                    depth = depth.checked_sub(1)?;
                    at += 1;
                }
                // A number, a word, or what stands between values.
                _ => {
                    at += ahead
                        .iter()
                        .position(|byte| b"\"[]{},".contains(byte))
                        .unwrap_or(ahead.len())
                }
            }
            if depth == 0 {
                return Some(at);
            }
            if text.get(at) == Some(&b',') {
                at += 1;
            }
        }
    }

    fn note(&mut self, string: &[u8], is_name: bool) {
        let is_kind = std::mem::replace(&mut self.behind_type, is_name && string == b"type");
        let is_marked = match is_name {
            true => PARTS.contains(&string),
            false => is_kind && KINDS.contains(&string),
        };
        self.marked += usize::from(is_marked);
    }

    /// Where the string at the front ends, its closing quote included.
    fn string(&mut self, text: &[u8]) -> Option<usize> {
        let inner = text.strip_prefix(b"\"")?;
        let mut at = 0;
        loop {
            let ahead = inner.get(at..)?;
            at += ahead.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            match (inner.get(at)?, inner.get(at + 1)) {
                (b'"', _) => break,
                // `\u4e2d`: mostly three bytes, had it been written as it is.
                (_, Some(b'u')) => self.escape_bytes += 3,
                _ => self.escape_bytes += 1,
            }
            at += 2;
        }
        if at >= ATTACHMENT_BYTES && is_base64(inner.get(at - ATTACHMENT_BYTES / 2..at)?) {
            self.attached += 1;
            self.attached_bytes += at;
        }
        Some(at + 2)
    }
}

/// Whether a string is a picture or a document.
pub(super) fn is_attachment(text: &str) -> bool {
    let end = text.len().checked_sub(ATTACHMENT_BYTES / 2);
    let end = end.and_then(|at| text.as_bytes().get(at..));
    text.len() >= ATTACHMENT_BYTES && end.is_some_and(is_base64)
}

fn is_base64(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte))
}
