//! What was reserved for one request.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use crate::{
    Verdict,
    engine::{
        ask::{Bond, Cost, Prior},
        ids::{AccountIx, At, BudgetIx, KeyIx, LaneIx, Meters, OpIx, TenantIx},
        standing::{Role, Roles},
        time::Time,
    },
    verdict::Place,
};

/// No more boxes are kept for later than so many.
const MAX_SPARE: usize = 256;

/// A reservation of a demand on a key.
///
/// It cannot be copied, and its end consumes it: what it holds is given back exactly once. It goes
/// through many hands, so what it says is in a box, and the engine uses the boxes again.
#[derive(Debug)]
pub(crate) struct Grant(Box<Reserved>);

/// What was reserved, and for what.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) account: AccountIx,
    pub(crate) key: KeyIx,
    pub(in crate::engine) lane: LaneIx,
    pub(in crate::engine) operation: OpIx,
    /// Whether that generates something, which every key may do.
    pub(crate) generates: bool,
    pub(in crate::engine) tenant: TenantIx,
    pub(in crate::engine) meters: Meters,
    /// How often declared limits had been changed.
    pub(in crate::engine) epoch: u32,
    /// Whether any limit counts money, so that it matters what it costs.
    pub(crate) is_charged: bool,
    /// Which of the key's secrets it is sent with.
    pub(in crate::engine) secret: u32,
    pub(in crate::engine) budget: Option<BudgetIx>,
    pub(in crate::engine) bond: Option<Bond>,
    pub(in crate::engine) sent: Time,
    pub(crate) reserved: Cost,
    pub(crate) prior: Prior,
    /// What it is to the standing of each place, from the narrowest on.
    pub(in crate::engine) roles: Roles,
    /// Whether a refusal for its rate may be about itself.
    pub(in crate::engine) is_doubtful: bool,
    /// Whether it proves nothing, in any case.
    pub(in crate::engine) is_suspect: bool,
    /// Whether meters count it. In shadow mode, what would have been held back is not counted.
    pub(in crate::engine) counted: bool,
    pub(in crate::engine) settled: bool,
    /// What the provider said to it last.
    pub(in crate::engine) judged: Option<Verdict>,
    /// The model and the tag that its usage is booked under.
    pub(crate) model: Option<Arc<str>>,
    pub(crate) tag: Option<Arc<str>>,
}

impl Reserved {
    /// The places that it goes through.
    pub(in crate::engine) fn at(&self) -> At {
        let &Self { account, key, lane, operation, .. } = self;
        At { account, key, lane, operation }
    }

    /// Whether the request is the probe that finds out whether the provider, or its model there, is back.
    pub(crate) fn is_probe_of_provider(&self) -> bool {
        let places = [Place::ProviderModel, Place::Provider];
        places.into_iter().any(|place| self.parts.of(place) == Part::Probe)
    }
}

/// Boxes of grants that have ended.
#[derive(Debug, Default)]
pub(in crate::engine) struct Spares(Vec<Grant>);

impl Spares {
    pub(in crate::engine) fn grant(&mut self, reserved: Reserved) -> Grant {
        match self.0.pop() {
            None => Grant(Box::new(reserved)),
            Some(mut spare) => {
                *spare = reserved;
                spare
            }
        }
    }

    pub(in crate::engine) fn keep(&mut self, mut grant: Grant) {
        if self.0.len() < MAX_SPARE {
            (grant.model, grant.tag) = (None, None);
            self.0.push(grant);
        }
    }
}

impl Deref for Grant {
    type Target = Reserved;

    fn deref(&self) -> &Reserved {
        &self.0
    }
}

impl DerefMut for Grant {
    fn deref_mut(&mut self) -> &mut Reserved {
        &mut self.0
    }
}
