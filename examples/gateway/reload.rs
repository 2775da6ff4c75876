//! Reads the configuration again while the gateway serves: when the file has changed, and on SIGHUP.
//!
//! Keys, accounts, limits, weights and tokens take effect at once, all together or not at all. Other changes
//! are logged, and need a restart.

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    access::log,
    args::Args,
    config::{Config, PoolConfig, Problems, Surroundings, Tenant},
    routes::Gateway,
};

/// How often the file is checked. It is read when it has not changed between two checks, so that it is not
/// read while it is being written.
const LOOK: Duration = Duration::from_secs(1);

/// The file of the configuration, as it was when it was last read.
#[derive(Debug)]
pub(crate) struct Followed {
    args: Args,
    used: Option<Seen>,
}

/// What shows that a file has changed.
type Seen = (SystemTime, u64);

impl Followed {
    /// Create this before the file is read.
    pub(crate) fn new(args: Args) -> Self {
        let used = args.config.as_deref().and_then(seen);
        Self { args, used }
    }

    /// Reads the configuration again after each change or SIGHUP, as long as the process lives.
    pub(crate) async fn follow(mut self, gateway: Arc<Gateway>) {
        let Some(path) = self.args.config.clone() else { return };
        let mut hangup = Hangup::new();
        let mut last = self.used;
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {
                    let now = seen(&path);
                    let is_settled = now == std::mem::replace(&mut last, now);
                    if !is_settled || now == self.used {
                        continue;
                    }
                }
                () = hangup.came() => {}
            }
            self.used = seen(&path);
            read_again(&gateway, &self.args, &path);
        }
    }
}

fn seen(path: &Path) -> Option<Seen> {
    let about = fs::metadata(path).ok()?;
    Some((about.modified().ok()?, about.len()))
}

fn read_again(gateway: &Gateway, args: &Args, path: &Path) {
    let env = |name: &str| std::env::var(name).ok();
    let around = Surroundings { env: &env, folder: Path::new("") };
    let name = path.display();
    match Config::load(args, &around).and_then(|config| gateway.reload(config)) {
        Ok(later) => {
            log(format_args!("{name} was read again"));
            later.iter().for_each(|what| {
                log(format_args!("{name}: {what}; restart the gateway to apply this"))
            });
        }
        Err(Problems(problems)) => {
            problems.iter().for_each(|problem| log(format_args!("{problem}")));
            log(format_args!(
                "{name} was read again and is invalid; the old configuration stays in use"
            ));
        }
    }
}

/// The settings that need a restart, as they were at the start of the gateway.
#[derive(Debug)]
pub(crate) struct Fixed {
    listen: String,
    tenants: Vec<(String, u32)>,
    pools: Vec<(String, Vec<(&'static str, String)>)>,
}

impl Fixed {
    pub(crate) fn new(config: &Config) -> Self {
        let pool = |pool: &PoolConfig| (pool.name.clone(), fields(pool));
        let tenant = |tenant: &Tenant| (tenant.name.clone(), tenant.weight);
        Self {
            listen: config.listen.to_string(),
            tenants: config.tenants.iter().map(tenant).collect(),
            pools: config.pools.iter().map(pool).collect(),
        }
    }

    /// The differences of another configuration, in words.
    pub(crate) fn differs(&self, new: &Self) -> Vec<String> {
        let mut differs = Vec::new();
        if self.listen != new.listen {
            differs.push(format!("listen is now {}", new.listen));
        }
        for (name, weight) in &new.tenants {
            let old = self.tenants.iter().find(|(old, _)| old == name);
            if old.map_or(1, |(_, old)| *old) != *weight {
                differs.push(format!("tenant {name:?}: weight is now {weight}"));
            }
        }
        for (name, fields) in &new.pools {
            let Some((_, old)) = self.pools.iter().find(|(old, _)| old == name) else {
                differs.push(format!("pool {name:?} is new"));
                continue;
            };
            let changed = old.iter().zip(fields).filter(|(old, new)| old != new);
            differs
                .extend(changed.map(|((field, _), _)| format!("pool {name:?}: {field} changed")));
        }
        let gone =
            self.pools.iter().filter(|(old, _)| !new.pools.iter().any(|(new, _)| new == old));
        differs.extend(gone.map(|(name, _)| format!("pool {name:?} is gone")));
        differs
    }
}

/// All fields of a pool except its accounts. None of them is secret.
fn fields(pool: &PoolConfig) -> Vec<(&'static str, String)> {
    let PoolConfig { dialect, base, models, max_wait, queue, admission, streams, .. } = pool;
    let PoolConfig { ask_usage, rules, .. } = pool;
    vec![
        ("provider", format!("{dialect:?}")),
        ("base_url", format!("{base:?}")),
        ("models", format!("{models:?}")),
        ("max_wait", format!("{max_wait:?}")),
        ("queue", format!("{queue:?}")),
        ("strategy, learn, start or shadow", format!("{admission:?}")),
        ("hold_back, first_token or idle", format!("{streams:?}")),
        ("ask_usage", format!("{ask_usage:?}")),
        ("rule", format!("{rules:?}")),
    ]
}

/// SIGHUP, on systems that have it.
struct Hangup {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangup {
    fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn came(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal
            && signal.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
