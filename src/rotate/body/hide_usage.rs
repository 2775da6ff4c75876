//! Leaves the chunk with the usage out of a stream whose caller did not ask for it.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::{
    KeyPool,
    provider::{EventScanner, Framing, Provider, Scanned},
    stream::LONGEST,
};

/// Passes a stream on event by event, without the event that holds nothing but the usage.
pub(in crate::rotate) struct HideUsage {
    pool: KeyPool,
    scanner: EventScanner,
    /// An event that has not ended yet: at most 64 KiB.
    held: BytesMut,
    /// Everything from now on is passed on.
    is_done: bool,
    /// The event that was left out ended in a CR, of which an LF can follow.
    is_after_cr: bool,
}

impl HideUsage {
    pub(in crate::rotate) fn new(pool: KeyPool) -> Self {
        let scanner = EventScanner::new(Framing::Events);
        Self { pool, scanner, held: BytesMut::new(), is_done: false, is_after_cr: false }
    }

    pub(in crate::rotate) fn holds_nothing(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes in a piece of the stream. Returns what can be passed on now.
    pub(in crate::rotate) fn pass(&mut self, mut piece: Bytes) -> Bytes {
        if self.is_done {
            if std::mem::take(&mut self.is_after_cr) && piece.starts_with(b"\n") {
                piece = piece.slice(1..);
            }
            return piece;
        }
        let (provider, mut hidden) = (self.pool.provider(), None);
        let ended = self.scanner.feed(&piece, |scanned, part| {
            if hidden.is_none() && is_usage_alone(provider, scanned) {
                hidden = Some(part);
            }
        });
        if let Some(part) = hidden {
            self.is_done = true;
            self.is_after_cr = part.end == piece.len() && piece.ends_with(b"\r");
            // An event at the start of the piece began in the held data.
            let held = self.held.split().freeze();
            let held = if part.start == 0 { Bytes::new() } else { held };
            return joined(&[held, piece.slice(..part.start), piece.slice(part.end..)]);
        }
        let held = if ended == 0 { Bytes::new() } else { self.held.split().freeze() };
        self.held.extend_from_slice(&piece[ended..]);
        if self.held.len() > LONGEST {
            self.is_done = true;
            return joined(&[held, piece.slice(..ended), self.held.split().freeze()]);
        }
        joined(&[held, piece.slice(..ended)])
    }

    /// The held data, to be passed on at the end of the stream.
    pub(in crate::rotate) fn rest(&mut self) -> Option<Bytes> {
        let rest = self.held.split().freeze();
        let (provider, mut is_hidden) = (self.pool.provider(), false);
        self.scanner.finish(|scanned| is_hidden = is_usage_alone(provider, scanned));
        Some(rest).filter(|rest| !rest.is_empty() && !is_hidden)
    }
}

fn is_usage_alone(provider: &dyn Provider, scanned: Scanned<'_>) -> bool {
    matches!(scanned, Scanned::Event(event) if provider.is_usage_alone(&event))
}

/// All parts as one; without a copy if at most one of them is not empty.
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
        f.debug_struct("HideUsage").field("is_done", &self.is_done).finish_non_exhaustive()
    }
}
