//! Finding what an answer tells of its usage, in whatever pieces it comes.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Usage, object, told::Told};

/// What every dialect's usage begins with: `"usage": {...}`, `"usageMetadata": {...}`. Inside a text the
/// quotes would be escaped, so that content is passed over without being parsed.
const MARK: &[u8] = b"\"usage";
const METADATA: &[u8] = b"Metadata";
const METADATA_LENGTH: usize = METADATA.len();

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(MARK));

/// The longest usage object. They have some hundred bytes.
const LONGEST: usize = 8 * 1024;

/// Reads usage from the bytes of an answer as they flow by.
///
/// It takes JSON, server-sent events and JSON arrays alike, of any length and cut in any way, and
/// holds no more than 8 KiB. Content is searched for one word, at the speed of memory; only what
/// follows the word `usage` is parsed. Of several that an answer tells, the last counts, figure by
/// figure.
#[derive(Clone, Debug, Default)]
pub struct UsageReader {
    state: State,
    /// The object that is being read.
    object: Vec<u8>,
    told: Option<Told>,
    times: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// So many bytes of the mark were the last that came.
    Seeking(usize),
    /// Behind the mark, or so many bytes into `Metadata`.
    Name(usize),
    /// Behind the name.
    Colon,
    /// Behind the colon.
    Value,
    Object(Nesting),
}

#[derive(Clone, Copy, Debug, Default)]
struct Nesting {
    depth: usize,
    in_string: bool,
    after_backslash: bool,
}

impl Default for State {
    fn default() -> Self {
        Self::Seeking(0)
    }
}

impl UsageReader {
    /// A reader for one answer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next piece of the answer.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            if let State::Seeking(0) = self.state {
                rest = self.seek(rest);
                continue;
            }
            rest = after;
            self.state = match self.state {
                State::Seeking(seen) if byte == MARK[seen] && seen + 1 == MARK.len() => {
                    State::Name(0)
                }
                State::Seeking(seen) if byte == MARK[seen] => State::Seeking(seen + 1),
                State::Name(0 | METADATA_LENGTH) if byte == b'"' => State::Colon,
                State::Name(seen) if METADATA.get(seen) == Some(&byte) => State::Name(seen + 1),
                State::Colon | State::Value if byte.is_ascii_whitespace() => continue,
                State::Colon if byte == b':' => State::Value,
                State::Value if byte == b'{' => {
                    self.object.clear();
                    self.object.push(byte);
                    State::Object(Nesting { depth: 1, ..Nesting::default() })
                }
                State::Object(nesting) => self.collect(byte, nesting),
                // Not what it looked like. The mark has no other quote in it than its first byte.
                _ => State::Seeking(usize::from(byte == MARK[0])),
            };
        }
    }

    /// What the answer has told so far; none if it has told nothing.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.told.as_ref().map(Told::disjoint)
    }

    /// How many bytes are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.object.capacity()
    }

    /// Looks for the mark. What is behind it is left; or else nothing, but its beginning may have been
    /// the end of the piece.
    fn seek<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let (state, rest) = match FINDER.find(piece) {
            Some(at) => (State::Name(0), &piece[at + MARK.len()..]),
            None => {
                let is_end = |seen: &usize| piece.ends_with(&MARK[..*seen]);
                let seen = (1..MARK.len()).rev().find(is_end);
                (State::Seeking(seen.unwrap_or(0)), &piece[piece.len()..])
            }
        };
        self.state = state;
        rest
    }

    /// How often the answer has told.
    pub(crate) fn times(&self) -> u32 {
        self.times
    }

    fn collect(&mut self, byte: u8, mut nesting: Nesting) -> State {
        if self.object.len() == LONGEST {
            return State::default();
        }
        self.object.push(byte);
        nesting.take(byte);
        if nesting.depth > 0 {
            return State::Object(nesting);
        }
        if let Some(told) = object::read(&self.object) {
            self.told.get_or_insert(told).update(&told);
            self.times = self.times.wrapping_add(1);
        }
        State::default()
    }
}

impl Nesting {
    fn take(&mut self, byte: u8) {
        if self.in_string {
            match byte {
                _ if self.after_backslash => self.after_backslash = false,
                b'\\' => self.after_backslash = true,
                b'"' => self.in_string = false,
                _ => {}
            }
            return;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => self.depth -= 1,
            _ => {}
        }
    }
}
