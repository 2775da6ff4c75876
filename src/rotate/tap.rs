//! What looks at an answer as it flows by: for errors that come in it, and for what it used.

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;

use crate::{
    Lease, Usage,
    provider::{Decoder, Encoding},
    usage::{OutputEstimate, UsageReader},
};

use super::watch::{Stage, Watch};

/// Looks at an answer as it flows by. It holds nothing back and changes nothing.
#[derive(Debug)]
pub(super) struct Tap {
    decoder: Option<Decoder>,
    watch: Watch,
    reader: Option<UsageReader>,
}

impl Tap {
    /// For a body in which errors may come; none if there are none to look for, or nothing that could be
    /// read.
    pub(super) fn of_stream<B: Body>(
        lease: &Lease,
        response: &Response<B>,
        streamed: bool,
    ) -> Option<Self> {
        let headers = headers_of(response)?;
        let framing = lease.provider().framing(headers, streamed)?;
        let reader = lease.provider().usage_reader(headers);
        Some(Self { decoder: decoder(headers)?, watch: Watch::new(framing), reader })
    }

    /// For any other body: it may tell what was used. None if it does not, or cannot be read.
    pub(super) fn of_whole<B: Body>(lease: &Lease, response: &Response<B>) -> Option<Self> {
        let headers = headers_of(response)?;
        let reader = lease.provider().usage_reader(headers)?;
        Some(Self { decoder: decoder(headers)?, watch: Watch::none(), reader: Some(reader) })
    }

    pub(super) fn stage(&self) -> &Stage {
        self.watch.stage()
    }

    pub(super) fn watch(&mut self) -> &mut Watch {
        &mut self.watch
    }

    /// Whether the body is not compressed.
    pub(super) fn is_plain(&self) -> bool {
        self.decoder.is_none()
    }

    /// Looks at a piece of the body.
    pub(super) fn look(&mut self, lease: &mut Lease, piece: &Bytes) {
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

    /// Nothing more comes of the body: whether it failed before it had begun is known.
    pub(super) fn end(&mut self, lease: &mut Lease) {
        if self.decoder.as_ref().is_some_and(Decoder::is_mute) {
            // What could not be read is not known to be empty.
            self.watch.begin(lease);
        }
        self.watch.finish(lease);
    }

    /// The body has come to its end.
    pub(super) fn finish(&mut self, lease: &mut Lease) {
        self.end(lease);
        self.settle(lease, true);
    }

    /// The body was given up, by its provider or its reader.
    pub(super) fn cut(&self, lease: &mut Lease) {
        self.settle(lease, false);
    }

    /// The body had nothing in it: what it told counts, and otherwise its prompt.
    pub(super) fn settle_empty(&self, lease: &mut Lease) {
        let Some(reader) = &self.reader else { return };
        let prompt = || Usage { is_estimated: true, ..Usage::tokens(lease.reserved_input(), 0) };
        let usage = reader.usage().unwrap_or_else(prompt);
        lease.settle_read(usage);
    }

    fn settle(&self, lease: &mut Lease, is_whole: bool) {
        let (Some(reader), watch) = (&self.reader, &self.watch) else { return };
        let usage = match reader.usage() {
            // A body that is no stream was ready before it came, and tells in one place.
            Some(usage) if !watch.is_of_stream() => usage,
            Some(usage) if watch.has_ended() || is_whole && *watch.stage() == Stage::Begun => usage,
            None if is_whole && !watch.is_of_stream() => return,
            told => estimate(told, watch.running(), lease),
        };
        lease.settle_read(usage);
    }
}

/// What was told before the end, and what has come since.
fn estimate(told: Option<Usage>, running: &OutputEstimate, lease: &Lease) -> Usage {
    let mut usage = told.unwrap_or_else(|| Usage::tokens(lease.reserved_input(), 0));
    usage.output = usage.output.saturating_add(running.tokens());
    usage.is_estimated = true;
    usage
}

/// The headers of a response that began well and has a body.
fn headers_of<B: Body>(response: &Response<B>) -> Option<&HeaderMap> {
    let is_read = response.status().is_success() && !response.body().is_end_stream();
    is_read.then(|| response.headers())
}

/// What unpacks a body, if it is packed; none at all if it is packed in a way that nobody knows here.
fn decoder(headers: &HeaderMap) -> Option<Option<Decoder>> {
    match Encoding::of(headers) {
        Encoding::Plain => Some(None),
        Encoding::Packed(decoder) => Some(Some(decoder)),
        Encoding::Other => None,
    }
}
