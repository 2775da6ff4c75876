//! Following what happens in a pool.

use std::fmt;

use tokio::sync::broadcast::{self, error::RecvError};

use crate::event::Event;

/// The events of a pool, from the moment of [`KeyPool::events`](crate::KeyPool::events) on.
///
/// At most 256 are kept for a slow reader; older ones are lost, and their number is told.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<Event>,
}

/// Why there is no event.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventError {
    /// The pool is gone.
    Closed,
    /// The reader was too slow, and so many events are lost. The next call goes on with the oldest
    /// that was kept.
    Lagged(u64),
}

impl Events {
    pub(super) fn new(receiver: broadcast::Receiver<Event>) -> Self {
        Self { receiver }
    }

    /// The next event. Cancel safe: no event is lost when the future is dropped.
    ///
    /// # Errors
    /// [`EventError`] if the pool is gone, or events were lost.
    pub async fn recv(&mut self) -> Result<Event, EventError> {
        self.receiver.recv().await.map_err(|error| match error {
            RecvError::Closed => EventError::Closed,
            RecvError::Lagged(lost) => EventError::Lagged(lost),
        })
    }

    /// The next event if there is one already.
    ///
    /// # Errors
    /// [`EventError`] if the pool is gone, or events were lost.
    pub fn try_recv(&mut self) -> Result<Option<Event>, EventError> {
        match self.receiver.try_recv() {
            Ok(event) => Ok(Some(event)),
            Err(broadcast::error::TryRecvError::Empty) => Ok(None),
            Err(broadcast::error::TryRecvError::Closed) => Err(EventError::Closed),
            Err(broadcast::error::TryRecvError::Lagged(lost)) => Err(EventError::Lagged(lost)),
        }
    }
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the pool is gone"),
            Self::Lagged(lost) => write!(f, "{lost} events were lost to a slow reader"),
        }
    }
}

impl std::error::Error for EventError {}
