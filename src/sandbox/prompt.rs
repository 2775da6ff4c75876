//! The prompt of a request: how many tokens it has, and its beginnings that a cache may know.

use std::{
    hash::{DefaultHasher, Hasher},
    time::Duration,
};

use serde_json::{Map, Value};

use crate::sandbox::{dialect::Form, request::Count};

const BYTES_PER_TOKEN: u64 = 4;
/// OpenAI counts what is cached in steps of so many tokens.
const STEP: u64 = 128;
/// Where the text of a prompt stands, in the order in which it is read. Tools cost nothing here.
const MEMBERS: [&str; 7] = [
    "system",
    "instructions",
    "systemInstruction",
    "system_instruction",
    "messages",
    "input",
    "contents",
];

#[derive(Clone, Debug, Default)]
pub(super) struct Prompt {
    pub(super) tokens: u64,
    /// Ever longer ones.
    pub(super) beginnings: Vec<Beginning>,
    pub(super) caching: Caching,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Beginning {
    pub(super) hash: u64,
    pub(super) tokens: u64,
}

/// What of a prompt is kept.
#[derive(Clone, Debug, Default)]
pub(super) enum Caching {
    #[default]
    None,
    /// Every beginning.
    Automatic,
    /// Those that end with a mark: places in the list of beginnings, and for how long.
    Marked(Vec<(usize, Duration)>),
}

/// Reads the prompt in a body.
pub(super) fn read(
    form: Form,
    model: &str,
    body: &Map<String, Value>,
    count: Option<&Count>,
) -> Prompt {
    let mut reader = Reader { count, ..Reader::new() };
    reader.word(model);
    let is_marked = form == Form::Messages;
    let values = MEMBERS.iter().filter_map(|name| body.get(*name));
    if is_marked {
        values.for_each(|value| reader.blocks(value));
    } else {
        values.for_each(|value| reader.steps(value));
    }
    let tokens = reader.tokens();
    let caching = match form {
        Form::Models | Form::Embeddings => Caching::None,
        Form::Messages => Caching::Marked(reader.marks),
        Form::Chat | Form::Responses | Form::Generate => Caching::Automatic,
    };
    Prompt { tokens, beginnings: reader.beginnings, caching }
}

/// A prompt as far as it has been read.
struct Reader<'a> {
    count: Option<&'a Count>,
    hasher: DefaultHasher,
    bytes: u64,
    /// What was counted of the texts that have been read, if somebody counts.
    counted: u64,
    beginnings: Vec<Beginning>,
    marks: Vec<(usize, Duration)>,
}

impl Reader<'_> {
    fn new() -> Self {
        Self {
            count: None,
            hasher: DefaultHasher::new(),
            bytes: 0,
            counted: 0,
            beginnings: Vec::new(),
            marks: Vec::new(),
        }
    }

    fn tokens(&self) -> u64 {
        if self.count.is_some() { self.counted } else { self.bytes.div_ceil(BYTES_PER_TOKEN) }
    }

    /// All text in a value; each step of it is a beginning.
    fn steps(&mut self, value: &Value) {
        const BYTES: u64 = STEP * BYTES_PER_TOKEN;
        self.texts(value, &mut |reader, text| {
            let mut rest = text.as_bytes();
            while !rest.is_empty() {
                let room = usize::try_from(BYTES - reader.bytes % BYTES).unwrap_or(usize::MAX);
                let (piece, after) = rest.split_at(room.min(rest.len()));
                reader.take(piece);
                if reader.bytes % BYTES == 0 {
                    reader.begins();
                }
                rest = after;
            }
        });
    }

    /// All text in a value; each block of content ends a beginning.
    fn blocks(&mut self, value: &Value) {
        match value {
            Value::Array(all) => all.iter().for_each(|value| self.blocks(value)),
            Value::Object(fields) if fields.contains_key("role") => {
                self.word(fields.get("role").and_then(Value::as_str).unwrap_or_default());
                fields.get("content").into_iter().for_each(|content| self.blocks(content));
            }
            block => {
                self.texts(block, &mut |reader, text| reader.take(text.as_bytes()));
                self.begins();
                let mark = block.get("cache_control").filter(|mark| mark.is_object());
                if let Some(mark) = mark {
                    let is_hour = mark.get("ttl").and_then(Value::as_str) == Some("1h");
                    let minutes = if is_hour { 60 } else { 5 };
                    let lifetime = Duration::from_secs(60 * minutes);
                    self.marks.push((self.beginnings.len() - 1, lifetime));
                }
            }
        }
    }

    /// Visits every text, without the words that only say what is what.
    fn texts(&mut self, value: &Value, visit: &mut impl FnMut(&mut Self, &str)) {
        match value {
            Value::String(text) => {
                visit(self, text);
                self.counted += self.count.map_or(0, |count| count(text));
                // Two texts are not one.
                self.hasher.write_u8(0xff);
            }
            Value::Array(all) => all.iter().for_each(|value| self.texts(value, visit)),
            Value::Object(fields) => {
                let role = fields.get("role").and_then(Value::as_str);
                role.into_iter().for_each(|role| self.word(role));
                let marks = ["role", "type", "cache_control"];
                let said = fields.iter().filter(|(name, _)| !marks.contains(&name.as_str()));
                said.for_each(|(_, value)| self.texts(value, visit));
            }
            _ => {}
        }
    }

    /// Something that makes a difference, and no tokens.
    fn word(&mut self, word: &str) {
        self.hasher.write(word.as_bytes());
        self.hasher.write_u8(0xff);
    }

    fn take(&mut self, text: &[u8]) {
        self.hasher.write(text);
        self.bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
    }

    fn begins(&mut self) {
        self.beginnings.push(Beginning { hash: self.hasher.finish(), tokens: self.tokens() });
    }
}
