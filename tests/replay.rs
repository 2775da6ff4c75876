//! Request bodies that are buffered, and bodies that are too long to be buffered.
#![cfg(feature = "retry")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt, Channel, Full, StreamBody};
use tower::{Layer, Service, ServiceExt};
use tower_key_rotation::{
    ApiKey, KeyPool, OpenAi, ReplayBody, ReplayBodyLayer, RotationStack, replay::Replay,
};

/// What an inner service received: the bytes, the trailers, and the exact length that was announced.
type Received = Arc<Mutex<Vec<(Bytes, Option<HeaderMap>, Option<u64>)>>>;

/// An inner service that answers with these statuses in order, and then with 200.
fn inner(
    statuses: &'static [u16],
    got: &Received,
) -> impl Service<Request<ReplayBody>, Response = Response<Full<Bytes>>, Error = String, Future: Send>
+ Clone {
    let (got, calls) = (Arc::clone(got), Arc::new(Mutex::new(statuses.iter())));
    tower::service_fn(move |request: Request<ReplayBody>| {
        let got = Arc::clone(&got);
        let status = *calls.lock().unwrap().next().unwrap_or(&200);
        async move {
            let announced = request.body().size_hint().exact();
            let body = request.into_body().collect().await.map_err(|error| error.to_string())?;
            let trailers = body.trailers().cloned();
            got.lock().unwrap().push((body.to_bytes(), trailers, announced));
            Ok(Response::builder().status(status).body(Full::default()).unwrap())
        }
    })
}

fn pool() -> KeyPool {
    let pool = KeyPool::builder(OpenAi::default());
    pool.key(ApiKey::new("sk-1").id("a")).key(ApiKey::new("sk-2").id("b")).build().unwrap()
}

fn request<B>(body: B) -> Request<B> {
    Request::post("https://api.openai.com/v1/x").body(body).unwrap()
}

fn in_pieces(
    number: usize,
) -> StreamBody<impl tokio_stream::Stream<Item = Result<Frame<Bytes>, Infallible>>> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", HeaderValue::from_static("17"));
    let pieces = (0..number).map(|i| Ok(Frame::data(Bytes::from(format!("piece {i};")))));
    StreamBody::new(tokio_stream::iter(pieces.chain([Ok(Frame::trailers(trailers))])))
}

#[tokio::test(start_paused = true)]
async fn every_attempt_gets_the_whole_body() {
    let got = Received::default();
    let stack = RotationStack::new(&pool()).layer(inner(&[401, 200], &got));
    let response = stack.oneshot(request(in_pieces(100))).await.unwrap();
    assert_eq!(response.status(), 200);
    let got = got.lock().unwrap();
    assert_eq!(got.len(), 2, "two attempts");
    assert_eq!(got[0], got[1], "the second attempt got another body");
    assert!(got[0].0.ends_with(b"piece 99;"));
    assert_eq!(got[0].1.as_ref().unwrap()["x-checksum"], "17");
    assert_eq!(got[0].2, Some(got[0].0.len() as u64), "the length of a buffered body is known");
}

#[tokio::test(start_paused = true)]
async fn a_body_beyond_max_bytes_is_sent_once_and_whole() {
    for (pieces, max_bytes) in [(100, 99), (2, 8), (1, 0)] {
        let got = Received::default();
        let stack = RotationStack::new(&pool())
            .replay(ReplayBodyLayer::new().max_bytes(max_bytes))
            .layer(inner(&[401, 200], &got));
        let response = stack.oneshot(request(in_pieces(pieces))).await.unwrap();
        assert_eq!(response.status(), 401, "the request was sent again without its whole body");
        let got = got.lock().unwrap();
        assert_eq!(got.len(), 1);
        assert!(got[0].0.starts_with(b"piece 0;"));
        assert!(got[0].0.ends_with(format!("piece {};", pieces - 1).as_bytes()));
        assert_eq!(got[0].1.as_ref().unwrap()["x-checksum"], "17");
    }
}

/// The part beyond the maximum is not buffered: the inner service reads it as it comes.
#[tokio::test(start_paused = true)]
async fn a_body_beyond_max_bytes_is_passed_on_as_it_comes() {
    let (mut sender, body) = Channel::<Bytes, Infallible>::new(1);
    let first = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&first);
    let inner = tower::service_fn(move |request: Request<ReplayBody>| {
        let told = Arc::clone(&told);
        async move {
            let mut body = request.into_body();
            body.frame().await.unwrap().unwrap();
            told.notify_one();
            let rest = body.collect().await.unwrap().to_bytes();
            Ok::<_, Infallible>(Response::new(Full::new(rest)))
        }
    });
    let service = ReplayBodyLayer::new().max_bytes(4).layer(inner);
    let call = tokio::spawn(service.oneshot(request(body)));
    sender.send_data(Bytes::from("12345")).await.unwrap();
    first.notified().await;
    sender.send_data(Bytes::from("67")).await.unwrap();
    drop(sender);
    let rest = call.await.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(rest, "67");
}

#[tokio::test(start_paused = true)]
async fn a_failing_body_fails_the_request_in_the_inner_service() {
    let got = Received::default();
    let frames = [Ok(Frame::data(Bytes::from("x"))), Err(std::io::Error::other("lost"))];
    let body = StreamBody::new(tokio_stream::iter(frames));
    let service = ReplayBodyLayer::new().layer(inner(&[], &got));
    assert_eq!(service.oneshot(request(body)).await.unwrap_err(), "lost");
}

#[tokio::test]
async fn a_body_in_one_piece_is_not_copied() {
    let bytes = Bytes::from(vec![7; 1_000]);
    let address = bytes.as_ptr();
    let inner = tower::service_fn(move |request: Request<ReplayBody>| async move {
        assert_eq!(request.body().bytes().unwrap().as_ptr(), address);
        assert_eq!(request.body().replay().unwrap().bytes().unwrap().as_ptr(), address);
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    ReplayBodyLayer::new().layer(inner).oneshot(request(Full::new(bytes))).await.unwrap();
}
