//! Cutting the bodies of responses into events.
//!
//! An [`EventScanner`] is the only code that does this. It is fed the pieces of a body in order and
//! reports each event once it is whole. It neither holds back nor changes the body. An event that lies
//! in one piece is reported from there, without a copy. Of an event that spans pieces, up to 64 KiB are
//! kept; a longer one is skipped to its end. So memory is bounded, and the events do not depend on how
//! the body was cut.

mod events;
mod held;
mod list;
#[cfg(test)]
mod tests;
mod words;

use std::ops::Range;

use events::Events;
use list::List;
pub(crate) use words::LONGEST;
pub use words::{Framing, Scanned, StreamEvent};

/// Finds the events of a body, in whatever pieces it arrives.
///
/// ```
/// use tower_key_rotation::provider::{EventScanner, Framing, Scanned};
///
/// let mut scanner = EventScanner::new(Framing::Events);
/// let mut found = Vec::new();
/// for piece in ["data: {\"a\":1}\n\nda", "ta: [DONE]\n\n"] {
///     scanner.feed(piece.as_bytes(), |scanned, _part| {
///         if let Scanned::Event(event) = scanned {
///             found.push(String::from_utf8_lossy(event.data).into_owned());
///         }
///     });
/// }
/// assert_eq!(found, [r#"{"a":1}"#, "[DONE]"]);
/// ```
#[derive(Debug)]
pub struct EventScanner(Kind);

#[derive(Debug)]
enum Kind {
    Events(Events),
    List(List),
}

impl EventScanner {
    /// A scanner at the beginning of a body.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Events => Kind::Events(Events::default()),
            Framing::List | Framing::Whole => Kind::List(List::default()),
        })
    }

    /// Takes the next piece of the body, and calls `report` with each event that ends in it, and with
    /// the part of `piece` that belongs to the event. An event that began in an earlier piece begins at
    /// 0; one whose blank line ends in CR can have an LF in the next piece.
    ///
    /// Returns up to where `piece` consists of events that have ended, comments included.
    pub fn feed(&mut self, piece: &[u8], report: impl FnMut(Scanned<'_>, Range<usize>)) -> usize {
        match &mut self.0 {
            Kind::Events(events) => events.feed(piece, report),
            Kind::List(list) => list.feed(piece, report),
        }
    }

    /// Takes the end of the body: the last server-sent event needs no blank line behind it.
    pub fn finish(&mut self, report: impl FnMut(Scanned<'_>)) {
        match &mut self.0 {
            Kind::Events(events) => events.finish(report),
            // An element without its end cannot be read.
            Kind::List(_) => {}
        }
    }

    /// The element of a list whose end has not come.
    pub(crate) fn unfinished(&self) -> &[u8] {
        match &self.0 {
            Kind::Events(_) => &[],
            Kind::List(list) => list.unfinished(),
        }
    }
}
