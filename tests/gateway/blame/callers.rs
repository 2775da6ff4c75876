//! Callers that break off must not affect keys and accounts. These tests use real sockets, and so no paused
//! clock.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::{chat, messages, pool, run};
use crate::{
    fake::{Fake, ok},
    gateway::upstream::Upstream,
    start::{Started, start},
};

const PATHS: [&str; 2] = ["/v1/chat/completions", "/openai/v1/chat/completions"];
/// The start of a body that is announced to be longer.
const SOME: &str = r#"{"model":"gpt-4o","messages":["#;
/// How long to wait for an answer to half a request, which may never come.
const PATIENCE: Duration = Duration::from_secs(5);

/// A gateway in front of a provider with its own socket, which is called at once or not at all.
async fn before(accounts: usize) -> (Started, Fake) {
    let fake = Fake::new(ok);
    let url = fake.listen().await;
    let lines = format!("base_url = {url:?}\nmax_wait = \"50ms\"");
    let gateway = start(pool("openai", accounts, &lines), Upstream::providers().unwrap()).await;
    (gateway, fake)
}

/// Checks that chats are answered without a wait, by all accounts, and that no account cools down.
async fn nothing_has_changed(gateway: &Started, fake: &Fake, accounts: usize, what: &str) {
    let (_, status) = gateway.json(gateway.get("/-/status")).await;
    for account in status["pools"][0]["accounts"].as_array().unwrap() {
        // Null, or missing.
        assert_eq!(
            account.get("cooling_for").unwrap_or(&Value::Null),
            &Value::Null,
            "{what}: {account}"
        );
    }
    let before: Vec<_> = (1..=accounts).map(|key| fake.calls_of(key)).collect();
    for number in 0..20 * accounts {
        let body = serde_json::json!({"model": "gpt-4o", "messages": messages()}).to_string();
        let (status, text) = gateway.text(gateway.post(PATHS[0], body)).await;
        assert_eq!(status, 200, "{what}, chat {number}: {text}");
    }
    for key in 1..=accounts {
        assert!(fake.calls_of(key) > before[key - 1], "{what}: key {key} is no longer used");
    }
}

async fn connect(gateway: &Started) -> TcpStream {
    TcpStream::connect(&gateway.url["http://".len()..]).await.unwrap()
}

fn head(path: &str, framing: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
    )
}

/// Checks that the answer, if there is one, says that the caller is at fault.
async fn is_the_callers_fault(mut stream: TcpStream, what: &str) {
    let mut answer = Vec::new();
    let reading = stream.read_to_end(&mut answer);
    // An error or an early end is no answer, which is allowed.
    drop(tokio::time::timeout(PATIENCE, reading).await);
    let answer = String::from_utf8_lossy(&answer);
    let is_right = answer.is_empty() || answer.starts_with("HTTP/1.1 400 ");
    assert!(is_right, "{what}: {answer}");
}

#[tokio::test]
async fn an_invalid_chunk_rests_nothing() {
    let (gateway, fake) = before(2).await;
    for number in 0..30 {
        let mut stream = connect(&gateway).await;
        let chunk = format!("{:x}\r\n{SOME}\r\nZZZ\r\n", SOME.len());
        let request = head(PATHS[number % 2], "transfer-encoding: chunked") + &chunk;
        stream.write_all(request.as_bytes()).await.unwrap();
        is_the_callers_fault(stream, "a bad chunk").await;
    }
    nothing_has_changed(&gateway, &fake, 2, "bad chunks").await;
}

#[tokio::test]
async fn a_body_that_ends_early_rests_nothing() {
    let (gateway, fake) = before(2).await;
    for number in 0..30 {
        let mut stream = connect(&gateway).await;
        let request = head(PATHS[number % 2], "content-length: 1000") + SOME;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        is_the_callers_fault(stream, "a short body").await;
    }
    nothing_has_changed(&gateway, &fake, 2, "short bodies").await;
}

#[tokio::test]
async fn a_reset_connection_rests_nothing() {
    for accounts in [1, 3] {
        let (gateway, fake) = before(accounts).await;
        for number in 0..30 {
            let mut stream = connect(&gateway).await;
            let framing = "content-length: 1000\r\nexpect: 100-continue";
            stream.write_all(head(PATHS[number % 2], framing).as_bytes()).await.unwrap();
            // The gateway must have started to read before the body breaks off.
            let mut go_on = [0; "HTTP/1.1 100 Continue\r\n\r\n".len()];
            stream.read_exact(&mut go_on).await.unwrap();
            stream.write_all(SOME.as_bytes()).await.unwrap();
            stream.set_zero_linger().unwrap();
            drop(stream);
        }
        nothing_has_changed(&gateway, &fake, accounts, "resets").await;
    }
}

#[tokio::test]
async fn a_form_or_long_body_that_breaks_off_rests_nothing() {
    let (gateway, fake) = before(2).await;
    let part = "--x\r\ncontent-disposition: form-data; name=\"file\"\r\n\r\n";
    for _ in 0..30 {
        let mut stream = connect(&gateway).await;
        let request = "POST /v1/files HTTP/1.1\r\nhost: localhost\r\n\
            content-type: multipart/form-data; boundary=x\r\ncontent-length: 1000\r\n\r\n";
        stream.write_all((request.to_owned() + part).as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        is_the_callers_fault(stream, "a short form").await;
    }
    nothing_has_changed(&gateway, &fake, 2, "short forms").await;

    // Too long to be buffered: it is being sent to the provider when it breaks off.
    let some = " ".repeat(1 << 20);
    for number in 0..6 {
        let mut stream = connect(&gateway).await;
        let request = head(PATHS[1], "content-length: 41943040");
        stream.write_all(request.as_bytes()).await.unwrap();
        for _ in 0..3 {
            stream.write_all(some.as_bytes()).await.unwrap();
        }
        if number % 2 == 0 {
            stream.shutdown().await.unwrap();
            is_the_callers_fault(stream, "a long body").await;
        } else {
            stream.set_zero_linger().unwrap();
            drop(stream);
        }
    }
    nothing_has_changed(&gateway, &fake, 2, "long bodies").await;
}

#[tokio::test]
async fn a_reset_http2_stream_rests_nothing() {
    let (gateway, fake) = before(2).await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
    for number in 0..30 {
        let frames = [Ok(Frame::data(Bytes::from_static(SOME.as_bytes()))), Err("broken off")];
        let body = StreamBody::new(tokio_stream::iter(frames));
        let request = Request::post(format!("{}{}", gateway.url, PATHS[number % 2]))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .unwrap();
        if let Ok(answer) = client.request(request).await {
            assert_eq!(answer.status(), 400, "a stream that is reset");
        }
    }
    nothing_has_changed(&gateway, &fake, 2, "resets of HTTP/2").await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_hangs_up_rests_nothing() {
    let running = run(pool("openai", 2, "max_wait = \"50ms\""), ok);
    for number in 0..60 {
        // The caller hangs up before the answer of the provider, at the same time, and while the answer is
        // read.
        let patience = Duration::from_millis([5, 20, 21][number % 3]);
        drop(tokio::time::timeout(patience, running.send(chat())).await);
    }
    running.all_is_well(2, chat, "hung up").await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_in_this_process_rests_nothing() {
    let running = run(pool("openai", 2, "max_wait = \"50ms\""), ok);
    for number in 0..30 {
        let frames = [Ok(Frame::data(Bytes::from_static(SOME.as_bytes()))), Err("broken off")];
        let body = axum::body::Body::new(StreamBody::new(tokio_stream::iter(frames)));
        let request = Request::post(PATHS[number % 2])
            .header(header::CONTENT_TYPE, "application/json")
            .body(body)
            .unwrap();
        let outcome = running.send(request).await;
        assert_eq!(outcome.status, 400, "{outcome}");
    }
    running.all_is_well(2, chat, "broken bodies").await;
}
