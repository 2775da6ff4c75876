//! The body, and the trait of bodies that can be sent again.

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

/// The error of a request body, of any type.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body that may be able to be sent again.
///
/// Implement it for a body of your own to use it with
/// [`QuotaAwareRetry`](crate::QuotaAwareRetry) and without [`ReplayBodyLayer`](crate::ReplayBodyLayer).
pub trait Replay: Sized {
    /// The same body once more, from its beginning; `None` if it cannot be sent again.
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

/// A request body: buffered, or passing through because it is longer than
/// [`ReplayBodyLayer::max_bytes`](crate::ReplayBodyLayer::max_bytes). Only a buffered one can be sent again.
pub struct ReplayBody {
    kind: Kind,
}

enum Kind {
    Whole { data: Option<Bytes>, trailers: Option<HeaderMap> },
    Passing { ahead: Option<Bytes>, rest: Rest, flag: BrokenOff },
}

/// Set when the caller has broken off the body that it sends. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct BrokenOff(Arc<AtomicBool>);

impl BrokenOff {
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The part that is still to come. The mutex makes the body `Sync`, as some clients require, for any type of
/// body. It is never contended.
type Rest = Mutex<UnsyncBoxBody<Bytes, BoxError>>;

impl ReplayBody {
    pub(super) fn whole(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self { kind: Kind::Whole { data: Some(data).filter(|data| !data.is_empty()), trailers } }
    }

    pub(super) fn passing(ahead: Bytes, rest: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        let ahead = Some(ahead).filter(|ahead| !ahead.is_empty());
        Self { kind: Kind::Passing { ahead, rest: Mutex::new(rest), flag: BrokenOff::default() } }
    }

    /// A body that broke off after this much of it.
    pub(super) fn broken_off(ahead: Bytes, rest: UnsyncBoxBody<Bytes, BoxError>) -> Self {
        let body = Self::passing(ahead, rest);
        body.broken_off_flag().into_iter().for_each(BrokenOff::set);
        body
    }

    /// The flag that says whether the caller has broken it off, if that can happen.
    pub(crate) fn broken_off_flag(&self) -> Option<&BrokenOff> {
        match &self.kind {
            Kind::Whole { .. } => None,
            Kind::Passing { flag, .. } => Some(flag),
        }
    }

    /// Replaces the data of a body that is buffered.
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
            Kind::Passing { ahead, rest, flag } => match ahead.take() {
                Some(ahead) => Poll::Ready(Some(Ok(Frame::data(ahead)))),
                None => {
                    let rest = rest.get_mut().unwrap_or_else(PoisonError::into_inner);
                    let frame = ready!(Pin::new(rest).poll_frame(cx));
                    if let Some(Err(_)) = frame {
                        flag.set();
                    }
                    Poll::Ready(frame)
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Whole { data, trailers } => data.is_none() && trailers.is_none(),
            // This is not known without the lock. Readers find it out by reading.
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

/// The size of a body that has `ahead` bytes before the rest.
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
