//! The last event of a stream: whether it ended the answer.
//!
//! Callers hang up after `[DONE]`, and do not wait for the end of the connection.

use tower_key_rotation::provider::{EventScanner, Framing, Provider, Scanned, StreamEvent};

/// The bytes of an event that are kept: last events and errors are short.
const MOST: usize = 4 * 1024;

/// Keeps the last event of a stream, however the stream is cut into pieces.
#[derive(Debug)]
pub(crate) struct LastEvent {
    scanner: EventScanner,
    /// Whether the last line has ended.
    is_line_whole: bool,
    name: String,
    data: Vec<u8>,
}

impl Default for LastEvent {
    fn default() -> Self {
        let scanner = EventScanner::new(Framing::Events);
        Self { scanner, is_line_whole: false, name: String::new(), data: Vec::new() }
    }
}

impl LastEvent {
    /// Reads a piece that was passed on.
    pub(crate) fn feed(&mut self, piece: &[u8]) {
        let Self { scanner, is_line_whole, name, data } = self;
        scanner.feed(piece, |scanned, _| keep(scanned, name, data));
        *is_line_whole = piece.last().map_or(*is_line_whole, |byte| b"\r\n".contains(byte));
    }

    /// Notes that the stream has ended. An event that lacks only its blank line counts.
    pub(crate) fn finish(&mut self) {
        let Self { scanner, is_line_whole, name, data } = self;
        if *is_line_whole {
            scanner.finish(|scanned| keep(scanned, name, data));
        }
    }

    /// Whether it ends an answer.
    pub(crate) fn is_end(&self, provider: &dyn Provider) -> bool {
        provider.is_end(&self.event())
    }

    /// Whether it is an error: of the provider, or because the stream has stopped.
    pub(crate) fn is_error(&self, provider: &dyn Provider) -> bool {
        provider.is_error(&self.event())
    }

    /// Empty before the first event.
    fn event(&self) -> StreamEvent<'_> {
        StreamEvent::new(&self.name, &self.data)
    }
}

fn keep(scanned: Scanned<'_>, name: &mut String, data: &mut Vec<u8>) {
    let (new_name, new_data) = match scanned {
        Scanned::Event(event) => (event.name, event.data),
        Scanned::Unread { name } => (name, &[][..]),
        _ => return,
    };
    name.clear();
    name.push_str(new_name);
    data.clear();
    // The rest of a longer event is left out, because such an event is not looked for.
    data.extend_from_slice(&new_data[..new_data.len().min(MOST)]);
}

#[cfg(test)]
mod tests {
    use tower_key_rotation::OpenAi;

    use super::*;

    /// Whether a stream is over, and whether with an error.
    fn read(text: &str, size: usize) -> (bool, bool) {
        let (mut last, provider) = (LastEvent::default(), OpenAi::default());
        text.as_bytes().chunks(size).for_each(|piece| last.feed(piece));
        last.finish();
        (last.is_end(&provider), last.is_error(&provider))
    }

    #[test]
    fn the_last_event_shows_whether_an_answer_is_complete_however_it_is_cut() {
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
