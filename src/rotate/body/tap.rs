//! Reads an answer while it is passed on: for errors that come in it, and for its usage.

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;

use crate::{
    Lease,
    provider::{Decoder, Encoding},
    usage::{OutputEstimate, Usage, UsageReader},
};

use super::watch::{Stage, Watch};

/// Reads an answer while it is passed on. It holds nothing back and changes nothing.
#[derive(Debug)]
pub(in crate::rotate) struct Tap {
    decoder: Option<Decoder>,
    watch: Watch,
    reader: Option<UsageReader>,
}

impl Tap {
    /// For a body in which errors may come. None if the provider puts no errors into such a body, or the
    /// body cannot be read.
    pub(in crate::rotate) fn of_stream<B: Body>(
        lease: &Lease,
        response: &Response<B>,
        streamed: bool,
    ) -> Option<Self> {
        let headers = headers_of(response)?;
        let framing = lease.provider().framing(headers, streamed)?;
        let reader = lease.provider().usage_reader(headers);
        Some(Self { decoder: decoder(headers)?, watch: Watch::new(framing), reader })
    }

    /// For any other body, which may report its usage. None if it does not, or cannot be read.
    pub(in crate::rotate) fn of_whole<B: Body>(
        lease: &Lease,
        response: &Response<B>,
    ) -> Option<Self> {
        let headers = headers_of(response)?;
        let reader = lease.provider().usage_reader(headers)?;
        Some(Self { decoder: decoder(headers)?, watch: Watch::none(), reader: Some(reader) })
    }

    pub(in crate::rotate) fn stage(&self) -> &Stage {
        self.watch.stage()
    }

    pub(in crate::rotate) fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// Whether the body is not compressed.
    pub(in crate::rotate) fn is_plain(&self) -> bool {
        self.decoder.is_none()
    }

    /// Reads a piece of the body.
    pub(in crate::rotate) fn look(&mut self, lease: &mut Lease, piece: &Bytes) {
        let Self { decoder, watch, reader } = self;
        let mut look = |piece: &[u8]| {
            watch.look(lease, piece);
            if let Some(reader) = reader {
                let times = reader.times();
                reader.feed(piece);
                if reader.times() != times {
                    watch.count_anew();
                }
            }
        };
        match decoder {
            None => look(piece),
            Some(decoder) => {
                if !decoder.feed(piece, look) {
                    watch.begin(lease);
                }
            }
        }
    }

    /// The body has ended: from now on it is known whether it failed before its first content.
    pub(in crate::rotate) fn end(&mut self, lease: &mut Lease) {
        if self.decoder.as_ref().is_some_and(Decoder::is_mute) {
            // A body that could not be unpacked may have had content.
            self.watch.begin(lease);
        }
        self.watch.finish(lease);
    }

    /// The body has ended without an error.
    pub(in crate::rotate) fn finish(&mut self, lease: &mut Lease) {
        self.end(lease);
        self.settle(lease, true);
    }

    /// The body was cut off, by the provider or by the reader.
    pub(in crate::rotate) fn cut(&self, lease: &mut Lease) {
        self.settle(lease, false);
    }

    /// The body had no content: its usage is the reported one, otherwise the size of the prompt.
    pub(in crate::rotate) fn settle_empty(&self, lease: &mut Lease) {
        let Some(reader) = &self.reader else { return };
        let prompt = || Usage { is_estimated: true, ..Usage::tokens(lease.reserved_input(), 0) };
        let usage = reader.usage().unwrap_or_else(prompt);
        lease.settle_read(usage);
    }

    fn settle(&self, lease: &mut Lease, is_whole: bool) {
        let (Some(reader), watch) = (&self.reader, &self.watch) else { return };
        let usage = match reader.usage() {
            // A body that is no stream reports its usage once, for the whole answer.
            Some(usage) if !watch.is_of_stream() => usage,
            Some(usage) if watch.has_ended() || is_whole && *watch.stage() == Stage::Begun => usage,
            None if is_whole && !watch.is_of_stream() => return,
            reported => estimate(reported, watch.running(), lease),
        };
        lease.settle_read(usage);
    }
}

/// The usage that was reported before the end, plus an estimate of the data since then.
fn estimate(reported: Option<Usage>, running: &OutputEstimate, lease: &Lease) -> Usage {
    let mut usage = reported.unwrap_or_else(|| Usage::tokens(lease.reserved_input(), 0));
    usage.output = usage.output.saturating_add(running.tokens());
    usage.is_estimated = true;
    usage
}

/// The headers of a response that has a success status and a body.
fn headers_of<B: Body>(response: &Response<B>) -> Option<&HeaderMap> {
    let is_read = response.status().is_success() && !response.body().is_end_stream();
    is_read.then(|| response.headers())
}

/// The decoder of a body: `Some(None)` if it is not compressed, `None` if the encoding is unknown.
fn decoder(headers: &HeaderMap) -> Option<Option<Decoder>> {
    match Encoding::of(headers) {
        Encoding::Plain => Some(None),
        Encoding::Packed(decoder) => Some(Some(decoder)),
        Encoding::Other => None,
    }
}
