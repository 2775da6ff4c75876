//! Packed bodies, and those that only say so.

use std::io::Write;

use flate2::{Compression, write};
use http::HeaderValue;

use super::{
    decoder::{Decoder, MOST_OF_STEP, Part},
    *,
};

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
    let mut decoder = Decoder::of(encoding).unwrap();
    let mut unpacked = Vec::new();
    let mut pieces = body.chunks(size);
    let is_good = pieces.all(|piece| decoder.feed(piece, |part| unpacked.extend_from_slice(part)));
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
