//! Finding the usage in an answer, in whatever pieces it comes.

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

/// What nearly every dialect's usage begins with: `"usage": {...}`, `"usageMetadata": {...}`. Inside a
/// text the quotes would be escaped, so that content is passed over without being parsed.
const USAGE: &[u8] = b"\"usage";

static FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(USAGE));

/// The longest usage object. They have some hundred bytes.
const LONGEST: usize = 8 * 1024;

/// Reads usage from the bytes of an answer as they flow by.
///
/// It takes JSON, server-sent events and JSON arrays alike, of any length and cut in any way, and
/// holds no more than 8 KiB. Content is searched for one word, at the speed of memory; only what
/// follows the name of a shape's [`member`](UsageShape::member) is parsed. If an answer reports a figure
/// several times, the last counts.
#[derive(Clone, Debug)]
pub struct UsageReader {
    shapes: &'static [UsageShape],
    /// What all names of members begin with, the quote before them included.
    opening: &'static [u8],
    state: State,
    /// Boxed, so that a reader is small until something is found.
    found: Option<Box<Found>>,
}

/// What was found.
#[derive(Clone, Debug, Default)]
struct Found {
    /// The object that is being read.
    object: Vec<u8>,
    /// The shape of the last one.
    shape: Option<&'static UsageShape>,
    told: Option<ReportedUsage>,
    times: u32,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// The last bytes that came are so many bytes of the opening.
    Seeking(usize),
    /// So many bytes of this name came.
    Name(&'static str, usize),
    /// Behind the name.
    Colon(&'static str),
    /// Behind the colon.
    Value(&'static str),
    Object(&'static str, Walker),
}

impl UsageReader {
    /// A reader for one answer in one of these shapes: those of a dialect are
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

    /// Takes what headers report. The body takes precedence.
    #[must_use]
    pub fn headers(mut self, names: &UsageHeaders, headers: &HeaderMap) -> Self {
        if let Some(told) = object::in_headers(headers, names) {
            self.found_mut().told = Some(told);
        }
        self
    }

    /// Takes the next piece of the answer.
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

    /// What the answer has reported so far; `None` if it has reported nothing.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.found.as_ref()?.told.as_ref().map(ReportedUsage::disjoint)
    }

    /// How often the answer has reported its usage.
    pub(crate) fn times(&self) -> u32 {
        self.found.as_ref().map_or(0, |found| found.times)
    }

    /// How many bytes are held.
    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.found.as_ref().map_or(0, |found| found.object.capacity())
    }

    fn found_mut(&mut self) -> &mut Found {
        self.found.get_or_insert_default()
    }

    /// Looks for the opening, and returns what is behind it. If there is none, the piece may still end with
    /// the beginning of one.
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

    /// So many bytes of the opening have come.
    fn opened(&self, seen: usize) -> State {
        match self.shapes.first() {
            Some(shape) if seen == self.opening.len() => State::Name(shape.member, seen - 1),
            _ => State::Seeking(seen),
        }
    }

    /// The next byte of a name, of which so many have come that `name` begins with; none if none goes on
    /// so.
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

    /// It was not what it looked like. The opening has no other quote in it than its first byte.
    fn anew(&self, byte: u8) -> State {
        self.opened(usize::from(byte == USAGE[0]))
    }

    /// Takes what belongs to the object that is being read, and leaves what is behind it.
    fn collect<'p>(&mut self, piece: &'p [u8], name: &'static str, mut walker: Walker) -> &'p [u8] {
        let object = &mut self.found.get_or_insert_default().object;
        let room = &piece[..piece.len().min(LONGEST - object.len())];
        let end = walker.close_to(0, room);
        let (part, rest) = piece.split_at(end.unwrap_or(room.len()));
        // Doubled as it grows, but never beyond the longest, which is a power of two.
        let held = object.len();
        object.reserve_exact((held + part.len()).next_power_of_two() - held);
        object.extend_from_slice(part);
        self.state = match end {
            None if object.len() < LONGEST => State::Object(name, walker),
            // It is given up.
            None => State::Seeking(0),
            Some(_) => {
                self.take(name);
                State::Seeking(0)
            }
        };
        rest
    }

    /// An object has come whole.
    fn take(&mut self, name: &str) {
        let Some(found) = &mut self.found else { return };
        let Ok(object) = serde_json::from_slice::<Value>(&found.object) else { return };
        let marked = self.shapes.iter().filter(|shape| object::is_marked(&object, shape));
        let shapes = found.shape.into_iter().chain(marked).filter(|shape| shape.member == name);
        let read = |shape| Some((shape, object::read(&object, shape)?));
        if let Some((shape, told)) = shapes.filter_map(read).next() {
            found.shape = Some(shape);
            found.told.get_or_insert(told).update(&told);
            found.times = found.times.wrapping_add(1);
        }
    }
}
