//! Unpacks gzip, deflate and brotli, piece by piece.

use std::{
    fmt,
    io::{self, Write},
};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// The most that is unpacked of any body, in bytes: more than any answer has. It stops bodies that were made
/// to unpack without end.
const ENDLESS: usize = 256 * 1024 * 1024;

/// How much of a body is unpacked at a time, in bytes.
const STEP: usize = 512;

/// The most that may come out of such a step, in bytes; brotli could make far more of it.
pub(super) const MOST_OF_STEP: usize = 1024 * 1024;

const BROTLI_BUFFER: usize = 4_096;

/// Unpacks a body as it comes.
pub(crate) struct Decoder {
    /// Boxed: most responses have none.
    state: Box<State>,
    left: usize,
}

/// What came out of a step.
#[derive(Default)]
pub(super) struct Part(pub(super) Vec<u8>);

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = MOST_OF_STEP - self.0.len();
        if room == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let taken = &bytes[..bytes.len().min(room)];
        self.0.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

enum State {
    Gzip(MultiGzDecoder<Part>),
    /// Its first byte decides which of the two it is.
    Deflate,
    Zlib(ZlibDecoder<Part>),
    Bare(DeflateDecoder<Part>),
    Brotli(Box<DecompressorWriter<Part>>),
}

impl Decoder {
    /// Unpacks an encoding by its name in `content-encoding`, if it is one that is read.
    pub(super) fn of(encoding: &str) -> Option<Self> {
        let part = Part::default();
        let state = match &*encoding.to_ascii_lowercase() {
            "gzip" | "x-gzip" => State::Gzip(MultiGzDecoder::new(part)),
            "deflate" => State::Deflate,
            "br" => State::Brotli(Box::new(DecompressorWriter::new(part, BROTLI_BUFFER))),
            _ => return None,
        };
        Some(Self { state: Box::new(state), left: ENDLESS })
    }

    /// Whether nothing could be read so far.
    pub(crate) fn is_mute(&self) -> bool {
        self.left == ENDLESS
    }

    /// Unpacks a piece of a body and calls `report` with what comes out. False if nothing more can be read.
    pub(crate) fn feed(&mut self, piece: &[u8], mut report: impl FnMut(&[u8])) -> bool {
        for step in piece.chunks(STEP) {
            let is_good = self.left > 0 && self.state.write(step).is_ok();
            let Some(Part(part)) = self.state.part() else { continue };
            report(part);
            self.left = self.left.saturating_sub(part.len());
            part.clear();
            if !is_good {
                self.left = 0;
                return false;
            }
        }
        true
    }
}

impl State {
    fn write(&mut self, step: &[u8]) -> io::Result<()> {
        if let (Self::Deflate, Some(first)) = (&*self, step.first()) {
            // RFC 9110 means zlib's format, which begins with its method; there are servers that send the
            // bare stream.
            *self = match first & 0x0f {
                8 => Self::Zlib(ZlibDecoder::new(Part::default())),
                _ => Self::Bare(DeflateDecoder::new(Part::default())),
            };
        }
        match self {
            Self::Gzip(writer) => write(writer, step),
            Self::Deflate => Ok(()),
            Self::Zlib(writer) => write(writer, step),
            Self::Bare(writer) => write(writer, step),
            Self::Brotli(writer) => write(&mut **writer, step),
        }
    }

    /// What came out since it was last emptied.
    fn part(&mut self) -> Option<&mut Part> {
        match self {
            Self::Gzip(writer) => Some(writer.get_mut()),
            Self::Deflate => None,
            Self::Zlib(writer) => Some(writer.get_mut()),
            Self::Bare(writer) => Some(writer.get_mut()),
            Self::Brotli(writer) => Some(writer.get_mut()),
        }
    }
}

fn write(writer: &mut impl Write, step: &[u8]) -> io::Result<()> {
    writer.write_all(step)?;
    writer.flush()
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("left", &self.left).finish_non_exhaustive()
    }
}
