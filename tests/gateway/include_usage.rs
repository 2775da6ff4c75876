//! `stream_options.include_usage` that the caller did not send: R4 and R5. What it adds to a stream is never
//! shown, and a provider that refuses it is asked again without.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{HeaderValue, header};
use serde_json::{Value, json};

use crate::{
    blame::{chat_stream, chat_with, pool_after, run},
    charge::books,
    fake::{Reply, Seen, refusal, stream},
};

const HELLO: &str = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}],"usage":null}"#;
const STOP: &str = r#"data: {"object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}"#;
const DONE: &str = "data: [DONE]";

fn usage(before: &str, output: u64) -> String {
    format!(
        r#"data: {{"object":"chat.completion.chunk",{before}"usage":{{"prompt_tokens":9,"completion_tokens":{output},"total_tokens":{}}}}}"#,
        9 + output
    )
}

fn asks(seen: &Seen) -> bool {
    seen.json()["stream_options"]["include_usage"] == true
}

/// A stream with the events that are added to it where usage is asked for.
fn with(added: &[(usize, String)]) -> Vec<String> {
    let mut events = vec![HELLO.to_owned(), HELLO.to_owned(), STOP.to_owned(), DONE.to_owned()];
    for (at, event) in added {
        events.insert(*at, event.clone());
    }
    events
}

fn reply(events: &[String]) -> Reply {
    stream(&events.iter().map(String::as_str).collect::<Vec<_>>())
}

fn set(mut reply: Reply, name: header::HeaderName, value: &str) -> Reply {
    reply.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
    reply
}

fn gzip(reply: Reply) -> Reply {
    let reply = set(reply, header::CONTENT_ENCODING, "gzip");
    reply.map(|body| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&body).unwrap();
        Bytes::from(encoder.finish().unwrap())
    })
}

type Shape = (&'static str, Vec<(usize, String)>, fn(Reply) -> Reply);

fn shapes() -> Vec<Shape> {
    let plain: fn(Reply) -> Reply = |reply| reply;
    let last = |before: &str| vec![(3, usage(before, 7))];
    let told = || last("\"choices\":[],");
    let long =
        format!(r#"data: {{"choices":[{{"delta":{{"content":"{}"}}}}]}}"#, "long ".repeat(40_000));
    vec![
        ("as OpenAI does", told(), plain),
        ("a length", told(), |reply| {
            let length = reply.body().len().to_string();
            set(reply, header::CONTENT_LENGTH, &length)
        }),
        ("gzip, though not asked", told(), gzip),
        (
            "zero first",
            vec![(0, usage("\"choices\":[],", 0)), (4, usage("\"choices\":[],", 7))],
            plain,
        ),
        (
            "zero in between",
            vec![(1, usage("\"choices\":[],", 0)), (4, usage("\"choices\":[],", 7))],
            plain,
        ),
        ("an event of 200 KB", vec![(1, long), (4, usage("\"choices\":[],", 7))], plain),
        ("choices of null", last("\"choices\":null,"), plain),
        ("no choices", last(""), plain),
        ("as plain text", told(), |reply| {
            set(reply, header::CONTENT_TYPE, "text/plain; charset=utf-8")
        }),
        ("without a type", told(), |mut reply| {
            reply.headers_mut().remove(header::CONTENT_TYPE);
            reply
        }),
        ("behind the end", vec![(4, usage("\"choices\":[],", 7))], plain),
    ]
}

#[tokio::test(start_paused = true)]
async fn r4_usage_that_the_caller_did_not_ask_for_is_read_and_never_shown() {
    for (what, added, change) in shapes() {
        let running = run(pool_after("", "openai", 1, ""), move |seen| {
            change(reply(&with(if asks(seen) { &added } else { &[] })))
        });
        let told = running.send(chat_stream()).await;
        told.is_answered(what);
        assert!(!told.text.contains("total_tokens"), "{what}: {told}");
        assert!(told.text.contains("Hello") && told.text.contains("[DONE]"), "{what}: {told}");
        for name in ["content-length", "content-encoding"] {
            assert_eq!(told.header(name), None, "{what}");
        }
        let total = books(&running).await;
        assert_eq!((&total["input"], &total["output"]), (&9.into(), &7.into()), "{what}: {total}");
        assert_eq!(total["estimated_requests"], 0, "{what}: {total}");
    }
}

/// A stream with nothing in it is asked of another account, and the last such answer is passed on.
#[tokio::test(start_paused = true)]
async fn r4_usage_is_not_shown_in_a_stream_that_is_empty() {
    const ROLE: &str = r#"data: {"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#;
    for accounts in [1, 2] {
        for change in [|reply| reply, gzip] {
            let running = run(pool_after("", "openai", accounts, ""), move |_| {
                let usage = usage("\"choices\":[],", 0);
                change(stream(&[ROLE, STOP, &usage, DONE]))
            });
            let told = running.send(chat_stream()).await;
            told.is_answered("an empty stream");
            assert!(!told.text.contains("total_tokens"), "{told}");
            assert!(told.text.contains("[DONE]"), "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r4_usage_that_the_caller_asked_for_is_shown_in_every_shape() {
    for (what, added, change) in shapes() {
        let running = run(pool_after("", "openai", 1, ""), move |_| change(reply(&with(&added))));
        let ask = json!({"stream": true, "stream_options": {"include_usage": true}});
        let told = running.send(chat_with("gpt-4o", &ask)).await;
        told.is_answered(what);
        let is_packed = told.header("content-encoding").is_some();
        assert!(is_packed || told.text.contains("total_tokens"), "{what}: {told}");
    }
}

/// Refuses what it does not know, as the closure says.
fn strict(refuse: fn() -> Reply) -> impl Fn(&Seen) -> Reply {
    move |seen| if asks(seen) { refuse() } else { reply(&with(&[])) }
}

fn unknown_parameter() -> Reply {
    refusal(
        400,
        &[],
        r#"{"error":{"message":"Unknown parameter: 'stream_options'.","type":"invalid_request_error","param":"stream_options","code":"unknown_parameter"}}"#,
    )
}

fn extra_forbidden() -> Reply {
    refusal(
        422,
        &[],
        r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{"include_usage":true}}]}"#,
    )
}

fn in_a_stream() -> Reply {
    stream(&[
        r#"data: {"error":{"message":"include_usage is not supported","type":"invalid_request_error","code":"invalid_value"}}"#,
    ])
}

#[tokio::test(start_paused = true)]
async fn r5_a_provider_that_refuses_the_question_is_asked_again_without_it() {
    for (provider, refuse) in [
        ("openai", unknown_parameter as fn() -> Reply),
        ("openai", extra_forbidden),
        ("openai", in_a_stream),
        ("xai", extra_forbidden),
    ] {
        for accounts in [1, 3] {
            let config = pool_after("", provider, accounts, "models = [\"*\"]\nmax_wait = \"1s\"");
            let running = run(config, strict(refuse));
            for number in 1..=5 {
                let told = running.send(chat_stream()).await;
                told.is_answered(provider);
                assert!(told.text.contains("Hello"), "{provider}: {told}");
                // It is remembered.
                assert_eq!(running.fake.calls(), number + 1, "{provider}, {accounts} accounts");
            }
            assert_eq!(running.fake.count(asks), 1);
            // Later it is tried again.
            tokio::time::sleep(std::time::Duration::from_secs(11 * 60)).await;
            running.send(chat_stream()).await.is_answered("later");
            assert_eq!(running.fake.count(asks), 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn r5_a_refusal_of_what_the_caller_sent_is_its_own() {
    let running = run(pool_after("", "openai", 2, ""), |_| unknown_parameter());
    let ask = json!({"stream": true, "stream_options": {"include_usage": true}});
    let told = running.send(chat_with("gpt-4o", &ask)).await;
    assert_eq!((told.status, running.fake.calls()), (400, 1), "{told}");
    // Another refusal has nothing to do with it.
    let bad = r#"{"error":{"message":"Invalid value for 'temperature'.","type":"invalid_request_error","param":"temperature","code":"invalid_value"}}"#;
    let running = run(pool_after("", "openai", 2, ""), move |_| refusal(400, &[], bad));
    let told = running.send(chat_stream()).await;
    assert_eq!((told.status, running.fake.calls()), (400, 1), "{told}");
}

#[tokio::test(start_paused = true)]
async fn each_pool_says_whether_streams_are_asked_for_their_usage() {
    for (before, in_pool, is_asked) in [
        ("", "", true),
        ("", "ask_usage = false", false),
        ("[usage]\nask = false", "", false),
        ("[usage]\nask = false", "ask_usage = true", true),
    ] {
        let running = run(pool_after(before, "openai", 1, in_pool), |_| reply(&with(&[])));
        running.send(chat_stream()).await.is_answered(in_pool);
        let asked: Value = running.fake.count(asks).into();
        assert_eq!(asked, usize::from(is_asked), "{before} {in_pool}");
    }
}
