//! The log: one line for each request, with correct figures, and one for each event.

use std::{future::Future, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::io::AsyncWriteExt;
use tower::ServiceExt;

use crate::{
    fake::{Fake, Reply, Seen, ok, refusal},
    gateway::{access::lines, config::Config, events, routes::Gateway, upstream::Upstream},
    origin::Origin,
    start::{chat, one_pool, two_accounts},
};

const CHAT: &str = "/v1/chat/completions";
const RATE: &str = r#"{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}"#;

fn router(config: Config, answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Router {
    router_before(&Fake::new(answer), config).1
}

fn router_before(fake: &Fake, config: Config) -> (Arc<Gateway>, Router) {
    let gateway = Arc::new(Gateway::new(config, &fake.upstream()).unwrap());
    (Arc::clone(&gateway), gateway.router())
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::post(path).header("content-type", "application/json");
    request.body(body.into()).unwrap()
}

fn ask(stream: bool) -> Request<Body> {
    post(CHAT, chat("gpt-4o", stream))
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// The answer to a request, whose body was not read yet.
fn send(
    router: &Router,
    request: Request<Body>,
) -> impl Future<Output = Response<Body>> + Send + 'static {
    let answer = router.clone().oneshot(request);
    async move { answer.await.unwrap() }
}

/// The status of a request whose answer is read to its end, and its line.
async fn line(router: &Router, request: Request<Body>) -> (u16, String) {
    let before = lines();
    let (head, body) = send(router, request).await.into_parts();
    drop(body.collect().await);
    let mut now = lines();
    assert_eq!(now.len(), 1, "{before:#?}\n{now:#?}");
    (head.status.as_u16(), now.remove(0))
}

/// A figure of a line.
#[track_caller]
fn figure(line: &str, name: &str) -> u64 {
    let (_, rest) = line.split_once(&format!(" {name}=")).unwrap_or_else(|| panic!("{line}"));
    let digits = rest.split(|c: char| !c.is_ascii_digit()).next();
    digits.unwrap().parse().unwrap_or_else(|_| panic!("{line}"))
}

fn figures(line: &str) -> [u64; 5] {
    ["attempts", "wait", "pause", "upstream", "total"].map(|name| figure(line, name))
}

#[tokio::test(start_paused = true)]
async fn a_pause_between_attempts_counts_neither_as_wait_nor_as_upstream_time() {
    let fake = Fake::new(|_| refusal(500, &[], "{}"));
    let (_, router) = router_before(&fake, two_accounts("openai", ""));
    let (status, line) = line(&router, ask(false)).await;
    assert_eq!(status, 500);
    let [attempts, wait, pause, upstream, total] = figures(&line);
    assert!(attempts > 1 && attempts == fake.calls() as u64, "{line}");
    // 20 ms each.
    assert_eq!((wait, upstream), (0, 20 * attempts), "{line}");
    assert!(pause > 0 && total.abs_diff(pause + upstream) <= 2, "{line}");
    assert!(line.starts_with(&format!("openai POST {CHAT} 500 key=k")), "{line}");
    assert!(line.contains(" rule=status/5xx "), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_is_the_time_of_all_attempts_in_the_queue() {
    let config = one_pool("openai", "", "", r#"limits = ["1 concurrent"]"#);
    let router = router(config, |seen| {
        let first = refusal(429, &[("retry-after", "5")], RATE);
        if seen.is_before(1.0) { first } else { ok(seen) }
    });
    lines();
    let call = || async {
        let answer = send(&router, ask(false)).await;
        assert_eq!(answer.status(), 200);
        drop(answer.into_body().collect().await);
    };
    tokio::join!(call(), call());
    let lines = lines();
    assert_eq!(lines.len(), 2);
    for line in lines {
        let [attempts, wait, pause, upstream, total] = figures(&line);
        assert!(attempts <= 2 && (5_000..7_000).contains(&wait), "{line}");
        assert_eq!((upstream, pause), (20 * attempts, 0), "{line}");
        assert!(total.abs_diff(wait + upstream) <= 2, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_in_the_queue_has_a_wait_and_a_refusal_at_once_has_none() {
    let lines = "max_wait = \"1s\"";
    let router = router(one_pool("openai", "", lines, r#"limits = ["1 concurrent"]"#), ok);
    // It holds the only slot until it is dropped.
    let held = send(&router, ask(true)).await;
    let (status, line_of) = line(&router, ask(false)).await;
    assert_eq!(status, 429);
    assert_eq!(figures(&line_of), [0, 1_000, 0, 0, 1_000], "{line_of}");
    assert!(line_of.contains(" key=- ") && line_of.contains(" refused=busy "), "{line_of}");
    drop(held);

    let router = self::router(one_pool("openai", "", lines, r#"limits = ["1 requests/h"]"#), ok);
    assert_eq!(line(&router, ask(false)).await.0, 200);
    let (status, line_of) = line(&router, ask(false)).await;
    assert_eq!((status, figures(&line_of)), (429, [0; 5]), "{line_of}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_leaves_a_line_with_the_times_so_far() {
    let router = router(two_accounts("openai", ""), ok);
    lines();
    let call = send(&router, ask(false));
    assert!(tokio::time::timeout(Duration::from_millis(7), call).await.is_err());
    let [line] = &lines()[..] else { panic!("one line") };
    assert!(line.contains(" 0 key=- attempts=1 ") && line.ends_with(" cut"), "{line}");
    assert_eq!(figures(line), [1, 0, 0, 7, 7], "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_in_a_pause_leaves_a_line_with_the_pause() {
    let router = router(two_accounts("openai", ""), |_| refusal(500, &[], "{}"));
    lines();
    // The first pause is at least 125 ms.
    let patience = Duration::from_millis(100);
    let call = send(&router, ask(false));
    assert!(tokio::time::timeout(patience, call).await.is_err());
    let [line] = &lines()[..] else { panic!("one line") };
    assert_eq!(figures(line), [1, 0, 80, 20, 100], "{line}");
}

/// The connection of the provider stays open after the last event.
#[tokio::test]
async fn a_stream_is_complete_when_its_last_event_was_passed_on() {
    let delta = "event: response.output_text.delta\ndata: {\"delta\":\"x\"}\n\n";
    let responses = r#"{"model":"gpt-4o","stream":true,"input":"Hello"}"#;
    for (path, body, events, is_whole) in [
        (CHAT, &*chat("gpt-4o", true), &["data: {\"choices\":[{}]}\n\n", "data: [DONE]\n\n"], true),
        (CHAT, &*chat("gpt-4o", true), &["data: {\"choices\":[{}]}\n\n", "data: {}\n\n"], false),
        ("/v1/responses", responses, &[delta, "event: response.completed\ndata: {}\n\n"], true),
        ("/v1/responses", responses, &[delta, delta], false),
    ] {
        let origin = Origin::bind().await;
        let config = one_pool("openai", "", &format!("base_url = {:?}", origin.url), "");
        let gateway = Arc::new(Gateway::new(config, &Upstream::providers().unwrap()).unwrap());
        let router = gateway.router();
        lines();
        let provide = async {
            let (_, mut stream) = origin.request().await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
            stream.write_all(format!("{head}{}", events.concat()).as_bytes()).await.unwrap();
            stream
        };
        let (_open, answer) = tokio::join!(provide, send(&router, post(path, body.to_owned())));
        let (mut body, mut length) = (answer.into_body(), 0);
        while length < events.concat().len() {
            length += body.frame().await.unwrap().unwrap().into_data().unwrap().len();
        }
        // The caller has the whole answer.
        drop(body);
        let [line] = &lines()[..] else { panic!("one line") };
        assert_eq!(!line.ends_with(" cut"), is_whole, "{line}");
        assert_eq!(figure(line, "bytes"), length as u64, "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_caller_leaves_a_line_with_the_reason_and_without_its_secrets() {
    let before = "client_tokens = [\"t-canary\"]\nadmin_token = \"a-canary\"";
    let router = router(one_pool("openai", before, "models = [\"gpt-*\"]", ""), ok);
    let with = |token: &'static str, mut request: Request<Body>| {
        request.headers_mut().insert("x-api-key", token.parse().unwrap());
        request
    };
    let of = |body: &str| with("t-canary", post(CHAT, body.to_owned()));
    let broken = || {
        let frames = [Ok(Frame::data(Bytes::from_static(b"{\"model\":"))), Err("broken off")];
        with("t-canary", post(CHAT, Body::new(StreamBody::new(tokio_stream::iter(frames)))))
    };
    for (request, status, reason, pool) in [
        (ask(false), 401, "invalid_api_key", "-"),
        (with("wrong-canary", ask(false)), 401, "invalid_api_key", "-"),
        (get("/v1/models?key=canary"), 401, "invalid_api_key", "-"),
        (get("/-/status?key=canary"), 401, "invalid_api_key", "-"),
        (of(r#"{"model":"canary-9"}"#), 404, "model_not_found", "-"),
        (of(r#"{"model": canary"#), 400, "invalid_json", "-"),
        (of(&" ".repeat((32 << 20) + 1)), 413, "request_too_large", "-"),
        (broken(), 400, "body_broken_off", "-"),
        (with("t-canary", get("/nowhere/v1?x=canary")), 404, "pool_not_found", "-"),
        (with("t-canary", get("/openai/..?x=canary")), 400, "bad_path", "openai"),
        (with("a-canary", get("/-/usage?by=canary")), 400, "invalid_query", "-"),
    ] {
        let what = format!("{} {}", request.method(), request.uri().path());
        let (seen, line) = line(&router, request).await;
        assert_eq!(seen, status, "{line}");
        let start = format!("{pool} {what} {status} key=- attempts=0 refused={reason} wait=0ms ");
        assert!(line.starts_with(&start), "{line}");
        assert!(!line.contains("canary") && !line.ends_with(" cut"), "{line}");
    }
    // Accepted requests and requests to unknown pages leave a line too.
    let request = with("t-canary", get("/v1/models?x=canary"));
    let (status, line_of) = line(&router, request).await;
    assert!(status == 200 && line_of.starts_with("openai GET /v1/models 200 key=k1 attempts=1 "));
    assert!(!line_of.contains("canary"), "{line_of}");
    assert_eq!(line(&router, get("/-/health")).await.0, 200);
    assert_eq!(line(&router, post("/-/status", "")).await.0, 405);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_while_it_is_sent_is_the_callers_fault() {
    let fake = Fake::new(ok);
    let (_, router) = router_before(&fake, two_accounts("openai", ""));
    // Longer than the buffer: it is passed on as it comes.
    let piece = Bytes::from(vec![b' '; 1 << 20]);
    let pieces = (0..40).map(move |_| Ok(Frame::data(piece.clone())));
    let frames = tokio_stream::iter(pieces.chain([Err("broken off")]));
    let request = post("/openai/v1/chat/completions", Body::new(StreamBody::new(frames)));
    let (status, line_of) = line(&router, request).await;
    assert_eq!(status, 400, "{line_of}");
    assert!(
        line_of.contains(" attempts=1 rule=body-broken-off refused=body_broken_off "),
        "{line_of}"
    );
    assert_eq!(fake.calls(), 0);
    assert_eq!(line(&router, ask(false)).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn refusals_of_the_pool_are_marked_and_say_whether_to_try_again() {
    let limit = r#"limits = ["1 requests/h"]"#;
    let router = router(one_pool("openai", "", "max_wait = \"1s\"", limit), ok);
    let told = |answer: &Response<Body>| {
        ["x-key-pool-refused", "x-should-retry"].map(|name| {
            let value = answer.headers().get(name).map(|value| value.to_str().unwrap());
            value.unwrap_or("-").to_owned()
        })
    };
    let answer = send(&router, ask(false)).await;
    assert_eq!((answer.status().as_u16(), marks(&answer)), (200, ["-", "-"].map(str::to_owned)));
    // An hour is too long to wait.
    let answer = send(&router, ask(false)).await;
    assert_eq!(marks(&answer), ["busy", "false"]);
    let answer = send(&router, post(CHAT, r#"{"model":"unknown-model"}"#)).await;
    assert_eq!((answer.status().as_u16(), marks(&answer)[0].as_str()), (404, "gateway"));
    assert_eq!(marks(&answer)[1], "false");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_a_line_with_its_place_kind_rule_and_wait() {
    let fake = Fake::new(|seen| {
        let rejected =
            r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#;
        match seen.secret.as_str() {
            "sk-canary" if seen.is_before(60.0) => refusal(401, &[], rejected),
            "sk-canary-2" if seen.model() == "gpt-\n9" => {
                refusal(429, &[("retry-after", "7")], RATE)
            }
            _ => ok(seen),
        }
    });
    let (gateway, router) =
        router_before(&fake, two_accounts("openai", "strategy = \"sequential\""));
    tokio::spawn(events::write(gateway.pools()[0].keys.clone()));
    tokio::task::yield_now().await;
    for model in ["gpt-4o", "gpt-\\n9"] {
        drop(send(&router, post(CHAT, chat(model, false))).await.into_body().collect().await);
    }
    tokio::time::sleep(Duration::from_secs(90)).await;
    drop(send(&router, ask(false)).await);
    tokio::task::yield_now().await;
    let told: Vec<_> = lines().into_iter().filter(|line| !line.contains(" POST ")).collect();
    let has = |start: &str, end: &str| {
        let found = told.iter().any(|line| line.starts_with(start) && line.ends_with(end));
        assert!(found, "no {start:?} ... {end:?} in\n{told:#?}");
    };
    has(
        "openai KEY REJECTED: k1 of account org (openai/invalid-key), tried again in ",
        " 1 of 2 are left",
    );
    has("openai account org-2 for model \"gpt-\\n9\" rests for 7.", " s: rate (openai/rate-limit)");
    has("openai key k1 is back", "");
}
