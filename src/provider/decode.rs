//! Compressed bodies, unpacked to be read: refusals to be judged, answers for their errors and usage.
//! What is passed on to the caller stays as it came.

use std::{
    borrow::Cow,
    fmt,
    io::{self, Write},
};

use brotli_decompressor::DecompressorWriter;
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::{HeaderMap, header};

use super::clock;

/// How much of a refusal is unpacked at most; the rest is left out.
pub(crate) const MOST: usize = 64 * 1024;

/// The most that is unpacked of any body, in bytes: more than any answer has. It stops bodies that were made
/// to unpack without end.
const ENDLESS: usize = 256 * 1024 * 1024;

/// How much of a body is unpacked at a time, in bytes.
const STEP: usize = 512;

/// The most that may come out of such a step, in bytes; brotli could make far more of it.
const MOST_OF_STEP: usize = 1024 * 1024;

const BROTLI_BUFFER: usize = 4_096;

/// The body without its compression: gzip, deflate or brotli, as `content-encoding` says.
///
/// A body stays as it is if it is not compressed, if it is compressed in another way, or if it is not
/// compressed in spite of its header. A body that breaks off is unpacked as far as possible.
pub(crate) fn unpacked<'b>(headers: &HeaderMap, body: &'b [u8]) -> Cow<'b, [u8]> {
    let Encoding::Packed(mut decoder) = Encoding::of(headers) else { return Cow::Borrowed(body) };
    let mut bytes = Vec::new();
    for step in body.chunks(STEP) {
        let is_good = decoder.feed(step, |part| bytes.extend_from_slice(part));
        if !is_good || bytes.len() >= MOST {
            break;
        }
    }
    bytes.truncate(MOST);
    if bytes.is_empty() || !is_text(&bytes) { Cow::Borrowed(body) } else { Cow::Owned(bytes) }
}

/// If the result is no text, the body was not packed so. A character may be cut off at the end.
fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// How a body is encoded.
#[derive(Debug)]
pub(crate) enum Encoding {
    Plain,
    Packed(Decoder),
    /// In a way that is not supported.
    Other,
}

impl Encoding {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).into_iter();
        match (encodings.next(), encodings.next()) {
            (None, _) => Self::Plain,
            (Some(encoding), None) => clock::text(encoding).map_or(Self::Other, Self::named),
            _ => Self::Other,
        }
    }

    fn named(name: &str) -> Self {
        let part = Part::default();
        let state = match &*name.to_ascii_lowercase() {
            "identity" => return Self::Plain,
            "gzip" | "x-gzip" => State::Gzip(MultiGzDecoder::new(part)),
            "deflate" => State::Deflate,
            "br" => State::Brotli(Box::new(DecompressorWriter::new(part, BROTLI_BUFFER))),
            _ => return Self::Other,
        };
        Self::Packed(Decoder { state: Box::new(state), left: ENDLESS })
    }
}

/// Unpacks a body as it comes.
pub(crate) struct Decoder {
    /// Boxed: most responses have none.
    state: Box<State>,
    left: usize,
}

/// What came out of a step.
#[derive(Default)]
struct Part(Vec<u8>);

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

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write};
    use http::HeaderValue;

    use super::*;

    const TEXT: &[u8] = br#"{"error":{"code":"insufficient_quota"}}"#;

    /// The same, by brotli: one uncompressed block.
    fn brotli() -> Vec<u8> {
        let mut packed = Vec::new();
        // WBITS 16 (0), then a meta-block that is not the last (0), four nibbles of length (00), its
        // length less one (16 bits), uncompressed (1): 21 bits, filled up to three bytes.
        let bits = (1_u32 << 20) | ((TEXT.len() as u32 - 1) << 4);
        packed.extend(&bits.to_le_bytes()[..3]);
        packed.extend(TEXT);
        packed.push(0x03); // the last meta-block, empty
        packed
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = write::GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn unpack(encoding: &'static str, body: &[u8]) -> Vec<u8> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
        unpacked(&headers, body).into_owned()
    }

    #[test]
    fn every_encoding_is_unpacked() {
        let mut zlib = write::ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(TEXT).unwrap();
        let mut bare = write::DeflateEncoder::new(Vec::new(), Compression::best());
        bare.write_all(TEXT).unwrap();
        assert_eq!(unpack("gzip", &gzip(TEXT)), TEXT);
        assert_eq!(unpack("X-GZIP", &gzip(TEXT)), TEXT);
        assert_eq!(unpack("deflate", &zlib.finish().unwrap()), TEXT);
        assert_eq!(unpack("deflate", &bare.finish().unwrap()), TEXT);
        assert_eq!(unpack("br", &brotli()), TEXT);
        assert_eq!(unpack("identity", TEXT), TEXT);
    }

    /// What was unpacked of a body in pieces, and whether all of it could be.
    fn feed(encoding: &str, body: &[u8], size: usize) -> (Vec<u8>, bool) {
        let Encoding::Packed(mut decoder) = Encoding::named(encoding) else {
            panic!("{encoding} is not read")
        };
        let mut unpacked = Vec::new();
        let mut pieces = body.chunks(size);
        let is_good =
            pieces.all(|piece| decoder.feed(piece, |part| unpacked.extend_from_slice(part)));
        (unpacked, is_good)
    }

    #[test]
    fn unpacking_does_not_depend_on_the_cut() {
        let mut zlib = write::ZlibEncoder::new(Vec::new(), Compression::best());
        zlib.write_all(TEXT).unwrap();
        let zlib = zlib.finish().unwrap();
        let mut bare = write::DeflateEncoder::new(Vec::new(), Compression::best());
        bare.write_all(TEXT).unwrap();
        let bare = bare.finish().unwrap();
        let two = [gzip(&TEXT[..7]), gzip(&TEXT[7..])].concat();
        for size in [1, 2, 3, 7, 10_000] {
            for (encoding, body) in
                [("gzip", &two), ("deflate", &zlib), ("deflate", &bare), ("br", &brotli())]
            {
                let expected = (TEXT.to_vec(), true);
                assert_eq!(feed(encoding, body, size), expected, "{encoding} by {size}");
            }
        }
    }

    /// A server flushes each event: it can be read before the next has come.
    #[test]
    fn flushed_bytes_are_unpacked_at_once() {
        let mut encoder = write::GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(TEXT).unwrap();
        encoder.flush().unwrap();
        assert_eq!(feed("gzip", encoder.get_ref(), 1), (TEXT.to_vec(), true));
        let packed = brotli();
        assert_eq!(feed("br", &packed[..packed.len() - 1], 1), (TEXT.to_vec(), true));
    }

    #[test]
    fn a_damaged_body_is_not_read_further() {
        let mut packed = gzip(&TEXT.repeat(100));
        let middle = packed.len() / 2;
        packed[middle..].fill(0xff);
        assert!(!feed("gzip", &packed, 5).1);
        assert!(!feed("br", &[0xff; 100], 5).1);
    }

    #[test]
    fn a_step_gives_no_more_than_its_bound() {
        let mut part = Part::default();
        let much = vec![0; MOST_OF_STEP + 1];
        assert!(part.write_all(&much).is_err());
        assert_eq!(part.0.len(), MOST_OF_STEP);
    }

    #[test]
    fn a_body_that_is_not_packed_as_declared_stays_as_it_is() {
        for encoding in ["gzip", "deflate", "br", "zstd", "gzip, br", ""] {
            assert_eq!(unpack(encoding, TEXT), TEXT, "{encoding}");
            assert_eq!(unpack(encoding, b""), b"", "{encoding}");
        }
    }

    #[test]
    fn a_packed_body_that_breaks_off_is_unpacked_as_far_as_it_came() {
        let packed = gzip(&TEXT.repeat(50));
        let part = unpack("gzip", &packed[..packed.len() - 12]);
        assert!(part.starts_with(TEXT), "{}", String::from_utf8_lossy(&part));
        let packed = brotli();
        let part = unpack("br", &packed[..packed.len() - 5]);
        assert_eq!(part, TEXT[..TEXT.len() - 4], "{}", String::from_utf8_lossy(&part));
    }

    #[test]
    fn a_bomb_is_not_unpacked_beyond_the_bound() {
        let bomb = gzip(&vec![b'a'; 32 << 20]);
        assert!(bomb.len() < MOST, "{}", bomb.len());
        assert_eq!(unpack("gzip", &bomb).len(), MOST);
    }
}
