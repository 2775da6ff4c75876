//! Declaring a pool, and checking all of it at once.

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

/// A pool in the making.
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
    /// Declares a pool of keys for one provider.
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

    /// A name for events and snapshots; the provider's by default.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The only origin that keys are sent to, such as `https://api.example.com:8443`; the provider's
    /// by default. Plain http is for loopback addresses only.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Adds an account with its limits and keys.
    pub fn account(mut self, account: Account) -> Self {
        self.accounts.push(account);
        self
    }

    /// Adds accounts: those of a [source](crate::source), say.
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

    /// A rule of one's own for what a refusal says. Rules go before those of the dialect, in the order
    /// in which they are added: the first that matches counts.
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// How long a request may wait in line, over all its attempts; 30 s by default. Zero never waits.
    /// An attempt after the first may wait a tenth of it in any case.
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// How many requests may wait in line; 1,000 by default.
    pub fn max_queued(mut self, requests: usize) -> Self {
        self.setup.max_queued = requests;
        self
    }

    /// Which of the accounts with room a request is sent with; [`Headroom`](crate::strategy::Headroom) by
    /// default.
    pub fn strategy(mut self, strategy: impl Strategy) -> Self {
        self.setup.strategy = Arc::new(strategy);
        self
    }

    /// Whether requests that begin alike stay on one account; they do by default.
    pub fn affinity(mut self, affinity: Affinity) -> Self {
        self.setup.affinity = affinity;
        self
    }

    /// How much a tenant ([`Demand::tenant`](crate::Demand::tenant)) is served beside the others while
    /// requests wait in line; 1 by default.
    pub fn tenant(mut self, name: impl AsRef<str>, weight: u32) -> Self {
        self.setup.tenants.insert(Arc::from(name.as_ref()), weight);
        self
    }

    /// Whether limits are learnt that were not declared; they are by default.
    ///
    /// A limit that the provider tells in headers is kept like a declared one; a lower one than was
    /// declared for the same time is believed, and told as an event. Where nothing is told, an account
    /// without limits begins with [`initial_concurrency`](Self::initial_concurrency) requests at once, and one more for each that
    /// is accepted. What it has accepted between two refusals is its pace; a little less is sent from
    /// then on, and slowly more while nothing is refused.
    pub fn learn_limits(mut self, learn: bool) -> Self {
        self.setup.learns = learn;
        self
    }

    /// How many requests at once, for each model, an account gets to begin with, of which no limit is
    /// known; 16 by default.
    pub fn initial_concurrency(mut self, requests: u64) -> Self {
        self.setup.initial_concurrency = requests;
        self
    }

    /// However long a provider says to wait, nothing is out of use for longer; a day by default.
    pub fn max_cooldown(mut self, longest: Duration) -> Self {
        self.setup.max_cooldown = longest;
        self
    }

    /// Shadow mode: nothing is held back or refused for want of room, and what would have been is
    /// counted ([`Snapshot::dry_run_held_back`](crate::snapshot::Snapshot)) and told as an event. To try limits on
    /// real traffic before they are kept. Keys are rotated, and dead ones left out, as ever.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.setup.shadow = dry_run;
        self
    }

    /// Makes the choice among equals repeatable. Random by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Whom to tell what each request used; nobody by default.
    pub fn usage_sink(mut self, sink: impl UsageSink) -> Self {
        self.sink = Some(Arc::new(sink));
        self
    }

    /// What may be spent under a tag ([`Demand::tag`](crate::Demand::tag)), beside the limits of accounts
    /// and keys: any limit, such as `"$50/day fixed"`. All limits of a tag hold together.
    ///
    /// It is reserved and settled as they are. A request beyond it is refused at once
    /// ([`Reason::Budget`](crate::pool::Reason::Budget)) with the time at which there is room again: nobody
    /// waits in line for money.
    pub fn budget(mut self, tag: impl AsRef<str>, limit: Limit) -> Self {
        self.setup.budgets.tags.push((Arc::from(tag.as_ref()), limit));
        self
    }

    /// The same for each tag that has no budget of its own; none by default. Of more than 4,096 tags at
    /// a time, and of those longer than 256 bytes, all others share one.
    pub fn tag_budget(mut self, limit: Limit) -> Self {
        self.setup.budgets.usual.push(limit);
        self
    }

    /// Whether a request is refused ([`Reason::Unpriced`](crate::pool::Reason::Unpriced)) if spending is limited
    /// and nobody knows what its model costs. By default it is sent, counts as nothing, and is told as
    /// an [event](crate::event::Event::Unpriced).
    pub fn refuse_unpriced(mut self, refuse: bool) -> Self {
        self.setup.budgets.refuse_unpriced = refuse;
        self
    }

    /// What tokens cost; [`Prices::builtin`] by default. Limits on spending count by it what a request has
    /// really used, where the provider does not say.
    pub fn prices(mut self, prices: &Prices) -> Self {
        self.prices = prices.clone();
        self
    }

    /// Takes up what an earlier pool had [saved](KeyPool::save): what is spent of limits, for as long as it
    /// counts, cooldowns that are not over, and dead keys whose secret is the same. Accounts, keys and limits
    /// are known by their names, and what there is no longer is passed over.
    pub fn restore(mut self, saved: Saved) -> Self {
        self.saved = Some(saved);
        self
    }

    /// Who counts the tokens of prompts; by default they are estimated from their bytes
    /// ([`ProviderSpec::tokens`](crate::provider::ProviderSpec::tokens)).
    ///
    /// Either way the count is corrected by what answers tell: the ratio of what prompts of a model really
    /// had to what they were taken for, between a quarter and four. What a
    /// [`Demand`](crate::Demand::input_tokens) says stays as it is.
    pub fn tokenizer(mut self, tokenizer: impl Tokenizer) -> Self {
        self.tokenizer = Some(Arc::new(tokenizer));
        self
    }

    /// Builds the pool.
    ///
    /// # Errors
    /// [`BuildError`] with everything that is wrong, at once.
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
            problems.push(format!("tenant {name:?}: its weight is 0: leave it out instead"));
        }
        if self.setup.initial_concurrency == 0 {
            problems.push(
                "initial_concurrency: 0 requests at once can never begin: give at least 1".into(),
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
                Some(_) => Some("a budget counts every model: leave out the pattern"),
                None => limit.problem(),
            };
            if let Some(what) = what {
                problems.push(format!("budget {whose}: limit \"{limit}\": {what}"));
            }
        }
    }
}
