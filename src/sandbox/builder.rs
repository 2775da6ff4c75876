//! Furnishing a sandbox.

use std::{fmt, sync::Arc};

use crate::{
    Limit,
    sandbox::{
        Dialect, Sandbox, Script, limits::Meters, request::Count, state::Directory, state::Shared,
    },
};

/// How the sandbox enforces a limit per time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Window {
    /// A token bucket: it holds [`Limit::burst_amount`] and refills all the time.
    ///
    /// A demand above a default burst, up to [`Limit::largest_demand`], is admitted when the bucket
    /// is full, and leaves it in debt.
    #[default]
    Bucket,
    /// The whole amount in each fixed window of the limit's period, counted from the start of the
    /// sandbox. Bursts do not matter.
    Fixed,
}

/// A [`Sandbox`] that is being furnished.
#[must_use]
pub struct SandboxBuilder {
    dialect: Dialect,
    window: Window,
    silent: bool,
    script: Script,
    seed: u64,
    models: Vec<Arc<str>>,
    directory: Directory,
    limits: Vec<Vec<Limit>>,
    count: Option<Count>,
}

impl SandboxBuilder {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            window: Window::default(),
            silent: false,
            script: Script::default(),
            seed: 0,
            models: Vec::new(),
            directory: Directory::default(),
            limits: Vec::new(),
            count: None,
        }
    }

    /// An account by its name, with the limits that its secrets share.
    ///
    /// Named a second time, an account gets the further limits and secrets too. A secret belongs to
    /// the account that named it first. A limit whose amount is 0 refuses everything.
    pub fn account(
        mut self,
        name: impl AsRef<str>,
        limits: impl IntoIterator<Item = Limit>,
        secrets: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let account = self.directory.enter(name.as_ref(), secrets.into_iter().map(Into::into));
        self.limits.resize_with(self.directory.accounts.len(), Vec::new);
        if let Some(of_account) = self.limits.get_mut(account) {
            of_account.extend(limits);
        }
        self
    }

    /// How limits per time are enforced; [`Window::Bucket`] by default.
    pub fn window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// Nothing is told of limits: not what is left, and not when to come back after a refusal.
    pub fn silent(mut self) -> Self {
        self.silent = true;
        self
    }

    /// How answers look; 12 tokens without delay by default.
    pub fn answer(mut self, script: Script) -> Self {
        self.script = script;
        self
    }

    /// How many tokens a text of a prompt has; a token for each four bytes of the whole prompt by default.
    /// For languages, and models, that estimates are wrong for.
    pub fn count(mut self, tokens: impl Fn(&str) -> u64 + Send + Sync + 'static) -> Self {
        self.count = Some(Arc::new(tokens));
        self
    }

    /// The models there are; any by default. Others are not found.
    pub fn models(mut self, models: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        self.models = models.into_iter().map(|model| Arc::from(model.as_ref())).collect();
        self
    }

    /// Where randomness (latencies, ids) starts from; 0 by default.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The sandbox. Its clock starts now.
    #[must_use]
    pub fn build(self) -> Sandbox {
        let meters = self.limits.into_iter().map(|limits| Meters::new(limits, self.window));
        let meters = meters.collect();
        let mut shared = Shared::new(
            self.dialect,
            self.script,
            self.models.into(),
            self.directory,
            meters,
            self.seed,
            self.silent,
        );
        shared.count = self.count;
        Sandbox { shared: Arc::new(shared) }
    }
}

impl fmt::Debug for SandboxBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxBuilder")
            .field("dialect", &self.dialect)
            .field("window", &self.window)
            .field("silent", &self.silent)
            .field("script", &self.script)
            .field("seed", &self.seed)
            .field("models", &self.models)
            .field("directory", &self.directory)
            .field("limits", &self.limits)
            .finish()
    }
}
