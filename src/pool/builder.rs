//! Declares a pool, and checks the whole declaration at once.

use std::{
    hash::RandomState,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use tokio::sync::{broadcast, watch};

use crate::{
    Account, BuildError, Limit,
    affinity::Affinity,
    endpoint::Endpoint,
    engine::{Engine, Saved, Setup},
    pool::{
        clock::Clock,
        core::Core,
        credentials::Carriers,
        key_pool::KeyPool,
        roster::{declared::Declared, diff::Plan, key_set::Latest},
        shared::Shared,
    },
    provider::{Provider, Rule, Tokenizer},
    strategy::Strategy,
    usage::{Prices, UsageSink},
};

const KEPT_EVENTS: usize = 256;

/// A builder of a [`KeyPool`].
#[derive(Debug)]
#[must_use]
pub struct KeyPoolBuilder {
    provider: Arc<dyn Provider>,
    name: Option<String>,
    origin: Option<String>,
    accounts: Vec<Account>,
    rules: Vec<Rule>,
    max_wait: Duration,
    setup: Setup,
    seed: Option<u64>,
    sink: Option<Arc<dyn UsageSink>>,
    prices: Prices,
    saved: Option<Saved>,
    tokenizer: Option<Arc<dyn Tokenizer>>,
}

impl KeyPool {
    /// Starts the declaration of a pool of keys for one provider.
    pub fn builder(provider: impl Provider) -> KeyPoolBuilder {
        KeyPoolBuilder::new(Arc::new(provider))
    }
}

impl KeyPoolBuilder {
    fn new(provider: Arc<dyn Provider>) -> Self {
        Self {
            provider,
            name: None,
            origin: None,
            accounts: Vec::new(),
            rules: Vec::new(),
            max_wait: Duration::from_secs(30),
            setup: Setup::new(0, jiff::Timestamp::UNIX_EPOCH),
            seed: None,
            sink: None,
            prices: Prices::builtin(),
            saved: None,
            tokenizer: None,
        }
    }

    /// Sets the name of the pool in events and snapshots; the name of the provider by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the only origin that keys are sent to, such as `https://api.example.com:8443`; the provider's by
    /// default. Plain http is allowed for loopback addresses only. An invalid origin is a [`BuildError`].
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Adds an account with its limits and keys.
    pub fn account(mut self, account: Account) -> Self {
        self.accounts.push(account);
        self
    }

    /// Adds accounts, for instance those of a [source](crate::source).
    pub fn accounts(mut self, accounts: impl IntoIterator<Item = Account>) -> Self {
        self.accounts.extend(accounts);
        self
    }

    /// Adds a key that is its own account, without limits. The account is named after the key's id.
    pub fn key(self, key: crate::ApiKey) -> Self {
        let name = match &key.id {
            Some(id) => id.to_string(),
            None => format!("account-{}", self.accounts.len() + 1),
        };
        let weight = key.weight;
        self.account(Account::new(name).weight(weight).key(key))
    }

    /// Adds a rule of your own for reading refusals. These rules are checked before those of the dialect, in
    /// the order in which they are added. The first one that matches counts.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Sets how long a request may wait in the queue, over all its attempts; 30 s by default. With zero no
    /// request waits. An attempt after the first may wait a tenth of this time in any case.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// Sets how many requests may wait in the queue; 1,000 by default. A further request is refused at once
    /// ([`Reason::LineFull`](crate::pool::Reason::LineFull)).
    pub fn max_queued(mut self, requests: usize) -> Self {
        self.setup.max_queued = requests;
        self
    }

    /// Sets the strategy that chooses among the accounts with room; [`Headroom`](crate::strategy::Headroom)
    /// by default.
    pub fn strategy(mut self, strategy: impl Strategy) -> Self {
        self.setup.strategy = Arc::new(strategy);
        self
    }

    /// Sets whether requests of one conversation stay on one account; on by default.
    pub fn affinity(mut self, affinity: Affinity) -> Self {
        self.setup.affinity = affinity;
        self
    }

    /// Sets the weight of a tenant ([`Demand::tenant`](crate::Demand::tenant)) in the weighted fair queueing
    /// of waiting requests; 1 by default, at least 1.
    pub fn tenant(mut self, name: impl AsRef<str>, weight: u32) -> Self {
        self.setup.tenants.insert(Arc::from(name.as_ref()), weight);
        self
    }

    /// Sets whether the pool learns limits that were not declared; on by default.
    ///
    /// The pool keeps to a limit that the provider reports in headers, as to a declared one. If a reported
    /// limit is lower than the declared one for the same period, the reported one counts, and an event says
    /// so. If the provider reports nothing, an account without limits starts with
    /// [`initial_concurrency`](Self::initial_concurrency) requests at once, and gets one more for each
    /// accepted request. The rate that it accepted between two refusals becomes its pace: then the pool sends
    /// a little less, and slowly more as long as no request is refused (AIMD).
    pub fn learn_limits(mut self, learn: bool) -> Self {
        self.setup.learns = learn;
        self
    }

    /// Sets how many requests at once an account without known limits gets at first, for each model; 16 by
    /// default, at least 1.
    pub fn initial_concurrency(mut self, requests: u64) -> Self {
        self.setup.initial_concurrency = requests;
        self
    }

    /// Sets the longest time that a key, account or model rests, even if the provider says to wait longer; a
    /// day by default.
    pub fn max_cooldown(mut self, longest: Duration) -> Self {
        self.setup.max_cooldown = longest;
        self
    }

    /// Sets a dry run; off by default. No request waits or is refused because limits leave no room. The pool
    /// counts the requests that it would have held back
    /// ([`Snapshot::dry_run_held_back`](crate::snapshot::Snapshot)) and emits events. So you can try limits
    /// on real traffic. The pool still rotates keys and leaves out dead ones.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.setup.shadow = dry_run;
        self
    }

    /// Sets the seed of the random choice between equal accounts, to make it repeatable. Random by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Sets the receiver of the usage of each request; none by default.
    pub fn usage_sink(mut self, sink: impl UsageSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// Adds a limit to a tag ([`Demand::tag`](crate::Demand::tag)), in addition to the limits of accounts and
    /// keys: any limit, such as `"$50/day fixed"`. A request must be within all limits of its tag.
    ///
    /// It is reserved and settled like the limits of accounts. A request beyond it does not wait in the
    /// queue. It is refused at once ([`Reason::Budget`](crate::pool::Reason::Budget)), with the time until
    /// there is room again.
    pub fn budget(mut self, tag: impl AsRef<str>, limit: Limit) -> Self {
        self.setup.budgets.tags.push((Arc::from(tag.as_ref()), limit));
        self
    }

    /// Adds a limit to each tag without a budget of its own; none by default. At most 4,096 tags are counted
    /// at a time. All further tags, and tags longer than 256 bytes, share one budget.
    pub fn tag_budget(mut self, limit: Limit) -> Self {
        self.setup.budgets.usual.push(limit);
        self
    }

    /// Sets whether a request is refused ([`Reason::Unpriced`](crate::pool::Reason::Unpriced)) if spending is
    /// limited and the price of its model is not known. By default it is sent and counts as 0, and the pool
    /// emits an [event](crate::event::Event::Unpriced).
    pub fn refuse_unpriced(mut self, refuse: bool) -> Self {
        self.setup.budgets.refuse_unpriced = refuse;
        self
    }

    /// Sets the prices of tokens; [`Prices::builtin`] by default. Limits on spending use them for the real
    /// usage of a request, unless the provider reports the cost.
    pub fn prices(mut self, prices: &Prices) -> Self {
        self.prices = prices.clone();
        self
    }

    /// Restores what an earlier pool has [saved](KeyPool::save): the use of limits that still counts,
    /// cooldowns that are not over, and dead keys whose secret is the same. Accounts, keys and limits are
    /// found by their names. Those that no longer exist are ignored.
    pub fn restore(mut self, saved: Saved) -> Self {
        self.saved = Some(saved);
        self
    }

    /// Sets the tokenizer for prompts; by default the pool estimates tokens from bytes
    /// ([`ProviderSpec::tokens`](crate::provider::ProviderSpec::tokens)).
    ///
    /// In both cases the pool multiplies the count by a correction for each model: the ratio of reported
    /// tokens to counted tokens in earlier answers, clamped to 0.25-4. A number that a
    /// [`Demand`](crate::Demand::input_tokens) states is not corrected.
    pub fn tokenizer(mut self, tokenizer: impl Tokenizer) -> Self {
        self.tokenizer = Some(Arc::new(tokenizer));
        self
    }

    /// Builds the pool.
    ///
    /// # Errors
    /// [`BuildError`] with all problems at once.
    pub fn build(self) -> Result<KeyPool, BuildError> {
        let mut problems = Vec::new();
        self.check(&mut problems);
        let declared = Declared::check(self.accounts, &*self.provider, &mut problems);
        let origin = self.origin.as_deref().unwrap_or(&self.provider.spec().origin);
        let origin = Endpoint::parse_origin(origin).map_err(|problem| problems.push(problem));
        let (Ok(origin), []) = (origin, problems.as_slice()) else {
            return Err(BuildError::new(problems));
        };
        let clock = Clock::start();
        let seed = self.seed.unwrap_or_else(|| fastrand::Rng::new().u64(..));
        let mut affinity = self.setup.affinity.clone();
        affinity.lifetime.get_or_insert(self.provider.spec().prompt_cache.lifetime);
        let wall = clock.timestamp();
        let setup = Setup { seed, wall, affinity: affinity.clone(), ..self.setup };
        let plan = Plan::of(&declared, wall);
        let mut core = Core::new(Engine::new(setup));
        core.begin(plan);
        let salt = self.saved.as_ref().map_or_else(|| fastrand::Rng::new().u64(..), Saved::salt);
        if let Some(saved) = self.saved {
            let saved = saved.of(core.credentials.iter().flatten());
            core.engine.restore(clock.now(), &saved);
        }
        let name = self.name.as_deref().unwrap_or(&self.provider.spec().name);
        let carriers = Carriers::new(&*self.provider);
        let shared = Shared {
            name: Arc::from(name),
            provider: self.provider,
            rules: self.rules,
            origin,
            carriers,
            max_wait: self.max_wait,
            key_set: watch::Sender::new(Latest::first()),
            declared: Mutex::new(declared),
            affinity,
            hash_keys: RandomState::new(),
            clock,
            events: broadcast::Sender::new(KEPT_EVENTS),
            sink: self.sink,
            prices: self.prices,
            limits_spending: AtomicBool::new(core.engine.limits_spending()),
            usage_refused_until: AtomicU64::new(0),
            salt,
            tokenizer: self.tokenizer,
            core: Mutex::new(core),
        };
        Ok(KeyPool { shared: Arc::new(shared) })
    }

    fn check(&self, problems: &mut Vec<String>) {
        for (name, _) in self.setup.tenants.iter().filter(|(_, weight)| **weight == 0) {
            problems.push(format!(
                "tenant {name:?}: its weight is 0; give at least 1, or leave the tenant out"
            ));
        }
        if self.setup.initial_concurrency == 0 {
            problems.push(
                "initial_concurrency is 0, so an account without limits could never send a request; give at least 1".into(),
            );
        }
        for rule in &self.rules {
            if let Some(problem) = rule.problem() {
                problems.push(format!("rule {:?}: {problem}", rule.name()));
            }
        }
        let tags = self.setup.budgets.tags.iter().map(|(tag, limit)| (format!("{tag:?}"), limit));
        let usual = self.setup.budgets.usual.iter().map(|limit| ("of every tag".to_owned(), limit));
        for (whose, limit) in tags.chain(usual) {
            let what = match limit.model_pattern() {
                Some(_) => Some("a budget counts all models; leave out the pattern"),
                None => limit.problem(),
            };
            if let Some(what) = what {
                problems.push(format!("budget {whose}: limit \"{limit}\": {what}"));
            }
        }
    }
}
