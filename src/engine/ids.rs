//! Ids inside the engine: indices into its tables.

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(u32);

        impl $name {
            pub(crate) fn new(index: usize) -> Self {
                // Four billion entries do not fit into memory.
                Self(index as u32)
            }

            pub(crate) fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index!(
    /// An account.
    AccountIx
);
index!(
    /// A lane.
    LaneIx
);

/// An operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OpIx(u16);

impl OpIx {
    pub(crate) const LAST: Self = Self(u16::MAX);

    pub(crate) const fn new(index: usize) -> Self {
        // The number of operations is bounded far below that.
        Self(index as u16)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A key: its slot, and the generation of the slot. A slot is reused once its key is gone. An id of
/// an earlier generation does not match the new key.
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
    pub(in crate::engine) fn next(self) -> Self {
        Self { generation: self.generation.wrapping_add(1), ..self }
    }
}

/// The places of a request: one of each width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) account: AccountIx,
    pub(crate) key: KeyIx,
    pub(crate) lane: LaneIx,
    pub(crate) operation: OpIx,
}

impl AccountIx {
    /// The next account in the order of the slots.
    pub(crate) fn after(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

/// The meters of an account that count a lane: one bit each.
pub(crate) type Meters = u64;

/// The most limits of one account.
pub(crate) const MAX_LIMITS: usize = Meters::BITS as usize;

/// A tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TenantIx(u16);

impl TenantIx {
    pub(crate) fn new(index: usize) -> Self {
        Self(index as u16)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The budget of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BudgetIx(u16);

impl BudgetIx {
    pub(crate) fn new(index: usize) -> Self {
        Self(index as u16)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// A waiting request, as the pool numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterId(pub(crate) usize);
