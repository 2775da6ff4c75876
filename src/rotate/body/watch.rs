//! Watches a stream for errors that come in it.

use crate::{
    Lease,
    provider::{Framing, Ruling},
    stream::{EventScanner, Scanned},
    usage::OutputEstimate,
};

/// Reads the events of an answer and reports errors in them to the pool.
#[derive(Debug)]
pub(in crate::rotate) struct Watch {
    /// None for a body in which no error comes.
    scan: Option<Box<Scan>>,
    stage: Stage,
    /// The estimate of the data since the answer last reported its usage.
    running: OutputEstimate,
    has_ended: bool,
}

/// How errors in a body are found. Boxed, so that the watch of a body without errors is small.
#[derive(Debug)]
struct Scan {
    scanner: EventScanner,
    framing: Framing,
}

/// How far a stream has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::rotate) enum Stage {
    /// There was no content yet.
    Prelude,
    /// The first content has come.
    Begun,
    /// It failed before its first content, so that the request may be sent again.
    Failed(Box<Ruling>),
    /// It failed after its first content.
    Over,
}

impl Watch {
    pub(in crate::rotate) fn new(framing: Framing) -> Self {
        let scan = Scan { scanner: EventScanner::new(framing), framing };
        Self { scan: Some(Box::new(scan)), stage: Stage::Prelude, ..Self::none() }
    }

    /// For a stream that does not say that it is one, so that nothing of it is held back.
    pub(in crate::rotate) fn begun() -> Self {
        Self { stage: Stage::Begun, ..Self::new(Framing::Events) }
    }

    /// For a body in which no error comes.
    pub(in crate::rotate) fn none() -> Self {
        let running = OutputEstimate::default();
        Self { scan: None, stage: Stage::Begun, running, has_ended: false }
    }

    pub(in crate::rotate) fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(in crate::rotate) fn framing(&self) -> Option<Framing> {
        self.scan.as_ref().map(|scan| scan.framing)
    }

    /// Whether the body is a stream of events.
    pub(in crate::rotate) fn is_of_stream(&self) -> bool {
        self.framing().is_some_and(|framing| framing != Framing::Whole)
    }

    /// The estimate of the data since the answer last reported its usage.
    pub(in crate::rotate) fn running(&self) -> &OutputEstimate {
        &self.running
    }

    /// The answer has reported its usage, so the estimate starts again from here.
    pub(in crate::rotate) fn count_anew(&mut self) {
        self.running = OutputEstimate::default();
    }

    /// Whether the last event of the stream has come.
    pub(in crate::rotate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Reads a piece of the body.
    pub(in crate::rotate) fn look(&mut self, lease: &mut Lease, piece: &[u8]) {
        let is_of_stream = self.is_of_stream();
        let Self { scan, stage, running, has_ended } = self;
        if !is_of_stream {
            running.bytes(piece.len());
        }
        let Some(scan) = scan else { return };
        let Scan { scanner, framing } = &mut **scan;
        if matches!(stage, Stage::Failed(_) | Stage::Over) {
            return;
        }
        scanner.feed(piece, |seen, _| {
            stage.take(seen, is_of_stream, lease);
            if *stage == Stage::Begun {
                *has_ended |= count(running, seen, is_of_stream, lease);
            }
        });
        if *framing == Framing::Whole && !may_be_error(scanner.unfinished()) {
            stage.begin(lease);
        }
    }

    /// The body has ended without an error.
    pub(in crate::rotate) fn finish(&mut self, lease: &mut Lease) {
        let is_of_stream = self.is_of_stream();
        let Self { scan, stage, running, has_ended } = self;
        if let Some(scan) = scan {
            scan.scanner.finish(|seen| {
                stage.take(seen, is_of_stream, lease);
                if *stage == Stage::Begun {
                    *has_ended |= count(running, seen, is_of_stream, lease);
                }
            });
        }
        match is_of_stream {
            true => stage.be_empty(lease),
            false => stage.begin(lease),
        }
    }

    /// The stream counts as accepted, and is not sent again.
    pub(in crate::rotate) fn begin(&mut self, lease: &mut Lease) -> Ruling {
        self.stage.begin(lease);
        Ruling::accepted()
    }

    /// No content came in time. It may still come.
    pub(in crate::rotate) fn be_late(&mut self, lease: &mut Lease) -> Ruling {
        self.stage = Stage::Begun;
        lease.failed()
    }

    /// The body ended with an error.
    pub(in crate::rotate) fn fail(&mut self, lease: &mut Lease) {
        let ruling = lease.failed();
        if self.stage == Stage::Prelude {
            self.stage = Stage::Failed(Box::new(ruling));
        }
    }
}

impl Stage {
    fn take(&mut self, seen: Scanned<'_>, is_of_stream: bool, lease: &mut Lease) {
        let Scanned::Event(event) = seen else { return self.begin(lease) };
        match self {
            Self::Failed(_) | Self::Over => {}
            Self::Prelude => match lease.observe_event(&event) {
                Some(ruling) => *self = Self::Failed(Box::new(ruling)),
                None if lease.provider().is_prelude(&event) => {}
                None if is_of_stream && lease.provider().is_empty_end(&event) => {
                    if lease.provider().is_end(&event) {
                        self.be_empty(lease);
                    }
                }
                None => self.begin(lease),
            },
            Self::Begun => {
                if lease.observe_event(&event).is_some() {
                    *self = Self::Over;
                }
            }
        }
    }

    /// It has ended without content.
    fn be_empty(&mut self, lease: &mut Lease) {
        if *self == Self::Prelude {
            *self = Self::Failed(Box::new(lease.was_empty()));
        }
    }

    fn begin(&mut self, lease: &mut Lease) {
        if *self == Self::Prelude {
            lease.judge(&Ruling::accepted());
            *self = Self::Begun;
        }
    }
}

/// Counts the text of an event of an answer that has begun. Whether the event is the last of its stream.
fn count(
    running: &mut OutputEstimate,
    seen: Scanned<'_>,
    is_of_stream: bool,
    lease: &Lease,
) -> bool {
    match seen {
        Scanned::Event(event) if is_of_stream => {
            running.event(event.data);
            lease.provider().is_end(&event)
        }
        Scanned::Event(event) => {
            running.whole(event.data);
            false
        }
        Scanned::Unread { .. } => false,
    }
}

/// Whether an object that has not ended yet may be an error: errors are short.
fn may_be_error(object: &[u8]) -> bool {
    const LONGEST: usize = 4 * 1024;
    object.len() <= LONGEST && (object.is_empty() || object.starts_with(b"{"))
}
