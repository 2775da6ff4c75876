//! What of a stream is held back, and for how long.

use http_body_util::{Channel, channel};
use tokio::time::{Instant, advance};
use tower::util::BoxCloneService;
use tower_key_rotation::{provider::Generic, sandbox::Fault};

use super::*;

const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
const CONTENT: &str = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":\
                       {\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n";

type Sent = Channel<Bytes, Infallible>;
type ByHand = BoxCloneService<Request<ReplayBody>, Response<Sent>, Infallible>;

/// An answer whose pieces the test sends one by one.
fn by_hand(head: &[(&'static str, &'static str)]) -> (channel::Sender<Bytes, Infallible>, ByHand) {
    let (sender, body) = Channel::<Bytes, Infallible>::new(1_000);
    let head =
        head.iter().fold(Response::builder(), |head, (name, value)| head.header(*name, *value));
    let response = std::sync::Arc::new(std::sync::Mutex::new(Some(head.body(body).unwrap())));
    let inner = tower::service_fn(move |_: Request<ReplayBody>| {
        ready(Ok(response.lock().unwrap().take().unwrap()))
    });
    (sender, BoxCloneService::new(inner))
}

const EVENTS: &[(&str, &str)] = &[("content-type", "text/event-stream; charset=utf-8")];

#[tokio::test(start_paused = true)]
async fn a_stream_that_stalls_after_its_head_is_passed_on_after_two_seconds() {
    for style in STYLES {
        let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
        let minute = Duration::from_secs(60);
        assert!(fake.fail(Fault::stall_streams(style.preludes(), minute, 1)));
        let began = Instant::now();
        let response = send(&pool, fake.clone(), style.request()).await;
        assert_eq!(began.elapsed().as_millis().div_ceil(10), 200, "{style:?}");
        assert_eq!(verdict(&response), Verdict::Accepted);
        let mut body = response.into_body();
        for _ in 0..style.preludes() {
            body.frame().await.unwrap().unwrap();
        }
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "the pieces before the content were delayed"
        );
        assert!(!read(body).await.is_empty());
        assert!(began.elapsed() >= minute);
        assert_eq!(fake.stats().total().requests, 1, "a slow stream was sent again");
    }
}

#[tokio::test(start_paused = true)]
async fn hold_back_timeout_sets_the_time_and_zero_holds_nothing_back() {
    for time in [Duration::ZERO, Duration::from_millis(300)] {
        let style = Style::Messages;
        let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
        assert!(fake.fail(Fault::stall_streams(1, Duration::from_secs(60), 1)));
        let began = Instant::now();
        let rotation = KeyRotationLayer::new(&pool).hold_back_timeout(time);
        let stack = stack(&pool, rotation, fake.clone());
        stack.clone().oneshot(style.request()).await.unwrap();
        assert!(began.elapsed() <= time + Duration::from_millis(2), "{:?}", began.elapsed());

        // If nothing is held back, the caller sees an error that comes first.
        assert!(fake.fail(Fault::stream_error(0, 1)));
        let response = stack.oneshot(style.request()).await.unwrap();
        assert_eq!(attempts(&response).len(), if time.is_zero() { 0 } else { 2 });
        let is_seen = read(response.into_body()).await.starts_with(b"event: error");
        assert_eq!(is_seen, time.is_zero());
        assert_eq!(judged(&pool, "overloaded"), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_passed_on_after_64_kib_without_content() {
    let pool = pool(Style::Messages, 1);
    let (mut sender, inner) = by_hand(EVENTS);
    let mut call = tokio_test::task::spawn(send(&pool, inner, Style::Messages.request()));
    let comment = Bytes::from(format!(": {}\n\n", "x".repeat(1_020)));
    let mut sent = 0;
    while call.poll().is_pending() {
        assert!(sent < 64 * 1024, "{sent} bytes are held back");
        sender.send_data(comment.clone()).await.unwrap();
        sent += comment.len();
    }
    assert!(sent >= 64 * 1024, "{sent} bytes were enough");
}

#[tokio::test(start_paused = true)]
async fn a_piece_larger_than_the_bound_is_passed_on() {
    let pool = pool(Style::Messages, 1);
    let body = Bytes::from(format!("{}{}{CONTENT}", PING.repeat(10_000), ": x\n".repeat(100_000)));
    let inner = answers(EVENTS[0].1, vec![vec![body.clone()]]);
    let response = send(&pool, inner, Style::Messages.request()).await;
    assert_eq!(read(response.into_body()).await, body);
}

/// The sandbox sends an event every 100 ms: each must be passed on before the next one is sent.
#[tokio::test(start_paused = true)]
async fn nothing_is_held_back_after_the_first_content() {
    for style in STYLES {
        let (pool, gap) = (pool(style, 1), Duration::from_millis(100));
        let script = Script::new().tokens(20).gap(gap);
        let fake = sandbox(style, 1).answer(script.clone()).build();
        let began = Instant::now();
        let response = send(&pool, fake, style.request()).await;
        let mut body = response.into_body();
        let (mut times, mut frames) = (Vec::new(), Vec::new());
        while let Some(frame) = body.frame().await {
            times.push(began.elapsed().as_millis() as u64 / 100);
            frames.push(frame.unwrap().into_data().unwrap());
        }
        // What was held back comes with the first content, all later frames when they are sent.
        let first = style.preludes();
        let expected = (0..frames.len() as u64).map(|frame| frame.max(first));
        assert!(times.iter().copied().eq(expected), "{style:?}: {times:?}");

        let twin = sandbox(style, 1).answer(script).build();
        let mut raw = twin.oneshot(style.with_key(1)).await.unwrap().into_body();
        for frame in frames {
            assert_eq!(frame, raw.frame().await.unwrap().unwrap().into_data().unwrap());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_content_is_not_delayed() {
    let pool = pool(Style::Messages, 1);
    let (mut sender, inner) = by_hand(EVENTS);
    let mut call = tokio_test::task::spawn(send(&pool, inner, Style::Messages.request()));
    sender.send_data(Bytes::from(PING)).await.unwrap();
    assert!(call.poll().is_pending());
    sender.send_data(Bytes::from(CONTENT)).await.unwrap();
    assert!(call.is_woken());
    let std::task::Poll::Ready(response) = call.poll() else { panic!("held back") };
    let mut body = response.into_body();
    for expected in [PING, CONTENT] {
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), expected);
    }
}

/// After the error, the end of the stream is awaited for a moment only.
#[tokio::test(start_paused = true)]
async fn an_open_connection_after_an_error_does_not_delay_the_next_attempt() {
    let pool = pool(Style::Messages, 1);
    let (mut sender, inner) = by_hand(EVENTS);
    let rotation = KeyRotationLayer::new(&pool).layer(inner);
    let request = Style::Messages.request().map(ReplayBody::from);
    let error =
        "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
    sender.send_data(Bytes::from(error)).await.unwrap();
    let began = Instant::now();
    let response = rotation.oneshot(request).await.unwrap();
    assert!(began.elapsed() <= Duration::from_millis(150), "{:?}", began.elapsed());
    assert_eq!(verdict(&response), Verdict::Overloaded { retry_after: None });
    sender.send_data(Bytes::from(": more\n")).await.unwrap();
    drop(sender);
    assert_eq!(read(response.into_body()).await, format!("{error}: more\n"));
}

/// Streams of a dialect without errors in them, streams that cannot be unpacked, and answers that are no
/// streams.
#[tokio::test(start_paused = true)]
async fn answers_that_cannot_be_watched_are_passed_on_at_once() {
    let generic = KeyPool::builder(Generic::new("https://api.openai.com"));
    let generic = generic.key(ApiKey::new("sk-generic")).build().unwrap();
    let openai = pool(Style::Chat, 9);
    let packed: &[_] = &[EVENTS[0], ("content-encoding", "zstd")];
    for (pool, head) in [(&generic, EVENTS), (&openai, packed), (&openai, &[])] {
        let (mut sender, inner) = by_hand(head);
        let began = Instant::now();
        let response = send(pool, inner, Style::Chat.request()).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "{head:?}");
        let error = r#"{"error":{"code":503}}"#;
        sender.send_data(Bytes::from(error)).await.unwrap();
        drop(sender);
        assert_eq!(read(response.into_body()).await, error);
        assert_eq!(judged(pool, "overloaded"), 0, "{head:?}: it was watched");
    }
}

/// The caller drops the response or its body at every point at which it can be waiting.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_at_any_point_leaks_nothing() {
    for style in STYLES {
        for polls in 0.. {
            let (pool, gap) = (pool(style, 2), Duration::from_millis(100));
            let script = Script::new().tokens(2).gap(gap).latency(gap);
            let fake = sandbox(style, 2).answer(script).build();
            assert!(fake.fail(Fault::stream_quota_error(style.preludes(), 1)));
            let mut all = tokio_test::task::spawn(async {
                let response = send(&pool, fake.clone(), style.request()).await;
                read(response.into_body()).await;
            });
            let mut done = false;
            for _ in 0..polls {
                done = all.poll().is_ready();
                if done {
                    break;
                }
                advance(gap / 2).await;
            }
            drop(all);
            let snapshot = pool.snapshot();
            assert_eq!((in_flight(&snapshot), snapshot.waiting), (0, 0), "{style:?} {polls}");
            assert_eq!(fake.stats().total().in_flight, 0, "{style:?}: the call is still open");
            if done {
                assert!(polls > 5, "{style:?}: it never had to wait");
                break;
            }
        }
    }
}
