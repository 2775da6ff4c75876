//! The pool: accounts, keys and the line in front of them, shared by everything that sends.
//!
//! This is the only room with locks and waiting in it: one short mutex around the engine, a waker
//! for each who waits, and a clock. A pool can be used without Tower; `acquire`, `apply`, `observe`
//! and the lease's end are all there is to a request:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tower_key_rotation::{Account, ApiKey, Demand, KeyPool, Limit, OpenAi, Verdict};
//!
//! let pool = KeyPool::builder(OpenAi::default())
//!     .account(
//!         Account::new("org-a")
//!             .limit(Limit::requests(500).per_minute())
//!             .key(ApiKey::new("sk-not-a-real-key").id("a1")),
//!     )
//!     .build()?;
//!
//! let mut lease = pool.acquire(&Demand::new().model("gpt-4o")).await?;
//! let mut request = http::Request::post("https://api.openai.com/v1/responses").body(())?;
//! lease.apply(&mut request)?;
//! // Send the request with any client, and show the lease what came back.
//! let response = http::Response::new(());
//! let ruling = lease.observe(response.status(), response.headers(), b"");
//! assert_eq!(ruling.verdict, Verdict::Accepted);
//! drop(lease); // once the answer's body has ended
//! # Ok(())
//! # }
//! ```

mod acquire;
mod builder;
mod change;
mod changes;
mod clock;
mod credentials;
mod declared;
mod diff;
mod drained;
mod effect;
mod events;
#[cfg(feature = "balance")]
mod gate;
#[cfg(feature = "balance")]
mod gates;
mod key_set;
mod lease;
mod saved;
mod settle;
mod shared;
mod watch;

use std::{sync::Arc, time::Duration};

use http::{HeaderMap, Request, Uri};
use tokio::time::Instant;

pub use acquire::Acquire;
pub use builder::KeyPoolBuilder;
pub use change::Prepared;
pub use changes::Changes;
pub use drained::Drained;
pub use events::{EventError, Events};
#[cfg(feature = "balance")]
pub(crate) use gate::{KeyGate, News};
pub use key_set::{KeyEndpointInfo, KeySet};
pub use lease::{ForeignOrigin, Lease};

use crate::{
    Attempt, Demand, Estimate, Exhausted, KeyId, Snapshot, Usage,
    affinity::Kin,
    engine::{Among, Ask, Cost, Engine, Prior, Time, rank},
    provider::{self, Answer, Call, Provider, Ruling},
    usage::Tariff,
};
use shared::{Core, Shared};

/// The part of `max_wait` that an attempt after the first may wait in any case.
const GRACE: u32 = 10;

/// Tokens, or nano-dollars, that one request can ask for at most: a thousand dollars, far below
/// overflow.
const MOST: u64 = 1 << 40;

/// A set of accounts and keys, and the line in front of them. Clones share one pool.
#[derive(Clone, Debug)]
pub struct KeyPool {
    shared: Arc<Shared>,
}

impl KeyPool {
    /// Begins a pool of keys for one provider.
    pub fn builder(provider: impl Provider) -> KeyPoolBuilder {
        KeyPoolBuilder::new(Arc::new(provider))
    }

    /// The pool's name: the provider's, unless another was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The dialect its keys are spoken with.
    #[must_use]
    pub fn provider(&self) -> &dyn Provider {
        &*self.shared.provider
    }

    /// Whether keys of this pool may be sent to a URI.
    #[must_use]
    pub fn covers(&self, uri: &Uri) -> bool {
        self.shared.origin.covers(uri)
    }

    /// A lease at once.
    ///
    /// # Errors
    /// [`Exhausted`] if nobody has room, or others wait already. It says when to come back.
    pub fn try_acquire(&self, demand: &Demand) -> Result<Lease, Exhausted> {
        let now = Instant::now();
        let since = demand.since.map_or(now, |since| since.min(now));
        let estimate = &Estimate::default();
        let kin = self.kin(demand, None, estimate);
        let kin = kin.as_ref();
        let wanted = Wanted { demand, estimate, kin, may_wait: false, tried: &[], since, now };
        self.lease_or_ask(&wanted)
            .map_err(|ask| self.shared.with(|core, now| core.engine.turned_away(now, &ask)))
    }

    /// A lease as soon as an account has room, first come, first served.
    ///
    /// It waits no longer than the pool's `max_wait` and the demand's deadline, and not at all if it
    /// is already known that this would be too long.
    ///
    /// # Errors
    /// [`Exhausted`] if no account has room in time. It says when to come back.
    ///
    /// # Cancel safety
    /// The future may be dropped at any point: its place in the line goes to the next, and what was
    /// reserved for it is free again.
    pub fn acquire(&self, demand: &Demand) -> Acquire {
        let now = Instant::now();
        let since = demand.since.map_or(now, |since| since.min(now));
        let estimate = &Estimate::default();
        let kin = self.kin(demand, None, estimate);
        let kin = kin.as_ref();
        let wanted = Wanted { demand, estimate, kin, may_wait: true, tried: &[], since, now };
        let ask = self.shared.with(|core, now| Box::new(self.ask(core, now, &wanted)));
        self.line_up(ask)
    }

    /// What a refusal says: by the pool's own rules, and else by the provider's. It changes nothing.
    #[must_use]
    pub fn classify(&self, answer: &Answer<'_>) -> Ruling {
        self.shared.classify(answer)
    }

    /// The state of the pool at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let name = Arc::clone(&self.shared.name);
        self.shared.with(|core, now| core.engine.snapshot(now, name))
    }

    /// What happens in the pool from now on: a bounded subscription.
    #[must_use]
    pub fn events(&self) -> Events {
        Events::new(self.shared.events.subscribe())
    }

    /// Its keys at this moment, dead ones included, and where each is sent. The first call makes the list,
    /// which takes time by the number of keys; from then on it is at hand.
    #[must_use]
    pub fn key_set(&self) -> Arc<KeySet> {
        self.shared.key_set()
    }

    /// How many keys it has, dead ones included.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.shared.with(|core, _| core.engine.total_keys())
    }

    /// A limit has shown itself that is wider than an account: everybody waits a moment.
    #[cfg(feature = "retry")]
    pub(crate) fn brake(&self) {
        self.shared.with(|core, now| core.engine.brake(now, now, None, None));
    }

    /// Whether the account of a key is one whose limits nobody knows.
    #[cfg(feature = "retry")]
    pub(crate) fn is_pacing(&self, key: &KeyId) -> bool {
        self.shared
            .with(|core, _| core.engine.find_key(key).is_some_and(|key| core.engine.is_pacing(key)))
    }

    pub(crate) fn estimate<'a>(&self, call: &Call<'a>) -> Estimate<'a> {
        let Shared { provider, tokenizer, .. } = &*self.shared;
        let mut estimate = provider.estimate(call);
        if let (Some(tokenizer), true) = (tokenizer, provider.facts().reads_bodies) {
            let model = estimate.model.as_deref();
            let count = |text: &str| tokenizer.count(model, text);
            let counted = provider::count(call.body, provider.facts().tokens, count);
            estimate.input_tokens = counted.unwrap_or(estimate.input_tokens);
        }
        estimate
    }

    /// By what a request is kin to earlier ones: what its caller says goes before what is read from it.
    pub(crate) fn kin(
        &self,
        demand: &Demand,
        call: Option<&Call<'_>>,
        estimate: &Estimate<'_>,
    ) -> Option<Kin> {
        let Shared { affinity, hash_keys, provider, .. } = &*self.shared;
        if let Some(name) = &demand.affinity {
            return Some(Kin::named(hash_keys, name.as_bytes()));
        }
        let call = call.filter(|_| affinity.prompts)?;
        let model = demand.model.as_deref().or(estimate.model.as_deref());
        provider.facts().kin(hash_keys, call, model)
    }

    /// Removes every header that may hold a key.
    pub(crate) fn strip_headers(&self, headers: &mut HeaderMap) {
        self.shared.carriers.strip_headers(headers);
    }

    /// Removes every credential from a request.
    pub(crate) fn strip<B>(&self, request: &mut Request<B>) {
        self.shared.carriers.strip(request);
    }

    /// A lease at once, or else what to wait in line for.
    pub(crate) fn lease_or_ask(&self, wanted: &Wanted<'_>) -> Result<Lease, Box<Ask>> {
        let granted = self.shared.with_at(wanted.now, |core, now| {
            let ask = self.ask(core, now, wanted);
            core.admit(now, &ask).ok_or_else(|| Box::new(ask))
        })?;
        Ok(Lease::new(Arc::clone(&self.shared), granted, Duration::ZERO))
    }

    /// Waits in line.
    pub(crate) fn line_up(&self, ask: Box<Ask>) -> Acquire {
        Acquire::new(Arc::clone(&self.shared), ask)
    }

    /// Puts together what a request wants: what its caller says goes before what was read from it.
    fn ask(&self, core: &mut Core, now: Time, wanted: &Wanted<'_>) -> Ask {
        self.ask_among(core, now, wanted, |among| among)
    }

    /// The same among fewer keys.
    fn ask_among(
        &self,
        core: &mut Core,
        now: Time,
        wanted: &Wanted<'_>,
        among: impl FnOnce(Among) -> Among,
    ) -> Ask {
        let Wanted { demand, estimate, kin, tried, since, .. } = wanted;
        let Shared { clock, max_wait, provider, .. } = &*self.shared;
        let since = clock.time(*since);
        let model = demand.model.as_deref().or(estimate.model.as_deref());
        let lane = core.engine.lane(now, model);
        let mut deadline = since.after(*max_wait);
        if !tried.is_empty() {
            // It is among the first in line, and has waited: it is not turned away for a moment.
            deadline = deadline.max(now.after(*max_wait / GRACE));
        }
        let needs = core.engine.needs(lane);
        let cap = demand.output_tokens.or(Some(estimate.output_tokens).filter(|cap| *cap > 0));
        let cap_counts = cap.is_some() && !provider.gives_back();
        let input = demand.input_tokens.is_none().then_some(estimate.input_tokens);
        let prior = Prior { input, cap_counts };
        let input = demand.input_tokens.unwrap_or_else(|| needs.input(estimate.input_tokens));
        let output = needs.output(cap, cap_counts);
        let (input, output) = (input.min(MOST), output.min(MOST));
        let (spend, is_unpriced) = match demand.nano_dollars {
            0 if core.engine.limits_spending() => self.price(model, input, output),
            told => (told, false),
        };
        if is_unpriced {
            core.engine.unpriced(lane);
        }
        let mut ask = Ask {
            lane,
            budget: core.engine.budget(now, demand.tag.as_deref()),
            is_unpriced,
            tenant: core.engine.tenant(demand.tenant.as_deref()),
            tag: demand.tag.clone(),
            bond: kin.and_then(|kin| core.engine.bond(now, kin)),
            cost: Cost { input, output, spend: spend.min(MOST) },
            prior,
            rank: rank(since, demand.priority),
            deadline,
            answer_by: demand.deadline.map(|deadline| clock.time(deadline)),
            excluded: Vec::new(),
            among: among(match &demand.pinned {
                None => Among::All,
                Some(id) => core.engine.find_key(id).map_or(Among::None, Among::One),
            }),
        };
        // As far as it is known now; it may be earlier once more answers have been seen.
        ask.deadline = core.engine.latest_start(&ask);
        let is_patient = wanted.may_wait && !core.engine.is_shadow();
        if let Some(bond) = ask.bond.as_mut().filter(|_| is_patient) {
            bond.patient_until = since.after(self.shared.affinity.patience).min(ask.deadline);
        }
        exclude(&core.engine, &mut ask, demand.excluded.iter());
        if !tried.is_empty() {
            let by_caller = ask.excluded.clone();
            exclude(
                &core.engine,
                &mut ask,
                tried.iter().filter_map(|attempt| attempt.key.as_ref()),
            );
            // Once every key was tried, those that may be good again are tried anew.
            if core.engine.is_keyless(&ask) {
                ask.excluded = by_caller;
            }
        }
        ask
    }

    /// What so many tokens cost at most, unless a cache keeps them for an hour; and whether nobody knows.
    fn price(&self, model: Option<&str>, input: u64, output: u64) -> (u64, bool) {
        let Shared { prices, provider, .. } = &*self.shared;
        let (dialect, model) = (&provider.facts().name, model.unwrap_or_default());
        let plain = Usage::tokens(input, output);
        let cached = Usage { input: 0, cache_write: input, ..plain };
        let [plain, cached] =
            [plain, cached].map(|usage| prices.charge(dialect, model, &usage, Tariff::Standard));
        let most = plain.nano_dollars.max(cached.nano_dollars);
        (most, plain.unpriced_tokens > 0)
    }
}

fn exclude<'a>(engine: &Engine, ask: &mut Ask, keys: impl Iterator<Item = &'a KeyId>) {
    for key in keys.filter_map(|id| engine.find_key(id)) {
        if !ask.excluded.contains(&key) {
            ask.excluded.push(key);
        }
    }
}

/// What a request wants, before it is put into the engine's terms.
#[derive(Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) demand: &'a Demand,
    pub(crate) estimate: &'a Estimate<'a>,
    /// By what it is kin to earlier ones.
    pub(crate) kin: Option<&'a Kin>,
    /// Whether it may stand in line.
    pub(crate) may_wait: bool,
    /// What was tried for it already.
    pub(crate) tried: &'a [Attempt],
    /// When it first asked.
    pub(crate) since: Instant,
    pub(crate) now: Instant,
}
