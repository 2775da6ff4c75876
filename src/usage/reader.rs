//! Finds the usage in an answer, however the answer is cut into pieces.

use std::sync::LazyLock;

use http::HeaderMap;
use memchr::{memchr, memmem::Finder};
use serde_json::Value;

use super::{
    object,
    reported::ReportedUsage,
    shape::{UsageHeaders, UsageShape},
    tokens::Usage,
};
use crate::json::Walker;

/// The start of the usage in nearly all dialects: `"usage": {...}`, `"usageMetadata": {...}`. Inside a text
/// the quotes are escaped, so content is skipped without being parsed.
const USAGE: &[u8] = b"\"usage";

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(USAGE));

/// The longest usage object that is read. Usual ones have a few hundred bytes.
const LONGEST: usize = 8 * 1024;

/// Reads the usage from the bytes of an answer while they are passed on.
///
/// It reads JSON, server-sent events and JSON arrays, of any length and cut into any pieces, and holds at
/// most 8 KiB. It searches the content for one word, and parses only the object after the name of a
/// [`member`](UsageShape::member) of a shape. If an answer reports a figure several times, the last counts.
#[derive(Clone, Debug)]
pub struct UsageReader {
    shapes: &'static [UsageShape],
    /// The common start of all names of members, including the quote before them.
    opening: &'static [u8],
    state: State,
    /// Boxed, so that a reader is small until it finds something.
    found: Option<Box<Found>>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
struct Found {
    /// The object that is being read.
    object: Vec<u8>,
    /// The shape of the last object.
    shape: Option<&'static UsageShape>,
    reported: Option<ReportedUsage>,
    times: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The last bytes so far are this many bytes of the opening.
    Seeking(usize),
    /// This many bytes of the name matched.
    Name(&'static str, usize),
    /// After the name.
    Colon(&'static str),
    /// After the colon.
    Value(&'static str),
    Object(&'static str, Walker),
}

impl UsageReader {
    /// A reader for one answer in one of these shapes. The shapes of a dialect are in
    /// [`ProviderSpec::usage`](crate::provider::ProviderSpec::usage).
    #[must_use]
    pub fn new(shapes: &'static [UsageShape]) -> Self {
        let is_usage = shapes.iter().all(|shape| shape.member.as_bytes().starts_with(&USAGE[1..]));
        Self {
            shapes,
            opening: if is_usage { USAGE } else { &USAGE[..1] },
            state: State::Seeking(0),
            found: None,
        }
    }

    /// Reads the usage that headers report. The body takes precedence.
    #[must_use]
    pub fn headers(mut self, names: &UsageHeaders, headers: &HeaderMap) -> Self {
        if let Some(reported) = object::in_headers(headers, names) {
            self.found_mut().reported = Some(reported);
        }
        self
    }

    /// Reads the next piece of the answer.
    pub fn feed(&mut self, piece: &[u8]) {
        let mut rest = piece;
        while let Some((&byte, after)) = rest.split_first() {
            match self.state {
                State::Seeking(0) => {
                    rest = self.seek(rest);
                    continue;
                }
                State::Object(name, walker) => {
                    rest = self.collect(rest, name, walker);
                    continue;
                }
                _ => rest = after,
            }
            self.state = match self.state {
                State::Seeking(seen) if self.opening.get(seen) == Some(&byte) => {
                    self.opened(seen + 1)
                }
                State::Name(name, seen) => match self.continued(name, seen, byte) {
                    Some(state) => state,
                    None => self.anew(byte),
                },
                State::Colon(_) | State::Value(_) if byte.is_ascii_whitespace() => continue,
                State::Colon(name) if byte == b':' => State::Value(name),
                State::Value(name) if byte == b'{' => {
                    let object = &mut self.found_mut().object;
                    object.clear();
                    object.push(byte);
                    State::Object(name, Walker::inside_value())
                }
                _ => self.anew(byte),
            };
        }
    }

    /// The usage that the answer has reported so far; `None` if it has reported none.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.found.as_ref()?.reported.as_ref().map(ReportedUsage::disjoint)
    }

    /// How often the answer has reported its usage.
    pub(crate) fn times(&self) -> u32 {
        self.found.as_ref().map_or(0, |found| found.times)
    }

    /// The number of bytes that are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.found.as_ref().map_or(0, |found| found.object.capacity())
    }

    fn found_mut(&mut self) -> &mut Found {
        self.found.get_or_insert_default()
    }

    /// Looks for the opening, and returns the rest after it. If there is none, the piece may still end with
    /// the start of one.
    fn seek<'p>(&mut self, piece: &'p [u8]) -> &'p [u8] {
        let length = self.opening.len();
        let at = if length == USAGE.len() { FINDER.find(piece) } else { memchr(b'"', piece) };
        let (seen, rest) = match at {
            Some(at) => (length, &piece[at + length..]),
            None => {
                let is_end = |seen: &usize| piece.ends_with(&self.opening[..*seen]);
                ((1..length).rev().find(is_end).unwrap_or(0), &piece[piece.len()..])
            }
        };
        self.state = self.opened(seen);
        rest
    }

    /// Notes that this many bytes of the opening have come.
    fn opened(&self, seen: usize) -> State {
        match self.shapes.first() {
            Some(shape) if seen == self.opening.len() => State::Name(shape.member, seen - 1),
            _ => State::Seeking(seen),
        }
    }

    /// Matches the next byte of a name, after `seen` bytes that match the start of `name`. None if no name
    /// continues like this.
    fn continued(&self, name: &'static str, seen: usize, byte: u8) -> Option<State> {
        let begun = name.as_bytes().get(..seen)?;
        let mut names = self.shapes.iter().map(|shape| shape.member);
        let rest = |name: &'static str| name.as_bytes().strip_prefix(begun);
        if byte == b'"' {
            return names.find(|name| rest(name) == Some(b"")).map(State::Colon);
        }
        let name = names.find(|name| rest(name).is_some_and(|rest| rest.first() == Some(&byte)))?;
        Some(State::Name(name, seen + 1))
    }

    /// It is no opening. The opening has no other quote in it than its first byte.
    fn anew(&self, byte: u8) -> State {
        self.opened(usize::from(byte == USAGE[0]))
    }

    /// Takes the part that belongs to the object that is being read, and leaves the rest.
    fn collect<'p>(&mut self, piece: &'p [u8], name: &'static str, mut walker: Walker) -> &'p [u8] {
        let object = &mut self.found.get_or_insert_default().object;
        let room = &piece[..piece.len().min(LONGEST - object.len())];
        let end = walker.close_to(0, room);
        let (part, rest) = piece.split_at(end.unwrap_or(room.len()));
        // The buffer doubles as it grows, up to the longest object, which is a power of two.
        let held = object.len();
        object.reserve_exact((held + part.len()).next_power_of_two() - held);
        object.extend_from_slice(part);
        self.state = match end {
            None if object.len() < LONGEST => State::Object(name, walker),
            // The object is too long and is given up.
            None => State::Seeking(0),
            Some(_) => {
                self.take(name);
                State::Seeking(0)
            }
        };
        rest
    }

    /// An object is complete.
    fn take(&mut self, name: &str) {
        let Some(found) = &mut self.found else { return };
        let Ok(object) = serde_json::from_slice::<Value>(&found.object) else { return };
        let marked = self.shapes.iter().filter(|shape| object::is_marked(&object, shape));
        let shapes = found.shape.into_iter().chain(marked).filter(|shape| shape.member == name);
        let read = |shape| Some((shape, object::read(&object, shape)?));
        if let Some((shape, reported)) = shapes.filter_map(read).next() {
            found.shape = Some(shape);
            found.reported.get_or_insert(reported).update(&reported);
            found.times = found.times.wrapping_add(1);
        }
    }
}
