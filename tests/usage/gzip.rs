//! Compressed answers are read, and passed on unchanged.

use std::{convert::Infallible, future::ready, io::Write};

use flate2::{
    Compression,
    write::{GzEncoder, ZlibEncoder},
};
use http_body::Frame;
use http_body_util::StreamBody;
use tower_key_rotation::{KeyUsed, Trail, Verdict};

use super::*;

const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":30,\"completion_tokens\":7,\"total_tokens\":37}}\n\n";
const TEXT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
const ERROR: &str = "data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n";

/// Flushes after each event, as servers do.
fn gzip(events: &[&str]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    for event in events {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap().into()
}

fn deflate(events: &[&str]) -> Bytes {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    for event in events {
        encoder.write_all(event.as_bytes()).unwrap();
        encoder.flush().unwrap();
    }
    encoder.finish().unwrap().into()
}

/// Answers with these bodies one after the other, in pieces of `size`.
fn answers(
    content_type: &'static str,
    encoding: &'static str,
    size: usize,
    bodies: Vec<Bytes>,
) -> impl Service<
    Request<ReplayBody>,
    Response = Response<impl Body<Data = Bytes, Error = Infallible> + Unpin>,
    Error = Infallible,
> + Clone {
    let bodies = Arc::new(Mutex::new(bodies.into_iter()));
    tower::service_fn(move |_: Request<ReplayBody>| {
        let body = bodies.lock().unwrap().next().unwrap();
        let pieces: Vec<_> = body.chunks(size).map(Bytes::copy_from_slice).collect();
        let frames = pieces.into_iter().map(|piece| Ok::<_, Infallible>(Frame::data(piece)));
        let response = Response::builder().header("content-type", content_type);
        let response = response.header("content-encoding", encoding);
        ready(Ok(response.body(StreamBody::new(tokio_stream::iter(frames))).unwrap()))
    })
}

#[tokio::test(start_paused = true)]
async fn errors_and_usage_are_found_in_compressed_streams() {
    let gzipped = || (gzip(&[": hello\n\n", ERROR]), gzip(&[TEXT, TEXT, USAGE]));
    let deflated = || (deflate(&[": hello\n\n", ERROR]), deflate(&[TEXT, TEXT, USAGE]));
    for (size, encoding, (bad, good)) in [
        (1, "gzip", gzipped()),
        (7, "gzip", gzipped()),
        (100_000, "gzip", gzipped()),
        (1, "deflate", deflated()),
        (100_000, "deflate", deflated()),
    ] {
        let setup = Setup::new(Api::Chat, &[]);
        let inner = answers("text/event-stream", encoding, size, vec![bad, good.clone()]);
        let response = setup.send(inner, Api::Chat.request(true)).await;
        let tried = response.extensions().get::<Trail>().unwrap().attempts();
        assert!(matches!(tried[0].verdict, Verdict::QuotaExhausted { .. }), "{tried:?}");
        assert_eq!(read(response.into_body()).await, good, "byte for byte");
        let usage = setup.only();
        assert_eq!((usage.input, usage.output, usage.is_estimated), (30, 7, false));
    }
}

#[tokio::test(start_paused = true)]
async fn compressed_bodies_in_one_piece_are_read_too() {
    let body = gzip(&[r#"{"choices":[],"usage":{"prompt_tokens":30,"completion_tokens":7}}"#]);
    let setup = Setup::new(Api::Chat, &[]);
    let inner = answers("application/json", "gzip", 5, vec![body.clone()]);
    let response = setup.send(inner, Api::Chat.request(false)).await;
    assert_eq!(read(response.into_body()).await, body);
    assert_eq!(setup.only().total(), 37);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_no_gzip_is_passed_on_unread() {
    let mut broken = gzip(&[TEXT, USAGE]).to_vec();
    let middle = broken.len() / 2;
    broken[middle..].fill(0xff);
    for body in [Bytes::from(ERROR), Bytes::from(broken), gzip(&[]).slice(..5)] {
        let setup = Setup::new(Api::Chat, &[]);
        let inner = answers("text/event-stream", "gzip", 10, vec![body.clone()]);
        let response = setup.send(inner, Api::Chat.request(true)).await;
        assert_eq!(response.extensions().get::<KeyUsed>().unwrap().verdict, Verdict::Accepted);
        assert_eq!(read(response.into_body()).await, body);
        assert!(setup.only().is_estimated);
    }
}
