//! Leaves the chunks with the usage out of a stream whose caller did not ask for them.

use std::{fmt, ops::Range};

use bytes::{Bytes, BytesMut};

use crate::{
    KeyPool,
    provider::{Decoder, EventScanner, Framing, Provider, Scanned},
    stream::LONGEST,
};

/// Passes a stream on event by event, without the events that hold nothing but the usage.
pub(in crate::rotate) struct HideUsage {
    pool: KeyPool,
    /// Unpacks a stream that is compressed: it is passed on unpacked.
    decoder: Option<Decoder>,
    events: Events,
}

impl HideUsage {
    pub(in crate::rotate) fn new(pool: KeyPool, decoder: Option<Decoder>) -> Self {
        Self { pool, decoder, events: Events::new() }
    }

    pub(in crate::rotate) fn holds_nothing(&self) -> bool {
        self.events.held.is_empty()
    }

    /// Takes in a piece of the stream. Returns what can be passed on now. A compressed stream that cannot be
    /// unpacked ends where that is so.
    pub(in crate::rotate) fn pass(&mut self, piece: Bytes) -> Bytes {
        let Self { pool, decoder, events } = self;
        let Some(decoder) = decoder else { return events.pass(pool.provider(), piece) };
        let mut unpacked = BytesMut::new();
        decoder.feed(&piece, |part| unpacked.extend_from_slice(part));
        events.pass(pool.provider(), unpacked.freeze())
    }

    /// The held data, to be passed on at the end of the stream.
    pub(in crate::rotate) fn rest(&mut self) -> Option<Bytes> {
        self.events.rest(self.pool.provider())
    }

    /// The same for a stream that is there whole.
    pub(in crate::rotate) fn of_whole(mut self, stream: Bytes) -> Bytes {
        let passed = self.pass(stream);
        let rest = self.rest().unwrap_or_default();
        joined(&[passed, rest])
    }
}

/// A stream as it is cut into events.
struct Events {
    scanner: EventScanner,
    /// An event whose end has not come yet: at most 64 KiB.
    held: BytesMut,
    /// The present event is longer than that. It is passed on as it comes, because usage is short.
    is_passing: bool,
    /// The event that was left out ended in a CR, of which an LF can follow.
    is_after_cr: bool,
}

impl Events {
    fn new() -> Self {
        let scanner = EventScanner::new(Framing::Events);
        Self { scanner, held: BytesMut::new(), is_passing: false, is_after_cr: false }
    }

    fn pass(&mut self, provider: &dyn Provider, piece: Bytes) -> Bytes {
        let mut hidden: Vec<Range<usize>> = Vec::new();
        if self.is_after_cr && piece.starts_with(b"\n") {
            hidden.push(0..1);
        }
        self.is_after_cr &= piece.is_empty();
        let mut is_held_hidden = false;
        let ended = self.scanner.feed(&piece, |scanned, part| {
            if is_usage_alone(provider, scanned) {
                // An event from the beginning of the piece on has begun in what is held.
                is_held_hidden |= part.start == 0;
                hidden.push(part);
            }
        });
        if let Some(last) = hidden.last() {
            self.is_after_cr = last.end == piece.len() && piece.ends_with(b"\r");
        }
        let has_ended = ended > 0 || !hidden.is_empty();
        self.is_passing &= !has_ended;
        if self.is_passing {
            return piece;
        }
        let held = if has_ended { self.held.split().freeze() } else { Bytes::new() };
        let held = if is_held_hidden { Bytes::new() } else { held };
        let passed = match hidden.as_slice() {
            [] => joined(&[held, piece.slice(..ended)]),
            hidden => without(&piece.slice(..ended), held, hidden),
        };
        self.held.extend_from_slice(&piece[ended..]);
        if self.held.len() > LONGEST {
            self.is_passing = true;
            return joined(&[passed, self.held.split().freeze()]);
        }
        passed
    }

    fn rest(&mut self, provider: &dyn Provider) -> Option<Bytes> {
        let rest = self.held.split().freeze();
        let mut is_hidden = false;
        self.scanner.finish(|scanned| is_hidden = is_usage_alone(provider, scanned));
        Some(rest).filter(|rest| !rest.is_empty() && !is_hidden)
    }
}

fn is_usage_alone(provider: &dyn Provider, scanned: Scanned<'_>) -> bool {
    matches!(scanned, Scanned::Event(event) if provider.is_usage_alone(&event))
}

/// What is held and a piece behind it, without parts of the piece.
fn without(piece: &Bytes, held: Bytes, hidden: &[Range<usize>]) -> Bytes {
    let mut from = 0;
    let mut parts = vec![held];
    for part in hidden {
        let end = part.end.min(piece.len());
        parts.push(piece.slice(from..part.start.clamp(from, end)));
        from = end;
    }
    parts.push(piece.slice(from..));
    joined(&parts)
}

/// All parts as one; without a copy if no more than one of them has something in it.
fn joined(parts: &[Bytes]) -> Bytes {
    let mut full = parts.iter().filter(|part| !part.is_empty());
    match (full.next(), full.next()) {
        (None, _) => Bytes::new(),
        (Some(only), None) => only.clone(),
        (Some(_), Some(_)) => parts.concat().into(),
    }
}

impl fmt::Debug for HideUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HideUsage").finish_non_exhaustive()
    }
}
