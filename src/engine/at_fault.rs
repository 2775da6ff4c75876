//! Requests that are at fault themselves, as a second and a third key have said: remembered for a
//! while, so that a caller who repeats a mistake makes one call and not three.

use std::{collections::HashMap, sync::Arc};

use super::{
    index::OpIx,
    time::{SECOND, Time},
};

/// So long it is remembered.
const LIFETIME: u64 = 300 * SECOND;
/// Callers' names come from outside.
const MOST: usize = 1_024;

/// Who sent it (a tag or a tenant), and for which operation.
type Whose = (Option<Arc<str>>, OpIx);

#[derive(Debug, Default)]
pub(crate) struct AtFault {
    /// Until when, by the rule that says so.
    known: HashMap<Whose, HashMap<Arc<str>, Time>>,
}

impl AtFault {
    pub(crate) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    pub(crate) fn note(
        &mut self,
        now: Time,
        caller: Option<Arc<str>>,
        operation: OpIx,
        rule: Arc<str>,
    ) {
        if self.known.len() >= MOST {
            self.known.retain(|_, rules| {
                rules.retain(|_, until| *until > now);
                !rules.is_empty()
            });
        }
        if self.known.len() < MOST {
            let rules = self.known.entry((caller, operation)).or_default();
            // The rules of a dialect, and no more.
            rules.insert(rule, now.plus(LIFETIME));
        }
    }

    pub(crate) fn is_known(
        &self,
        now: Time,
        caller: Option<Arc<str>>,
        operation: OpIx,
        rule: &str,
    ) -> bool {
        let rules = self.known.get(&(caller, operation));
        rules.and_then(|rules| rules.get(rule)).is_some_and(|until| *until > now)
    }

    /// A request of the same caller for the same operation was accepted: it is not all of them.
    pub(crate) fn forget(&mut self, caller: Option<Arc<str>>, operation: OpIx) {
        self.known.remove(&(caller, operation));
    }
}
