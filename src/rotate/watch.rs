//! Watching a stream for the errors that come in it.

use bytes::Bytes;
use http::{Response, header};

use crate::{
    Lease, Verdict,
    provider::{Answer, Framing},
    stream::{Scanner, Seen},
};

/// Looks at a stream as it flows by, and tells the pool what it says.
#[derive(Debug)]
pub(super) struct Watch {
    scanner: Scanner,
    framing: Framing,
    stage: Stage,
}

/// How far a stream has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing has come yet that anybody waits for.
    Prelude,
    /// Something has.
    Begun,
    /// It failed before it had begun, and may be taken back.
    Failed(Verdict),
    /// It failed after that.
    Over,
}

impl Watch {
    pub(super) fn new(framing: Framing) -> Self {
        Self { scanner: Scanner::new(framing), framing, stage: Stage::Prelude }
    }

    pub(super) fn stage(&self) -> Stage {
        self.stage
    }

    pub(super) fn framing(&self) -> Framing {
        self.framing
    }

    /// Looks at a piece of the body.
    pub(super) fn look(&mut self, lease: &mut Lease, piece: &Bytes) {
        let Self { scanner, stage, .. } = self;
        if matches!(stage, Stage::Failed(_) | Stage::Over) {
            return;
        }
        scanner.feed(piece, |seen| stage.take(seen, lease));
        if self.framing == Framing::Whole && !may_be_error(self.scanner.unfinished()) {
            self.begin(lease);
        }
    }

    /// The body has ended.
    pub(super) fn finish(&mut self, lease: &mut Lease) {
        let Self { scanner, stage, .. } = self;
        scanner.finish(|seen| stage.take(seen, lease));
        self.begin(lease);
    }

    /// From here on nothing can be taken back: the provider has answered.
    pub(super) fn begin(&mut self, lease: &mut Lease) -> Verdict {
        self.stage.begin(lease);
        Verdict::Accepted
    }

    /// Nothing has come in time. It may yet.
    pub(super) fn be_late(&mut self, lease: &mut Lease) -> Verdict {
        self.stage = Stage::Begun;
        lease.failed()
    }

    /// The body broke off.
    pub(super) fn fail(&mut self, lease: &mut Lease) {
        let verdict = lease.failed();
        self.stage = match self.stage {
            Stage::Prelude => Stage::Failed(verdict),
            stage => stage,
        };
    }
}

impl Stage {
    fn take(&mut self, seen: Seen<'_>, lease: &mut Lease) {
        let Seen::Event(event) = seen else { return self.begin(lease) };
        match *self {
            Self::Failed(_) | Self::Over => {}
            Self::Prelude => match lease.observe_event(&event) {
                Some(verdict) => *self = Self::Failed(verdict),
                None if lease.provider().is_prelude(&event) => {}
                None => self.begin(lease),
            },
            Self::Begun => {
                if lease.observe_event(&event).is_some() {
                    *self = Self::Over;
                }
            }
        }
    }

    fn begin(&mut self, lease: &mut Lease) {
        if *self == Self::Prelude {
            lease.judge(Verdict::Accepted);
            *self = Self::Begun;
        }
    }
}

/// How to read a response that began well; none if no error may come in it, or none that could be
/// read.
pub(super) fn framing<B>(lease: &Lease, response: &Response<B>, streamed: bool) -> Option<Framing> {
    let (status, headers) = (response.status(), response.headers());
    let is_encoded = |value: &http::HeaderValue| value != "identity";
    if !status.is_success() || headers.get(header::CONTENT_ENCODING).is_some_and(is_encoded) {
        return None;
    }
    let answer = Answer { status, headers, body: b"", now: lease.now() };
    lease.provider().framing(&answer, streamed)
}

/// Whether an object, as far as it is there, may have `error` for its first member.
fn may_be_error(object: &[u8]) -> bool {
    const ERROR: &[u8] = b"\"error\"";
    let Some(rest) = object.strip_prefix(b"{") else { return object.is_empty() };
    let rest = rest.trim_ascii_start();
    rest.starts_with(ERROR) || ERROR.starts_with(rest)
}
