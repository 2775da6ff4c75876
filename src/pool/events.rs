//! A subscription to the events of a pool.

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use futures_core::Stream;
use tokio::sync::broadcast::{
    Receiver,
    error::{RecvError, TryRecvError},
};

use crate::event::Event;

/// The events of a pool from the call of [`KeyPool::events`](crate::KeyPool::events) on. It is a `Stream`
/// that ends with the pool; [`recv`](Self::recv) gives single events.
///
/// At most 256 events are kept for a slow reader. Older ones are dropped, and the next call returns their
/// number as [`EventError::Lagged`]. That is the only error of the stream.
///
/// ```
/// # use tower_key_rotation::{ApiKey, KeyPool, OpenAi};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tokio_stream::StreamExt;
///
/// # let key = ApiKey::new("sk-not-a-real-key").id("a1");
/// let pool = KeyPool::builder(OpenAi::default()).key(key).build()?;
/// let mut events = pool.events();
/// pool.disable("a1");
/// drop(pool);
/// while let Some(event) = events.next().await {
///     println!("{}", event?); // KEY DISABLED: a1 was switched off
/// }
/// # Ok(())
/// # }
/// ```
pub struct Events {
    state: State,
}

enum State {
    Idle(Receiver<Event>),
    /// The stream waits for an event. Tokio's receiver can only be waited for in a future.
    Waiting(Pin<Box<dyn Future<Output = Received> + Send + Sync>>),
    /// Only while the state changes. It stays only after a panic.
    Ended,
}

type Received = (Result<Event, RecvError>, Receiver<Event>);

/// Why there is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventError {
    /// The last handle of the pool was dropped.
    Closed,
    /// The reader was too slow, and this number of events was dropped. The next call continues with the
    /// oldest event that was kept.
    Lagged(u64),
}

impl Events {
    pub(in crate::pool) fn new(receiver: Receiver<Event>) -> Self {
        Self { state: State::Idle(receiver) }
    }

    /// The next event.
    ///
    /// # Errors
    /// [`EventError`] if the pool was dropped, or events were dropped.
    ///
    /// # Cancel safety
    /// No event is lost if the future is dropped.
    pub async fn recv(&mut self) -> Result<Event, EventError> {
        match &mut self.state {
            State::Idle(receiver) => receiver.recv().await.map_err(|error| EventError::of(&error)),
            _ => poll_fn(|cx| self.poll_recv(cx)).await,
        }
    }

    /// The next event, if there is one already. It does not wait.
    ///
    /// # Errors
    /// [`EventError`] if the pool was dropped, or events were dropped.
    pub fn try_recv(&mut self) -> Result<Option<Event>, EventError> {
        match &mut self.state {
            State::Idle(receiver) => match receiver.try_recv() {
                Ok(event) => Ok(Some(event)),
                Err(TryRecvError::Empty) => Ok(None),
                Err(TryRecvError::Closed) => Err(EventError::Closed),
                Err(TryRecvError::Lagged(lost)) => Err(EventError::Lagged(lost)),
            },
            _ => match self.poll_recv(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(received) => received.map(Some),
                Poll::Pending => Ok(None),
            },
        }
    }

    fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, EventError>> {
        loop {
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Poll::Ready(Err(EventError::Closed)),
                State::Idle(mut receiver) => {
                    State::Waiting(Box::pin(async move { (receiver.recv().await, receiver) }))
                }
                State::Waiting(mut waiting) => {
                    let Poll::Ready((received, receiver)) = waiting.as_mut().poll(cx) else {
                        self.state = State::Waiting(waiting);
                        return Poll::Pending;
                    };
                    self.state = State::Idle(receiver);
                    return Poll::Ready(received.map_err(|error| EventError::of(&error)));
                }
            };
        }
    }
}

impl Stream for Events {
    type Item = Result<Event, EventError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(match ready!(self.poll_recv(cx)) {
            Err(EventError::Closed) => None,
            received => Some(received),
        })
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}

impl EventError {
    fn of(error: &RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Lagged(lost) => Self::Lagged(*lost),
        }
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the pool was dropped"),
            Self::Lagged(lost) => write!(f, "the reader was too slow: {lost} events were dropped"),
        }
    }
}

impl std::error::Error for EventError {}
