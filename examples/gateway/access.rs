//! The access log: one line for each request, on standard error, when its answer has ended or its
//! caller has hung up.
//!
//! A line never holds a query or a header: both may carry credentials.

use std::{
    fmt,
    io::Write,
    pin::Pin,
    sync::Arc,
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
use tower_key_rotation::{Trail, Verdict};

/// Writes one line to standard error.
pub(crate) fn log(line: fmt::Arguments<'_>) {
    // In one write, so that the lines of two threads do not mix. Nobody can be told of a failure.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}

/// What is known of a request. It is written when this is dropped.
#[derive(Debug)]
pub(crate) struct Access {
    pool: Arc<str>,
    method: Method,
    path: String,
    arrived: Instant,
    /// The attempts, as the stack makes them.
    trail: Trail,
    /// Status of the answer, and how long it took to its head.
    head: Option<(StatusCode, Duration)>,
    /// What an operator should know besides.
    note: Option<String>,
    bytes: u64,
    whole: bool,
}

impl Access {
    pub(crate) fn new(pool: &Arc<str>, method: &Method, path: &str, trail: Trail) -> Self {
        Self {
            pool: Arc::clone(pool),
            method: method.clone(),
            path: path.to_owned(),
            arrived: Instant::now(),
            trail,
            head: None,
            note: None,
            bytes: 0,
            whole: false,
        }
    }

    /// The head of the answer is there.
    pub(crate) fn answered(&mut self, status: StatusCode, note: Option<String>) {
        self.head = Some((status, self.arrived.elapsed()));
        self.note = note;
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pool, method, path, bytes, .. } = self;
        let attempts = self.trail.attempts();
        let key =
            attempts.last().and_then(|last| last.key.as_ref()).map_or("-", |key| key.as_str());
        let total = self.arrived.elapsed();
        let (status, until_head) = match self.head {
            Some((status, after)) => (status.as_u16(), after),
            None => (0, total),
        };
        // Who got no key has done nothing but wait.
        let waited = attempts.iter().map(|attempt| attempt.waited).sum();
        let waited = if attempts.is_empty() { until_head } else { waited };
        let upstream = until_head.saturating_sub(waited).as_millis();
        let (waited, total) = (waited.as_millis(), total.as_millis());
        let attempts_made = attempts.len();
        write!(f, "{pool} {method} {path} {status} key={key} attempts={attempts_made}")?;
        // Why the last of them was not what the caller wanted.
        if let Some(last) = attempts.last().filter(|last| last.verdict != Verdict::Accepted) {
            write!(f, " rule={}", last.rule)?;
        }
        write!(f, " wait={waited}ms upstream={upstream}ms total={total}ms bytes={bytes}")?;
        f.write_str(if self.whole { "" } else { " cut" })?;
        self.note.as_ref().map_or(Ok(()), |note| write!(f, " ({note})"))
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        log(format_args!("{self}"));
    }
}

pin_project! {
    /// A body whose access is written when it ends, or when the caller gives it up.
    pub(crate) struct Logged<B: HttpBody> {
        #[pin]
        body: B,
        access: Access,
    }

    impl<B: HttpBody> PinnedDrop for Logged<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.access.whole |= this.body.is_end_stream();
        }
    }
}

impl<B: HttpBody> Logged<B> {
    pub(crate) fn new(body: B, access: Access) -> Self {
        Self { body, access }
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
            Some(Ok(frame)) => this.access.bytes += frame.data_ref().map_or(0, Bytes::len) as u64,
            Some(Err(_)) => {}
            None => this.access.whole = true,
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http_body_util::BodyExt;

    use super::*;

    fn access() -> Access {
        let mut access = Access::new(&"openai".into(), &Method::POST, "/v1/x", Trail::new());
        access.answered(StatusCode::OK, None);
        access
    }

    #[tokio::test(start_paused = true)]
    async fn the_line_tells_whether_the_answer_was_read_to_its_end() {
        let line = "openai POST /v1/x 200 key=- attempts=0 wait=0ms upstream=0ms total=0ms";
        let mut body = Box::pin(Logged::new(Body::from("four"), access()));
        assert_eq!(body.access.to_string(), format!("{line} bytes=0 cut"));
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().await.is_none());
        assert_eq!(body.access.to_string(), format!("{line} bytes=4"));
    }

    #[test]
    fn what_never_had_an_answer_is_told_too() {
        let mut access = access();
        access.head = None;
        access.note = Some("why".to_owned());
        let line = access.to_string();
        assert!(line.contains(" 0 key=- ") && line.ends_with(" cut (why)"), "{line}");
    }
}
