//! Fair shares of the line between those on whose behalf requests are sent.
//!
//! Each tenant's requests stand in a line of their own. The next to be served is of the tenant that
//! has been served least by its weight; what a request is worth is the time in which as much comes
//! back to the account that serves it, by its scarcest limit. A tenant that comes back after a pause
//! begins where the others are: nothing is saved up, and nothing it owes is forgotten before the
//! others have caught up.

use std::{collections::HashMap, sync::Arc};

use crate::engine::{ids::TenantIx, named::Named};

/// More tenants at once than this share one.
const MOST: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Tenants {
    tenants: Named<Tenant>,
    weights: HashMap<Arc<str>, u32>,
    /// How far whoever was last served had been.
    now: u128,
}

#[derive(Debug)]
pub(crate) struct Tenant {
    weight: u32,
    /// What it was served with, by its weight.
    served: u128,
    pub(crate) waiting: usize,
}

impl Tenants {
    /// Those with weights of their own; all others have a weight of 1.
    pub(crate) fn new(weights: HashMap<Arc<str>, u32>) -> Self {
        let mut tenants = Named::new(MOST);
        tenants.keep(None, Tenant { weight: 1, served: 0, waiting: 0 });
        Self { tenants, weights, now: 0 }
    }

    /// The tenant of a name, made if need be; the first one is that of requests that name none.
    pub(crate) fn resolve(&mut self, name: Option<&str>) -> TenantIx {
        let Some(name) = name else { return TenantIx::default() };
        let Self { tenants, weights, now } = self;
        // One that neither waits nor owes anything may be forgotten.
        let worth =
            |tenant: &Tenant| Some(()).filter(|()| tenant.waiting == 0 && tenant.served <= *now);
        TenantIx::new(tenants.resolve(name, worth, |name| {
            let weight = weights.get(name).copied().unwrap_or(1).max(1);
            Tenant { weight, served: *now, waiting: 0 }
        }))
    }

    pub(crate) fn name(&self, tenant: TenantIx) -> Option<&Arc<str>> {
        self.tenants.name(tenant.index())
    }

    /// How far a tenant is: the one that is least so is served next.
    pub(crate) fn served(&self, tenant: TenantIx) -> u128 {
        self.tenants[tenant.index()].served
    }

    pub(crate) fn weight(&self, tenant: TenantIx) -> u64 {
        self.tenants[tenant.index()].weight.into()
    }

    pub(crate) fn joined(&mut self, tenant: TenantIx) {
        let now = self.now;
        let tenant = &mut self.tenants[tenant.index()];
        if tenant.waiting == 0 {
            tenant.served = tenant.served.max(now);
        }
        tenant.waiting += 1;
    }

    pub(crate) fn left(&mut self, tenant: TenantIx) {
        self.tenants[tenant.index()].waiting -= 1;
    }

    /// A tenant was served with something of this worth.
    pub(crate) fn serve(&mut self, tenant: TenantIx, worth: u64) {
        let tenant = &mut self.tenants[tenant.index()];
        tenant.served = tenant.served.max(self.now);
        self.now = tenant.served;
        let worth = u128::from(worth.max(1)) << 16;
        tenant.served = tenant.served.saturating_add(worth / u128::from(tenant.weight));
    }

    /// Whether somebody of one tenant should give up its place for somebody of another: it has more
    /// places by its weight, also after that.
    pub(crate) fn is_crowding(&self, tenant: TenantIx, other: TenantIx) -> bool {
        let places = |tenant: TenantIx| self.tenants[tenant.index()].waiting as u64;
        places(tenant) * self.weight(other) > (places(other) + 1) * self.weight(tenant)
    }

    /// Who takes up most of the places, by weight.
    pub(crate) fn most_waiting(&self) -> Option<TenantIx> {
        let waiting = self.tenants.things().enumerate().filter(|(_, tenant)| tenant.waiting > 0);
        waiting
            .max_by_key(|(_, t)| (t.waiting as u64) * (1 << 20) / u64::from(t.weight))
            .map(|(place, _)| TenantIx::new(place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&Arc<str>>, &Tenant)> {
        self.tenants.iter()
    }
}
