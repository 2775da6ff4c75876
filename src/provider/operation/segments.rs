//! The segments of a path, as a provider understands them.

use memchr::{memchr, memchr2_iter};
use percent_encoding::percent_decode_str;

/// No word that means something is longer.
const LONGEST: usize = 32;

/// The segments of a path that are still ahead. Empty ones are skipped, as servers do: `//v1/` is `/v1`.
#[derive(Clone, Copy)]
pub(super) struct Segments<'a> {
    ahead: &'a str,
    is_encoded: bool,
}

impl<'a> Segments<'a> {
    pub(super) const NONE: Segments<'static> = Segments { ahead: "", is_encoded: false };

    pub(super) fn new(path: &'a str) -> Self {
        Self { ahead: path, is_encoded: memchr(b'%', path.as_bytes()).is_some() }
    }

    pub(super) fn is_empty(mut self) -> bool {
        self.next().is_none()
    }

    /// What the next segment says.
    pub(super) fn next_word(&mut self) -> Word<'a> {
        let segment = self.next().unwrap_or_default();
        self.word(segment)
    }

    /// What a segment of this path says.
    pub(super) fn word(self, segment: &'a str) -> Word<'a> {
        if self.is_encoded { Word::decoded(segment) } else { Word::AsSent(segment) }
    }

    /// What the next segment says, without going there.
    pub(super) fn peek(mut self) -> Word<'a> {
        self.next_word()
    }

    /// Whether the next segment says so.
    pub(super) fn begins_with(self, word: &str) -> bool {
        self.peek().as_str() == word
    }

    /// The last segment, without walking there.
    pub(super) fn last(self) -> &'a str {
        let path = self.ahead.trim_end_matches('/');
        path.rsplit_once('/').map_or(path, |(_, last)| last)
    }

    /// Whether the last segment says so.
    pub(super) fn ends_with(self, word: &str) -> bool {
        self.word(self.last()).as_str() == word
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            // A segment is short: no search is quicker than to look at each byte.
            let end = self.ahead.bytes().position(|byte| byte == b'/');
            let (segment, ahead) = match end {
                Some(end) => (&self.ahead[..end], &self.ahead[end + 1..]),
                None => (self.ahead, ""),
            };
            self.ahead = ahead;
            if !segment.is_empty() || end.is_none() {
                return (!segment.is_empty()).then_some(segment);
            }
        }
    }
}

/// What a segment says, once it is decoded where it has to be; empty where that is longer than any word
/// that means something, or no ASCII.
pub(super) enum Word<'a> {
    AsSent(&'a str),
    Decoded([u8; LONGEST], usize),
}

impl<'a> Word<'a> {
    pub(super) const NONE: Self = Self::AsSent("");

    fn decoded(segment: &'a str) -> Self {
        if memchr(b'%', segment.as_bytes()).is_none() {
            return Self::AsSent(segment);
        }
        if segment.len() > LONGEST * "%41".len() {
            return Self::NONE;
        }
        let mut word = [0; LONGEST];
        let mut length = 0;
        for byte in percent_decode_str(segment) {
            match word.get_mut(length) {
                Some(place) if byte.is_ascii() => *place = byte,
                _ => return Self::NONE,
            }
            length += 1;
        }
        Self::Decoded(word, length)
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::AsSent(word) => word,
            Self::Decoded(word, length) => std::str::from_utf8(&word[..*length]).unwrap_or(""),
        }
    }
}

/// Whether a path has a segment `.` or `..`, encoded or with parameters (`..;`) or not. Servers may
/// resolve them, so that the path leads elsewhere than it seems to.
pub(super) fn has_dot_segments(path: &str) -> bool {
    let bytes = path.as_bytes();
    // Most dots are in the midst of a name, and most of what is encoded is neither a dot nor a slash.
    let may_have = memchr2_iter(b'.', b'%', bytes).any(|at| match bytes[at] {
        b'.' => at == 0 || b"/\\".contains(&bytes[at - 1]),
        _ => {
            matches!(bytes.get(at + 1..at + 3), Some(b"2e" | b"2E" | b"2f" | b"2F" | b"5c" | b"5C"))
        }
    });
    if !may_have {
        return false;
    }
    // Dots of a segment that consists of dots so far.
    let mut dots = Some(0);
    for byte in percent_decode_str(path).chain([b'/']) {
        dots = match (byte, dots) {
            (b'/' | b'\\' | b';', Some(1 | 2)) => return true,
            (b'/' | b'\\', _) => Some(0),
            (b'.', Some(dots)) => Some(dots + 1),
            _ => None,
        };
    }
    false
}
