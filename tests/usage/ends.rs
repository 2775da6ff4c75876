//! Each of the four ends of a body settles the request once, with the usage seen so far.

use std::{convert::Infallible, future::ready, time::Duration};

use http_body::Frame;
use http_body_util::StreamBody;
use tower_key_rotation::{KeyRotationLayer, sandbox::Fault};

use super::*;

#[tokio::test(start_paused = true)]
async fn a_whole_body_settles_at_its_last_frame() {
    for api in APIS {
        let setup = Setup::new(api, &[]);
        let mut body = setup.ask(api.request(false)).await.into_body();
        body.frame().await.unwrap().unwrap();
        // The end was not polled yet.
        assert!(!setup.only().is_estimated, "{api:?}");
        assert_eq!(setup.in_flight(), 0);
        assert!(body.frame().await.is_none());
        drop(body);
        let _ = setup.only();
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_stream_is_estimated_from_the_data_so_far() {
    for api in APIS {
        let setup = Setup::with(api, &[], |sandbox| sandbox.answer(Script::new().tokens(100)));
        let mut body = setup.ask(api.request(true)).await.into_body();
        for _ in 0..50 {
            body.frame().await.unwrap().unwrap();
        }
        assert!(setup.kept.all().is_empty());
        drop(body);
        let (usage, made) = (setup.only(), setup.sandbox.stats().total().answer_tokens);
        assert!(usage.is_estimated, "{api:?}");
        let off = usage.all_output().abs_diff(made);
        assert!(4 * off <= made, "{api:?}: {usage:?}, and {made} were made");
        assert!(usage.all_input() > 0, "{api:?}: {usage:?}");
        assert_eq!(setup.in_flight(), 0);
    }
}

/// Many clients stop at the last event and do not wait for the end of the body.
#[tokio::test(start_paused = true)]
async fn a_stream_dropped_after_its_last_event_is_exact() {
    for api in [Api::Chat, Api::Responses, Api::Messages] {
        let setup = Setup::new(api, &[]);
        let bytes = read(setup.ask(api.request(true)).await.into_body()).await;
        let setup = Setup::new(api, &[]);
        let inner = tower::service_fn(move |_: Request<ReplayBody>| {
            let frames = [Ok::<_, Infallible>(Frame::data(bytes.clone()))];
            let frames =
                tokio_stream::StreamExt::chain(tokio_stream::iter(frames), tokio_stream::pending());
            let response = Response::builder().header("content-type", "text/event-stream");
            ready(Ok::<_, Infallible>(response.body(StreamBody::new(frames)).unwrap()))
        });
        let mut body = setup.send(inner, api.request(true)).await.into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        let usage = setup.only();
        assert_eq!((usage.is_estimated, usage.all_output()), (false, 12), "{api:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_fails_or_stalls_settles_too() {
    for api in APIS {
        let faults = [
            Fault::cut_streams(7, 1),
            Fault::stream_error(7, 1),
            Fault::stall_streams(7, Duration::from_secs(60), 1),
        ];
        for fault in faults {
            let shown = format!("{api:?} {fault:?}");
            let setup = Setup::with(api, &[], |sandbox| sandbox.answer(Script::new().tokens(50)));
            assert!(setup.sandbox.fail(fault));
            let rotation = KeyRotationLayer::new(&setup.pool).idle_timeout(Duration::from_secs(5));
            let stack = RotationStack::new(&setup.pool).rotation(rotation);
            let response = stack.layer(setup.sandbox.clone()).oneshot(api.request(true)).await;
            let mut body = response.unwrap().into_body();
            while let Some(Ok(_)) = body.frame().await {}
            // Before it is dropped.
            let usage = setup.only();
            assert!(usage.is_estimated, "{shown}");
            let made = setup.sandbox.stats().total().answer_tokens;
            assert!(usage.all_output().abs_diff(made) <= 3, "{shown}: {usage:?}, made {made}");
            assert_eq!(setup.in_flight(), 0, "{shown}");
            drop(body);
            let _ = setup.only();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_first_settlement_counts() {
    let setup = Setup::new(Api::Chat, &[]);
    let mut lease = setup.pool.acquire(&tower_key_rotation::Demand::new()).await.unwrap();
    lease.settle(Usage::tokens(3, 4));
    lease.settle(Usage::tokens(5, 6));
    drop(lease);
    assert_eq!(setup.only().total(), 7);
}

#[tokio::test(start_paused = true)]
async fn trailers_end_a_body() {
    let setup = Setup::new(Api::Chat, &[]);
    let inner = tower::service_fn(|_: Request<ReplayBody>| {
        let body = r#"{"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
        let frames = [
            Ok::<_, Infallible>(Frame::data(Bytes::from(body))),
            Ok(Frame::trailers(http::HeaderMap::new())),
        ];
        let response = Response::builder().header("content-type", "application/json");
        let body = StreamBody::new(tokio_stream::iter(frames));
        ready(Ok::<_, Infallible>(response.body(body).unwrap()))
    });
    let mut body = setup.send(inner, Api::Chat.request(false)).await.into_body();
    assert!(body.frame().await.unwrap().unwrap().is_data());
    assert!(body.frame().await.unwrap().unwrap().is_trailers());
    assert!(body.frame().await.is_none());
    assert_eq!(setup.only().total(), 7);
}

#[tokio::test(start_paused = true)]
async fn refusals_leave_no_record_and_answers_without_usage_leave_one() {
    let setup = Setup::new(Api::Chat, &[]);
    assert!(setup.sandbox.fail(Fault::error(http::StatusCode::BAD_REQUEST, 1)));
    read(setup.ask(Api::Chat.request(true)).await.into_body()).await;
    assert!(setup.kept.0.lock().unwrap().is_empty());
    // What is free leaves none either.
    let models = Request::get("https://api.openai.com/v1/models").body(String::new()).unwrap();
    read(setup.ask(models).await.into_body()).await;
    assert_eq!((setup.kept.all(), setup.kept.unmetered()), (vec![], 0));
    let images = "https://api.openai.com/v1/images/generations";
    let inner = tower::service_fn(|_: Request<ReplayBody>| {
        let picture = http_body_util::Full::new(Bytes::from_static(b"{\"data\":[]}"));
        let response = Response::builder().header("content-type", "application/json");
        ready(Ok::<_, Infallible>(response.body(picture).unwrap()))
    });
    let image = Request::post(images).body(r#"{"prompt":"a cat"}"#.to_owned()).unwrap();
    read(setup.send(inner, image).await.into_body()).await;
    assert_eq!((setup.kept.all(), setup.kept.unmetered()), (vec![], 1));
}

/// If a caller gives up before the head of the answer, the provider may have read the prompt. If it gives
/// up in the queue, the provider has seen nothing.
#[tokio::test(start_paused = true)]
async fn a_request_given_up_before_its_answer_is_estimated_from_its_prompt() {
    let slow =
        |sandbox: SandboxBuilder| sandbox.answer(Script::new().latency(Duration::from_secs(9)));
    let setup = Setup::with(Api::Chat, &[Limit::concurrent(1)], slow);
    let request = || Api::Chat.request(true);
    let (first, second, third) = (setup.ask(request()), setup.ask(request()), setup.ask(request()));
    let all = async { tokio::join!(first, second, third) };
    assert!(tokio::time::timeout(Duration::from_secs(1), all).await.is_err());
    let counts = setup.sandbox.stats().total();
    let kept = setup.kept.all();
    assert_eq!((counts.accepted, kept.len(), setup.kept.unmetered()), (2, 2, 0));
    assert!(kept.iter().all(|usage| usage.is_estimated && usage.input > 0 && usage.output == 0));
}

/// Limits are charged with the usage if the provider gives back the rest of a reservation. Otherwise they
/// are charged with the reservation, and never with less than the usage.
#[tokio::test(start_paused = true)]
async fn limits_are_charged_as_the_provider_charges_them() {
    let remaining = |setup: &Setup| {
        let accounts = setup.pool.snapshot().accounts;
        accounts.iter().map(|account| account.meters[1].remaining).min().unwrap()
    };
    // Reserved: 100 tokens of output. Used: 12.
    let limit = || [Limit::output_tokens(1_000).per_hour().burst(1_000)];
    for (api, charged) in [(Api::Messages, 12), (Api::Chat, 100)] {
        let setup = Setup::new(api, &limit());
        let full = remaining(&setup);
        let request = api.request(true).map(|body| match api {
            Api::Chat => body.replacen('{', "{\"max_tokens\":100,", 1),
            _ => body,
        });
        let mut body = setup.ask(request).await.into_body();
        assert_eq!(full - remaining(&setup), 100, "{api:?}: reserved");
        while body.frame().await.is_some() {}
        assert_eq!(full - remaining(&setup), charged, "{api:?}: settled");
    }
    // Nothing reserved: the request named no maximum. Used: 12.
    let setup = Setup::new(Api::Responses, &limit());
    let full = remaining(&setup);
    read(setup.ask(Api::Responses.request(true)).await.into_body()).await;
    assert_eq!(full - remaining(&setup), 12, "into debt if necessary");
}
