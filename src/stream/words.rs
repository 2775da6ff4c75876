//! What a body is cut into, and how.

/// The longest line of an event, its data in all, and the longest element of a list, in bytes.
pub(crate) const LONGEST: usize = 64 * 1024;

/// An event of a stream: a server-sent event, or an element of a JSON array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamEvent<'a> {
    /// The name that its `event` line gives it; empty without one.
    pub name: &'a str,
    /// Its data: JSON in all built-in dialects, except `[DONE]`.
    pub data: &'a [u8],
}

impl<'a> StreamEvent<'a> {
    /// An event with a name, which may be empty.
    #[must_use]
    pub fn new(name: &'a str, data: &'a [u8]) -> Self {
        Self { name, data }
    }

    /// An event without a name.
    #[must_use]
    pub fn data(data: &'a [u8]) -> Self {
        Self::new("", data)
    }
}

/// How a body is cut into events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// Server-sent events (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).
    Events,
    /// The elements of one JSON array, as they arrive; or one object alone.
    List,
    /// A JSON object that is no stream. It is an event by itself if its first member is `error`;
    /// otherwise the body is passed on at once.
    Whole,
}

/// What an [`EventScanner`](super::EventScanner) finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scanned<'a> {
    /// A whole event.
    Event(StreamEvent<'a>),
    /// An event of more than 64 KiB, or a body that is not framed as expected.
    Unread {
        /// The name of the event; empty without one.
        name: &'a str,
    },
}
