//! Estimates the tokens of an answer that ends before it reports its usage.

/// Estimates tokens from the events of a stream, or from the bytes of a body that is no stream.
///
/// It parses nothing. The events of a stream have the same JSON around their text, so the bytes beyond the
/// shortest event are text. Each event counts as one token at least.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct OutputEstimate {
    events: u64,
    bytes: u64,
    shortest: u64,
}

/// About how many bytes of text a token has.
const BYTES_PER_TOKEN: u64 = 4;

impl OutputEstimate {
    /// Counts an event with content, by its length in bytes.
    pub(crate) fn event(&mut self, length: usize) {
        let length = length as u64;
        self.shortest = if self.events == 0 { length } else { self.shortest.min(length) };
        self.events += 1;
        self.bytes = self.bytes.saturating_add(length);
    }

    /// Counts a piece of a body that is no stream, by its length in bytes.
    pub(crate) fn bytes(&mut self, length: usize) {
        self.bytes = self.bytes.saturating_add(length as u64);
    }

    /// The estimate.
    pub(crate) fn tokens(&self) -> u64 {
        let around = self.events.saturating_mul(self.shortest);
        self.events.saturating_add(self.bytes.saturating_sub(around) / BYTES_PER_TOKEN)
    }
}
