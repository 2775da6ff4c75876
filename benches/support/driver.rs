//! The request, the inner service, and the loop that all rows share.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    hint::black_box,
    iter::repeat_with,
    rc::Rc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, header::CONTENT_TYPE};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tokio::{runtime::Runtime, time::Instant};
use tower::{Service, ServiceExt};

const URI: &str = "https://api.openai.com/v1/chat/completions";
const BODY: &str = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hi!"}]}"#;

/// One line of the tables.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    run: Box<dyn FnMut(usize) -> Duration>,
}

/// The repeated operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request is built and sent.
    Request,
    /// A function is called.
    Call,
    /// A function is called by two threads at once, one of which is measured.
    Contended,
}

impl Row {
    /// Calls a plain function in a loop.
    pub(crate) fn of(name: &'static str, mut call: impl FnMut() + 'static) -> Self {
        let run = move |requests| {
            timed(|| {
                for _ in 0..requests {
                    call();
                }
            })
        };
        Self { name, kind: Kind::Call, run: Box::new(run) }
    }

    /// The same, while a second thread calls it continuously.
    pub(crate) fn contended(name: &'static str, call: impl Fn() + Sync + 'static) -> Self {
        let run = move |requests: usize| {
            let (calls, end) = (AtomicUsize::new(0), AtomicBool::new(false));
            thread::scope(|scope| {
                scope.spawn(|| {
                    while !end.load(Ordering::Relaxed) {
                        call();
                        calls.fetch_add(1, Ordering::Relaxed);
                    }
                });
                // On a busy machine both threads may share a core and take turns. They contended only if the
                // other thread did about as much work.
                let alike = requests / 10..=requests * 10;
                let contended = |_: &Duration| alike.contains(&calls.swap(0, Ordering::Relaxed));
                let turn = || timed(|| (0..requests).for_each(|_| call()));
                let time = repeat_with(turn).take(1_000).find(contended).unwrap_or_else(turn);
                end.store(true, Ordering::Relaxed);
                time
            })
        };
        Self { name, kind: Kind::Contended, run: Box::new(run) }
    }

    /// Repeats the operation, and returns the total time.
    pub(crate) fn run(&mut self, requests: usize) -> Duration {
        (self.run)(requests)
    }
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// Drives services, one request after the other.
pub(crate) struct Driver {
    runtime: Rc<Runtime>,
    uri: Uri,
    body: Bytes,
}

impl Driver {
    pub(crate) fn new() -> Self {
        // With I/O, as in real programs: a row that leaves the runtime idle pays for a poll of it.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Reference-counted from the start, like the bytes of real requests.
        let body = Bytes::from(BODY.to_owned());
        drop(body.clone());
        Self { runtime: Rc::new(runtime), uri: Uri::from_static(URI), body }
    }

    /// A maker of requests, with any type of body.
    fn requests<A: From<Bytes>>(&self) -> impl Fn() -> Request<A> + use<A> {
        let (uri, body) = (self.uri.clone(), self.body.clone());
        move || {
            Request::post(uri.clone())
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(A::from(body.clone()))
                .unwrap()
        }
    }

    /// The base row, whose work all other rows include.
    pub(crate) fn request_alone(&self, name: &'static str) -> Row {
        let request = self.requests::<Full<Bytes>>();
        Row::of(name, move || drop(black_box(request())))
    }

    pub(crate) fn row<S, B>(&self, name: &'static str, make: impl FnOnce() -> S) -> Row
    where
        S: Service<Request<Full<Bytes>>, Response = Response<B>> + 'static,
        B: Body<Data = Bytes> + Unpin + 'static,
    {
        self.row_of(name, make)
    }

    /// The service is made inside of the runtime.
    pub(crate) fn row_of<S, A, B>(&self, name: &'static str, make: impl FnOnce() -> S) -> Row
    where
        S: Service<Request<A>, Response = Response<B>> + 'static,
        A: From<Bytes> + 'static,
        B: Body<Data = Bytes> + Unpin + 'static,
    {
        let runtime = Rc::clone(&self.runtime);
        let request = self.requests();
        let mut service = runtime.block_on(async { make() });
        let run = move |requests| {
            timed(|| {
                runtime.block_on(async {
                    for _ in 0..requests {
                        let Ok(service) = service.ready().await else { panic!("not ready") };
                        let Ok(response) = service.call(request()).await else { panic!("failed") };
                        assert!(response.status().is_success(), "{}", response.status());
                        let mut body = response.into_body();
                        while let Some(frame) = body.frame().await {
                            black_box(frame.is_ok());
                        }
                    }
                });
            })
        };
        Row { name, kind: Kind::Request, run: Box::new(run) }
    }
}

/// The inner service of all rows. It answers at once.
#[derive(Clone, Default)]
pub(crate) struct Inner {
    headers: HeaderMap,
}

impl Inner {
    /// Answers with headers as OpenAI sends them: some of its own, and the state of two limits.
    pub(crate) fn with_headers() -> Self {
        let headers = [
            ("content-type", "application/json"),
            ("date", "Mon, 06 Jul 2026 10:00:00 GMT"),
            ("openai-processing-ms", "412"),
            ("openai-version", "2020-10-01"),
            ("x-request-id", "req_0123456789abcdef0123456789abcdef"),
            ("x-ratelimit-limit-requests", "10000"),
            ("x-ratelimit-limit-tokens", "30000000"),
            ("x-ratelimit-remaining-requests", "9999"),
            ("x-ratelimit-remaining-tokens", "29999979"),
            ("x-ratelimit-reset-requests", "6ms"),
            ("x-ratelimit-reset-tokens", "0s"),
            ("server", "cloudflare"),
        ];
        let header =
            |(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_static(value));
        Self { headers: headers.into_iter().map(header).collect() }
    }
}

impl<A> Service<Request<A>> for Inner {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        black_box(request);
        let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
        if !self.headers.is_empty() {
            response.headers_mut().clone_from(&self.headers);
        }
        ready(Ok(response))
    }
}
