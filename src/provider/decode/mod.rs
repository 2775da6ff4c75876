//! Compressed bodies, unpacked to be read: refusals to be judged, answers for their errors and usage.
//! What is passed on to the caller stays as it came.
//!
//! Only the feature `compression` reads them. Without it, a compressed body is one in an unknown encoding.

#[cfg(feature = "compression")]
mod decoder;
#[cfg(not(feature = "compression"))]
mod no_decoder;
#[cfg(feature = "compression")]
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use http::{HeaderMap, header};

use super::clock;

#[cfg(feature = "compression")]
pub(crate) use decoder::Decoder;
#[cfg(not(feature = "compression"))]
pub(crate) use no_decoder::Decoder;

/// How much of a refusal is unpacked at most; the rest is left out.
pub(crate) const MOST: usize = 64 * 1024;

/// How much of a refusal is unpacked at a time, in bytes.
const STEP: usize = 512;

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
    /// In a way that is not read.
    Other,
}

impl Encoding {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut encodings = headers.get_all(header::CONTENT_ENCODING).into_iter();
        match (encodings.next(), encodings.next()) {
            (None, _) => Self::Plain,
            (Some(encoding), None) => {
                let name = clock::text(encoding).unwrap_or_default();
                match name.eq_ignore_ascii_case("identity") {
                    true => Self::Plain,
                    false => Decoder::of(name).map_or(Self::Other, Self::Packed),
                }
            }
            _ => Self::Other,
        }
    }
}
