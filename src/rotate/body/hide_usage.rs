//! Leaves the chunk with the usage out of a stream whose caller did not ask for it.

use std::fmt;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use crate::{
    KeyPool,
    provider::Framing,
    stream::{LONGEST, Scanner, Seen},
};

/// Passes a stream on event by event, without the event that holds nothing but the usage.
pub(in crate::rotate) struct HideUsage {
    pool: KeyPool,
    /// An event whose end has not come yet: at most 64 KiB.
    held: BytesMut,
    /// All that is still to come is passed on.
    is_done: bool,
}

impl HideUsage {
    pub(in crate::rotate) fn new(pool: KeyPool) -> Self {
        Self { pool, held: BytesMut::new(), is_done: false }
    }

    pub(in crate::rotate) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes in a piece of the stream. Returns what can be passed on now.
    pub(in crate::rotate) fn pass(&mut self, piece: Bytes) -> Bytes {
        if self.is_done {
            return piece;
        }
        let all = if self.held.is_empty() {
            piece
        } else {
            self.held.extend_from_slice(&piece);
            self.held.split().freeze()
        };
        let mut from = 0;
        while let Some(length) = event(&all[from..]) {
            if self.is_usage_alone(&all[from..from + length]) {
                self.is_done = true;
                let rest = all.slice(from + length..);
                return if from == 0 { rest } else { [&all[..from], &rest].concat().into() };
            }
            from += length;
        }
        if all.len() - from > LONGEST {
            self.is_done = true;
            return all;
        }
        self.held.extend_from_slice(&all[from..]);
        all.slice(..from)
    }

    /// What is still to be passed on when the stream has ended.
    pub(in crate::rotate) fn rest(&mut self) -> Option<Bytes> {
        let rest = self.held.split().freeze();
        Some(rest).filter(|rest| !rest.is_empty() && !self.is_usage_alone(rest))
    }

    fn is_usage_alone(&self, text: &[u8]) -> bool {
        let mut is_usage_alone = false;
        let mut look = |seen: Seen<'_>| {
            if let Seen::Event(event) = seen {
                is_usage_alone |= self.pool.provider().is_usage_alone(&event);
            }
        };
        let mut scanner = Scanner::new(Framing::Events);
        scanner.feed(text, &mut look);
        scanner.finish(&mut look);
        is_usage_alone
    }
}

impl fmt::Debug for HideUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HideUsage").field("is_done", &self.is_done).finish_non_exhaustive()
    }
}

/// The length of the first event, its blank line included; none if its end has not come yet.
fn event(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let end = at + memchr2(b'\n', b'\r', &text[at..])?;
        let is_blank = end == at;
        at = match (text[end], text.get(end + 1)) {
            (b'\r', None) => return None,
            (b'\r', Some(b'\n')) => end + 2,
            _ => end + 1,
        };
        if is_blank {
            return Some(at);
        }
    }
}
