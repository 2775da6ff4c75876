//! The last event of a stream that was passed on: whether the answer was over with it.
//!
//! Callers hang up once they have read `[DONE]`, and do not wait for the end of the connection.

use std::mem;

use tower_key_rotation::provider::{Provider, StreamEvent};

/// As much of an event is kept: the last ones of answers are short, and so are errors.
const MOST: usize = 4 * 1024;

/// Finds the events of a stream, however it is cut.
#[derive(Debug, Default)]
pub(crate) struct LastEvent {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    next: Event,
    last: Event,
}

#[derive(Debug, Default)]
struct Event {
    name: Vec<u8>,
    data: Vec<u8>,
}

impl LastEvent {
    /// Takes in what was passed on.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            push(&mut self.line, part);
            if part.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = self.line.trim_ascii_end();
        if line.is_empty() {
            self.end_event();
        } else if let Some(name) = value(line, b"event:") {
            self.next.name = name.to_vec();
        } else if let Some(data) = value(line, b"data:") {
            push(&mut self.next.data, data);
        }
        self.line.clear();
    }

    fn end_event(&mut self) {
        if !self.next.is_empty() {
            self.last = mem::take(&mut self.next);
        }
    }

    /// Whether it ends an answer.
    pub(crate) fn is_end(&self, provider: &dyn Provider) -> bool {
        self.last().is_some_and(|event| provider.is_end(&event))
    }

    /// Whether it tells of an error: the provider's, or that the stream has stopped.
    pub(crate) fn is_error(&self, provider: &dyn Provider) -> bool {
        self.last().is_some_and(|event| provider.is_error(&event))
    }

    fn last(&self) -> Option<StreamEvent<'_>> {
        // One that lacks but its blank line was read all the same.
        let event = if self.next.is_empty() { &self.last } else { &self.next };
        let name = std::str::from_utf8(&event.name).unwrap_or_default();
        (!event.is_empty()).then_some(StreamEvent { name, data: &event.data })
    }
}

impl Event {
    fn is_empty(&self) -> bool {
        self.name.is_empty() && self.data.is_empty()
    }
}

/// What goes beyond the most is left out: it is no event that is looked for.
fn push(kept: &mut Vec<u8>, bytes: &[u8]) {
    kept.extend_from_slice(&bytes[..bytes.len().min(MOST.saturating_sub(kept.len()))]);
}

fn value<'a>(line: &'a [u8], field: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(field).map(<[u8]>::trim_ascii_start)
}

#[cfg(test)]
mod tests {
    use tower_key_rotation::OpenAi;

    use super::*;

    /// Whether a stream is over, and whether with an error.
    fn read(text: &str, size: usize) -> (bool, bool) {
        let (mut last, provider) = (LastEvent::default(), OpenAi::default());
        text.as_bytes().chunks(size).for_each(|piece| last.feed(piece));
        (last.is_end(&provider), last.is_error(&provider))
    }

    #[test]
    fn the_last_event_tells_whether_an_answer_is_over_however_it_is_cut() {
        let long = format!("event: response.completed\ndata: {}\n\n", "x".repeat(3 * MOST));
        for (text, is_end, is_error) in [
            ("data: {}\n\ndata: [DONE]\n\n", true, false),
            ("data: {}\r\n\r\ndata: [DONE]\r\n\r\n: bye\n\n", true, false),
            ("data: [DONE]", false, false),
            ("data: [DONE]\n", true, false),
            ("data: [DONE]\n\ndata: {}\n\n", false, false),
            ("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", true, false),
            ("data: \"[DONE]\"\n\n", false, false),
            ("data: {\"error\":{\"message\":\"no\"}}\n\n", false, true),
            ("data: {\n\nevent: error\ndata: {}\n\n", false, true),
            (&long, true, false),
            ("", false, false),
        ] {
            for size in [1, 2, 7, text.len().max(1)] {
                assert_eq!(read(text, size), (is_end, is_error), "{text:?} by {size}");
            }
        }
    }
}
