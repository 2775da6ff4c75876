//! Blame that is not settled yet. Other answers settle it, or it lapses when its last handle is dropped.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use crate::{
    engine::{Accusation, Outcome, Taught},
    pool::shared::Shared,
};

/// What one answer does not prove, and other answers to the same request may prove.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open {
    /// The accused key.
    pub(in crate::pool) pending: Option<Arc<Pending>>,
    /// What was learnt about a limit.
    pub(in crate::pool) taught: Option<Taught>,
    /// Whether it is known that the refusal was about the request, so that no limit is learnt.
    pub(in crate::pool) is_about_request: bool,
}

/// A key that is accused by a refusal which may also be the fault of the request.
///
/// Until this is settled, the key rests provisionally where it was refused. If it is dropped unsettled, the
/// refusal has only the small effect that one answer justifies.
pub(crate) struct Pending {
    shared: Arc<Shared>,
    accusation: Accusation,
    settled: OnceLock<()>,
}

impl Pending {
    pub(in crate::pool) fn new(shared: Arc<Shared>, accusation: Accusation) -> Arc<Self> {
        Arc::new(Self { shared, accusation, settled: OnceLock::new() })
    }

    pub(in crate::pool) fn accusation(&self) -> &Accusation {
        &self.accusation
    }

    /// The first call counts.
    pub(in crate::pool) fn settle(&self, outcome: Outcome) {
        if self.settled.set(()).is_ok() {
            let Self { shared, accusation, .. } = self;
            shared.with(|core, now| core.engine.settle_accusation(now, accusation, outcome));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.settle(Outcome::Lapsed);
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_settled = self.settled.get().is_some();
        f.debug_struct("Pending").field("is_settled", &is_settled).finish_non_exhaustive()
    }
}
