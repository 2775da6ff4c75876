//! Keeps a pool in step with a source of keys.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::time::{sleep, timeout};

use crate::{event::Event, pool::key_pool::KeyPool, source::SecretSource};

/// The timeout of one load.
const LONGEST_LOAD: Duration = Duration::from_secs(60);

impl KeyPool {
    /// Keeps the pool in step with a source. It loads the source at once, and then at this interval, with a
    /// jitter of up to 10 % so that many processes do not load at the same moment. Changes are applied as by
    /// [`apply`](Self::apply).
    ///
    /// The caller drives the future, for instance in a task. It ends when the last handle of the pool is
    /// dropped, and can be dropped at any point. If the source fails, takes longer than a minute, or returns
    /// an invalid set of keys, the pool does not change. Then it emits [`Event::ConfigRefused`] with the
    /// reason, and again only when the reason changes.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    /// use tower_key_rotation::{KeyPool, OpenAi, source::{KeyFile, SecretSource}};
    ///
    /// # let path = std::env::temp_dir().join("tower-key-rotation-watch-example.txt");
    /// # std::fs::write(&path, "a1 sk-not-a-real-key\n")?;
    /// let source = KeyFile::new(path);
    /// let pool = KeyPool::builder(OpenAi::default()).accounts(source.load().await?).build()?;
    /// tokio::spawn(pool.watch(source, Duration::from_secs(30)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch<S: SecretSource>(
        &self,
        source: S,
        every: Duration,
    ) -> impl Future<Output = ()> + Send + use<S> {
        let pool = Arc::downgrade(&self.shared);
        async move {
            let mut reported = None;
            loop {
                let loaded = timeout(LONGEST_LOAD, source.load()).await;
                let Some(shared) = pool.upgrade() else { return };
                let loaded = loaded
                    .map_err(|_| "the source of keys took longer than a minute".to_owned())
                    .and_then(|loaded| loaded.map_err(|error| error.to_string()));
                let this = Self { shared };
                let applied = loaded
                    .and_then(|accounts| this.apply(accounts).map_err(|error| error.to_string()));
                let refused = applied.err();
                if let Some(why) = refused.clone().filter(|_| refused != reported) {
                    this.emit(Event::ConfigRefused { why });
                }
                reported = refused;
                drop(this);
                sleep(jittered(every)).await;
            }
        }
    }

    fn emit(&self, event: Event) {
        self.shared.with(|core, _| core.engine.tell(event));
    }
}

/// The interval with a jitter of up to 10 %, and at least a millisecond.
fn jittered(every: Duration) -> Duration {
    let tenth = every / 10;
    let some = u64::try_from(tenth.as_nanos()).unwrap_or(u64::MAX / 2);
    let some = Duration::from_nanos(fastrand::u64(0..=some.saturating_mul(2)));
    (every - tenth).saturating_add(some).max(Duration::from_millis(1))
}
