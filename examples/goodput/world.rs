//! The provider, the pool in front of it, and their clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, tz::TimeZone};
use tokio::time::{Instant, advance, sleep};
use tower_key_rotation::{
    Account, ApiKey, KeyPool, OpenAi,
    sandbox::{Dialect, Fault, LimitAlgorithm, Sandbox, Script},
};

use crate::{
    scenario::{DAY, Faults, Known, MINUTE, Scenario, Window},
    uplink::{LONGEST_TRAVEL, Uplink, secret},
};

pub(crate) const LEAST_LATENCY: Duration = Duration::from_millis(200);
pub(crate) const JITTER: Duration = Duration::from_millis(1_800);
/// The longest time from departure to answer.
pub(crate) const LONGEST_ANSWER: Duration =
    Duration::from_millis(2_000 + LONGEST_TRAVEL.as_millis() as u64);

pub(crate) struct World {
    pub(crate) sandbox: Sandbox,
    pub(crate) pool: KeyPool,
    pub(crate) uplink: Uplink,
    /// When the first caller may come.
    pub(crate) start: Instant,
}

impl World {
    /// A provider that starts at the start of its windows, and waits for the first caller.
    pub(crate) async fn begin(scenario: &Scenario, max_wait: Duration, seed: u64) -> Self {
        let (pool, wall) = pool(scenario, max_wait, seed);
        advance(until_start(scenario, wall)).await;
        let sandbox = sandbox(scenario, seed);
        advance(scenario.before()).await;
        let start = Instant::now();
        let counted = scenario.warm_up()..scenario.time;
        let uplink = Uplink::new(&sandbox, scenario.accounts.len(), 1, counted, seed);
        Self { sandbox, pool, uplink, start }
    }

    /// Starts the faults.
    pub(crate) async fn fail(sandbox: Sandbox, scenario: Scenario) {
        let start = Instant::now();
        for account in 0..scenario.accounts.len() {
            let Some((begins, ends)) = scenario.outage(account) else { break };
            sleep((start + begins) - Instant::now()).await;
            sandbox.fail(match scenario.faults {
                Faults::Cooldowns => Fault::rate_limit(name(account), ends - begins),
                Faults::None | Faults::Deaths => Fault::revoke(secret(account)),
            });
        }
    }
}

pub(crate) fn name(account: usize) -> String {
    format!("org-{account}")
}

fn sandbox(scenario: &Scenario, seed: u64) -> Sandbox {
    let enforced =
        if scenario.is_fixed() { LimitAlgorithm::FixedWindow } else { LimitAlgorithm::TokenBucket };
    let script = Script::new().tokens(1).latency(LEAST_LATENCY).jitter(JITTER);
    let sandbox =
        Sandbox::builder(Dialect::OpenAi).limit_algorithm(enforced).answer(script).seed(seed);
    let sandbox = if scenario.known == Known::Refused { sandbox.hide_limits() } else { sandbox };
    (0..scenario.accounts.len())
        .fold(sandbox, |sandbox, account| {
            sandbox.account(name(account), [scenario.limit(account)], [secret(account)])
        })
        .build()
}

/// A pool, and the wall-clock time of its start in whole milliseconds, rounded down. Only the phase of fixed
/// windows depends on it, and [`until_start`] compensates for that.
fn pool(scenario: &Scenario, max_wait: Duration, seed: u64) -> (KeyPool, Duration) {
    loop {
        let before = wall_millis();
        let pool =
            KeyPool::builder(OpenAi::default()).seed(seed).max_wait(max_wait).max_queued(1 << 24);
        let pool = (0..scenario.accounts.len()).fold(pool, |pool, account| {
            let key = ApiKey::new(secret(account));
            let account_of = Account::new(name(account)).key(key);
            pool.account(match scenario.known {
                Known::Declared => account_of.limit(scenario.declared(account)),
                Known::Reported | Known::Refused => account_of,
            })
        });
        let pool = pool.build().unwrap_or_else(|problem| panic!("{problem}"));
        if wall_millis() == before {
            return (pool, before);
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "to know the wall-clock time of the pool")]
fn wall_millis() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(u64::try_from(since.as_millis()).unwrap_or(0))
}

/// The time from the start of the pool to the start of the provider, so that windows of both start at the
/// same time, or with the offset of the scenario.
fn until_start(scenario: &Scenario, wall: Duration) -> Duration {
    let zone = TimeZone::get(scenario.zone()).unwrap_or(TimeZone::UTC);
    let seconds = i64::try_from(wall.as_secs()).unwrap_or(0);
    let ahead = Timestamp::from_second(seconds).map_or(0, |now| zone.to_offset(now).seconds());
    let local = wall + DAY;
    let local = match u64::try_from(ahead) {
        Ok(ahead) => local + Duration::from_secs(ahead),
        Err(_) => local - Duration::from_secs(ahead.unsigned_abs().into()),
    };
    let (period, lead) = match scenario.window {
        Window::Bucket | Window::BucketOfOne => return Duration::ZERO,
        Window::Minutes(lead) => (MINUTE, lead),
        Window::Days(_) => (DAY, Duration::ZERO),
    };
    let into = Duration::from_millis((local.as_millis() % period.as_millis()) as u64);
    period - into + period - lead
}
