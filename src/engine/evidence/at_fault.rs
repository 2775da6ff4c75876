//! Requests that are at fault themselves, as three keys agreed. They are remembered for a while, so
//! that a caller that repeats a mistake makes one call and not three.

use std::{collections::HashMap, sync::Arc};

use crate::engine::{
    ids::OpIx,
    time::{SECOND, Time},
};

/// How long it is remembered.
const LIFETIME: u64 = 120 * SECOND;
/// How long it is remembered if other requests of the same caller are accepted: some of its
/// refusals may have other reasons.
const CONTRADICTED: u64 = 30 * SECOND;
/// The most callers that are remembered, because callers choose the names.
const MAX_CALLERS: usize = 1_024;

/// The caller (a tag or a tenant) and the operation.
type CallerOf = (Option<Arc<str>>, OpIx);

/// What is known about a caller's requests for an operation.
#[derive(Debug, Default)]
struct Known {
    since: HashMap<Arc<str>, Time>,
    /// Whether another request was accepted since.
    is_contradicted: bool,
}

impl Known {
    fn lifetime(&self) -> u64 {
        if self.is_contradicted { CONTRADICTED } else { LIFETIME }
    }
}

#[derive(Debug, Default)]
pub(crate) struct AtFault {
    /// The rules that refused, each with its time.
    known: HashMap<CallerOf, Known>,
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
        if self.known.len() >= MAX_CALLERS {
            self.known.retain(|_, known| {
                let lifetime = known.lifetime();
                known.since.retain(|_, since| now.since(*since) <= lifetime);
                !known.since.is_empty()
            });
        }
        if self.known.len() < MAX_CALLERS {
            let known = self.known.entry((caller, operation)).or_default();
            // At most one entry for each rule of the dialect.
            known.since.insert(rule, now);
            known.is_contradicted = false;
        }
    }

    pub(crate) fn is_known(
        &self,
        now: Time,
        caller: Option<Arc<str>>,
        operation: OpIx,
        rule: &str,
    ) -> bool {
        let Some(known) = self.known.get(&(caller, operation)) else { return false };
        known.since.get(rule).is_some_and(|since| now.since(*since) <= known.lifetime())
    }

    /// Another request of the same caller for the same operation was accepted, so not all are at
    /// fault.
    pub(crate) fn contradict(&mut self, caller: Option<Arc<str>>, operation: OpIx) {
        if let Some(known) = self.known.get_mut(&(caller, operation)) {
            known.is_contradicted = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_remembered_for_its_caller_and_shorter_if_others_are_accepted() {
        let at = |seconds: u64| Time::from_nanos(seconds * SECOND);
        let (chat, files, caller) = (OpIx::new(1), OpIx::new(2), Some(Arc::<str>::from("a")));
        let mut at_fault = AtFault::default();
        at_fault.note(at(0), caller.clone(), chat, "r".into());
        assert!(at_fault.is_known(at(120), caller.clone(), chat, "r"));
        assert!(!at_fault.is_known(at(121), caller.clone(), chat, "r"));
        for (caller, operation, rule) in
            [(None, chat, "r"), (caller.clone(), files, "r"), (caller.clone(), chat, "s")]
        {
            assert!(!at_fault.is_known(at(1), caller, operation, rule));
        }
        at_fault.contradict(caller.clone(), chat);
        assert!(at_fault.is_known(at(30), caller.clone(), chat, "r"));
        assert!(!at_fault.is_known(at(31), caller, chat, "r"));
    }

    #[test]
    fn callers_names_are_bounded() {
        let mut at_fault = AtFault::default();
        for number in 0..3 * MAX_CALLERS {
            let caller = Some(Arc::from(number.to_string()));
            at_fault.note(Time::from_nanos(0), caller, OpIx::new(1), "r".into());
        }
        assert_eq!(at_fault.known.len(), MAX_CALLERS);
        let later = Time::from_nanos(LIFETIME + 1);
        at_fault.note(later, None, OpIx::new(1), "r".into());
        assert_eq!(at_fault.known.len(), 1);
    }
}
