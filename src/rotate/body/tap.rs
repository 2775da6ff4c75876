//! Reads an answer while it is passed on: for errors that come in it, and for its usage.

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;

use crate::{
    Lease,
    provider::{Decoder, Encoding, is_any_text},
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
        let reader = usage_reader(lease, headers);
        Some(Self { decoder: decoder(headers)?, watch: Watch::new(framing), reader })
    }

    /// For any other body, which may report its usage. None if it does not, or cannot be read.
    pub(in crate::rotate) fn of_whole<B: Body>(
        lease: &Lease,
        response: &Response<B>,
    ) -> Option<Self> {
        let headers = headers_of(response)?;
        let reader = usage_reader(lease, headers)?;
        Some(Self { decoder: decoder(headers)?, watch: Watch::none(), reader: Some(reader) })
    }

    /// For a stream that was asked for its usage and does not say that it is a stream: its type is missing, or
    /// any text. None if it has another type.
    pub(in crate::rotate) fn of_untyped<B: Body>(
        lease: &Lease,
        response: &Response<B>,
    ) -> Option<Self> {
        let headers = headers_of(response)?;
        let reader = is_any_text(headers).then(|| UsageReader::new(lease.provider().spec().usage));
        let reader = Some(reader?).filter(|_| !lease.is_free());
        Some(Self { decoder: decoder(headers)?, watch: Watch::begun(), reader })
    }

    pub(in crate::rotate) fn stage(&self) -> &Stage {
        self.watch.stage()
    }

    pub(in crate::rotate) fn watch(&mut self) -> &mut Watch {
        &mut self.watch
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
        let usage = reader.usage().unwrap_or_else(|| lease.estimated(0));
        lease.settle_whole(usage);
    }

    fn settle(&self, lease: &mut Lease, is_whole: bool) {
        let (Some(reader), watch) = (&self.reader, &self.watch) else { return };
        let is_of_stream = watch.is_of_stream();
        let has_all = match is_of_stream {
            true => watch.has_ended() || is_whole && *watch.stage() == Stage::Begun,
            false => is_whole,
        };
        match reader.usage() {
            // A body that is no stream tells its usage once, for the whole answer.
            Some(usage) if has_all || !is_of_stream => lease.settle_whole(usage),
            Some(usage) => lease.settle_cut(with_rest(usage, watch.running())),
            None if has_all && !is_of_stream => lease.settle_unreported(watch.running().tokens()),
            None => {
                let usage = lease.estimated(watch.running().tokens());
                if has_all { lease.settle_whole(usage) } else { lease.settle_cut(usage) }
            }
        }
    }
}

/// The usage that was told before the end, plus what has come since.
fn with_rest(told: Usage, running: &OutputEstimate) -> Usage {
    let output = told.output.saturating_add(running.tokens());
    Usage { output, is_estimated: true, ..told }
}

/// What reads the usage of an answer; none if it does not report any, or its request is free.
fn usage_reader(lease: &Lease, headers: &HeaderMap) -> Option<UsageReader> {
    if lease.is_free() { None } else { lease.provider().usage_reader(headers) }
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
