//! The access log: one line for each request, on standard error. It is written when the answer has ended or
//! the caller has hung up.
//!
//! ```text
//! openai POST /v1/chat/completions 200 key=a1 attempts=2 wait=0ms pause=412ms upstream=950ms total=3104ms bytes=8120
//! - POST /v1/chat/completions 401 key=- attempts=0 refused=invalid_api_key wait=0ms pause=0ms upstream=0ms total=0ms bytes=158
//! ```
//!
//! A line never contains a query or a header, because both may contain credentials.

use std::{
    fmt,
    io::Write,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    http::{Extensions, HeaderMap, Method, Response, StatusCode, header},
    middleware::Next,
};
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_key_rotation::{KeyPool, Trail, Verdict};

use super::{last_event::LastEvent, times::Times};

/// The bytes of a path that are written, because a caller without a token can send a long path too.
const LONGEST_PATH: usize = 512;

/// Writes one line to standard error.
pub(crate) fn log(line: fmt::Arguments<'_>) {
    // In one write, so that the lines of two threads do not mix. A failure cannot be reported anywhere.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
    #[cfg(test)]
    tests::LINES.with_borrow_mut(|lines| lines.push(line.to_string()));
}

/// Writes a line for each request, including those that the gateway answers itself.
pub(crate) async fn logged(mut request: Request, next: Next) -> Response<Body> {
    let way = Way::default();
    let mut access = Access::new(request.method(), request.uri().path(), way.clone());
    request.extensions_mut().insert(way);
    let mut answer = next.run(request).await;
    let remark = answer.extensions_mut().remove::<Remark>().unwrap_or_default();
    access.answered(answer.status(), answer.headers(), remark);
    answer.map(|body| Body::new(Logged { body, access }))
}

/// The route of a request: an extension of it, which the handler of the pool fills in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Way(Arc<OnceLock<Led>>);

#[derive(Debug)]
struct Led {
    keys: KeyPool,
    /// The attempts that the stack makes.
    trail: Trail,
    times: Times,
}

impl Way {
    /// The route of a request; an empty one if the request has none.
    pub(crate) fn of(extensions: &Extensions) -> Self {
        extensions.get::<Self>().cloned().unwrap_or_default()
    }

    /// Notes the pool that the request is sent to.
    pub(crate) fn lead(&self, keys: &KeyPool, trail: &Trail, times: &Times) {
        // A request is sent to one pool only.
        let (keys, trail, times) = (keys.clone(), trail.clone(), times.clone());
        let _ = self.0.set(Led { keys, trail, times });
    }
}

/// What the status of an answer does not show: an extension of the answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Remark {
    /// The reason why it is not an answer of the provider.
    pub(crate) refused: Option<&'static str>,
    /// A further note for the operator.
    pub(crate) words: Option<String>,
}

/// The data of a line. The line is written when this is dropped.
#[derive(Debug)]
struct Access {
    method: Method,
    path: String,
    arrived: Instant,
    way: Way,
    /// None if the caller has hung up before.
    status: Option<StatusCode>,
    remark: Remark,
    bytes: u64,
    /// Whether the body has ended.
    ended: bool,
    /// Only for an event stream that can be read.
    last: Option<LastEvent>,
}

impl Access {
    fn new(method: &Method, path: &str, way: Way) -> Self {
        Self {
            method: method.clone(),
            path: shortened(path),
            arrived: Instant::now(),
            way,
            status: None,
            remark: Remark::default(),
            bytes: 0,
            // The body of its answer is not read.
            ended: method == Method::HEAD,
            last: None,
        }
    }

    /// Notes the head of the answer.
    fn answered(&mut self, status: StatusCode, headers: &HeaderMap, remark: Remark) {
        if let Some(led) = self.way.0.get() {
            led.times.answered();
        }
        self.status = Some(status);
        self.remark = remark;
        self.last = is_readable_stream(headers).then(LastEvent::default);
    }

    fn passed(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        if let Some(last) = &mut self.last {
            last.feed(data);
        }
    }

    /// Whether an event stream ended with an error.
    fn has_failed(&self) -> bool {
        let led = self.way.0.get();
        self.last.as_ref().zip(led).is_some_and(|(last, led)| last.is_error(led.keys.provider()))
    }

    /// Whether the provider has sent the whole answer and the caller has received it.
    fn is_whole(&self) -> bool {
        let (last, led) = (self.last.as_ref(), self.way.0.get());
        let is_over = last.zip(led).is_some_and(|(last, led)| last.is_end(led.keys.provider()));
        self.ended || is_over
    }
}

fn shortened(path: &str) -> String {
    match path.char_indices().nth(LONGEST_PATH) {
        Some((end, _)) => format!("{}...", &path[..end]),
        None => path.to_owned(),
    }
}

fn is_readable_stream(headers: &HeaderMap) -> bool {
    let is_of_events = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"text/event-stream"));
    is_of_events && !headers.contains_key(header::CONTENT_ENCODING)
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, path, bytes, remark, .. } = self;
        let led = self.way.0.get();
        let attempts = led.map(|led| led.trail.attempts()).unwrap_or_default();
        let spent = led.map(|led| led.times.spent()).unwrap_or_default();
        let pool = led.map_or("-", |led| led.keys.name());
        let status = self.status.map_or(0, |status| status.as_u16());
        // If the caller hung up during the last call, the key of that call is not known.
        let last = attempts.last().filter(|_| attempts.len() == spent.made as usize);
        let key = last.and_then(|last| last.key.as_ref()).map_or("-", |key| key.as_str());
        write!(f, "{pool} {method} {path} {status} key={key} attempts={}", spent.made)?;
        // The verdict of the last attempt, if it was not accepted.
        if let Some(last) = last.filter(|last| last.verdict != Verdict::Accepted) {
            write!(f, " rule={}", last.rule)?;
        }
        if let Some(refused) = remark.refused {
            write!(f, " refused={refused}")?;
        }
        let millis = |time: Duration| time.as_millis();
        let (wait, pause) = (millis(spent.line), millis(spent.pauses));
        let (upstream, total) = (millis(spent.calls), millis(self.arrived.elapsed()));
        write!(f, " wait={wait}ms pause={pause}ms upstream={upstream}ms total={total}ms")?;
        write!(f, " bytes={bytes}")?;
        f.write_str(match (self.has_failed(), self.is_whole()) {
            (true, _) => " failed",
            (false, true) => "",
            (false, false) => " cut",
        })?;
        remark.words.as_ref().map_or(Ok(()), |words| write!(f, " ({words})"))
    }
}

impl Drop for Access {
    fn drop(&mut self) {
        if let Some(led) = self.way.0.get() {
            led.times.given_up();
        }
        if let Some(last) = &mut self.last {
            last.finish();
        }
        log(format_args!("{self}"));
    }
}

pin_project! {
    /// A body whose line is written when it ends, or when the caller drops it.
    struct Logged<B: HttpBody> {
        #[pin]
        body: B,
        access: Access,
    }

    impl<B: HttpBody> PinnedDrop for Logged<B> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            this.access.ended |= this.body.is_end_stream();
        }
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
            Some(Ok(frame)) => this.access.passed(frame.data_ref().map_or(&[], |data| data)),
            Some(Err(_)) => {}
            None => this.access.ended = true,
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

/// The lines of this thread since the last call.
#[cfg(test)]
pub(crate) fn lines() -> Vec<String> {
    tests::LINES.take()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use http_body_util::BodyExt;
    use tower_key_rotation::{ApiKey, OpenAi};

    use super::*;

    thread_local! {
        pub(super) static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn access(headers: &HeaderMap) -> Access {
        let way = Way::default();
        let keys = KeyPool::builder(OpenAi::default()).name("openai").key(ApiKey::new("none"));
        way.lead(&keys.build().unwrap(), &Trail::new(), &Times::default());
        let mut access = Access::new(&Method::POST, "/v1/x", way);
        access.answered(StatusCode::OK, headers, Remark::default());
        access
    }

    const LINE: &str =
        "openai POST /v1/x 200 key=- attempts=0 wait=0ms pause=0ms upstream=0ms total=0ms";

    #[tokio::test(start_paused = true)]
    async fn a_line_says_whether_the_answer_was_read_to_its_end() {
        let access = access(&HeaderMap::new());
        let mut body = Box::pin(Logged { body: Body::from("four"), access });
        assert_eq!(body.access.to_string(), format!("{LINE} bytes=0 cut"));
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().await.is_none());
        assert_eq!(body.access.to_string(), format!("{LINE} bytes=4"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_is_complete_with_its_last_event() {
        let events = "text/event-stream; charset=utf-8".parse().unwrap();
        let mut access = access(&HeaderMap::from_iter([(header::CONTENT_TYPE, events)]));
        access.passed(b"data: {}\n\n");
        assert_eq!(access.to_string(), format!("{LINE} bytes=10 cut"));
        access.passed(b"data: [DONE]\n\n");
        assert_eq!(access.to_string(), format!("{LINE} bytes=24"));
        access.passed(b"event: error\ndata: {}\n\n");
        access.ended = true;
        assert_eq!(access.to_string(), format!("{LINE} bytes=47 failed"));
    }

    #[test]
    fn a_request_without_an_answer_has_a_line_and_a_long_path_is_cut() {
        let mut access = Access::new(&Method::GET, &"/x".repeat(LONGEST_PATH), Way::default());
        access.remark.words = Some("why".to_owned());
        let line = access.to_string();
        assert!(line.starts_with("- GET /x/x") && line.contains("/x... 0 key=- "), "{line}");
        assert!(line.ends_with(" cut (why)") && line.len() < LONGEST_PATH + 200, "{line}");
    }
}
