//! Watching a stream for the errors that come in it.

use crate::{
    Lease, Ruling,
    provider::Framing,
    stream::{Scanner, Seen},
    usage::OutputEstimate,
};

/// Looks at an answer as it flows by, and tells the pool what it says.
#[derive(Debug)]
pub(super) struct Watch {
    /// None for a body in which no error comes.
    scan: Option<Box<Scan>>,
    stage: Stage,
    /// What has come of it since it last told what it used.
    running: OutputEstimate,
    has_ended: bool,
}

/// How the errors of a body are found. Beside, so that what watches a body without any is small.
#[derive(Debug)]
struct Scan {
    scanner: Scanner,
    framing: Framing,
}

/// How far a stream has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing has come yet that anybody waits for.
    Prelude,
    /// Something has.
    Begun,
    /// It failed before it had begun, and may be taken back.
    Failed(Box<Ruling>),
    /// It failed after that.
    Over,
}

impl Watch {
    pub(super) fn new(framing: Framing) -> Self {
        let scan = Scan { scanner: Scanner::new(framing), framing };
        Self { scan: Some(Box::new(scan)), stage: Stage::Prelude, ..Self::none() }
    }

    /// For a body in which no error comes.
    pub(super) fn none() -> Self {
        let running = OutputEstimate::default();
        Self { scan: None, stage: Stage::Begun, running, has_ended: false }
    }

    pub(super) fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(super) fn framing(&self) -> Option<Framing> {
        self.scan.as_ref().map(|scan| scan.framing)
    }

    /// Whether it comes event by event.
    pub(super) fn is_of_stream(&self) -> bool {
        self.framing().is_some_and(|framing| framing != Framing::Whole)
    }

    /// What has come of the answer since it last told what it used.
    pub(super) fn running(&self) -> &OutputEstimate {
        &self.running
    }

    /// What has come so far is known: what is to come counts.
    pub(super) fn count_anew(&mut self) {
        self.running = OutputEstimate::default();
    }

    /// Whether its last event has come.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Looks at a piece of the body.
    pub(super) fn look(&mut self, lease: &mut Lease, piece: &[u8]) {
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
        scanner.feed(piece, |seen| {
            stage.take(seen, is_of_stream, lease);
            if let (Stage::Begun, true, Seen::Event(event)) = (&*stage, is_of_stream, seen) {
                running.event(event.data.len());
                *has_ended |= lease.provider().is_end(&event);
            }
        });
        if *framing == Framing::Whole && !may_be_error(scanner.unfinished()) {
            stage.begin(lease);
        }
    }

    /// The body has ended.
    pub(super) fn finish(&mut self, lease: &mut Lease) {
        let is_of_stream = self.is_of_stream();
        let Self { scan, stage, .. } = self;
        if let Some(scan) = scan {
            scan.scanner.finish(|seen| stage.take(seen, is_of_stream, lease));
        }
        match is_of_stream {
            true => stage.be_empty(lease),
            false => stage.begin(lease),
        }
    }

    /// From here on nothing can be taken back: the provider has answered.
    pub(super) fn begin(&mut self, lease: &mut Lease) -> Ruling {
        self.stage.begin(lease);
        Ruling::accepted()
    }

    /// Nothing has come in time. It may yet.
    pub(super) fn be_late(&mut self, lease: &mut Lease) -> Ruling {
        self.stage = Stage::Begun;
        lease.failed()
    }

    /// The body broke off.
    pub(super) fn fail(&mut self, lease: &mut Lease) {
        let ruling = lease.failed();
        if self.stage == Stage::Prelude {
            self.stage = Stage::Failed(Box::new(ruling));
        }
    }
}

impl Stage {
    fn take(&mut self, seen: Seen<'_>, is_of_stream: bool, lease: &mut Lease) {
        let Seen::Event(event) = seen else { return self.begin(lease) };
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

    /// It has ended before anything came that anybody waits for.
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

/// Whether an object that has not ended yet may be an error: they are short.
fn may_be_error(object: &[u8]) -> bool {
    const LONGEST: usize = 4 * 1024;
    object.len() <= LONGEST && (object.is_empty() || object.starts_with(b"{"))
}
