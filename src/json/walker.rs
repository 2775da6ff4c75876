//! A walk over JSON in pieces.

use memchr::memchr2;

/// Walks over JSON that arrives in pieces, and finds its [`Mark`]s.
///
/// It knows texts and escapes and counts open brackets, nothing more: it does not check that brackets
/// match or that the rest is JSON. Its memory is its own size, however deep the brackets are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Walker {
    depth: u32,
    place: Place,
    /// Whether the last text has escapes.
    has_escapes: bool,
}

/// Where a walk stands with regard to texts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Outside,
    Inside,
    /// Inside, behind a backslash: the next byte does not end the text.
    Escaped,
}

/// A byte with a meaning in the structure of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mark {
    /// `{` or `[`.
    Open,
    /// `}` or `]`.
    Close,
    /// The quote at the beginning of a text.
    TextBegins,
    /// The quote at the end of a text.
    TextEnds,
    /// `,`
    Comma,
}

impl Walker {
    /// A walk that stands behind the first bracket of a value.
    pub(crate) fn inside_value() -> Self {
        Self { depth: 1, ..Self::default() }
    }

    /// How many brackets are open. A bracket that closes nothing is not counted.
    pub(crate) fn depth(&self) -> u32 {
        self.depth
    }

    pub(crate) fn is_in_text(&self) -> bool {
        self.place != Place::Outside
    }

    /// Whether the text that began last has escapes, as far as it has been walked over.
    pub(crate) fn has_escapes(&self) -> bool {
        self.has_escapes
    }

    /// Whether the last byte was the backslash of an escape.
    pub(crate) fn is_escaped(&self) -> bool {
        self.place == Place::Escaped
    }

    /// The next mark from `from` on, and where it is; `None` if the piece ends before one. Then the walk
    /// goes on with the next piece.
    #[inline]
    pub(crate) fn next(&mut self, piece: &[u8], from: usize) -> Option<(usize, Mark)> {
        if self.place != Place::Outside {
            return self.end_of_text(piece, from);
        }
        let rest = piece.get(from..)?;
        let mark = |byte: &u8| {
            Some(match byte {
                b'"' => Mark::TextBegins,
                b'{' | b'[' => Mark::Open,
                b'}' | b']' => Mark::Close,
                b',' => Mark::Comma,
                _ => return None,
            })
        };
        let (at, mark) = rest.iter().enumerate().find_map(|(at, byte)| Some((at, mark(byte)?)))?;
        match mark {
            Mark::TextBegins => {
                self.place = Place::Inside;
                self.has_escapes = false;
            }
            Mark::Open => self.depth = self.depth.saturating_add(1),
            Mark::Close => self.depth = self.depth.saturating_sub(1),
            Mark::TextEnds | Mark::Comma => {}
        }
        Some((from + at, mark))
    }

    /// Walks on until only `depth` brackets are open. Returns where that is, behind the bracket; `None`
    /// if the piece ends before.
    pub(crate) fn close_to(&mut self, depth: u32, piece: &[u8]) -> Option<usize> {
        let mut from = 0;
        while let Some((at, mark)) = self.next(piece, from) {
            from = at + 1;
            if mark == Mark::Close && self.depth == depth {
                return Some(from);
            }
        }
        None
    }

    #[inline]
    fn end_of_text(&mut self, piece: &[u8], mut from: usize) -> Option<(usize, Mark)> {
        loop {
            if self.place == Place::Escaped {
                piece.get(from)?;
                from += 1;
                self.place = Place::Inside;
            }
            let at = from + quote_or_backslash(piece.get(from..)?)?;
            if piece.get(at) == Some(&b'"') {
                self.place = Place::Outside;
                return Some((at, Mark::TextEnds));
            }
            self.place = Place::Escaped;
            self.has_escapes = true;
            from = at + 1;
        }
    }
}

/// Most texts are short: to look at their bytes one by one is faster than a call of `memchr2`.
#[inline]
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const SHORT: usize = 24;
    let (head, tail) = text.split_at(text.len().min(SHORT));
    let is_found = |byte: &u8| matches!(byte, b'"' | b'\\');
    let in_tail = || Some(head.len() + memchr2(b'"', b'\\', tail)?);
    head.iter().position(is_found).or_else(in_tail)
}
