//! Retry budgets: how much extra load the retries of a tenant may cause.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counted in tenths of a retry: every request pays in one tenth.
const RETRY: u64 = 10;
/// The budget at the start, and the most that can be saved up, in tenths.
const INITIAL: u64 = 10 * RETRY;
const MAX_SAVED: u64 = 1_000 * RETRY;
/// Tenants beyond this number share one budget, because callers choose the names.
const MAX_TENANTS: usize = 1_024;

/// A budget for each tenant, so that the failures of one tenant do not use up the retries of
/// others.
#[derive(Debug)]
pub(super) struct Budgets {
    /// The budget of requests without a tenant, and of tenants beyond the maximum.
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

    /// Takes one retry from the budget; returns whether there was one.
    pub(super) fn pay_out(&self, tenant: Option<&Arc<str>>) -> bool {
        self.with(tenant, Budget::pay_out)
    }

    fn with<R>(&self, tenant: Option<&Arc<str>>, act: impl FnOnce(&Budget) -> R) -> R {
        let Some(tenant) = tenant else { return act(&self.shared) };
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = tenants.get(tenant) {
            return act(budget);
        }
        if tenants.len() >= MAX_TENANTS {
            // A budget at or above its initial amount can be made anew at any time.
            tenants.retain(|_, budget| !budget.is_as_new());
        }
        if tenants.len() >= MAX_TENANTS {
            return act(&self.shared);
        }
        act(tenants.entry(Arc::clone(tenant)).or_insert_with(|| Arc::new(Budget::new())))
    }
}

/// One retry for every ten requests, and ten at the start: a token bucket that requests refill.
#[derive(Debug)]
struct Budget {
    tenths: AtomicU64,
}

impl Budget {
    fn new() -> Self {
        Self { tenths: AtomicU64::new(INITIAL) }
    }

    fn pay_in(&self) {
        self.change(|tenths| (tenths < MAX_SAVED).then_some(tenths + 1));
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
    fn a_budget_allows_ten_retries_and_one_for_ten_requests() {
        let budget = Budget::new();
        let retries = (0..1_000).filter(|_| {
            budget.pay_in();
            budget.pay_out()
        });
        assert_eq!(retries.count(), 100 + 10);
    }

    #[test]
    fn a_budget_saves_up_a_bounded_number_of_retries() {
        let budget = Budget::new();
        (0..1_000_000).for_each(|_| budget.pay_in());
        assert_eq!((0..10_000).filter(|_| budget.pay_out()).count(), 1_000);
    }

    #[test]
    fn tenants_have_budgets_of_their_own_and_are_bounded() {
        let budgets = Budgets::new();
        let tenant = |name: usize| Some(Arc::<str>::from(format!("t{name}")));
        let paid =
            |name: usize| (0..100).filter(|_| budgets.pay_out(tenant(name).as_ref())).count();
        assert_eq!((paid(0), paid(1)), (10, 10));
        assert_eq!((0..100).filter(|_| budgets.pay_out(None)).count(), 10);
        for name in 0..3 * MAX_TENANTS {
            budgets.pay_in(tenant(name).as_ref());
        }
        assert!(budgets.tenants.lock().unwrap().len() <= MAX_TENANTS);
        assert_eq!(paid(0), 0, "it came back by others' coming");
    }
}
