//! Names of things inside the engine: indices into its tables.

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(u32);

        impl $name {
            pub(crate) fn new(index: usize) -> Self {
                // Four billion keys do not fit into memory.
                Self(index as u32)
            }

            pub(crate) fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index!(
    /// Which account.
    AccountIx
);
index!(
    /// Which lane.
    LaneIx
);

/// Which key: its slot, and the how manieth key that is in there. A slot is used again once its key is
/// gone; the names of keys that were in it before are no names of the one that is in it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct KeyIx {
    slot: u32,
    generation: u32,
}

impl KeyIx {
    /// The first key of a slot.
    pub(crate) fn new(slot: usize) -> Self {
        Self { slot: slot as u32, generation: 0 }
    }

    pub(crate) fn index(self) -> usize {
        self.slot as usize
    }

    /// The next key of the same slot.
    pub(super) fn next(self) -> Self {
        Self { generation: self.generation.wrapping_add(1), ..self }
    }
}

impl AccountIx {
    /// The one after it, if there is one.
    pub(crate) fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// Which of an account's meters count a lane: one bit each.
pub(crate) type Meters = u64;

/// The most limits that one account can have.
pub(crate) const MOST_LIMITS: usize = Meters::BITS as usize;
