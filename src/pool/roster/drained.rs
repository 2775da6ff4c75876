//! Waiting for the last request with a key to end.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::sync::oneshot;

/// Resolves once the last request with a key, or with its old secret, has ended: see
/// [`KeyPool::remove`](crate::KeyPool::remove).
///
/// Nothing depends on it: it can be dropped, at any point, and what was removed is removed.
#[derive(Debug, Default)]
pub struct Drained {
    /// Those that are still in use.
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
            // It is never sent anything: its sender goes with the last lease.
            let _gone = ready!(Pin::new(last).poll(cx));
            self.in_use.pop();
        }
        Poll::Ready(())
    }
}
