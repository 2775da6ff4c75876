//! Streams that are late, and streams that stop.

use tokio::time::Instant;
use tower_key_rotation::{Exhausted, Reason, sandbox::Fault};

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_late_first_token_goes_to_another_key() {
    for style in STYLES {
        // Late by its head, or by what comes after it.
        for fault in [Fault::delay(60 * SECOND, 1), Fault::stall_streams(0, 60 * SECOND, 1)] {
            let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
            assert!(fake.fail(fault));
            let began = Instant::now();
            let rotation = KeyRotationLayer::new(&pool).first_token(3 * SECOND);
            let response =
                stack(&pool, rotation, fake.clone()).oneshot(style.request()).await.unwrap();
            assert!((3..4).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
            let tried = attempts(&response);
            assert_eq!(tried.len(), 2, "{style:?}: {tried:?}");
            assert_eq!((tried[0].1, tried[1].1), (Verdict::Transient, Verdict::Accepted));
            assert!(!read(response.into_body()).await.is_empty());
            assert_eq!(in_flight(&pool.snapshot()), 0, "{style:?}: the late one was let go");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn without_any_head_in_time_the_answer_is_a_504_of_the_dialect() {
    for (style, kind) in [
        (Style::Chat, "/error/code=timeout"),
        (Style::Messages, "/error/type=timeout_error"),
        (Style::List, "/error/status=DEADLINE_EXCEEDED"),
    ] {
        let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
        assert!(fake.fail(Fault::delay(60 * SECOND, 99)));
        let rotation = KeyRotationLayer::new(&pool).first_token(SECOND);
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

/// Its head has come, so it is the last answer of the provider: late is better than nothing.
#[tokio::test(start_paused = true)]
async fn when_all_are_late_the_last_is_passed_on_as_it_is() {
    let style = Style::Messages;
    let (pool, fake) = (pool(style, 2), sandbox(style, 2).build());
    assert!(fake.fail(Fault::stall_streams(1, 60 * SECOND, 99)));
    let rotation = KeyRotationLayer::new(&pool).first_token(SECOND);
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
async fn an_answer_that_is_no_stream_may_take_its_time() {
    let (pool, fake) = (pool(Style::Chat, 2), sandbox(Style::Chat, 2).build());
    assert!(fake.fail(Fault::delay(60 * SECOND, 1)));
    let rotation = KeyRotationLayer::new(&pool).first_token(SECOND).idle(SECOND);
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
        let rotation = KeyRotationLayer::new(&pool).idle(5 * SECOND);
        let began = Instant::now();
        let response = stack(&pool, rotation, fake.clone()).oneshot(style.request()).await.unwrap();
        let mut body = response.into_body();
        let mut frames = Vec::new();
        while let Some(frame) = body.frame().await {
            frames.push(frame.unwrap().into_data().unwrap());
        }
        assert!((5..6).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        assert!(body.is_end_stream());
        // Before the body is dropped.
        let freed = in_flight(&pool.snapshot()) == 0;
        assert_eq!((freed, judged(&pool, "transient")), (true, 1), "{style:?}");
        assert_eq!(fake.stats().total().in_flight, 0, "{style:?}: the provider is told");

        let twin = sandbox(style, 1).build();
        let mut raw = twin.oneshot(style.with_key(1)).await.unwrap().into_body();
        for frame in &frames[..after as usize] {
            assert_eq!(*frame, raw.frame().await.unwrap().unwrap().into_data().unwrap());
        }
        let words = frames[after as usize..].concat();
        if style == Style::List {
            assert!(words.is_empty(), "an array that ends here is no JSON, and that is the point");
        } else {
            let words = String::from_utf8(words).unwrap();
            let data = words.trim().strip_prefix("event: error\ndata: ").unwrap();
            let error: serde_json::Value = serde_json::from_str(data).unwrap();
            assert!(error["error"].is_object(), "{error}");
            assert!(words.starts_with("\n\n") && words.ends_with("\n\n"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_stream_and_a_slow_reader_are_not_idle() {
    // The reader comes back seven seconds later, and waits for no more than what is left.
    for (gap, rest) in [(4 * SECOND, Duration::ZERO), (11 * SECOND, 7 * SECOND)] {
        let style = Style::Chat;
        let script = Script::new().tokens(5).gap(gap);
        let (pool, fake) = (pool(style, 1), sandbox(style, 1).answer(script).build());
        let rotation = KeyRotationLayer::new(&pool).idle(5 * SECOND);
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
