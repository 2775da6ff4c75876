//! Server-sent events: lines that end in CR, LF or CRLF, and blank lines between events.

use std::{mem, ops::Range};

use memchr::memchr2;

use super::{
    held::Held,
    words::{LONGEST, Scanned, StreamEvent},
};

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Finds the events of a stream. It is more lenient than the standard in one point: the last event needs
/// no blank line after it.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The beginning of a line whose end has not come.
    line: Held,
    /// Whether that line ended in a CR, of which an LF may follow.
    after_cr: bool,
    /// Whether a line of the next event has come since the last blank line.
    is_within: bool,
    /// Whether the first line has been read, before which a byte order mark may stand.
    begun: bool,
    name: Held,
    /// The data of the event so far, of all its lines, and how many lines that is.
    data: Held,
    lines: usize,
}

/// A line by its field.
enum Field<'a> {
    Blank,
    Name(&'a [u8]),
    Data(&'a [u8]),
    Other,
}

impl Events {
    pub(super) fn feed(
        &mut self,
        whole: &[u8],
        mut report: impl FnMut(Scanned<'_>, Range<usize>),
    ) -> usize {
        let mut piece = whole;
        if !piece.is_empty() && mem::take(&mut self.after_cr) {
            piece = piece.strip_prefix(b"\n").unwrap_or(piece);
        }
        // Up to where all events have ended.
        let mut ended = if self.is_within { 0 } else { whole.len() - piece.len() };
        // The data of the event so far, while it is one line that lies in this piece.
        let mut here = None;
        while let Some(at) = memchr2(b'\n', b'\r', piece) {
            let (line, rest) = (&piece[..at], &piece[at + 1..]);
            self.after_cr = piece[at] == b'\r' && rest.is_empty();
            let lf = if piece[at] == b'\r' { rest.strip_prefix(b"\n") } else { None };
            piece = lf.unwrap_or(rest);
            let end = whole.len() - piece.len();
            let mut report = |scanned: Scanned<'_>| report(scanned, ended..end);
            if self.line.is_empty() {
                self.take(line, line.len() > LONGEST, &mut here, &mut report);
            } else {
                self.line.push(line);
                self.take_held(&mut here, &mut report);
            }
            if !self.is_within {
                ended = end;
            }
        }
        self.line.push(piece);
        self.keep(here.take());
        ended
    }

    pub(super) fn finish(&mut self, mut report: impl FnMut(Scanned<'_>)) {
        if !self.line.is_empty() {
            self.take_held(&mut None, &mut report);
        }
        self.end_event(None, &mut report);
    }

    /// How many bytes are held.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.line.bytes().len() + self.name.bytes().len() + self.data.bytes().len()
    }

    /// Takes a line that came in several pieces.
    fn take_held(&mut self, here: &mut Option<&[u8]>, report: &mut impl FnMut(Scanned<'_>)) {
        let mut line = mem::take(&mut self.line);
        // Its data does not lie in the piece: it is kept at once.
        let mut held = None;
        self.keep(here.take());
        self.take(line.bytes(), line.is_too_long(), &mut held, report);
        self.keep(held);
        line.clear();
        self.line = line;
    }

    fn take<'a>(
        &mut self,
        mut line: &'a [u8],
        is_too_long: bool,
        here: &mut Option<&'a [u8]>,
        report: &mut impl FnMut(Scanned<'_>),
    ) {
        if !mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
        }
        let field = field(line);
        self.is_within = !matches!(field, Field::Blank);
        match field {
            Field::Blank => self.end_event(here.take(), report),
            Field::Name(name) if !is_too_long => {
                self.name.clear();
                self.name.push(name);
            }
            Field::Data(_) if is_too_long => {
                self.keep(here.take());
                self.lines += 1;
                self.data.overflow();
            }
            Field::Data(data) if self.lines == 0 && here.is_none() => *here = Some(data),
            Field::Data(data) => {
                self.keep(here.take());
                self.keep(Some(data));
            }
            Field::Name(_) | Field::Other => {}
        }
    }

    /// Keeps a line of data for later.
    fn keep(&mut self, data: Option<&[u8]>) {
        let Some(data) = data else { return };
        if self.lines > 0 {
            self.data.push(b"\n");
        }
        self.data.push(data);
        self.lines += 1;
    }

    /// The event has ended: its data is `here`, or what was kept.
    fn end_event(&mut self, here: Option<&[u8]>, report: &mut impl FnMut(Scanned<'_>)) {
        let data = here.unwrap_or_else(|| self.data.bytes());
        let name = std::str::from_utf8(self.name.bytes()).unwrap_or_default();
        if self.data.is_too_long() {
            report(Scanned::Unread { name });
        } else if !data.is_empty() {
            report(Scanned::Event(StreamEvent::new(name, data)));
        }
        self.name.clear();
        self.data.clear();
        self.lines = 0;
    }
}

fn field(line: &[u8]) -> Field<'_> {
    if line.is_empty() {
        return Field::Blank;
    }
    if let Some(value) = value_of(line, b"data") {
        return Field::Data(value);
    }
    value_of(line, b"event").map_or(Field::Other, Field::Name)
}

/// `name: value`, `name:value`, or `name` alone.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let rest = line.strip_prefix(name)?;
    if rest.is_empty() {
        return Some(rest);
    }
    let value = rest.strip_prefix(b":")?;
    Some(value.strip_prefix(b" ").unwrap_or(value))
}
