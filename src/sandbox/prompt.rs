//! The prompt of a request: its number of tokens, and its prefixes, by which a cache finds it.

use std::{
    hash::{DefaultHasher, Hasher},
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, Value};

use crate::sandbox::route::Api;

/// Counts the tokens of a text.
pub(super) type CountTokens = Arc<dyn Fn(&str) -> u64 + Send + Sync>;

/// What the sandbox needs to know of a prompt.
#[derive(Clone, Debug, Default)]
pub(super) struct Prompt {
    pub(super) tokens: u64,
    /// The shortest first.
    pub(super) prefixes: Vec<Prefix>,
    pub(super) caching: Caching,
}

/// The beginning of a prompt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Prefix {
    pub(super) hash: u64,
    pub(super) tokens: u64,
}

/// Which prefixes of a prompt are cached.
#[derive(Clone, Debug, Default)]
pub(super) enum Caching {
    #[default]
    None,
    /// Every prefix.
    Automatic,
    /// Those that end at a `cache_control` mark: their indices, and how long they live.
    Marked(Vec<(usize, Duration)>),
}

const BYTES_PER_TOKEN: u64 = 4;
/// OpenAI caches prefixes in steps of this many tokens.
const STEP: u64 = 128;
/// The members of a body that hold the prompt, in the order in which they are read. Tools cost nothing
/// here.
const MEMBERS: [&str; 7] = [
    "system",
    "instructions",
    "systemInstruction",
    "system_instruction",
    "messages",
    "input",
    "contents",
];

/// Reads the prompt in a body.
pub(super) fn read(
    api: Api,
    model: &str,
    body: &Map<String, Value>,
    count: Option<&CountTokens>,
) -> Prompt {
    let mut reader = Reader { count, ..Reader::new() };
    reader.word(model);
    let is_marked = api == Api::Messages;
    let values = MEMBERS.iter().filter_map(|name| body.get(*name));
    if is_marked {
        values.for_each(|value| reader.blocks(value));
    } else {
        values.for_each(|value| reader.steps(value));
    }
    let tokens = reader.tokens();
    let caching = match api {
        Api::Models | Api::Embeddings => Caching::None,
        Api::Messages => Caching::Marked(reader.marks),
        Api::Chat | Api::Responses | Api::Generate => Caching::Automatic,
    };
    Prompt { tokens, prefixes: reader.prefixes, caching }
}

/// The state of reading a prompt.
struct Reader<'a> {
    count: Option<&'a CountTokens>,
    hasher: DefaultHasher,
    bytes: u64,
    /// The tokens that `count` found in the texts read so far; 0 without `count`.
    counted: u64,
    prefixes: Vec<Prefix>,
    marks: Vec<(usize, Duration)>,
}

impl Reader<'_> {
    fn new() -> Self {
        Self {
            count: None,
            hasher: DefaultHasher::new(),
            bytes: 0,
            counted: 0,
            prefixes: Vec::new(),
            marks: Vec::new(),
        }
    }

    fn tokens(&self) -> u64 {
        if self.count.is_some() { self.counted } else { self.bytes.div_ceil(BYTES_PER_TOKEN) }
    }

    /// Reads all text in a value; each step of tokens ends a prefix.
    fn steps(&mut self, value: &Value) {
        const BYTES: u64 = STEP * BYTES_PER_TOKEN;
        self.texts(value, &mut |reader, text| {
            let mut rest = text.as_bytes();
            while !rest.is_empty() {
                let room = usize::try_from(BYTES - reader.bytes % BYTES).unwrap_or(usize::MAX);
                let (piece, after) = rest.split_at(room.min(rest.len()));
                reader.take(piece);
                if reader.bytes % BYTES == 0 {
                    reader.end_prefix();
                }
                rest = after;
            }
        });
    }

    /// Reads all text in a value; each content block ends a prefix.
    fn blocks(&mut self, value: &Value) {
        match value {
            Value::Array(all) => all.iter().for_each(|value| self.blocks(value)),
            Value::Object(fields) if fields.contains_key("role") => {
                self.word(fields.get("role").and_then(Value::as_str).unwrap_or_default());
                fields.get("content").into_iter().for_each(|content| self.blocks(content));
            }
            block => {
                self.texts(block, &mut |reader, text| reader.take(text.as_bytes()));
                self.end_prefix();
                let mark = block.get("cache_control").filter(|mark| mark.is_object());
                if let Some(mark) = mark {
                    let is_hour = mark.get("ttl").and_then(Value::as_str) == Some("1h");
                    let minutes = if is_hour { 60 } else { 5 };
                    let lifetime = Duration::from_secs(60 * minutes);
                    self.marks.push((self.prefixes.len() - 1, lifetime));
                }
            }
        }
    }

    /// Visits every text, but not the members that only structure the prompt.
    fn texts(&mut self, value: &Value, visit: &mut impl FnMut(&mut Self, &str)) {
        match value {
            Value::String(text) => {
                visit(self, text);
                self.counted += self.count.map_or(0, |count| count(text));
                // Separates this text from the next one.
                self.hasher.write_u8(0xff);
            }
            Value::Array(all) => all.iter().for_each(|value| self.texts(value, visit)),
            Value::Object(fields) => {
                let role = fields.get("role").and_then(Value::as_str);
                role.into_iter().for_each(|role| self.word(role));
                let structure = ["role", "type", "cache_control"];
                let content = fields.iter().filter(|(name, _)| !structure.contains(&name.as_str()));
                content.for_each(|(_, value)| self.texts(value, visit));
            }
            _ => {}
        }
    }

    /// Hashes a word that distinguishes prompts but costs no tokens.
    fn word(&mut self, word: &str) {
        self.hasher.write(word.as_bytes());
        self.hasher.write_u8(0xff);
    }

    fn take(&mut self, text: &[u8]) {
        self.hasher.write(text);
        self.bytes += u64::try_from(text.len()).unwrap_or(u64::MAX);
    }

    fn end_prefix(&mut self) {
        self.prefixes.push(Prefix { hash: self.hasher.finish(), tokens: self.tokens() });
    }
}
