//! Bytes of an event whose end has not come.

use super::words::LONGEST;

/// At most [`LONGEST`] bytes. It remembers whether more came.
#[derive(Debug, Default)]
pub(super) struct Held {
    bytes: Vec<u8>,
    is_too_long: bool,
}

impl Held {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let room = LONGEST - self.bytes.len();
        self.is_too_long |= bytes.len() > room;
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// More came than is kept.
    pub(super) fn overflow(&mut self) {
        self.is_too_long = true;
    }

    /// What is kept: a beginning, if it is too long.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty() && !self.is_too_long
    }

    pub(super) fn is_too_long(&self) -> bool {
        self.is_too_long
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.is_too_long = false;
    }
}
