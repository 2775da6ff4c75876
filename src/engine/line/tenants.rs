//! Weighted fair queueing between tenants.
//!
//! Each tenant has its own queue, and a virtual time (`served`): the cost of all its requests so
//! far, divided by its weight. The tenant with the lowest virtual time is served next. The cost of
//! a request is the time in which its tightest limit refills as much. A tenant that returns after a
//! pause continues at the current virtual time: it saves up no share while it is away. What it owes
//! stays until the others have caught up.

use std::{collections::HashMap, sync::Arc};

use crate::engine::{ids::TenantIx, named::Named};

/// Tenants beyond this number share one entry.
const MAX_TENANTS: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Tenants {
    tenants: Named<Tenant>,
    weights: HashMap<Arc<str>, u32>,
    /// The virtual time: that of the tenant served last, before it was served.
    virtual_time: u128,
}

#[derive(Debug)]
pub(crate) struct Tenant {
    weight: u32,
    /// The virtual time of the tenant: the cost of its requests, divided by its weight.
    served: u128,
    pub(crate) waiting: usize,
}

impl Tenants {
    /// `weights` lists the tenants with a weight of their own; all others have a weight of 1.
    pub(crate) fn new(weights: HashMap<Arc<str>, u32>) -> Self {
        let mut tenants = Named::new(MAX_TENANTS);
        tenants.keep(None, Tenant { weight: 1, served: 0, waiting: 0 });
        Self { tenants, weights, virtual_time: 0 }
    }

    /// The tenant of a name; it is made if needed. The first one is for requests without a name.
    pub(crate) fn resolve(&mut self, name: Option<&str>) -> TenantIx {
        let Some(name) = name else { return TenantIx::default() };
        let Self { tenants, weights, virtual_time } = self;
        // A tenant with no waiting request that owes nothing may be forgotten.
        let worth = |tenant: &Tenant| {
            Some(()).filter(|()| tenant.waiting == 0 && tenant.served <= *virtual_time)
        };
        TenantIx::new(tenants.resolve(name, worth, |name| {
            let weight = weights.get(name).copied().unwrap_or(1).max(1);
            Tenant { weight, served: *virtual_time, waiting: 0 }
        }))
    }

    pub(crate) fn name(&self, tenant: TenantIx) -> Option<&Arc<str>> {
        self.tenants.name(tenant.index())
    }

    /// The virtual time of a tenant; the tenant with the lowest is served next.
    pub(crate) fn served(&self, tenant: TenantIx) -> u128 {
        self.tenants[tenant.index()].served
    }

    pub(crate) fn weight(&self, tenant: TenantIx) -> u64 {
        self.tenants[tenant.index()].weight.into()
    }

    pub(crate) fn joined(&mut self, tenant: TenantIx) {
        let virtual_time = self.virtual_time;
        let tenant = &mut self.tenants[tenant.index()];
        if tenant.waiting == 0 {
            tenant.served = tenant.served.max(virtual_time);
        }
        tenant.waiting += 1;
    }

    pub(crate) fn left(&mut self, tenant: TenantIx) {
        self.tenants[tenant.index()].waiting -= 1;
    }

    /// Charges a tenant for a request with this cost.
    pub(crate) fn serve(&mut self, tenant: TenantIx, cost: u64) {
        let tenant = &mut self.tenants[tenant.index()];
        tenant.served = tenant.served.max(self.virtual_time);
        self.virtual_time = tenant.served;
        let cost = u128::from(cost.max(1)) << 16;
        tenant.served = tenant.served.saturating_add(cost / u128::from(tenant.weight));
    }

    /// Whether `tenant` should give up one place for `other`: it has more places by weight, even
    /// after that.
    pub(crate) fn is_crowding(&self, tenant: TenantIx, other: TenantIx) -> bool {
        let places = |tenant: TenantIx| self.tenants[tenant.index()].waiting as u64;
        places(tenant) * self.weight(other) > (places(other) + 1) * self.weight(tenant)
    }

    /// The tenant that holds the most places by weight.
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
