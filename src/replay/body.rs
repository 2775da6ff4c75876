//! The body, and the trait of all bodies that can be sent again.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Empty, Full, combinators::UnsyncBoxBody};

/// Any error of a body.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body that may be able to be sent again.
///
/// Implement it for a body of your own to use it with
/// [`QuotaAwareRetry`](crate::QuotaAwareRetry) and without [`ReplayBodyLayer`](super::ReplayBodyLayer).
pub trait Replay: Sized {
    /// The same body once more, from its beginning; `None` if that cannot be had.
    fn replay(&self) -> Option<Self>;
}

impl Replay for ReplayBody {
    fn replay(&self) -> Option<Self> {
        match &self.kind {
            Kind::Whole { data, trailers } => {
                let (data, trailers) = (data.clone(), trailers.clone());
                Some(Self { kind: Kind::Whole { data, trailers } })
            }
            Kind::Passing { .. } => None,
        }
    }
}

impl<D: Clone> Replay for Full<D> {
    fn replay(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl<D> Replay for Empty<D> {
    fn replay(&self) -> Option<Self> {
        Some(*self)
    }
}

impl Replay for String {
    fn replay(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl Replay for () {
    fn replay(&self) -> Option<Self> {
        Some(())
    }
}

/// A request's body: buffered whole, or passing through because it is too long for that.
pub struct ReplayBody {
    kind: Kind,
}

enum Kind {
    Whole { data: Option<Bytes>, trailers: Option<HeaderMap> },
    Passing { ahead: Option<Bytes>, rest: Rest, failed: Failed },
}

/// Whether the body that a caller sends has broken off.
#[derive(Clone, Debug, Default)]
pub(crate) struct Failed(Arc<AtomicBool>);

impl Failed {
    /// It has.
    pub(super) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is still to come. The mutex makes the body `Sync`, as some clients demand, whatever it holds;
/// nobody ever has to wait for it.
type Rest = Mutex<UnsyncBoxBody<Bytes, BoxError>>;

impl ReplayBody {
    pub(super) fn whole(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self { kind: Kind::Whole { data: Some(data).filter(|data| !data.is_empty()), trailers } }
    }

    pub(super) fn passing(ahead: Bytes, rest: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        let ahead = Some(ahead).filter(|ahead| !ahead.is_empty());
        Self { kind: Kind::Passing { ahead, rest: Mutex::new(rest), failed: Failed::default() } }
    }

    /// It has broken off already: so much had come by then.
    pub(super) fn broken_off(ahead: Bytes, rest: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        let body = Self::passing(ahead, rest);
        body.failed().into_iter().for_each(Failed::set);
        body
    }

    /// Tells whether its caller breaks it off, if that can happen.
    pub(crate) fn failed(&self) -> Option<&Failed> {
        match &self.kind {
            Kind::Whole { .. } => None,
            Kind::Passing { failed, .. } => Some(failed),
        }
    }

    /// Puts other data into a body that is buffered.
    pub(crate) fn replace(&mut self, bytes: Bytes) {
        if let Kind::Whole { data, .. } = &mut self.kind {
            *data = Some(bytes);
        }
    }

    /// The bytes, if they are buffered and have not been read yet.
    #[must_use]
    pub fn bytes(&self) -> Option<&Bytes> {
        match &self.kind {
            Kind::Whole { data, .. } => data.as_ref(),
            Kind::Passing { .. } => None,
        }
    }
}

impl Default for ReplayBody {
    fn default() -> Self {
        Self::whole(Bytes::new(), None)
    }
}

impl<T: Into<Bytes>> From<T> for ReplayBody {
    fn from(data: T) -> Self {
        Self::whole(data.into(), None)
    }
}

impl Body for ReplayBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().kind {
            Kind::Whole { data, trailers } => {
                let frame = data.take().map(Frame::data);
                let frame = frame.or_else(|| trailers.take().map(Frame::trailers));
                Poll::Ready(frame.map(Ok))
            }
            Kind::Passing { ahead, rest, failed } => match ahead.take() {
                Some(ahead) => Poll::Ready(Some(Ok(Frame::data(ahead)))),
                None => {
                    let rest = rest.get_mut().unwrap_or_else(PoisonError::into_inner);
                    let frame = ready!(Pin::new(rest).poll_frame(cx));
                    if let Some(Err(_)) = frame {
                        failed.set();
                    }
                    Poll::Ready(frame)
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole { data, trailers } => data.is_none() && trailers.is_none(),
            // Not known without a lock; readers find out by reading.
            Kind::Passing { .. } => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Whole { data, .. } => {
                SizeHint::with_exact(data.as_ref().map_or(0, Bytes::len) as u64)
            }
            Kind::Passing { ahead, rest, .. } => {
                let ahead = ahead.as_ref().map_or(0, Bytes::len) as u64;
                let rest = rest.lock().unwrap_or_else(PoisonError::into_inner).size_hint();
                longer_by(ahead, &rest)
            }
        }
    }
}

/// The size of a body of which so many bytes come before the rest.
pub(crate) fn longer_by(ahead: u64, rest: &SizeHint) -> SizeHint {
    let mut sum = SizeHint::new();
    if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(ahead)) {
        sum.set_upper(upper);
    }
    sum.set_lower(rest.lower().saturating_add(ahead));
    sum
}

impl fmt::Debug for ReplayBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            Kind::Whole { .. } => "whole",
            Kind::Passing { .. } => "passing",
        };
        f.debug_struct("ReplayBody").field("kind", &kind).finish_non_exhaustive()
    }
}
