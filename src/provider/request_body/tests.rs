//! What is read of bodies, broken and hostile ones too.

use std::borrow::Cow;

use super::{Estimate, RequestBody, TokenSize};

fn estimate(body: &[u8]) -> Estimate<'_> {
    RequestBody::read(body).estimate(TokenSize::USUAL)
}

fn read(body: &str) -> (Option<String>, u64, bool) {
    let estimate = estimate(body.as_bytes());
    (estimate.model.map(Cow::into_owned), estimate.output_tokens, estimate.stream)
}

fn known(model: &str, output: u64, stream: bool) -> (Option<String>, u64, bool) {
    (Some(model.to_owned()), output, stream)
}

#[test]
fn usage_is_asked_for_in_one_place() {
    let put = |body: &str| {
        RequestBody::read(body.as_bytes())
            .with_usage()
            .and_then(|edit| edit.apply(body.as_bytes()))
            .map(|body| String::from_utf8_lossy(&body).into_owned())
    };
    let asked = r#"{"include_usage":true}"#;
    for (body, expected) in [
        (r#"{"a":1}"#, format!(r#"{{"stream_options":{asked},"a":1}}"#)),
        (r#" {  "a" : 1 } "#, format!(r#" {{"stream_options":{asked},  "a" : 1 }} "#)),
        (r#"{"stream_options":null,"a":1}"#, format!(r#"{{"stream_options":{asked},"a":1}}"#)),
        (r#"{"a":1,"stream_options" : {}}"#, format!(r#"{{"a":1,"stream_options" : {asked}}}"#)),
        (
            r#"{"stream_options":{ "x":[1]},"a":1}"#,
            r#"{"stream_options":{"include_usage":true, "x":[1]},"a":1}"#.to_owned(),
        ),
    ] {
        assert_eq!(put(body).unwrap(), expected, "{body}");
        assert!(serde_json::from_str::<serde_json::Value>(&expected).is_ok());
    }
    for body in [
        r#"{"stream_options":{"include_usage":true}}"#,
        r#"{"stream_options":{"x":{},"include_usage":false}}"#,
        r#"{"stream_options":7}"#,
        r#"{"stream_options":[]}"#,
        "{}",
        "[1]",
        "no JSON",
        "",
    ] {
        assert_eq!(put(body), None, "{body}");
    }
}

#[test]
fn every_name_of_the_output_cap_is_read() {
    for body in [
        r#"{"model":"m","max_tokens":7}"#,
        r#"{"max_completion_tokens":7,"model":"m"}"#,
        r#"{"max_output_tokens":7,"model":"m"}"#,
        r#"{"model":"m","generationConfig":{"temperature":1,"maxOutputTokens":7}}"#,
        r#"{"model":"m","inferenceConfig":{"maxTokens":7}}"#,
        r#"{"model":"m","inferenceConfig":{"max_new_tokens":7}}"#,
        r#"{"model":"m","textGenerationConfig":{"maxTokenCount":7}}"#,
        r#"{"model":"m","max_gen_len":7}"#,
        r#"{"model":"m","max_tokens_to_sample":7}"#,
        r#"{"model":"m","max_tokens":3,"max_completion_tokens":7}"#,
        r#"{"model":"m","max_tokens":7,"max_completion_tokens":null}"#,
    ] {
        assert_eq!(read(body), known("m", 7, false), "{body}");
    }
}

#[test]
fn each_choice_has_the_whole_output() {
    assert_eq!(read(r#"{"model":"m","max_tokens":7,"n":3}"#).1, 21);
    assert_eq!(read(r#"{"n":3,"max_tokens":7}"#).1, 21);
    assert_eq!(read(r#"{"max_tokens":7,"n":0}"#).1, 7);
    assert_eq!(read(r#"{"max_tokens":7,"n":"3"}"#).1, 7);
    assert_eq!(read(r#"{"max_tokens":7,"n":18446744073709551615}"#).1, u64::MAX);
    assert_eq!(read(r#"{"generationConfig":{"candidateCount":2,"maxOutputTokens":7}}"#).1, 14);
}

#[test]
fn only_the_outermost_members_count() {
    let body = r#" { "messages" : [ {"model":"x","content":"{\"model\":\"y\", \\"},
        {"content":[{"max_tokens":9}, "]", -1.5e3, true, null]} ], "stream" : true ,
        "metadata":{"model":"z","n":9}, "model" : "m" , "max_tokens" : 7 } "#;
    assert_eq!(read(body), known("m", 7, true));
    let quoted = r#"{"prompt":"a\",\"model\":\"y","model":"m"}"#;
    assert_eq!(read(quoted), known("m", 0, false));
}

#[test]
fn a_member_of_another_type_leaves_the_rest_readable() {
    let body = r#"{"model":7,"max_tokens":"many","n":null,"stream":"yes","x":1}"#;
    assert_eq!(read(body), (None, 0, false));
    let body =
        r#"{"max_tokens":-1,"max_completion_tokens":1.5,"max_output_tokens":1e99,"model":"m"}"#;
    assert_eq!(read(body), known("m", 0, false));
    assert_eq!(read(r#"{"max_tokens":99999999999999999999,"model":"m"}"#), known("m", 0, false));
}

#[test]
fn a_body_that_is_no_json_object_is_unknown() {
    for body in [
        "",
        " ",
        "hello",
        "[]",
        "[{\"model\":\"m\"}]",
        "{}",
        "{",
        "{\"",
        "{\"model",
        "7",
        "null",
        "{,}",
        "{:}",
    ] {
        assert_eq!(estimate(body.as_bytes()), Estimate::default(), "{body}");
    }
    assert_eq!(estimate(b"--boundary\r\n\xff\xd8\xff"), Estimate::default());
}

#[test]
fn a_body_that_breaks_off_gives_what_came_before() {
    for body in [
        r#"{"model":"m","max_tokens":7,"messages":[{"content":"hel"#,
        r#"{"model":"m","max_tokens":7,"#,
        r#"{"model":"m","max_tokens":7}}}}"#,
        r#"{"model":"m","max_tokens":7 "stream":true}"#,
    ] {
        assert_eq!(read(body), known("m", 7, false), "{body}");
    }
}

#[test]
fn deep_nesting_is_read() {
    let deep = format!(r#"{{"x":{}{},"model":"m"}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(read(&deep), known("m", 0, false));
    let deep = r#"{"generationConfig":"#.repeat(100_000);
    assert_eq!(read(&deep).0, None);
}

#[test]
fn a_model_is_borrowed_unless_it_is_escaped() {
    let plain = estimate(br#"{"model":"gpt-4o","messages":[]}"#);
    assert!(matches!(plain.model, Some(Cow::Borrowed("gpt-4o"))));
    let escaped = estimate(br#"{"model":"gpt\u002d4o"}"#);
    assert!(matches!(&escaped.model, Some(Cow::Owned(model)) if model == "gpt-4o"));
}

#[test]
fn tokens_are_estimated_by_the_bytes_of_the_prompt() {
    assert_eq!(estimate(br#"{"a":123,"model":"mmmmmmmm","prompt":"123456"}"#).input_tokens, 2);
    let prompt = format!(r#"{{"prompt":"{}"}}"#, "word ".repeat(8_000));
    assert_eq!(estimate(prompt.as_bytes()).input_tokens, 10_001);
    let tokens = RequestBody::read(prompt.as_bytes()).estimate(TokenSize::DEEPSEEK).input_tokens;
    assert_eq!(tokens, 12_001);
    // Some write what is not ASCII as escapes, which makes no more tokens of it.
    let plain = format!(r#"{{"prompt":"{}"}}"#, "\u{4e2d}".repeat(1_000));
    let escaped = format!(r#"{{"prompt":"{}"}}"#, r"\u4e2d".repeat(1_000));
    assert_eq!(estimate(plain.as_bytes()), estimate(escaped.as_bytes()));
}

#[test]
fn tools_are_a_part_of_the_prompt_and_settings_are_not() {
    let tools = r#""tools":[{"type":"function","function":{"name":"f","parameters":{}}}]"#;
    let bare = estimate(br#"{"model":"m","messages":[]}"#).input_tokens;
    let with_tools = format!(r#"{{"model":"m","messages":[],{tools}}}"#);
    let with_tools = estimate(with_tools.as_bytes()).input_tokens;
    assert_eq!(with_tools, bare + (tools.len() as u64 - 8) / 4);
    let settings = r#"{"model":"m","messages":[],"metadata":{"a":"a long word"},"stop":["\n\n"],"temperature":0.75,"generationConfig":{"responseMimeType":"application/json"}}"#;
    assert_eq!(estimate(settings.as_bytes()).input_tokens, bare);
}

#[test]
fn a_picture_has_a_fixed_number_of_tokens() {
    let picture = "iVBORw0KGgo/+A".repeat(100_000);
    for body in [
        format!(
            r#"{{"messages":[{{"content":[{{"type":"image_url","image_url":{{"url":"data:image/png;base64,{picture}=="}}}}]}}]}}"#
        ),
        format!(
            r#"{{"messages":[{{"content":[{{"type":"image","source":{{"type":"base64","data":"{picture}"}}}}]}}]}}"#
        ),
        format!(
            r#"{{"contents":[{{"parts":[{{"inlineData":{{"mimeType":"image/png","data":"{picture}"}}}}]}}]}}"#
        ),
        format!(
            r#"{{"messages":[{{"content":[{{"image":{{"format":"png","source":{{"bytes":"{picture}"}}}}}}]}}]}}"#
        ),
        // It is elsewhere.
        r#"{"messages":[{"content":[{"type":"image_url","image_url":{"url":"https://x/y.png"}}]}]}"#
            .to_owned(),
        r#"{"input":[{"content":[{"type" : "input_image","image_url":"https://x/y.png"}]}]}"#
            .to_owned(),
        r#"{"contents":[{"parts":[{"file_data":{"file_uri":"https://x/y.png"}}]}]}"#.to_owned(),
    ] {
        let tokens = estimate(body.as_bytes()).input_tokens;
        assert!((1_000..1_050).contains(&tokens), "{tokens} of {}", &body[..90]);
    }
    let words = r#"{"messages":[{"type":"message","content":"image_url"},{"image":"document"}]}"#;
    assert!(estimate(words.as_bytes()).input_tokens < 100);
}

#[test]
fn texts_are_counted_one_by_one() {
    let words = |text: &str| text.split_whitespace().count() as u64;
    let count = |body: &str| RequestBody::read(body.as_bytes()).count(TokenSize::USUAL, words);
    assert_eq!(count(r#"{"model":"not this","prompt":"one\ntwo \u4e2d"}"#), Some(3));
    let picture = "iVBORw0KGgo/+A".repeat(1_000);
    let body = format!(
        r#"{{"system":"one two","messages":[{{"role":"user","content":[{{"type":"text","text":"three"}},
            {{"type":"image","source":{{"data":"{picture}"}}}}]}}],"tools":[{{"name": "f"}}]}}"#
    );
    assert_eq!(count(&body), Some(3 + 2 + 1_000));
    for body in ["", "no JSON", "{}", r#"{"n":7}"#, r#"{"prompt":[7]}"#] {
        assert_eq!(count(body), None, "{body}");
    }
}
