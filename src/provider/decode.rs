//! Compressed bodies of refusals, unpacked to be judged. What is passed on to the caller stays as it
//! came.

use std::{borrow::Cow, io::Read};

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};
use http::{HeaderMap, header};

use super::clock;

/// How much is unpacked at most, so that a few bytes cannot fill the memory; the rest is left out.
pub(crate) const MOST: usize = 64 * 1024;

/// The body without its compression: gzip, deflate or brotli, as `content-encoding` says.
///
/// What is not compressed, or with anything else, or not at all in spite of the header, stays as it
/// is. Of a body that breaks off, all that can be is unpacked.
pub(crate) fn unpacked<'b>(headers: &HeaderMap, body: &'b [u8]) -> Cow<'b, [u8]> {
    let Some(encoding) = headers.get(header::CONTENT_ENCODING).and_then(clock::text) else {
        return Cow::Borrowed(body);
    };
    let unpacked = match encoding.to_ascii_lowercase().as_str() {
        "gzip" | "x-gzip" => read(GzDecoder::new(body)),
        // RFC 9110 means zlib's format; there are servers that send the bare stream.
        "deflate" => read(ZlibDecoder::new(body)).or_else(|| read(DeflateDecoder::new(body))),
        "br" => read(brotli_decompressor::Decompressor::new(body, 4_096)),
        _ => None,
    };
    unpacked.map_or(Cow::Borrowed(body), Cow::Owned)
}

/// As much as comes before the end, a fault or the bound. What comes before a fault counts only if it
/// is text: else it was not packed so.
fn read(reader: impl Read) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let whole = reader.take(MOST as u64).read_to_end(&mut bytes).is_ok();
    // A character that is cut off at the end is no fault of the text.
    let is_text = |bytes: &[u8]| {
        std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
    };
    (!bytes.is_empty() && (whole || is_text(&bytes))).then_some(bytes)
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
    fn every_encoding() {
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

    #[test]
    fn what_is_not_what_it_says_stays() {
        for encoding in ["gzip", "deflate", "br", "zstd", "gzip, br", ""] {
            assert_eq!(unpack(encoding, TEXT), TEXT, "{encoding}");
            assert_eq!(unpack(encoding, b""), b"", "{encoding}");
        }
    }

    #[test]
    fn a_body_that_breaks_off_gives_what_came() {
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
