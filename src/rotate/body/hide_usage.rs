//! Leaving out of a stream the chunk that its caller did not ask for.

use std::fmt;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use crate::{
    KeyPool,
    provider::Framing,
    stream::{LONGEST, Scanner, Seen},
};

/// Passes a stream on event by event, without the one that is there for its usage alone.
pub(in crate::rotate) struct Hide {
    pool: KeyPool,
    /// An event whose end has not come: at most 64 KiB.
    held: BytesMut,
    /// Nothing more is looked for.
    is_done: bool,
}

impl Hide {
    pub(in crate::rotate) fn new(pool: KeyPool) -> Self {
        Self { pool, held: BytesMut::new(), is_done: false }
    }

    pub(in crate::rotate) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// What of the stream is to be passed on, with this piece of it.
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

    /// What is left when the stream has ended.
    pub(in crate::rotate) fn rest(&mut self) -> Option<Bytes> {
        let rest = self.held.split().freeze();
        Some(rest).filter(|rest| !rest.is_empty() && !self.is_usage_alone(rest))
    }

    fn is_usage_alone(&self, text: &[u8]) -> bool {
        let mut is_so = false;
        let mut tell = |seen: Seen<'_>| {
            if let Seen::Event(event) = seen {
                is_so |= self.pool.provider().is_usage_alone(&event);
            }
        };
        let mut scanner = Scanner::new(Framing::Events);
        scanner.feed(text, &mut tell);
        scanner.finish(&mut tell);
        is_so
    }
}

impl fmt::Debug for Hide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hide").field("is_done", &self.is_done).finish_non_exhaustive()
    }
}

/// How long the event at the front is, its blank line included; none if its end has not come.
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
