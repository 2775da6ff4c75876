//! The saved state of a pool: that of the engine, and fingerprints of secrets.

use std::sync::Arc;

use crate::{
    engine::Saved,
    pool::{credentials::Credential, key_pool::KeyPool},
};

impl KeyPool {
    /// The state that must survive the end of the process; see [`Saved`]. It visits all accounts and models,
    /// so do not call it more than about once a second.
    #[must_use]
    pub fn save(&self) -> Saved {
        let salt = self.shared.salt;
        let (mut saved, credentials) =
            self.shared.with(|core, now| (core.engine.save(now), core.credentials.clone()));
        saved.salt = salt;
        for credential in credentials.iter().flatten() {
            if let Some(key) = saved.keys.get_mut(&credential.id).filter(|key| key.is_blamed()) {
                key.fingerprint = Some(credential.fingerprint(salt));
            }
        }
        saved
    }
}

impl Saved {
    pub(in crate::pool) fn salt(&self) -> u64 {
        self.salt
    }

    /// The same state without what was learnt of secrets that were replaced since.
    pub(in crate::pool) fn of<'a>(
        mut self,
        credentials: impl Iterator<Item = &'a Arc<Credential>>,
    ) -> Self {
        for credential in credentials {
            if let Some(key) = self.keys.get_mut(&credential.id).filter(|key| key.is_blamed())
                && key.fingerprint != Some(credential.fingerprint(self.salt))
            {
                key.forgive();
            }
        }
        self
    }
}
