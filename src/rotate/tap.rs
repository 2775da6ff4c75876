//! What looks at an answer as it flows by: for errors that come in it, and for what it used.

use bytes::Bytes;
use http::Response;

use crate::{
    Lease, Usage,
    provider::{Decoder, Encoding},
    usage::{Running, UsageReader},
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

    /// The body has come to its end.
    pub(super) fn finish(&mut self, lease: &mut Lease) {
        self.watch.finish(lease);
        self.settle(lease, true);
    }

    /// The body was given up, by its provider or its reader.
    pub(super) fn cut(&self, lease: &mut Lease) {
        self.settle(lease, false);
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
fn estimate(told: Option<Usage>, running: &Running, lease: &Lease) -> Usage {
    let mut usage = told.unwrap_or_else(|| Usage::tokens(lease.reserved_input(), 0));
    usage.output = usage.output.saturating_add(running.tokens());
    usage.is_estimated = true;
    usage
}

/// How to look at a response that began well; none if there is nothing to look for, or nothing that
/// could be read.
pub(super) fn tap<B>(lease: &Lease, response: &Response<B>, streamed: bool) -> Option<Tap> {
    if !response.status().is_success() {
        return None;
    }
    let headers = response.headers();
    let framing = lease.provider().framing(headers, streamed);
    let reader = lease.provider().usage_reader(headers);
    if framing.is_none() && reader.is_none() {
        return None;
    }
    let decoder = match Encoding::of(headers) {
        Encoding::Plain => None,
        Encoding::Packed(decoder) => Some(decoder),
        Encoding::Other => return None,
    };
    Some(Tap { decoder, watch: framing.map_or(Watch::none(), Watch::new), reader })
}
