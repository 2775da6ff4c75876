//! A grant: what was reserved for one request.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use crate::{
    Verdict,
    engine::{
        ask::{Bond, Cost, Prior},
        ids::{AccountIx, At, BudgetIx, KeyIx, LaneIx, Meters, OpIx, TenantIx},
        learn::{Entry, Ticket},
        standing::{Role, Roles},
        time::Time,
    },
    verdict::Place,
};

/// The most boxes that are kept for reuse.
const MAX_SPARE: usize = 256;

/// A reservation of a demand on a key.
///
/// It cannot be copied, and its end consumes it, so what it holds is given back exactly once. Its
/// data is in a box, because it is moved often. The engine reuses the boxes.
#[derive(Debug)]
pub(crate) struct Grant(Box<Reserved>);

/// What was reserved, and for what.
#[derive(Debug)]
pub(crate) struct Reserved {
    pub(crate) account: AccountIx,
    pub(crate) key: KeyIx,
    pub(in crate::engine) lane: LaneIx,
    pub(in crate::engine) operation: OpIx,
    /// Whether the request generates something; every key may do that.
    pub(crate) generates: bool,
    pub(in crate::engine) tenant: TenantIx,
    pub(in crate::engine) meters: Meters,
    /// The version of the declared limits at its admission.
    pub(in crate::engine) epoch: u32,
    /// Whether any limit counts money, so that its cost matters.
    pub(crate) is_charged: bool,
    /// The version of the key's secret that it is sent with.
    pub(in crate::engine) secret: u32,
    pub(in crate::engine) budget: Option<BudgetIx>,
    pub(in crate::engine) bond: Option<Bond>,
    pub(in crate::engine) sent: Time,
    pub(crate) reserved: Cost,
    pub(crate) prior: Prior,
    /// Its role at the standing of each place.
    pub(in crate::engine) roles: Roles,
    /// Whether a refusal for its rate may be about the request itself.
    pub(in crate::engine) is_doubtful: bool,
    /// Whether a refusal for its rate proves nothing.
    pub(in crate::engine) is_suspect: bool,
    /// Whether meters count it. In a dry run, a request that would have been held back is not
    /// counted.
    pub(in crate::engine) counted: bool,
    pub(in crate::engine) settled: bool,
    /// The last verdict of the provider.
    pub(in crate::engine) judged: Option<Verdict>,
    /// By what it is known to what is learnt of its account for its model, and of its account as a whole.
    pub(in crate::engine) ticket: Option<Ticket>,
    pub(in crate::engine) entry: Option<Entry>,
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

    /// Whether the request is the probe of the half-open provider, or of its model.
    pub(crate) fn is_probe_of_provider(&self) -> bool {
        let places = [Place::ProviderModel, Place::Provider];
        places.into_iter().any(|place| self.roles.of(place) == Role::Probe)
    }
}

/// The boxes of ended grants.
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
