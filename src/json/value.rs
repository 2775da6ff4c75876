//! Values that are there whole.

use super::walker::{Mark, Walker};

/// The members of a JSON object, in the order in which they are written.
///
/// They end at the end of the object, and at the first byte that is not JSON. What is no object has
/// none.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    rest: &'a [u8],
    /// How long the object is, with what is behind it.
    length: usize,
    is_first: bool,
}

/// A member as it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    /// Its name, without quotes; escapes are not resolved.
    pub(crate) name: &'a [u8],
    pub(crate) value: &'a [u8],
    /// Where its value begins, counted from the beginning of the object.
    pub(crate) at: usize,
}

/// A text inside a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// What is between its quotes; escapes are not resolved.
    pub(crate) bytes: &'a [u8],
    /// Whether it is the name of a member.
    pub(crate) is_name: bool,
    pub(crate) has_escapes: bool,
}

impl<'a> Members<'a> {
    pub(crate) fn of(object: &'a [u8]) -> Self {
        let inner = object.trim_ascii_start().strip_prefix(b"{").unwrap_or_default();
        Self { rest: inner.trim_ascii_start(), length: object.len(), is_first: true }
    }

    /// The next member; `visit` is called with each text in its value.
    pub(crate) fn next_with(&mut self, visit: impl FnMut(Text<'a>)) -> Option<Member<'a>> {
        if !self.is_first {
            self.skip(b',')?;
        }
        if self.rest.first() != Some(&b'"') {
            return None;
        }
        let name = self.take(|_| {})?;
        self.skip(b':')?;
        let at = self.length - self.rest.len();
        let value = self.take(visit)?;
        self.is_first = false;
        Some(Member { name: unquoted(name)?, value, at })
    }

    /// Whether no member has been found so far.
    pub(crate) fn is_empty(&self) -> bool {
        self.is_first
    }

    fn take(&mut self, visit: impl FnMut(Text<'a>)) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(end_of_value(self.rest, visit)?)?;
        self.rest = rest.trim_ascii_start();
        Some(taken)
    }

    fn skip(&mut self, byte: u8) -> Option<()> {
        self.rest = self.rest.strip_prefix(&[byte])?.trim_ascii_start();
        Some(())
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        self.next_with(|_| {})
    }
}

impl<'a> Member<'a> {
    /// Its value, if that is a text with something in it.
    pub(crate) fn text(&self) -> Option<&'a [u8]> {
        unquoted(self.value).filter(|text| !text.is_empty())
    }
}

/// Where the value ends that `json` begins with; `visit` is called with each text in it, in order.
/// `None` if the value breaks off, or if there is none.
pub(crate) fn end_of_value<'a>(json: &'a [u8], mut visit: impl FnMut(Text<'a>)) -> Option<usize> {
    match json.first()? {
        b'"' | b'{' | b'[' => {}
        _ => return end_of_scalar(json),
    }
    let (mut walker, mut from, mut text) = (Walker::default(), 0, 0);
    loop {
        let (at, mark) = walker.next(json, from)?;
        from = at + 1;
        match mark {
            Mark::TextBegins => {
                text = from;
                continue;
            }
            Mark::TextEnds => {
                let is_name = json.get(from..)?.trim_ascii_start().first() == Some(&b':');
                let has_escapes = walker.has_escapes();
                visit(Text { bytes: json.get(text..at)?, is_name, has_escapes });
            }
            Mark::Open | Mark::Close | Mark::Comma => {}
        }
        if walker.depth() == 0 {
            return Some(from);
        }
    }
}

/// A number, `true`, `false` or `null`: up to what cannot belong to it.
fn end_of_scalar(json: &[u8]) -> Option<usize> {
    let is_outside = |byte: &u8| byte.is_ascii_whitespace() || b"\"[]{},:".contains(byte);
    let end = json.iter().position(is_outside).unwrap_or(json.len());
    (end > 0).then_some(end)
}

fn unquoted(text: &[u8]) -> Option<&[u8]> {
    text.strip_prefix(b"\"")?.strip_suffix(b"\"")
}
