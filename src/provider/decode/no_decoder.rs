//! In place of the decoder where the feature `compression` is off: no encoding is read.

/// There is no value of this type.
#[derive(Debug)]
pub(crate) enum Decoder {}

impl Decoder {
    pub(super) fn of(_: &str) -> Option<Self> {
        None
    }

    pub(crate) fn is_mute(&self) -> bool {
        match *self {}
    }

    pub(crate) fn feed(&mut self, _: &[u8], _: impl FnMut(&[u8])) -> bool {
        match *self {}
    }
}
