//! Events that are there already are written together.
//!
//! A provider's stream comes as one small frame per event. Passed on as they come, each costs a
//! write of its own, and a wake-up of the caller's process. This body gathers what has arrived while
//! it was waiting for its turn, and delays nothing for what has not.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::{Bytes, HttpBody};
use bytes::BytesMut;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;

/// Enough to make the cost of a write small.
const ENOUGH: usize = 16 * 1024;

pin_project! {
    pub(crate) struct Joined<B: HttpBody> {
        #[pin]
        body: B,
        gathered: Gathered,
        // What ended the gathering, to be told after what was gathered.
        next: Option<Result<Frame<Bytes>, B::Error>>,
        // Whether nothing came since others were last let go first.
        waited: bool,
        ended: bool,
    }
}

impl<B: HttpBody> Joined<B> {
    pub(crate) fn new(body: B) -> Self {
        let gathered = Gathered { first: Bytes::new(), all: BytesMut::new() };
        Self { body, gathered, next: None, waited: false, ended: false }
    }
}

impl<B: HttpBody<Data = Bytes>> HttpBody for Joined<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        while this.next.is_none() && !*this.ended && this.gathered.len() < ENOUGH {
            let body = this.body.as_mut();
            // A body that is known to have ended must not wait for its end to be told.
            if body.is_end_stream() {
                *this.ended = true;
                break;
            }
            match body.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => {
                        *this.waited = false;
                        this.gathered.push(data);
                    }
                    Err(trailers) => *this.next = Some(Ok(trailers)),
                },
                Poll::Ready(Some(Err(error))) => *this.next = Some(Err(error)),
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending if this.gathered.len() == 0 => return Poll::Pending,
                Poll::Pending if *this.waited => break,
                Poll::Pending => {
                    // The task that reads from the provider gets a turn: it may have more at hand.
                    *this.waited = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        *this.waited = false;
        let gathered = this.gathered.take().map(|data| Ok(Frame::data(data)));
        Poll::Ready(gathered.or_else(|| this.next.take()))
    }

    fn is_end_stream(&self) -> bool {
        self.gathered.len() == 0 && self.next.is_none() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, gathered) = (self.body.size_hint(), self.gathered.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(gathered));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(gathered)) {
            hint.set_upper(upper);
        }
        hint
    }
}

/// Pieces made one; a piece that stays alone is not copied.
struct Gathered {
    first: Bytes,
    all: BytesMut,
}

impl Gathered {
    fn len(&self) -> usize {
        self.first.len() + self.all.len()
    }

    fn push(&mut self, data: Bytes) {
        if self.len() == 0 {
            self.first = data;
            return;
        }
        if self.all.is_empty() {
            self.all.reserve(ENOUGH.max(self.first.len() + data.len()));
            self.all.extend_from_slice(&mem::take(&mut self.first));
        }
        self.all.extend_from_slice(&data);
    }

    /// What was gathered; none if nothing was.
    fn take(&mut self) -> Option<Bytes> {
        let first = mem::take(&mut self.first);
        let data = if self.all.is_empty() { first } else { self.all.split().freeze() };
        (!data.is_empty()).then_some(data)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::VecDeque,
        pin::pin,
        sync::{
            Arc,
            atomic::{AtomicUsize, Ordering},
        },
        task::{Wake, Waker},
    };

    use axum::http::HeaderMap;

    use super::*;

    type Item = Result<Frame<Bytes>, &'static str>;

    /// A body of what comes at each poll; `None` is a poll at which nothing is there.
    struct Script(VecDeque<Option<Item>>);

    impl HttpBody for Script {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Item>> {
            match self.0.pop_front() {
                Some(Some(frame)) => Poll::Ready(Some(frame)),
                Some(None) => Poll::Pending,
                None => Poll::Ready(None),
            }
        }
    }

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn data(text: &'static str) -> Option<Item> {
        Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))
    }

    /// What each poll gives: text, `[trailers]`, an error, or `...` for nothing yet (`!` if it asked
    /// for another turn).
    fn polls(script: impl IntoIterator<Item = Option<Item>>) -> Vec<String> {
        let mut body = pin!(Joined::new(Script(script.into_iter().collect())));
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(wakes.clone());
        let mut seen = Vec::new();
        loop {
            let before = wakes.0.load(Ordering::Relaxed);
            let polled = body.as_mut().poll_frame(&mut Context::from_waker(&waker));
            seen.push(match polled {
                Poll::Pending if wakes.0.load(Ordering::Relaxed) > before => "...!".to_owned(),
                Poll::Pending => "...".to_owned(),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => String::from_utf8(data.to_vec()).unwrap(),
                    Err(_) => "[trailers]".to_owned(),
                },
                Poll::Ready(Some(Err(error))) => error.to_owned(),
                Poll::Ready(None) => return seen,
            });
        }
    }

    #[test]
    fn what_is_there_is_joined_and_what_is_not_is_not_waited_for() {
        assert_eq!(polls([data("a"), data("b"), None, None, data("c")]), ["...!", "ab", "c"]);
    }

    #[test]
    fn what_comes_while_others_had_their_turn_is_joined() {
        let script = [data("a"), None, data("b"), None, data("c"), None, None, data("d")];
        assert_eq!(polls(script), ["...!", "...!", "...!", "abc", "d"]);
    }

    #[test]
    fn a_body_that_has_nothing_asks_for_no_turn() {
        assert_eq!(polls([None, data("a"), None, None]), ["...", "...!", "a"]);
    }

    #[test]
    fn trailers_and_errors_come_after_what_was_gathered() {
        let trailers = Some(Ok(Frame::trailers(HeaderMap::new())));
        assert_eq!(polls([data("a"), data("b"), trailers]), ["ab", "[trailers]"]);
        assert_eq!(polls([data("a"), Some(Err("cut"))]), ["a", "cut"]);
    }

    #[test]
    fn memory_is_bounded() {
        let text: &'static str = "x".repeat(10_000).leak();
        let sizes = polls((0..5).map(|_| data(text))).iter().map(String::len).collect::<Vec<_>>();
        assert_eq!(sizes, [20_000, 20_000, 10_000]);
    }
}
