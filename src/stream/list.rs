//! The elements of one JSON array, as they arrive; or one object, as if it were its only element.

use std::ops::Range;

use super::{
    held::Held,
    words::{LONGEST, Scanned, StreamEvent},
};
use crate::json::{Mark, Walker};

/// Finds the elements. It does not check that they are JSON: what is not gives elements that cannot be
/// parsed.
#[derive(Debug, Default)]
pub(super) struct List {
    root: Root,
    walker: Walker,
    in_element: bool,
    /// The beginning of an element whose end has not come.
    held: Held,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Root {
    #[default]
    Unknown,
    Array,
    Object,
    /// Neither, or ended: the rest is ignored.
    Over,
}

impl List {
    pub(super) fn feed(
        &mut self,
        piece: &[u8],
        mut report: impl FnMut(Scanned<'_>, Range<usize>),
    ) -> usize {
        let (mut at, mut ended) = (0, 0);
        if self.root == Root::Unknown {
            let Some(start) = piece.iter().position(|byte| !is_before_json(*byte)) else {
                return 0;
            };
            at = start;
            self.root = match piece.get(start) {
                Some(b'[') => Root::Array,
                Some(b'{') => Root::Object,
                _ => {
                    report(Scanned::Unread { name: "" }, 0..piece.len());
                    ended = piece.len();
                    Root::Over
                }
            };
        }
        // Where the element that is being read begins in this piece.
        let mut from = 0;
        while self.root != Root::Over {
            let Some((found, mark)) = self.walker.next(piece, at) else { break };
            at = found + 1;
            match mark {
                Mark::Open if !self.in_element && self.walker.depth() > self.outside() => {
                    self.in_element = true;
                    from = found;
                }
                Mark::Close => {
                    if self.in_element && self.walker.depth() == self.outside() {
                        let end = piece.get(from..at).unwrap_or_default();
                        self.end_element(end, |scanned| report(scanned, from..at));
                        (from, ended) = (at, at);
                    }
                    if self.walker.depth() == 0 {
                        self.root = Root::Over;
                    }
                }
                _ => {}
            }
        }
        if self.in_element {
            self.held.push(piece.get(from..).unwrap_or_default());
        }
        ended
    }

    pub(super) fn unfinished(&self) -> &[u8] {
        self.held.bytes()
    }

    /// How many brackets are open around an element.
    fn outside(&self) -> u32 {
        u32::from(self.root == Root::Array)
    }

    /// The element has ended: its last part, or all of it, is `here`.
    fn end_element(&mut self, here: &[u8], report: impl FnOnce(Scanned<'_>)) {
        self.in_element = false;
        let event = |data| Scanned::Event(StreamEvent::data(data));
        let unread = Scanned::Unread { name: "" };
        if !self.held.is_empty() {
            self.held.push(here);
            let is_whole = !self.held.is_too_long();
            report(if is_whole { event(self.held.bytes()) } else { unread });
            self.held.clear();
        } else {
            report(if here.len() <= LONGEST { event(here) } else { unread });
        }
    }
}

/// White space, or a byte of a byte order mark.
fn is_before_json(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf)
}
