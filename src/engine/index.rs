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
    /// Which key.
    KeyIx
);
index!(
    /// Which lane.
    LaneIx
);

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
