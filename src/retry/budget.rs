//! How much extra load retries may be, for all requests of a tenant together.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counted in tenths of a retry: every request pays in one.
const RETRY: u64 = 10;
/// What a quiet client has to begin with, and what a busy one can save up, in tenths.
const INITIAL: u64 = 10 * RETRY;
const MOST: u64 = 1_000 * RETRY;
/// Names come from callers: more tenants than this share one budget.
const MOST_TENANTS: usize = 1_024;

/// A budget for each tenant, so that nobody's failures take the retries of others.
#[derive(Debug)]
pub(super) struct Budgets {
    /// Of requests without a tenant, and of tenants beyond the bound.
    shared: Budget,
    tenants: Mutex<HashMap<Arc<str>, Arc<Budget>>>,
}

impl Budgets {
    pub(super) fn new() -> Self {
        Self { shared: Budget::new(), tenants: Mutex::default() }
    }

    pub(super) fn pay_in(&self, tenant: Option<&Arc<str>>) {
        self.with(tenant, Budget::pay_in);
    }

    /// Whether a retry may be made.
    pub(super) fn pay_out(&self, tenant: Option<&Arc<str>>) -> bool {
        self.with(tenant, Budget::pay_out)
    }

    fn with<R>(&self, tenant: Option<&Arc<str>>, act: impl FnOnce(&Budget) -> R) -> R {
        let Some(tenant) = tenant else { return act(&self.shared) };
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = tenants.get(tenant) {
            return act(budget);
        }
        if tenants.len() >= MOST_TENANTS {
            // Whoever has what a new one would have is as good as new.
            tenants.retain(|_, budget| !budget.is_as_new());
        }
        if tenants.len() >= MOST_TENANTS {
            return act(&self.shared);
        }
        act(tenants.entry(Arc::clone(tenant)).or_insert_with(|| Arc::new(Budget::new())))
    }
}

/// A tenth of a retry for each request, and ten to begin with.
#[derive(Debug)]
struct Budget {
    tenths: AtomicU64,
}

impl Budget {
    fn new() -> Self {
        Self { tenths: AtomicU64::new(INITIAL) }
    }

    fn pay_in(&self) {
        self.change(|tenths| (tenths < MOST).then_some(tenths + 1));
    }

    fn pay_out(&self) -> bool {
        self.change(|tenths| tenths.checked_sub(RETRY))
    }

    fn is_as_new(&self) -> bool {
        self.tenths.load(Ordering::Relaxed) >= INITIAL
    }

    fn change(&self, change: impl FnMut(u64) -> Option<u64>) -> bool {
        self.tenths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_requests_and_ten_to_begin_with() {
        let budget = Budget::new();
        let retries = (0..1_000).filter(|_| {
            budget.pay_in();
            budget.pay_out()
        });
        assert_eq!(retries.count(), 100 + 10);
    }

    #[test]
    fn savings_are_bounded() {
        let budget = Budget::new();
        (0..1_000_000).for_each(|_| budget.pay_in());
        assert_eq!((0..10_000).filter(|_| budget.pay_out()).count(), 1_000);
    }

    #[test]
    fn one_tenant_takes_nothing_from_another_and_their_number_is_bounded() {
        let budgets = Budgets::new();
        let tenant = |name: usize| Some(Arc::<str>::from(format!("t{name}")));
        let paid =
            |name: usize| (0..100).filter(|_| budgets.pay_out(tenant(name).as_ref())).count();
        assert_eq!((paid(0), paid(1)), (10, 10));
        assert_eq!((0..100).filter(|_| budgets.pay_out(None)).count(), 10);
        for name in 0..3 * MOST_TENANTS {
            budgets.pay_in(tenant(name).as_ref());
        }
        assert!(budgets.tenants.lock().unwrap().len() <= MOST_TENANTS);
        assert_eq!(paid(0), 0, "it came back by others' coming");
    }
}
