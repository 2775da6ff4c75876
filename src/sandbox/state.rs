//! What all clones of a sandbox share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::sandbox::{
    cache::Cache, clock::Clock, directory::Directory, faults::ActiveFaults, limits::AccountLimits,
    prompt::CountTokens, route::Dialect, script::Script, stats::Recorder,
};

/// The setup, which never changes, and the state behind its lock.
pub(super) struct Shared {
    pub(super) dialect: Dialect,
    pub(super) script: Script,
    /// The models that exist. If there are none, every model exists.
    pub(super) models: Arc<[Arc<str>]>,
    pub(super) directory: Directory,
    pub(super) clock: Clock,
    /// Whether responses say nothing of limits.
    pub(super) hides_limits: bool,
    /// How the tokens of prompts are counted; none counts bytes.
    pub(super) count_tokens: Option<CountTokens>,
    pub(super) state: Mutex<State>,
}

/// What changes with each request.
pub(super) struct State {
    /// One for each account.
    pub(super) limits: Vec<AccountLimits>,
    /// One for each account.
    pub(super) caches: Vec<Cache>,
    pub(super) faults: ActiveFaults,
    pub(super) recorder: Recorder,
    pub(super) rng: fastrand::Rng,
}

impl Shared {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the next connection is refused. If so, this counts the refusal.
    pub(super) fn refuses_connection(&self) -> bool {
        let mut state = self.state();
        let refused = state.faults.connections.take().is_some();
        state.recorder.refused_connections += u64::from(refused);
        refused
    }

    pub(super) fn has_model(&self, model: &str) -> bool {
        self.models.is_empty() || self.models.iter().any(|known| &**known == model)
    }
}

impl State {
    pub(super) fn new(directory: &Directory, limits: Vec<AccountLimits>, seed: u64) -> Self {
        Self {
            limits,
            caches: directory.accounts.iter().map(|_| Cache::default()).collect(),
            faults: ActiveFaults::default(),
            recorder: Recorder::new(directory),
            rng: fastrand::Rng::with_seed(seed),
        }
    }
}
