//! A body that joins the events that are ready, so that they are written together.
//!
//! A provider's stream comes as one small frame per event. If each is passed on alone, each costs a write and
//! a wake-up of the caller's process. This body collects the frames that other tasks of this process can
//! provide now. It never waits for data from the network. The first frame is passed on at once.

use std::{
    mem,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use axum::body::{Bytes, HttpBody};
use bytes::BytesMut;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;

/// Large enough to make the cost of a write small.
const ENOUGH: usize = 16 * 1024;
/// How long other tasks may take to provide more.
const LONGEST: Duration = Duration::from_millis(1);

pin_project! {
    pub(crate) struct Joined<B: HttpBody> {
        #[pin]
        body: B,
        gathered: Gathered,
        // The frame or error that ended the collection. It is returned after the collected data.
        next: Option<Result<Frame<Bytes>, B::Error>>,
        begun: bool,
        ended: bool,
        turn: Turn,
    }
}

impl<B: HttpBody> Joined<B> {
    pub(crate) fn new(body: B) -> Self {
        let gathered = Gathered { first: Bytes::new(), all: BytesMut::new() };
        Self { body, gathered, next: None, begun: false, ended: false, turn: Turn::default() }
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
        while this.next.is_none() && this.gathered.len() < ENOUGH {
            let body = this.body.as_mut();
            // A body that is known to have ended does not wait for its end to be polled.
            if *this.ended || body.is_end_stream() {
                *this.ended = true;
                break;
            }
            match body.poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !mem::replace(this.begun, true) => {
                        return Poll::Ready(Some(Ok(Frame::data(data))));
                    }
                    Ok(data) => {
                        this.gathered.push(data);
                        this.turn.has_brought = true;
                    }
                    Err(trailers) => *this.next = Some(Ok(trailers)),
                },
                Poll::Ready(Some(Err(error))) => *this.next = Some(Err(error)),
                Poll::Ready(None) => *this.ended = true,
                Poll::Pending if this.gathered.len() == 0 => return Poll::Pending,
                Poll::Pending if this.turn.is_due(cx) => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        this.turn.end();
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

/// Lets the other tasks run first, among them the task that reads from the provider.
#[derive(Default)]
struct Turn {
    signal: Option<Arc<Signal>>,
    since: Option<Instant>,
    /// Whether data came in this turn.
    has_brought: bool,
}

impl Turn {
    /// Whether to wait: the other tasks have not run yet, or they provided data and may have more.
    fn is_due(&mut self, cx: &Context<'_>) -> bool {
        let signal = self.signal.get_or_insert_with(Arc::default);
        let since = *self.since.get_or_insert_with(Instant::now);
        // A server may poll several times before other tasks run. That does not count as a turn.
        if signal.asked.load(Ordering::Acquire) {
            signal.set_task(cx.waker());
            return true;
        }
        if !mem::take(&mut self.has_brought) || since.elapsed() > LONGEST {
            return false;
        }
        signal.set_task(cx.waker());
        signal.asked.store(true, Ordering::Release);
        let waker = Waker::from(Arc::clone(signal));
        // The runtime wakes a task that yields after it has run its other tasks.
        let _ = pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(&waker));
        true
    }

    fn end(&mut self) {
        self.since = None;
        self.has_brought = false;
    }
}

/// Woken by the runtime after the other tasks have run.
#[derive(Default)]
struct Signal {
    asked: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Signal {
    fn set_task(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.asked.store(false, Ordering::Release);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        task.into_iter().for_each(Waker::wake);
    }
}

/// Joins pieces. A single piece is not copied.
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

    /// The collected data, if there is any.
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
        future::poll_fn,
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

    /// A body made of the results of polls; `None` is a poll without data.
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

    /// The result of each poll: text, `[trailers]`, an error, or `...` for nothing yet (`!` if it asked for
    /// another turn).
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
    fn ready_frames_are_joined_and_others_are_not_awaited() {
        let script = [data("head"), data("a"), data("b"), None, None, data("c")];
        assert_eq!(polls(script), ["head", "...!", "ab", "c"]);
    }

    #[test]
    fn frames_of_other_tasks_in_one_turn_are_joined() {
        let turns = [data("a"), None, data("b"), None, data("c"), None, None, data("d")];
        let script = [data("head")].into_iter().chain(turns);
        assert_eq!(polls(script), ["head", "...!", "...!", "...!", "abc", "d"]);
    }

    #[test]
    fn a_body_without_data_asks_for_no_turn() {
        let script = [None, data("head"), None, data("a"), None, None];
        assert_eq!(polls(script), ["...", "head", "...", "...!", "a"]);
    }

    #[test]
    fn trailers_and_errors_come_after_the_joined_data() {
        let trailers = Some(Ok(Frame::trailers(HeaderMap::new())));
        let script = [data("head"), data("a"), data("b"), trailers];
        assert_eq!(polls(script), ["head", "ab", "[trailers]"]);
        assert_eq!(polls([data("head"), data("a"), Some(Err("cut"))]), ["head", "a", "cut"]);
    }

    #[test]
    fn memory_is_bounded() {
        let text: &'static str = "x".repeat(10_000).leak();
        let sizes = polls((0..5).map(|_| data(text))).iter().map(String::len).collect::<Vec<_>>();
        assert_eq!(sizes, [10_000, 20_000, 20_000]);
    }

    /// A server polls a pending body twice before other tasks run.
    #[tokio::test(start_paused = true)]
    async fn a_second_poll_is_not_a_turn_of_other_tasks() {
        let script = [data("head"), data("a"), None, None, data("b"), None, None];
        let mut body = pin!(Joined::new(Script(script.into())));
        let mut poll = |cx: &mut Context<'_>| body.as_mut().poll_frame(cx);
        assert!(poll_fn(&mut poll).await.is_some());
        poll_fn(|cx| {
            assert!(poll(cx).is_pending());
            assert!(poll(cx).is_pending(), "missing data may come in this turn");
            Poll::Ready(())
        })
        .await;
        let frame = poll_fn(poll).await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "ab");
    }
}
