//! Turns the demand of a request into the engine's terms.

use std::sync::atomic::Ordering;

use tokio::time::Instant;

use crate::{
    Demand, KeyId, Verdict,
    affinity::Kin,
    engine::{Among, Ask, Before, Cost, Engine, Prior, Time, rank},
    pool::{core::Core, lease::trail::Attempt, shared::Shared},
    provider::{Billing, Estimate, Operation},
    usage::{ModelPrices, Tariff, Usage},
};

/// After this many refusals for its rate without a time to wait, the request itself may be at fault.
const SUSPECT: usize = 3;

/// The part of `max_wait` that an attempt after the first may wait in any case.
const GRACE: u32 = 10;

/// The most tokens or nano-dollars that one request can ask for: a thousand dollars, far below overflow.
const MOST: u64 = 1 << 40;

impl Shared {
    /// Combines the demand of the caller with what was read from the request. The demand takes precedence.
    pub(in crate::pool) fn with_ask<R>(
        &self,
        wanted: &Wanted<'_>,
        act: impl FnOnce(&mut Core, Time, Ask) -> R,
    ) -> R {
        let prices = self.prices_of(wanted);
        self.with_at(wanted.now, |core, now| {
            let ask = self.ask_among(core, now, wanted, prices, |among| among);
            act(core, now, ask)
        })
    }

    /// The prices of the model of a request, if any limit counts money. They are looked up before the pool is
    /// locked.
    pub(in crate::pool) fn prices_of(&self, wanted: &Wanted<'_>) -> Option<ModelPrices> {
        let Self { prices, provider, limits_spending, .. } = self;
        let is_priced = wanted.demand.nano_dollars == 0
            && wanted.operation.billing() != Billing::Nothing
            && limits_spending.load(Ordering::Relaxed);
        let model = wanted.model().unwrap_or_default();
        is_priced.then(|| prices.of(&provider.spec().name, model))
    }

    /// The same ask, limited to fewer keys.
    pub(in crate::pool) fn ask_among(
        &self,
        core: &mut Core,
        now: Time,
        wanted: &Wanted<'_>,
        prices: Option<ModelPrices>,
        among: impl FnOnce(Among) -> Among,
    ) -> Ask {
        let Wanted { demand, operation, estimate, kin, tried, since, .. } = wanted;
        let Self { clock, max_wait, provider, .. } = self;
        let since = clock.time(*since);
        let lane = core.engine.lane(now, wanted.model());
        let mut deadline = since.after(*max_wait);
        if !tried.is_empty() {
            // It is among the first in the queue and has waited already, so a short further wait is allowed.
            deadline = deadline.max(now.after(*max_wait / GRACE));
        }
        let needs = core.engine.needs(lane);
        let billing = operation.billing();
        let (input, output, prior) = if billing == Billing::Nothing {
            let tokens = |demanded: Option<u64>| demanded.unwrap_or(0);
            let prior = Prior { billing, ..Prior::default() };
            (tokens(demand.input_tokens), tokens(demand.output_tokens), prior)
        } else {
            let cap = demand.output_tokens.or(Some(estimate.output_tokens).filter(|cap| *cap > 0));
            let cap_counts = cap.is_some() && !provider.gives_back();
            let input = demand.input_tokens.is_none().then_some(estimate.input_tokens);
            let prior = Prior { input, cap_counts, billing };
            let input = demand.input_tokens.unwrap_or_else(|| needs.input(estimate.input_tokens));
            (input, needs.output(cap, cap_counts), prior)
        };
        let (input, output) = (input.min(MOST), output.min(MOST));
        let (spend, is_unpriced) =
            prices.map_or((demand.nano_dollars, false), |prices| most_of(&prices, input, output));
        if is_unpriced {
            core.engine.unpriced(now, lane);
        }
        let before = before(tried);
        let mut ask = Ask {
            lane,
            operation: core.engine.operation(operation),
            // If nothing is known of the request, any key may serve it.
            generates: operation.generates() || *operation == Operation::UNKNOWN,
            budget: core.engine.budget(now, demand.tag.as_deref()),
            is_unpriced,
            tenant: core.engine.tenant(demand.tenant.as_deref()),
            tag: demand.tag.clone(),
            bond: kin.and_then(|kin| core.engine.bond(now, kin)),
            cost: Cost { input, output, spend: spend.min(MOST) },
            prior,
            rank: rank(if before.is_suspect { now } else { since }, demand.priority),
            deadline,
            answer_by: demand.deadline.map(|deadline| clock.time(deadline)),
            excluded: Vec::new(),
            refused_by: Vec::new(),
            before,
            among: among(match &demand.pinned {
                None => Among::All,
                Some(id) => core.engine.find_key(id).map_or(Among::None, Among::One),
            }),
        };
        // As far as it is known now. It may be earlier when more answers have been seen.
        ask.deadline = core.engine.latest_start(&ask);
        let is_patient = wanted.may_wait && !core.engine.is_shadow();
        if let Some(bond) = ask.bond.as_mut().filter(|_| is_patient) {
            bond.patient_until = since.after(self.affinity.patience).min(ask.deadline);
        }
        exclude(&core.engine, &mut ask, demand.excluded.iter());
        if !tried.is_empty() {
            leave_out(&core.engine, now, &mut ask, tried);
        }
        ask
    }
}

/// The maximum cost of these tokens, except for cache writes for an hour; and whether the cost is unknown.
fn most_of(prices: &ModelPrices, input: u64, output: u64) -> (u64, bool) {
    let plain = Usage::tokens(input, output);
    let cached = Usage { input: 0, cache_write: input, ..plain };
    let [plain, cached] = [plain, cached].map(|usage| prices.charge(&usage, Tariff::Standard));
    (plain.nano_dollars.max(cached.nano_dollars), plain.unpriced_tokens > 0)
}

/// Whether it was refused for its rate, without a time to wait.
fn is_unhinted(attempt: &&Attempt) -> bool {
    matches!(attempt.verdict, Verdict::RateLimited { retry_after: None })
}

/// How a request was refused before.
fn before(tried: &[Attempt]) -> Before {
    let any = |is: fn(&Verdict) -> bool| tried.iter().any(|attempt| is(&attempt.verdict));
    Before {
        is_suspect: tried.iter().filter(is_unhinted).count() >= SUSPECT,
        is_limited: any(|verdict| matches!(verdict, Verdict::RateLimited { .. })),
        is_too_large: any(|verdict| matches!(verdict, Verdict::TooLarge { .. })),
    }
}

/// Excludes the keys that were tried, as long as there are others.
fn leave_out(engine: &Engine, now: Time, ask: &mut Ask, tried: &[Attempt]) {
    let limited = tried.iter().filter(is_unhinted).filter_map(|attempt| attempt.account.as_deref());
    for account in limited.filter_map(|name| engine.find_account(name)) {
        if !ask.refused_by.contains(&account) {
            ask.refused_by.push(account);
        }
    }
    let by_caller = ask.excluded.clone();
    exclude(engine, ask, tried.iter().filter_map(|attempt| attempt.key.as_ref()));
    // When every key was tried, those that may be good again are tried once more.
    if engine.is_tried_out(ask) {
        ask.excluded = by_caller;
        return;
    }
    // A failure may be over by now, and a rest is not. So a key that only failed is tried before a key that
    // rests.
    if !engine.has_key_by(now, ask) {
        ask.excluded = by_caller;
        let others = tried.iter().filter(|attempt| attempt.verdict != Verdict::Transient);
        exclude(engine, ask, others.filter_map(|attempt| attempt.key.as_ref()));
    }
    // Keys of one account do not prove anything about each other, because the whole account may be closed.
    let accused = tried.iter().filter(|attempt| attempt.verdict.needs_contrast());
    let accused = accused.filter_map(|attempt| attempt.account.as_deref());
    let without_accounts = ask.excluded.len();
    for account in accused.filter_map(|name| engine.find_account(name)) {
        engine.exclude_account(ask, account);
    }
    if ask.excluded.len() > without_accounts && !engine.is_served_in_time(now, ask) {
        ask.excluded.truncate(without_accounts);
    }
}

pub(in crate::pool) fn exclude<'a>(
    engine: &Engine,
    ask: &mut Ask,
    keys: impl Iterator<Item = &'a KeyId>,
) {
    for key in keys.filter_map(|id| engine.find_key(id)) {
        if !ask.excluded.contains(&key) {
            ask.excluded.push(key);
        }
    }
}

/// The demand of a request, before it is turned into the engine's terms.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) demand: &'a Demand,
    /// Its operation.
    pub(crate) operation: Operation<'a>,
    pub(crate) estimate: &'a Estimate<'a>,
    /// What relates it to earlier requests.
    pub(crate) kin: Option<&'a Kin>,
    /// Whether it may wait in the queue.
    pub(crate) may_wait: bool,
    /// The attempts so far.
    pub(crate) tried: &'a [Attempt],
    /// When it first asked for a key.
    pub(crate) since: Instant,
    pub(crate) now: Instant,
}

impl Wanted<'_> {
    /// Its model. The demand of the caller takes precedence over what was read from the request.
    fn model(&self) -> Option<&str> {
        self.demand.model.as_deref().or(self.estimate.model.as_deref())
    }
}
