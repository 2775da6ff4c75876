//! A future for the end of the last request with a key.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::sync::oneshot;

/// Resolves when the last request with a key, or with its old secret, has ended; see
/// [`KeyPool::remove`](crate::KeyPool::remove).
///
/// It can be dropped at any point: the key stays removed.
#[derive(Debug, Default)]
pub struct Drained {
    /// The credentials that are still in use.
    in_use: Vec<oneshot::Receiver<()>>,
}

impl Drained {
    pub(in crate::pool) fn new(in_use: Vec<oneshot::Receiver<()>>) -> Self {
        Self { in_use }
    }
}

impl Future for Drained {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(last) = self.in_use.last_mut() {
            // Nothing is ever sent: the sender is dropped with the last lease.
            let _gone = ready!(Pin::new(last).poll(cx));
            self.in_use.pop();
        }
        Poll::Ready(())
    }
}
