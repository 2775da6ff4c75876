//! A stream means the same, however it is cut into pieces on its way.

use super::*;

/// Three streams of a provider: one that fails before its first content, a good one, and one that fails
/// after its first content.
fn bodies(style: Style) -> (&'static str, [String; 3]) {
    let sse = "text/event-stream";
    match style {
        Style::Chat | Style::GeminiChat => {
            let role = "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}],\"usage\":null}\n\n";
            let text = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi {\\\"error\\\": 1}\"}}]}\n\n";
            let error = match style {
                Style::Chat => {
                    "data: {\"error\":{\"code\":\"insufficient_quota\",\"message\":\"\"}}\n\n"
                }
                _ => "data: [{\"error\": {\"code\": 402}}]\n\n",
            };
            let done = "data: [DONE]\n\n";
            let bad = format!(": PROCESSING\n\n{role}{error}{done}");
            (sse, [bad, format!("{role}{text}{done}"), format!("{role}{text}{error}{done}")])
        }
        Style::Responses => {
            // Some providers send the name after the data.
            let made = "data: {\"response\":{\"error\":null},\"type\":\"response.created\"}\nevent: response.created\n\n";
            let text = "data: {\"type\":\"response.output_text.delta\",\"delta\":\"Hi\"}\n\n";
            // The last event without its blank line.
            let error = "event: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"error\":{\"code\":\"insufficient_quota\"}}}";
            (
                sse,
                [format!("{made}{error}"), format!("{made}{text}"), format!("{made}{text}{error}")],
            )
        }
        Style::Messages => {
            let start = "event: message_start\r\ndata: {\"type\":\"message_start\",\"message\":{}}\r\n\r\nevent: ping\r\ndata: {\"type\": \"ping\"}\r\n\r\n";
            let text = "event: content_block_delta\r\ndata: {\"type\":\"content_block_delta\",\r\ndata: \"delta\":{\"text\":\"Hi\"}}\r\n\r\n";
            let error = "event: error\r\ndata: {\"type\":\"error\",\"error\":{\"type\":\"billing_error\",\"message\":\"\"}}      \r\n\r\n";
            (
                sse,
                [
                    format!("{start}{error}"),
                    format!("{start}{text}"),
                    format!("{start}{text}{error}"),
                ],
            )
        }
        Style::Events | Style::List => {
            let (open, next, close) = match style {
                Style::Events => ("data: ", "\r\n\r\ndata: ", "\r\n\r\n"),
                _ => ("[", ",\r\n", "\n]\n"),
            };
            let empty = "{\"candidates\": [{\"content\": {\"role\": \"model\"},\"index\": 0}]}";
            let text = "{\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"}]{\\\"\"}]}}]}";
            let error = "{\"error\": {\"code\": 402, \"message\": \"\", \"status\": \"RESOURCE_EXHAUSTED\"}}";
            let kind = if style == Style::List { "application/json; charset=UTF-8" } else { sse };
            let body = |parts: &[&str]| format!("{open}{}{close}", parts.join(next));
            (kind, [body(&[empty, error]), body(&[empty, text]), body(&[empty, text, error])])
        }
    }
}

async fn assert_same(style: Style, cut: impl Fn(&Bytes) -> Vec<Bytes>, how: &str) {
    let (kind, streams) = bodies(style);
    let [bad, good, late] = streams.map(Bytes::from);

    let keys = pool(style, 2);
    let inner = answers(kind, vec![cut(&bad), cut(&good)]);
    let response = send(&keys, inner, style.request()).await;
    assert_eq!(attempts(&response).len(), 2, "{style:?} {how}: no failover");
    assert_eq!(read(response.into_body()).await, good, "{style:?} {how}");

    let keys = pool(style, 1);
    let inner = answers(kind, vec![cut(&bad)]);
    let response = send(&keys, inner, style.request()).await;
    assert_eq!(read(response.into_body()).await, bad, "{style:?} {how}: the last answer");

    let keys = pool(style, 2);
    let inner = answers(kind, vec![cut(&late)]);
    let response = send(&keys, inner, style.request()).await;
    assert!(attempts(&response).is_empty(), "{style:?} {how}: tried again");
    assert_eq!(read(response.into_body()).await, late, "{style:?} {how}");
    let verdicts = ["accepted", "quota_exhausted"].map(|verdict| judged(&keys, verdict));
    assert_eq!(verdicts, [0, 1], "{style:?} {how}: not counted once, by its last verdict");
}

#[tokio::test(start_paused = true)]
async fn a_stream_means_the_same_however_it_is_cut() {
    for style in STYLES {
        let longest = bodies(style).1.iter().map(String::len).max().unwrap();
        for at in 0..=longest {
            let cut = |body: &Bytes| {
                let at = at.min(body.len());
                vec![body.slice(..at), body.slice(at..)]
            };
            assert_same(style, cut, &format!("cut at {at}")).await;
        }
        for size in [1, 2, 3, 7, 1_000] {
            let cut = |body: &Bytes| body.chunks(size).map(Bytes::copy_from_slice).collect();
            assert_same(style, cut, &format!("in pieces of {size}")).await;
        }
    }
}
