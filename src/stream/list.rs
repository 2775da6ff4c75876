//! The elements of one JSON array, as they arrive; or one object, as if it were its only element.

use memchr::memchr2;

use super::{LONGEST, Seen, StreamEvent, held::Held};

/// Finds the elements. It counts brackets and knows strings, and checks nothing else: what is no
/// JSON gives elements that nobody can read.
#[derive(Debug, Default)]
pub(crate) struct List {
    root: Root,
    /// How many brackets are open.
    depth: usize,
    in_string: bool,
    after_backslash: bool,
    in_element: bool,
    /// The beginning of an element whose end has not come.
    held: Held,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Root {
    #[default]
    Unknown,
    Array,
    Object,
    /// Neither, or ended: nothing more is looked at.
    Over,
}

impl List {
    pub(super) fn feed(&mut self, piece: &[u8], mut tell: impl FnMut(Seen<'_>)) {
        let mut at = 0;
        if self.root == Root::Unknown {
            let Some(start) = piece.iter().position(|byte| !is_before_json(*byte)) else { return };
            at = start;
            self.root = match piece[start] {
                b'[' => Root::Array,
                b'{' => Root::Object,
                _ => {
                    tell(Seen::Unread);
                    Root::Over
                }
            };
        }
        // Where the element that is being read begins in this piece.
        let mut from = 0;
        while at < piece.len() && self.root != Root::Over {
            if self.in_string {
                at = self.through_string(piece, at);
                continue;
            }
            match piece[at] {
                b'"' => self.in_string = true,
                b'{' | b'[' => from = if self.opens() { at } else { from },
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.in_element && self.depth == self.outside() {
                        self.tell(&piece[from..=at], &mut tell);
                    }
                    if self.depth == 0 {
                        self.root = Root::Over;
                    }
                }
                _ => {}
            }
            at += 1;
        }
        if self.in_element {
            self.held.push(&piece[from..]);
        }
    }

    pub(super) fn unfinished(&self) -> &[u8] {
        self.held.bytes()
    }

    /// Where to go on: behind the string, or the end of the piece.
    fn through_string(&mut self, piece: &[u8], at: usize) -> usize {
        if std::mem::take(&mut self.after_backslash) {
            return at + 1;
        }
        let Some(found) = memchr2(b'"', b'\\', &piece[at..]) else { return piece.len() };
        match piece[at + found] {
            b'"' => self.in_string = false,
            _ => self.after_backslash = true,
        }
        at + found + 1
    }

    /// Takes an opening bracket. Whether an element begins with it.
    fn opens(&mut self) -> bool {
        let is_outside = self.depth < self.outside();
        let begins = !is_outside && !self.in_element;
        self.in_element |= begins;
        self.depth += 1;
        begins
    }

    /// How many brackets are open around an element.
    fn outside(&self) -> usize {
        usize::from(self.root == Root::Array)
    }

    /// The element has ended: its last part, or all of it, is `here`.
    fn tell(&mut self, here: &[u8], tell: &mut impl FnMut(Seen<'_>)) {
        self.in_element = false;
        let event = |data| Seen::Event(StreamEvent { name: "", data });
        if !self.held.is_empty() {
            self.held.push(here);
            let is_whole = !self.held.is_too_long();
            tell(if is_whole { event(self.held.bytes()) } else { Seen::Unread });
            self.held.clear();
        } else if here.len() <= LONGEST {
            tell(event(here));
        } else {
            tell(Seen::Unread);
        }
    }
}

/// White space, or a byte of a byte order mark.
fn is_before_json(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, 0xef | 0xbb | 0xbf)
}
