//! Streams that are late, and streams that stop.

use tokio::time::Instant;
use tower_key_rotation::{Exhausted, pool::Reason, sandbox::Fault};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_late_first_token_sends_the_request_to_another_key() {
    for style in STYLES {
        // The head is late, or the first event after it.
        for fault in [Fault::delay(60 * SECOND, 1), Fault::stall_streams(0, 60 * SECOND, 1)] {
            let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
            assert!(fake.fail(fault));
            let began = Instant::now();
            let rotation = KeyRotationLayer::new(&pool).first_token_timeout(3 * SECOND);
            let response =
                stack(&pool, rotation, fake.clone()).oneshot(style.request()).await.unwrap();
            assert!((3..4).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
            let tried = attempts(&response);
            assert_eq!(tried.len(), 2, "{style:?}: {tried:?}");
            assert_eq!((tried[0].1, tried[1].1), (Verdict::Transient, Verdict::Accepted));
            assert!(!read(response.into_body()).await.is_empty());
            assert_eq!(
                in_flight(&pool.snapshot()),
                0,
                "{style:?}: the lease of the late stream is held"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_head_in_time_the_answer_is_a_504_of_the_dialect() {
    for (style, kind) in [
        (Style::Chat, "/error/code=timeout"),
        (Style::Messages, "/error/type=timeout_error"),
        (Style::List, "/error/status=DEADLINE_EXCEEDED"),
    ] {
        let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
        assert!(fake.fail(Fault::delay(60 * SECOND, 99)));
        let rotation = KeyRotationLayer::new(&pool).first_token_timeout(SECOND);
        let response = stack(&pool, rotation, fake.clone()).oneshot(style.request()).await.unwrap();
        assert_eq!(response.status(), 504);
        let exhausted = response.extensions().get::<Exhausted>().unwrap();
        assert_eq!(exhausted.reason(), Reason::TimedOut);
        assert_eq!(attempts(&response).len(), 5, "the first and four retries");
        let body: serde_json::Value =
            serde_json::from_slice(&read(response.into_body()).await).unwrap();
        let (pointer, expected) = kind.split_once('=').unwrap();
        assert_eq!(body.pointer(pointer).unwrap(), expected, "{body}");
        assert_eq!(in_flight(&pool.snapshot()), 0);
    }
}

/// The head has come in time, so the stream itself is passed on.
#[tokio::test(start_paused = true)]
async fn if_all_keys_are_late_the_last_stream_is_passed_on_unchanged() {
    let style = Style::Messages;
    let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
    assert!(fake.fail(Fault::stall_streams(1, 60 * SECOND, 99)));
    let rotation = KeyRotationLayer::new(&pool).first_token_timeout(SECOND);
    let response = stack(&pool, rotation, fake.clone()).oneshot(style.request()).await.unwrap();
    assert_eq!((response.status().as_u16(), verdict(&response)), (200, Verdict::Transient));
    assert_eq!(attempts(&response).len(), 5);
    let body = read(response.into_body()).await;
    assert!(
        body.ends_with(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"),
        "{body:?}"
    );
    assert_eq!(in_flight(&pool.snapshot()), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_stream_has_no_first_token_timeout() {
    let (pool, fake) = (pool(Style::Chat, 2), sandbox(Style::Chat, 2).build());
    assert!(fake.fail(Fault::delay(60 * SECOND, 1)));
    let rotation = KeyRotationLayer::new(&pool).first_token_timeout(SECOND).idle_timeout(SECOND);
    let whole = r#"{"model":"m","messages":[{"role":"user","content":"Hello"}]}"#;
    let request = Style::Chat.request().map(|_| whole.to_owned());
    let response = stack(&pool, rotation, fake.clone()).oneshot(request).await.unwrap();
    assert_eq!((response.status().as_u16(), attempts(&response).len()), (200, 0));
    assert!(!read(response.into_body()).await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stops_ends_with_an_error_of_the_dialect() {
    for style in STYLES {
        let (pool, fake) = (pool(style, 1), sandbox(style, 1).build());
        let after = style.preludes() + 1;
        assert!(fake.fail(Fault::stall_streams(after, 600 * SECOND, 1)));
        let rotation = KeyRotationLayer::new(&pool).idle_timeout(5 * SECOND);
        let began = Instant::now();
        let response = stack(&pool, rotation, fake.clone()).oneshot(style.request()).await.unwrap();
        let mut body = response.into_body();
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        assert!((5..6).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        assert!(body.is_end_stream());
        // The lease ends before the body is dropped.
        let freed = in_flight(&pool.snapshot()) == 0;
        assert_eq!((freed, judged(&pool, "transient")), (true, 1), "{style:?}");
        assert_eq!(fake.stats().total().in_flight, 0, "{style:?}: the call is still open");

        let twin = sandbox(style, 1).build();
        let mut raw = twin.oneshot(style.with_key(1)).await.unwrap().into_body();
        for frame in &frames[..after as usize] {
            assert_eq!(*frame, raw.frame().await.unwrap().unwrap().into_data().unwrap());
        }
        let event = frames[after as usize..].concat();
        if style == Style::List {
            assert!(event.is_empty(), "an array must end early, so that its reader notices");
        } else {
            let event = String::from_utf8(event).unwrap();
            let data = event.trim().strip_prefix("event: error\ndata: ").unwrap();
            let error: serde_json::Value = serde_json::from_str(data).unwrap();
            assert!(error["error"].is_object(), "{error}");
            assert!(event.starts_with("\n\n") && event.ends_with("\n\n"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_and_a_slow_reader_are_not_idle() {
    // The second reader sleeps for seven of the eleven seconds, and waits for the other four.
    for (gap, rest) in [(4 * SECOND, Duration::ZERO), (11 * SECOND, 7 * SECOND)] {
        let style = Style::Chat;
        let script = Script::new().tokens(5).gap(gap);
        let (pool, fake) = (pool(style, 1), sandbox(style, 1).answer(script).build());
        let rotation = KeyRotationLayer::new(&pool).idle_timeout(5 * SECOND);
        let response = stack(&pool, rotation, fake.clone()).oneshot(style.request()).await.unwrap();
        let mut body = response.into_body();
        let mut all = Vec::new();
        while let Some(frame) = body.frame().await {
            all.extend_from_slice(&frame.unwrap().into_data().unwrap());
            tokio::time::sleep(rest).await;
        }
        assert!(all.ends_with(b"data: [DONE]\n\n"), "{gap:?}");
        assert_eq!(fake.stats().total().streams_finished, 1);
    }
}
