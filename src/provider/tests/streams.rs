//! What each dialect's spec means for successful responses: where errors can come, whether usage must be
//! asked for, and which tokens count.

use super::*;

/// In which bodies errors are looked for: streams, lists that were asked for as streams, other JSON.
fn framings(provider: &dyn Provider) -> [Option<Framing>; 3] {
    let framing =
        |declared, streamed| provider.framing(&headers(&[("content-type", declared)]), streamed);
    [
        framing("text/event-stream; charset=utf-8", true),
        framing("application/json", true),
        framing("application/json", false),
    ]
}

#[test]
fn errors_are_looked_for_where_the_dialect_sends_them() {
    use Framing::{Events, List, Whole};
    for provider in all() {
        let expected = match &*provider.spec().name {
            "github" | "generic" => [None, None, None],
            "gemini" => [Some(Events), Some(List), Some(Whole)],
            _ => [Some(Events), Some(Whole), Some(Whole)],
        };
        assert_eq!(framings(&*provider), expected, "{provider:?}");
    }
}

#[test]
fn usage_of_a_stream_is_asked_for_where_it_must_be() {
    for provider in all() {
        let asked = |path: &str| {
            let (uri, headers) = (path.parse().unwrap(), HeaderMap::new());
            let body = br#"{"model":"m","stream":true}"#;
            let call = Call::new(&Method::POST, &uri, &headers).with_body(body);
            provider.ask_usage(&call).is_some()
        };
        let name = &*provider.spec().name;
        // Bedrock, Anthropic and Gemini on the paths where they speak as OpenAI does.
        let is_asked = ["openai", "azure", "xai", "bedrock", "anthropic", "gemini"].contains(&name);
        assert_eq!(asked("/v1/chat/completions"), is_asked, "{name}");
        assert!(!asked("/v1/responses") && !asked("/v1/messages"), "{name}");
    }
}

#[test]
fn cache_reads_and_unused_output_count_as_the_dialect_says() {
    let usage = Usage { input: 5, cache_read: 7, cache_write: 11, output: 3, ..Usage::default() };
    for provider in all() {
        let name = &*provider.spec().name;
        let expected = if ["anthropic", "bedrock", "groq"].contains(&name) { 16 } else { 23 };
        assert_eq!(provider.counted_input(&usage), expected, "{name}");
        let gives_back = ["anthropic", "deepseek", "fireworks"].contains(&name);
        assert_eq!(provider.gives_back(), gives_back, "{name}");
    }
}

#[test]
fn usage_is_looked_for_in_json_and_events_only() {
    for provider in all() {
        let reads = |declared| provider.usage_reader(&headers(&[("content-type", declared)]));
        let tells = !matches!(&*provider.spec().name, "github" | "generic");
        assert_eq!(reads("application/json").is_some(), tells, "{provider:?}");
        assert_eq!(reads("text/event-stream").is_some(), tells, "{provider:?}");
        assert!(reads("audio/mpeg").is_none() && provider.usage_reader(&headers(&[])).is_none());
    }
}
