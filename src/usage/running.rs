//! How long an answer has been so far, for one that is cut before it tells.

/// About how many bytes of text a token has.
const BYTES_PER_TOKEN: u64 = 4;

/// Counts the events of a stream, or the bytes of a body that is none.
///
/// Nothing is parsed: each event of a stream has the same words around its text, so what goes beyond
/// the shortest event is text, and every event has a token at least.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Running {
    events: u64,
    bytes: u64,
    shortest: u64,
}

impl Running {
    /// An event with content.
    pub(crate) fn event(&mut self, length: usize) {
        let length = length as u64;
        self.shortest = if self.events == 0 { length } else { self.shortest.min(length) };
        self.events += 1;
        self.bytes = self.bytes.saturating_add(length);
    }

    /// A piece of a body that is no stream.
    pub(crate) fn bytes(&mut self, length: usize) {
        self.bytes = self.bytes.saturating_add(length as u64);
    }

    /// About how many tokens that were.
    pub(crate) fn tokens(&self) -> u64 {
        let around = self.events.saturating_mul(self.shortest);
        self.events.saturating_add(self.bytes.saturating_sub(around) / BYTES_PER_TOKEN)
    }
}
