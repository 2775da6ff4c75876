//! Estimates the tokens of an answer that has not reported its usage, from the text that it generates.
//!
//! Two steps: [`Generated`] finds the generated text in an event, whatever is around it, and [`tokens_of`]
//! counts about as many tokens in it as a tokenizer would. Both read bytes as they are written: nothing is
//! parsed into a tree, and nothing is allocated.

use crate::json::{Mark, Walker, end_of_value};

/// A running estimate of the tokens of an answer.
///
/// Only text that a model generates counts: pings, `[DONE]`, envelopes and ids change nothing. A call of a
/// tool counts with its name, its arguments, and the tokens that a provider puts around it
/// ([`ARGUMENTS`]). Pictures and sound do not count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OutputEstimate {
    tokens: u64,
    /// Bytes of a body whose text is not known.
    bytes: u64,
}

/// About how many bytes of a body have a token, envelope included.
const BYTES_PER_TOKEN: u64 = 4;

impl OutputEstimate {
    /// Counts the text of an event: its data as JSON.
    pub(crate) fn event(&mut self, data: &[u8]) {
        self.tokens = self.tokens.saturating_add(Generated::tokens(data));
    }

    /// Counts a piece of a body that is no stream, by its length in bytes.
    pub(crate) fn bytes(&mut self, length: usize) {
        self.bytes = self.bytes.saturating_add(length as u64);
    }

    /// Takes a body that is no stream and has come whole: its text counts, and no longer its length.
    pub(crate) fn whole(&mut self, body: &[u8]) {
        *self = Self::default();
        self.event(body);
    }

    /// The estimate.
    pub(crate) fn tokens(&self) -> u64 {
        self.tokens.saturating_add(self.bytes / BYTES_PER_TOKEN)
    }
}

/// Members whose value, if it is a text, is generated: in all dialects. So is that of `delta`, which is an
/// object in most of them.
const TEXTS: [&[u8]; 13] = [
    b"content",
    b"text",
    b"thinking",
    b"reasoning",
    b"reasoning_content",
    b"arguments",
    b"partial_json",
    b"refusal",
    b"transcript",
    b"tool_plan",
    // Code that Gemini runs.
    b"code",
    // Older APIs: Anthropic's completions, Bedrock's Llama.
    b"completion",
    b"generation",
];

/// Members in which nothing is generated, or what has come before is repeated.
const SKIPPED: [&[u8]; 12] = [
    b"usage",
    b"usageMetadata",
    b"error",
    b"logprobs",
    // The whole answer in the first and last events of OpenAI's responses and Gemini's interactions.
    b"response",
    b"interaction",
    // OpenRouter's reasoning once more.
    b"reasoning_details",
    b"annotations",
    // What an answer quotes. Of a citation itself the text counts: it stands for the marks around it.
    b"sources",
    b"search_results",
    b"prompt_filter_results",
    b"content_filter_results",
];

/// Ends of the `type` of events that repeat what came in earlier ones.
const REPEATS: [&[u8]; 4] = [b".done", b".completed", b".incomplete", b".failed"];

/// Where the arguments of a tool call are, and about how many tokens a provider puts around its name and
/// them, by what real answers report: OpenAI's dialect and Cohere's, Anthropic's, Gemini's.
const ARGUMENTS: [(&[u8], u64); 3] = [(b"arguments", 9), (b"input", 30), (b"args", 0)];

/// The tokens of the generated text in one event, or in one whole answer.
#[derive(Default)]
struct Generated<'a> {
    walker: Walker,
    /// The tokens in members `delta`, and those beside them. Some providers send the same text in both, or
    /// the whole answer so far beside its last part.
    in_delta: u64,
    beside: u64,
    /// How many brackets are open inside a member `delta`, the first one included; 0 outside.
    delta_depth: u32,
    has_delta: bool,
    is_repeat: bool,
    call: Call<'a>,
}

/// A tool call, as far as it has been read: members of one object.
#[derive(Clone, Copy, Default)]
struct Call<'a> {
    depth: u32,
    name: Option<&'a [u8]>,
    around: Option<u64>,
}

impl<'a> Generated<'a> {
    fn tokens(json: &'a [u8]) -> u64 {
        let mut generated = Self::default();
        generated.read(json);
        let Self { in_delta, beside, has_delta, is_repeat, .. } = generated;
        match (is_repeat, has_delta) {
            (true, _) => 0,
            (false, true) => in_delta,
            (false, false) => beside,
        }
    }

    fn read(&mut self, json: &'a [u8]) {
        let (mut from, mut text) = (0, 0);
        while let Some((at, mark)) = self.walker.next(json, from) {
            from = at + 1;
            match mark {
                Mark::TextBegins => text = from,
                Mark::TextEnds => {
                    // Texts in arrays are not names, and none of them is generated.
                    let Some(value) = behind_colon(json, from) else { continue };
                    let name = json.get(text..at).unwrap_or_default();
                    from = self.member(name, json, value);
                }
                Mark::Close => {
                    let depth = self.walker.depth();
                    if depth < self.delta_depth {
                        self.delta_depth = 0;
                    }
                    if depth < self.call.depth {
                        self.call = Call::default();
                    }
                }
                Mark::Open | Mark::Comma => {}
            }
        }
    }

    /// Takes a member. Returns where to read on: at its value, or behind it.
    fn member(&mut self, name: &'a [u8], json: &'a [u8], at: usize) -> usize {
        let rest = json.get(at..).unwrap_or_default();
        let behind = || end_of_value(rest, |_| {}).map_or(json.len(), |end| at + end);
        match rest.first() {
            Some(b'"') => {
                let end = behind();
                self.text(name, json.get(at + 1..end.saturating_sub(1)).unwrap_or_default());
                end
            }
            Some(b'{' | b'[') if SKIPPED.contains(&name) => behind(),
            // Arguments as an object: they are generated as they are written.
            Some(b'{' | b'[') if around(name).is_some() => {
                let end = behind();
                self.call_part(None, around(name));
                let arguments = json.get(at..end).unwrap_or_default();
                if arguments.len() > 2 {
                    self.count(tokens_of(arguments));
                }
                end
            }
            Some(b'{') if name == b"delta" => {
                self.has_delta = true;
                if self.delta_depth == 0 {
                    self.delta_depth = self.walker.depth() + 1;
                }
                at
            }
            _ => at,
        }
    }

    /// Takes a member that is a text.
    fn text(&mut self, name: &[u8], text: &'a [u8]) {
        match name {
            b"delta" => {
                self.has_delta = true;
                self.in_delta = self.in_delta.saturating_add(tokens_of(text));
            }
            b"type" if self.walker.depth() == 1 => {
                self.is_repeat = REPEATS.iter().any(|end| text.ends_with(end));
            }
            b"name" if !text.is_empty() => self.call_part(Some(text), None),
            name if TEXTS.contains(&name) => self.count(tokens_of(text)),
            _ => {}
        }
        if let Some(around) = around(name) {
            self.call_part(None, Some(around));
        }
    }

    /// A name, or arguments: a tool call once both have been seen in one object.
    fn call_part(&mut self, name: Option<&'a [u8]>, around: Option<u64>) {
        let depth = self.walker.depth();
        if self.call.depth != depth {
            self.call = Call { depth, ..Call::default() };
        }
        self.call.name = name.or(self.call.name);
        self.call.around = around.or(self.call.around);
        if let (Some(name), Some(around)) = (self.call.name, self.call.around) {
            self.call = Call::default();
            self.count(tokens_of(name) + around);
        }
    }

    fn count(&mut self, tokens: u64) {
        let counted = if self.delta_depth > 0 { &mut self.in_delta } else { &mut self.beside };
        *counted = counted.saturating_add(tokens);
    }
}

/// About how many tokens are around a tool call, if this member is its arguments.
fn around(name: &[u8]) -> Option<u64> {
    ARGUMENTS.iter().find(|(arguments, _)| *arguments == name).map(|(_, around)| *around)
}

/// Where the value begins, if a text that ends here is the name of a member.
fn behind_colon(json: &[u8], mut at: usize) -> Option<usize> {
    let mut is_behind = false;
    loop {
        match json.get(at)? {
            b':' if !is_behind => is_behind = true,
            byte if byte.is_ascii_whitespace() => {}
            _ => return is_behind.then_some(at),
        }
        at += 1;
    }
}

/// What a run of equal characters is, to a tokenizer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Letter,
    Digit,
    /// A blank or an underscore: the next word begins with it.
    Blank,
    LineEnd,
    Mark,
    /// A character of two bytes in UTF-8: of Latin, Greek, Cyrillic, Arabic and their like.
    Foreign,
    /// One of three bytes: of Chinese, Japanese, Korean and their like.
    Ideograph,
    /// One of four bytes: mostly an emoji.
    Emoji,
}

/// About how many tokens a text has. It is written as in JSON, with escapes.
///
/// Today's tokenizers cut a text into words with the blank before them, numbers of up to three digits, and
/// marks, and these into further parts only if they are rare. That is counted here. It is closer to what
/// providers report than a number of bytes per token, because it also holds for the arguments of tools, for
/// code, and for streams that send one token per event.
fn tokens_of(text: &[u8]) -> u64 {
    let (mut tokens, mut at) = (0, 0);
    let mut run: Option<(Class, Run)> = None;
    while let Some((class, first, length)) = character(text, at) {
        at += length;
        run = match run {
            Some((of, run)) if of == class => Some((of, run.and(first))),
            ended => {
                tokens += ended.map_or(0, |(class, run)| run.tokens(class));
                Some((class, Run { first, length: 1, is_one_byte: true }))
            }
        };
    }
    tokens += run.map_or(0, |(class, run)| run.tokens(class));
    // What consists of a blank alone is a token, too.
    tokens.max(u64::from(!text.is_empty()))
}

/// Characters of one class, one after the other.
#[derive(Clone, Copy)]
struct Run {
    first: u8,
    length: u64,
    is_one_byte: bool,
}

impl Run {
    fn and(self, next: u8) -> Self {
        let is_one_byte = self.is_one_byte && next == self.first;
        Self { length: self.length + 1, is_one_byte, ..self }
    }

    fn tokens(self, class: Class) -> u64 {
        let Self { length, is_one_byte, .. } = self;
        match class {
            Class::Letter => length.div_ceil(12),
            Class::Digit | Class::Foreign => length.div_ceil(3),
            Class::Blank => u64::from(length > 1),
            Class::LineEnd => 1,
            // A rule of the same mark has tokens of its own.
            Class::Mark if is_one_byte => length.div_ceil(16),
            Class::Mark => length.div_ceil(2),
            Class::Ideograph => length,
            Class::Emoji => 2 * length,
        }
    }
}

/// The character at a place: its class, its first byte, and how many bytes it is written with.
fn character(text: &[u8], at: usize) -> Option<(Class, u8, usize)> {
    let first = *text.get(at)?;
    let continued = |byte: &&u8| (0x80..0xc0).contains(*byte);
    let behind = text.get(at + 1..).unwrap_or_default();
    let length = || 1 + behind.iter().take(3).take_while(continued).count();
    Some(match first {
        b'\\' => return Some(escaped(behind)),
        0xf0.. => (Class::Emoji, first, length()),
        0xe0.. => (Class::Ideograph, first, length()),
        0x80.. => (Class::Foreign, first, length()),
        ascii => (class_of(ascii), ascii, 1),
    })
}

fn class_of(ascii: u8) -> Class {
    match ascii {
        b'a'..=b'z' | b'A'..=b'Z' => Class::Letter,
        b'0'..=b'9' => Class::Digit,
        b' ' | b'_' => Class::Blank,
        b'\n' | b'\r' | b'\t' => Class::LineEnd,
        _ => Class::Mark,
    }
}

/// The character that an escape stands for; `behind` is what follows the backslash.
fn escaped(behind: &[u8]) -> (Class, u8, usize) {
    match behind.first() {
        Some(b'n' | b'r' | b't') => (Class::LineEnd, b'\n', 2),
        Some(b'u') => {
            let digits = behind.get(1..5).and_then(|digits| std::str::from_utf8(digits).ok());
            match digits.and_then(|digits| u16::from_str_radix(digits, 16).ok()) {
                Some(code @ ..0x80) => {
                    let [_, ascii] = code.to_be_bytes();
                    (class_of(ascii), ascii, 6)
                }
                Some(..0x800) => (Class::Foreign, b'u', 6),
                // Of an emoji there are two, so that it has two tokens here as well.
                Some(_) => (Class::Ideograph, b'u', 6),
                None => (Class::Mark, b'u', 2),
            }
        }
        Some(mark) => (Class::Mark, *mark, 2),
        None => (Class::Mark, b'\\', 1),
    }
}
