//! `ask_usage`: the layer asks for usage if the caller did not, and hides the extra chunk from the caller.

use std::{convert::Infallible, future::ready};

use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use http_body::Frame;
use http_body_util::StreamBody;
use tower_key_rotation::KeyRotationLayer;

use super::*;

const CHAT: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#;

fn chat(body: &str) -> Request<String> {
    Request::post("https://api.openai.com/v1/chat/completions").body(body.to_owned()).unwrap()
}

/// Sends a request through a stack that asks for usage.
async fn ask<S, B>(setup: &Setup, inner: S, request: Request<String>) -> Response<ResponseBody<B>>
where
    S: Service<Request<ReplayBody>, Response = Response<B>, Error: std::fmt::Debug> + Clone,
    B: Body<Data = Bytes> + Unpin,
{
    let rotation = KeyRotationLayer::new(&setup.pool).ask_usage(true);
    let stack = RotationStack::new(&setup.pool).rotation(rotation).layer(inner);
    stack.oneshot(request).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_did_not_ask_sees_no_usage_and_the_usage_is_exact() {
    let setup = Setup::new(Api::Chat, &[]);
    let got = read(ask(&setup, setup.sandbox.clone(), chat(CHAT)).await.into_body()).await;
    let usage = setup.only();
    assert_eq!((usage.is_estimated, usage.all_output()), (false, 12));

    // The same stream as from a provider that was asked, except for one event.
    let twin = Setup::new(Api::Chat, &[]);
    let asked = read(twin.ask(Api::Chat.request(true)).await.into_body()).await;
    let asked = String::from_utf8(asked.to_vec()).unwrap();
    let kept: String =
        asked.split_inclusive("\n\n").filter(|event| !event.contains("total_tokens")).collect();
    assert!(kept.len() < asked.len());
    assert_eq!(got, kept);
}

#[tokio::test(start_paused = true)]
async fn an_explicit_choice_of_the_caller_is_kept() {
    let asking = CHAT.replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
    let declining = asking.replace("true},", "false},");
    for (body, has_usage) in [(&asking, true), (&declining, false)] {
        let setup = Setup::new(Api::Chat, &[]);
        let got = read(ask(&setup, setup.sandbox.clone(), chat(body)).await.into_body()).await;
        let got = String::from_utf8(got.to_vec()).unwrap();
        assert_eq!(got.contains("total_tokens"), has_usage, "{got}");
        assert_eq!(setup.only().is_estimated, !has_usage);
    }
}

/// The request that the provider gets: only this member changes, and the length is right.
#[tokio::test(start_paused = true)]
async fn the_request_is_changed_in_one_place_only() {
    let other = r#"{"stream":true,"stream_options":{"include_obfuscation":false}}"#;
    let cases = [
        (
            CHAT,
            r#"{"stream_options":{"include_usage":true},"model":"m","stream":true,"messages":[{"role":"user","content":"Hello"}]}"#,
        ),
        (
            other,
            r#"{"stream":true,"stream_options":{"include_usage":true,"include_obfuscation":false}}"#,
        ),
        (r#"{"stream":false}"#, r#"{"stream":false}"#),
    ];
    for (body, expected) in cases {
        let setup = Setup::new(Api::Chat, &[]);
        let seen = Arc::new(Mutex::new(None));
        let keep = Arc::clone(&seen);
        let inner = tower::service_fn(move |request: Request<ReplayBody>| {
            *keep.lock().unwrap() = Some(request);
            ready(Ok::<_, Infallible>(Response::new(http_body_util::Empty::new())))
        });
        let mut request = chat(body);
        request.headers_mut().insert(CONTENT_LENGTH, body.len().into());
        request.headers_mut().insert(ACCEPT_ENCODING, "gzip".parse().unwrap());
        ask(&setup, inner, request).await;
        let (head, sent) = seen.lock().unwrap().take().unwrap().into_parts();
        let sent = read(sent).await;
        assert_eq!(sent, expected);
        assert_eq!(head.headers[CONTENT_LENGTH], sent.len().to_string());
        assert_eq!(head.headers.contains_key(ACCEPT_ENCODING), body == expected, "{body}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_apis_are_not_changed() {
    for api in [Api::Responses, Api::Messages, Api::Generate] {
        let setup = Setup::new(api, &[]);
        let got = ask(&setup, setup.sandbox.clone(), api.request(true)).await;
        let twin = Setup::new(api, &[]);
        let expected = read(twin.ask(api.request(true)).await.into_body()).await;
        assert_eq!(read(got.into_body()).await, expected, "{api:?}");
    }
}

/// However the stream is cut into pieces, exactly the usage chunks are hidden.
#[tokio::test(start_paused = true)]
async fn every_cut_hides_exactly_the_usage_chunks() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}],\"usage\":null}\n\n";
    let usage =
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
    let filter = "data: {\"choices\":[],\"prompt_filter_results\":[]}\n\n";
    let done = "data: [DONE]\n\n";
    let null = usage.replace("[]", "null");
    let none = usage.replace("\"choices\":[],", "");
    let error = usage.replace("{\"choices", "{\"error\":{\"message\":\"cut\"},\"choices");
    let long = text.replace("Hi", &"Hi ".repeat(60_000));
    let cases = [
        (
            format!("{filter}{text}: c\n\n{text}{usage}{done}"),
            format!("{filter}{text}: c\n\n{text}{done}"),
        ),
        (format!("{text}{usage}"), text.to_owned()),
        (
            format!("{usage}{text}{usage}{usage}: c\n\n{text}{done}{usage}"),
            format!("{text}: c\n\n{text}{done}"),
        ),
        (format!("{usage}{usage}"), String::new()),
        (format!("{text}{null}{none}{done}"), format!("{text}{done}")),
        (format!("{text}{error}{done}"), format!("{text}{error}{done}")),
        (format!("{text}{long}{usage}{long}{usage}{done}"), format!("{text}{long}{long}{done}")),
        (format!("{text}{}", usage.trim_end()), text.to_owned()),
        (format!("{text}data: {{\"cut"), format!("{text}data: {{\"cut")),
        (format!("{text}{done}\r"), format!("{text}{done}\r")),
        (format!("{text}{}", "x".repeat(200_000)), format!("{text}{}", "x".repeat(200_000))),
    ];
    for (body, expected) in cases {
        for body in [body.clone(), body.replace('\n', "\r\n")] {
            let expected = match body.contains("\r\n") {
                true => expected.replace('\n', "\r\n"),
                false => expected.clone(),
            };
            let ends = (0..=body.len().min(500)).map(|at| vec![at, body.len() - at]);
            let even = [1, 3, 16_384].map(|size| vec![size; body.len().div_ceil(size)]);
            for sizes in ends.chain(even.into_iter().filter(|sizes| sizes.len() < 10_000)) {
                let mut rest = Bytes::from(body.clone());
                let pieces: Vec<_> =
                    sizes.iter().map(|size| rest.split_to((*size).min(rest.len()))).collect();
                let setup = Setup::new(Api::Chat, &[]);
                let inner = tower::service_fn(move |_: Request<ReplayBody>| {
                    let frames =
                        pieces.clone().into_iter().map(|p| Ok::<_, Infallible>(Frame::data(p)));
                    let response = Response::builder().header("content-type", "text/event-stream");
                    let body = StreamBody::new(tokio_stream::iter(frames));
                    ready(Ok::<_, Infallible>(response.body(body).unwrap()))
                });
                let got = read(ask(&setup, inner, chat(CHAT)).await.into_body()).await;
                assert_eq!(got, expected, "{sizes:?}");
            }
        }
    }
}

/// An error of the body comes after all data before it.
#[tokio::test(start_paused = true)]
async fn held_data_is_passed_on_before_an_error() {
    let setup = Setup::new(Api::Chat, &[]);
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"Hi\"}}]}\n\n";
    let inner = tower::service_fn(move |_: Request<ReplayBody>| {
        let frames = [
            Ok(Frame::data(Bytes::from(text))),
            Ok(Frame::data(Bytes::from("data: {"))),
            Err("cut"),
        ];
        let response = Response::builder().header("content-type", "text/event-stream");
        let body = StreamBody::new(tokio_stream::iter(frames));
        ready(Ok::<_, Infallible>(response.body(body).unwrap()))
    });
    let mut body = ask(&setup, inner, chat(CHAT)).await.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), text);
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "data: {");
    assert_eq!(body.frame().await.unwrap().err(), Some("cut"));
    assert!(setup.only().is_estimated);
}
