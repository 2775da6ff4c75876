//! Compressed bodies, decoded for reading only.

use std::io::Write;

use flate2::write::MultiGzDecoder;
use http::{HeaderMap, header};

/// How a body is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Plain,
    Gzip,
    /// In a way that is not read here.
    Other,
}

impl Encoding {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).into_iter();
        match (encodings.next().map(|value| value.as_bytes()), encodings.next()) {
            (None | Some(b"identity"), None) => Self::Plain,
            (Some(name), None) if name.eq_ignore_ascii_case(b"gzip") => Self::Gzip,
            _ => Self::Other,
        }
    }
}

/// So much of a body is decoded at a time. What comes out is a thousand times as much at most.
const STEP: usize = 512;

/// So much is decoded of one body: more than any answer, and an end to what was made to be endless.
const MOST: usize = 256 * 1024 * 1024;

/// Decodes gzip.
#[derive(Debug)]
pub(super) struct Decoder {
    gzip: MultiGzDecoder<Vec<u8>>,
    left: usize,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { gzip: MultiGzDecoder::new(Vec::new()), left: MOST }
    }

    /// Tells what is in a piece of a body. False if nothing more can be read.
    pub(super) fn feed(&mut self, piece: &[u8], mut tell: impl FnMut(&[u8])) -> bool {
        for step in piece.chunks(STEP) {
            let is_good = self.left > 0 && self.gzip.write_all(step).is_ok();
            let is_good = is_good && self.gzip.flush().is_ok();
            let decoded = self.gzip.get_mut();
            tell(decoded);
            self.left = self.left.saturating_sub(decoded.len());
            decoded.clear();
            if !is_good {
                self.left = 0;
                return false;
            }
        }
        true
    }
}
