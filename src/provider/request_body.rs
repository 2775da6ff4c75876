//! Bodies of requests: what an [`Estimate`] needs from them, in one pass that copies nothing.
//!
//! Only the outermost members of the JSON object are looked at, and their values skipped without
//! being parsed: a prompt of a megabyte costs a search for quotes and brackets, and no allocation.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;

use crate::demand::Estimate;

/// English text has about four bytes per token
/// (<https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them>).
const BYTES_PER_TOKEN: usize = 4;
/// A string from this length on that is all Base64 is a picture or a document, not a prompt.
const ATTACHMENT_BYTES: usize = 2_048;
/// What a picture costs, about: it is metered by its size in pixels, not in bytes.
const ATTACHMENT_TOKENS: usize = 1_000;

/// Reads a body in the shape of OpenAI, Anthropic, Gemini or Bedrock.
///
/// What is not JSON, or of another type than expected, is unknown: no failure of the call.
pub(crate) fn estimate(body: &[u8]) -> Estimate<'_> {
    let mut read = Read::default();
    let mut members = Members::of(body);
    for (name, value) in &mut members {
        read.member(name, value);
    }
    if !members.seen {
        return Estimate::default();
    }
    let text = body.len().saturating_sub(members.skip.attached_bytes).div_ceil(BYTES_PER_TOKEN);
    let attached = members.skip.attachments.saturating_mul(ATTACHMENT_TOKENS);
    Estimate {
        model: read.model,
        input_tokens: (text + attached) as u64,
        output_tokens: read.output.saturating_mul(read.choices.max(1)),
        stream: read.stream,
    }
}

/// The body with `stream_options.include_usage` put in; none if it says something of it already, or is
/// no object. All else stays as it is written.
pub(crate) fn with_usage(body: &[u8]) -> Option<Bytes> {
    const OPTION: &[u8] = br#""include_usage":true"#;
    let mut members = Members::of(body);
    let options = members.by_ref().filter(|(name, _)| *name == b"stream_options").last();
    if !members.seen {
        return None;
    }
    let Some((_, options)) = options else {
        let inner = body.trim_ascii_start().strip_prefix(b"{")?;
        return Some([b"{\"stream_options\":{", OPTION, b"},", inner].concat().into());
    };
    // They are a part of the body.
    let start = (options.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let (before, after) = (body.get(..start)?, body.get(start + options.len()..)?);
    if options == b"null" {
        return Some([before, b"{", OPTION, b"}", after].concat().into());
    }
    let mut inside = Members::of(options);
    if inside.any(|(name, _)| name == b"include_usage") {
        return None;
    }
    let inner = options.strip_prefix(b"{")?;
    let comma: &[u8] = if inside.seen { b"," } else { b"" };
    Some([before, b"{", OPTION, comma, inner, after].concat().into())
}

#[derive(Default)]
struct Read<'a> {
    model: Option<Cow<'a, str>>,
    output: u64,
    choices: u64,
    stream: bool,
}

impl<'a> Read<'a> {
    fn member(&mut self, name: &[u8], value: &'a [u8]) {
        match name {
            b"model" => self.model = parse::<Text<'a>>(value).map(|Text(model)| model),
            b"stream" => self.stream = parse(value).unwrap_or(false),
            // Gemini's, and Bedrock's for its own models and converse.
            b"generationConfig"
            | b"generation_config"
            | b"inferenceConfig"
            | b"textGenerationConfig" => {
                Members::of(value).for_each(|(name, value)| self.figure(name, value));
            }
            _ => self.figure(name, value),
        }
    }

    fn figure(&mut self, name: &[u8], value: &[u8]) {
        match name {
            // OpenAI has had three names for it; where two are sent, either may be the cap.
            b"max_tokens"
            | b"max_completion_tokens"
            | b"max_output_tokens"
            | b"maxOutputTokens"
            // Anthropic's completions; Bedrock's converse, Nova, Titan and Llama.
            | b"max_tokens_to_sample"
            | b"maxTokens"
            | b"max_new_tokens"
            | b"maxTokenCount"
            | b"max_gen_len" => self.output = self.output.max(parse(value).unwrap_or(0)),
            b"n" | b"candidateCount" => self.choices = parse(value).unwrap_or(1),
            _ => {}
        }
    }
}

/// Borrowed where it has no escapes. (`Option<Cow>` would always be owned.)
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

fn parse<'a, T: Deserialize<'a>>(value: &'a [u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}

/// The members of a JSON object: name and value, as they are written.
pub(super) struct Members<'a> {
    rest: &'a [u8],
    skip: Skip,
    seen: bool,
}

impl<'a> Members<'a> {
    pub(super) fn of(object: &'a [u8]) -> Self {
        let inner = object.trim_ascii_start().strip_prefix(b"{");
        Self { rest: inner.unwrap_or_default(), skip: Skip::default(), seen: false }
    }

    /// Takes off what is in front of `end`, together with it.
    fn take(&mut self, end: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest.trim_ascii_start();
        Some(taken)
    }

    fn punctuation(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?.trim_ascii_start();
        Some(())
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    /// Ends at the end of the object, and at the first thing that is not JSON.
    fn next(&mut self) -> Option<Self::Item> {
        if self.seen {
            self.punctuation(b',')?;
        }
        self.rest = self.rest.trim_ascii_start();
        let end = self.skip.string(self.rest)?;
        let name = self.take(end)?;
        self.punctuation(b':')?;
        let end = self.skip.value(self.rest)?;
        let value = self.take(end)?;
        self.seen = true;
        Some((name.strip_prefix(b"\"")?.strip_suffix(b"\"")?, value))
    }
}

/// Finds the ends of values, and counts the attachments among them.
#[derive(Default)]
struct Skip {
    attachments: usize,
    attached_bytes: usize,
}

impl Skip {
    /// Where the value at the front ends.
    fn value(&mut self, text: &[u8]) -> Option<usize> {
        let mut depth = 0_usize;
        let mut at = 0;
        loop {
            let ahead = text.get(at..)?;
            match ahead.first()? {
                b'"' => at += self.string(ahead)?,
                b'[' | b'{' => {
                    depth += 1;
                    at += 1;
                }
                b']' | b'}' => {
                    depth = depth.checked_sub(1)?;
                    at += 1;
                }
                // A number, a word, or what stands between values.
                _ => {
                    at += ahead
                        .iter()
                        .position(|byte| b"\"[]{},".contains(byte))
                        .unwrap_or(ahead.len())
                }
            }
            if depth == 0 {
                return Some(at);
            }
            if text.get(at) == Some(&b',') {
                at += 1;
            }
        }
    }

    /// Where the string at the front ends, its closing quote included.
    fn string(&mut self, text: &[u8]) -> Option<usize> {
        let inner = text.strip_prefix(b"\"")?;
        let mut at = 0;
        loop {
            let ahead = inner.get(at..)?;
            at += ahead.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
            match inner.get(at)? {
                b'"' => break,
                _ => at += 2,
            }
        }
        if at >= ATTACHMENT_BYTES && is_base64(inner.get(at - ATTACHMENT_BYTES / 2..at)?) {
            self.attachments += 1;
            self.attached_bytes += at;
        }
        Some(at + 2)
    }
}

fn is_base64(text: &[u8]) -> bool {
    text.iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

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
            with_usage(body.as_bytes()).map(|body| String::from_utf8_lossy(&body).into_owned())
        };
        let asked = r#"{"include_usage":true}"#;
        for (body, expected) in [
            (r#"{"a":1}"#, format!(r#"{{"stream_options":{asked},"a":1}}"#)),
            (r#" {  "a" : 1 } "#, format!(r#"{{"stream_options":{asked},  "a" : 1 }} "#)),
            (r#"{"stream_options":null,"a":1}"#, format!(r#"{{"stream_options":{asked},"a":1}}"#)),
            (
                r#"{"a":1,"stream_options" : {}}"#,
                format!(r#"{{"a":1,"stream_options" : {asked}}}"#),
            ),
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
    fn every_name_of_the_output_cap() {
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
    fn other_types_are_unknown_and_harm_nothing_else() {
        let body = r#"{"model":7,"max_tokens":"many","n":null,"stream":"yes","x":1}"#;
        assert_eq!(read(body), (None, 0, false));
        let body =
            r#"{"max_tokens":-1,"max_completion_tokens":1.5,"max_output_tokens":1e99,"model":"m"}"#;
        assert_eq!(read(body), known("m", 0, false));
        assert_eq!(
            read(r#"{"max_tokens":99999999999999999999,"model":"m"}"#),
            known("m", 0, false)
        );
    }

    #[test]
    fn what_is_no_json_object_is_unknown() {
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
    fn nesting_has_no_bound() {
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
    fn four_bytes_are_a_token() {
        assert_eq!(estimate(br#"{"a":123}"#).input_tokens, 3);
        let prompt = format!(r#"{{"prompt":"{}"}}"#, "word ".repeat(8_000));
        assert_eq!(estimate(prompt.as_bytes()).input_tokens, 10_004);
    }

    #[test]
    fn a_picture_is_not_counted_by_its_bytes() {
        let picture = "iVBORw0KGgo/+A".repeat(100_000);
        let body = format!(
            r#"{{"messages":[{{"content":[{{"image_url":{{"url":"data:image/png;base64,{picture}=="}}}}]}}]}}"#
        );
        let tokens = estimate(body.as_bytes()).input_tokens;
        assert!((1_000..1_100).contains(&tokens), "{tokens}");
    }
}
