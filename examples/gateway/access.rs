//! The access log: one line for each request, on standard error, when its answer has ended.
//!
//! A line never holds a query or a header: both may carry credentials.

use std::{
    fmt,
    io::Write,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Bytes, HttpBody},
    http::{Method, StatusCode},
};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_key_rotation::KeyId;

/// Writes one line to standard error.
pub(crate) fn log(line: fmt::Arguments<'_>) {
    // Whole lines, so that those of two threads do not mix. Nobody can be told of a failure here.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// What is known of a request when its answer begins.
#[derive(Debug)]
pub(crate) struct Access {
    pub(crate) method: Method,
    pub(crate) pool: String,
    pub(crate) path: String,
    pub(crate) status: StatusCode,
    pub(crate) key: Option<KeyId>,
    pub(crate) attempts: usize,
    /// How long the request waited for quota.
    pub(crate) wait: Duration,
    pub(crate) arrived: Instant,
    /// From arrival to the head of the answer, without `wait`.
    pub(crate) upstream: Duration,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, pool, path, status, attempts, .. } = self;
        let key = self.key.as_ref().map_or("-", KeyId::as_str);
        let (wait, upstream) = (self.wait.as_millis(), self.upstream.as_millis());
        let status = status.as_u16();
        write!(f, "{pool} {method} {path} {status} key={key} attempts={attempts}")?;
        write!(f, " wait={wait}ms upstream={upstream}ms")
    }
}

pin_project! {
    /// A body that writes the access line when it ends, or is given up by the caller.
    pub(crate) struct Logged<B: HttpBody> {
        #[pin]
        body: B,
        bytes: u64,
        whole: bool,
        access: Access,
    }

    impl<B: HttpBody> PinnedDrop for Logged<B> {
        fn drop(this: Pin<&mut Self>) {
            let cut = if this.whole || this.body.is_end_stream() { "" } else { " cut" };
            let (bytes, total) = (this.bytes, this.access.arrived.elapsed().as_millis());
            log(format_args!("{} total={total}ms bytes={bytes}{cut}", this.access));
        }
    }
}

impl<B: HttpBody> Logged<B> {
    pub(crate) fn new(body: B, access: Access) -> Self {
        Self { body, bytes: 0, whole: false, access }
    }
}

impl<B: HttpBody<Data = Bytes>> HttpBody for Logged<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => *this.bytes += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(_)) => {}
            None => *this.whole = true,
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
