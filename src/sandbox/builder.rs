//! Builds a sandbox: its accounts and limits, its models, and how it answers.

use std::{
    fmt,
    sync::{Arc, Mutex},
};

use crate::{
    Limit,
    sandbox::{
        clock::Clock,
        directory::Directory,
        limits::{AccountLimits, LimitAlgorithm},
        prompt::CountTokens,
        route::Dialect,
        script::Script,
        service::Sandbox,
        state::{Shared, State},
    },
};

impl Sandbox {
    /// Starts to build a sandbox that imitates this provider. It has no accounts yet.
    pub fn builder(dialect: Dialect) -> SandboxBuilder {
        SandboxBuilder {
            dialect,
            limit_algorithm: LimitAlgorithm::default(),
            hides_limits: false,
            script: Script::default(),
            seed: 0,
            models: Vec::new(),
            directory: Directory::default(),
            limits: Vec::new(),
            count_tokens: None,
        }
    }
}

/// Builds a [`Sandbox`]; made by [`Sandbox::builder`].
#[must_use]
pub struct SandboxBuilder {
    dialect: Dialect,
    limit_algorithm: LimitAlgorithm,
    hides_limits: bool,
    script: Script,
    seed: u64,
    models: Vec<Arc<str>>,
    directory: Directory,
    limits: Vec<Vec<Limit>>,
    count_tokens: Option<CountTokens>,
}

impl SandboxBuilder {
    /// Adds an account: its name, the limits that its keys share, and the secrets of its keys.
    ///
    /// A second call with the same name adds limits and secrets to the same account. A secret belongs
    /// to the account that named it first. A limit whose amount is 0 refuses every request.
    pub fn account(
        mut self,
        name: impl AsRef<str>,
        limits: impl IntoIterator<Item = Limit>,
        secrets: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let account = self.directory.add(name.as_ref(), secrets.into_iter().map(Into::into));
        self.limits.resize_with(self.directory.accounts.len(), Vec::new);
        if let Some(of_account) = self.limits.get_mut(account) {
            of_account.extend(limits);
        }
        self
    }

    /// How limits per time are enforced; [`LimitAlgorithm::TokenBucket`] by default.
    pub fn limit_algorithm(mut self, algorithm: LimitAlgorithm) -> Self {
        self.limit_algorithm = algorithm;
        self
    }

    /// Responses say nothing of limits: neither what remains, nor how long to wait after a refusal. By
    /// default they say both.
    pub fn hide_limits(mut self) -> Self {
        self.hides_limits = true;
        self
    }

    /// How answers look; 12 tokens without delay by default.
    pub fn answer(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// How many tokens a text of a prompt has; by default one token for each four bytes of the whole
    /// prompt. Use it to imitate languages or models for which that estimate is wrong.
    pub fn count_tokens(mut self, tokens: impl Fn(&str) -> u64 + Send + Sync + 'static) -> Self {
        self.count_tokens = Some(Arc::new(tokens));
        self
    }

    /// The models that exist; every model by default. Requests for others get a 404.
    pub fn models(mut self, models: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.models = models.into_iter().map(|model| Arc::from(model.as_ref())).collect();
        self
    }

    /// The seed of all randomness (latencies, ids); 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Builds the sandbox. Its clock starts now.
    #[must_use]
    pub fn build(self) -> Sandbox {
        let of_account = |limits| AccountLimits::new(limits, self.limit_algorithm);
        let limits = self.limits.into_iter().map(of_account).collect();
        let state = State::new(&self.directory, limits, self.seed);
        Sandbox::new(Shared {
            dialect: self.dialect,
            script: self.script,
            models: self.models.into(),
            directory: self.directory,
            clock: Clock::start(),
            hides_limits: self.hides_limits,
            count_tokens: self.count_tokens,
            state: Mutex::new(state),
        })
    }
}

impl fmt::Debug for SandboxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxBuilder")
            .field("dialect", &self.dialect)
            .field("limit_algorithm", &self.limit_algorithm)
            .field("hides_limits", &self.hides_limits)
            .field("script", &self.script)
            .field("seed", &self.seed)
            .field("models", &self.models)
            .field("directory", &self.directory)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
