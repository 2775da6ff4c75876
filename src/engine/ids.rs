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

/// Which operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OpIx(u16);

impl OpIx {
    pub(crate) const LAST: Self = Self(u16::MAX);

    pub(crate) const fn new(index: usize) -> Self {
        // Their number is bounded far below that.
        Self(index as u16)
    }

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

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
    pub(in crate::engine) fn next(self) -> Self {
        Self { generation: self.generation.wrapping_add(1), ..self }
    }
}

/// Where a request is: it goes through one place of each width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct At {
    pub(crate) account: AccountIx,
    pub(crate) key: KeyIx,
    pub(crate) lane: LaneIx,
    pub(crate) operation: OpIx,
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
pub(crate) const MAX_LIMITS: usize = Meters::BITS as usize;

/// Which tenant.
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

/// Which waiter, as the pool knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterId(pub(crate) usize);
