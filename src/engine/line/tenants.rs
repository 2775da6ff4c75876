//! Fair shares of the line between those on whose behalf requests are sent.
//!
//! Each tenant's requests stand in a line of their own. The next to be served is of the tenant that
//! has been served least by its weight; what a request is worth is the time in which as much comes
//! back to the account that serves it, by its scarcest limit. A tenant that comes back after a pause
//! begins where the others are: nothing is saved up, and nothing it owes is forgotten before the
//! others have caught up.

use std::{collections::HashMap, sync::Arc};

use crate::engine::ids::TenantIx;

/// Names come from callers, and are kept: more tenants at once, and longer names in bytes, share one.
const MOST: usize = 1_024;
const LONGEST_NAME: usize = 256;

#[derive(Debug)]
pub(crate) struct Tenants {
    tenants: Vec<Tenant>,
    by_name: HashMap<Arc<str>, TenantIx>,
    weights: HashMap<Arc<str>, u32>,
    /// How far whoever was last served had been.
    now: u128,
}

#[derive(Debug)]
pub(crate) struct Tenant {
    /// None for requests that name no tenant.
    pub(crate) name: Option<Arc<str>>,
    weight: u32,
    /// What it was served with, by its weight.
    served: u128,
    pub(crate) waiting: usize,
}

impl Tenants {
    /// Those with weights of their own; all others have a weight of 1.
    pub(crate) fn new(weights: HashMap<Arc<str>, u32>) -> Self {
        let unnamed = Tenant { name: None, weight: 1, served: 0, waiting: 0 };
        Self { tenants: vec![unnamed], by_name: HashMap::new(), weights, now: 0 }
    }

    /// The tenant of a name, made if need be.
    pub(crate) fn resolve(&mut self, name: Option<&str>) -> TenantIx {
        let Some(name) = name else { return TenantIx::default() };
        match self.by_name.get(name) {
            Some(&tenant) => tenant,
            None => self.open(name),
        }
    }

    fn open(&mut self, name: &str) -> TenantIx {
        let place = self.tenants.len();
        let is_full = place >= MOST;
        let free = if is_full { self.forgettable() } else { Some(place) };
        let Some(place) = free.filter(|_| name.len() <= LONGEST_NAME) else {
            return TenantIx::default();
        };
        let name: Arc<str> = Arc::from(name);
        let weight = self.weights.get(&name).copied().unwrap_or(1).max(1);
        let tenant = Tenant { name: Some(Arc::clone(&name)), weight, served: self.now, waiting: 0 };
        let ix = TenantIx::new(place);
        match self.tenants.get_mut(place) {
            Some(old) => {
                let old = std::mem::replace(old, tenant);
                old.name.and_then(|name| self.by_name.remove(&name));
            }
            None => self.tenants.push(tenant),
        }
        self.by_name.insert(name, ix);
        ix
    }

    /// One that neither waits nor owes anything.
    fn forgettable(&self) -> Option<usize> {
        let mut others = self.tenants.iter().enumerate().skip(1);
        others.find_map(|(place, t)| (t.waiting == 0 && t.served <= self.now).then_some(place))
    }

    pub(crate) fn name(&self, tenant: TenantIx) -> Option<&Arc<str>> {
        self.tenants[tenant.index()].name.as_ref()
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
        let waiting = self.tenants.iter().enumerate().filter(|(_, tenant)| tenant.waiting > 0);
        waiting
            .max_by_key(|(_, t)| (t.waiting as u64) * (1 << 20) / u64::from(t.weight))
            .map(|(place, _)| TenantIx::new(place))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Tenant> {
        self.tenants.iter()
    }
}
