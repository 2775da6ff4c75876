//! Operations by number. Their number is bounded, because unknown ones are named by paths, which
//! callers choose.

use std::{collections::HashMap, sync::Arc};

use crate::{
    engine::ids::OpIx,
    provider::{Access, OPERATIONS, Operation},
};

/// How many unknown operations get a number of their own; all others share one.
const MAX_OPERATIONS: usize = 256;

/// The operation that all others share.
const OTHER: usize = Operation::SLOTS;

/// The operation without a known path or method, `-`.
const UNKNOWN: usize = Operation::SLOTS + 1;

#[derive(Debug)]
pub(crate) struct Operations {
    names: Vec<Arc<str>>,
    /// By path segment and kind of access.
    unknown: HashMap<Box<str>, [Option<OpIx>; 3]>,
}

impl Operations {
    pub(crate) fn new() -> Self {
        let names = OPERATIONS.into_iter().chain(["(other)", "-"]).map(Arc::from).collect();
        Self { names, unknown: HashMap::new() }
    }

    pub(crate) fn resolve(&mut self, operation: &Operation<'_>) -> OpIx {
        let Some(slot) = operation.slot() else { return self.resolve_unknown(operation) };
        OpIx::new(slot)
    }

    fn resolve_unknown(&mut self, operation: &Operation<'_>) -> OpIx {
        let (segment, access) = (operation.segment().unwrap_or("-"), operation.access());
        // A fast path: most pools without paths to read know no other operation.
        if (segment, access) == ("-", Access::Write) {
            return OpIx::new(UNKNOWN);
        }
        let known = self.unknown.get(segment).and_then(|known| known[access as usize]);
        if let Some(known) = known {
            return known;
        }
        if self.names.len() > UNKNOWN + MAX_OPERATIONS {
            return OpIx::new(OTHER);
        }
        let new = OpIx::new(self.names.len());
        self.names.push(operation.to_string().into());
        self.unknown.entry(segment.into()).or_default()[access as usize] = Some(new);
        new
    }

    /// The operation with a saved name.
    pub(crate) fn named(&mut self, name: &str) -> OpIx {
        if let Some(known) = self.names.iter().position(|known| **known == *name) {
            return OpIx::new(known);
        }
        self.resolve_unknown(&Operation::named(name))
    }

    pub(crate) fn name(&self, operation: OpIx) -> &Arc<str> {
        &self.names[operation.index()]
    }
}
