//! Cutting the bodies of answers into events, however they arrive.
//!
//! A [`Scanner`] is fed the pieces of a body in order and tells each event once it is whole. It
//! passes nothing on and holds nothing back: the bytes go their own way. An event that lies in one
//! piece is told from there, without a copy; of one that does not, up to 64 KiB are kept, and one that
//! is longer is skipped to its end. So memory is bounded, and what is told does not depend on how the
//! body was cut.

mod events;
mod held;
mod list;
#[cfg(test)]
mod tests;

use events::Events;
use list::List;

/// The longest line of an event, its data in all, and the longest element of a list.
pub(crate) const LONGEST: usize = 64 * 1024;

/// An event of a stream: a server-sent event, or an element of a JSON array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEvent<'a> {
    /// The name that its `event` line gives it; empty without one.
    pub name: &'a str,
    /// Its data: JSON, in all dialects that are built in, but for `[DONE]`.
    pub data: &'a [u8],
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
    /// otherwise nothing of it is waited for.
    Whole,
}

/// Finds the events of a body.
#[derive(Debug)]
pub(crate) enum Scanner {
    Events(Events),
    List(List),
}

/// What a scanner comes upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen<'a> {
    Event(StreamEvent<'a>),
    /// An event that is too long to be held, or a body that is not framed as it should be.
    Unread,
}

impl Scanner {
    pub(crate) fn new(framing: Framing) -> Self {
        match framing {
            Framing::Events => Self::Events(Events::default()),
            Framing::List | Framing::Whole => Self::List(List::default()),
        }
    }

    /// Tells the events that end in this piece.
    pub(crate) fn feed(&mut self, piece: &[u8], tell: impl FnMut(Seen<'_>)) {
        match self {
            Self::Events(events) => events.feed(piece, tell),
            Self::List(list) => list.feed(piece, tell),
        }
    }

    /// The body has ended: tells an event that lacks but its end.
    pub(crate) fn finish(&mut self, tell: impl FnMut(Seen<'_>)) {
        match self {
            Self::Events(events) => events.finish(tell),
            // An element without its end cannot be read.
            Self::List(_) => {}
        }
    }

    /// The element of a list whose end has not come.
    pub(crate) fn unfinished(&self) -> &[u8] {
        match self {
            Self::Events(_) => &[],
            Self::List(list) => list.unfinished(),
        }
    }
}
