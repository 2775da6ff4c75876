//! Events of a pool, for its operator.
//!
//! Subscribe with [`KeyPool::events`](crate::KeyPool::events). An [`Event`] is written as one sentence for a
//! log, and serialises to JSON for a machine:
//!
//! ```
//! use tower_key_rotation::{KeyId, event::Event};
//!
//! let event = Event::KeyDisabled { key: KeyId::new("a1") };
//! assert_eq!(event.to_string(), "KEY DISABLED: a1 was switched off");
//! assert_eq!(event.name(), "key_disabled");
//! # let json = serde_json::to_value(&event).unwrap();
//! assert_eq!(json, serde_json::json!({"event": "key_disabled", "key": "a1"}));
//! ```
//!
//! Long, for it is one list of events, with the fields and the sentence of each.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Serialize, Serializer};

use crate::{KeyId, Limit, changes::Changes, verdict::Place};

/// A change in a pool. It names keys and accounts by their labels, and contains no secret.
///
/// Its `Display` is one sentence on one line, without a full stop. It quotes and escapes names that come from
/// callers. In JSON it is an object with its [`name`](Self::name) as `event`, and its fields. Times are in
/// seconds, and limits are written as in a configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A place rests: the pool sends no request there until the rest is over.
    Resting {
        /// The place.
        place: Whereabouts,
        /// What is wrong: `rate`, `quota`, `credential`, `permission`, `size`, `overload` or `fault`.
        kind: &'static str,
        /// The rule that matched the refusal, such as `openai/rate-limit`.
        rule: Arc<str>,
        /// The time from now.
        #[serde(serialize_with = "seconds")]
        wait: Duration,
    },
    /// A place serves again after a rest whose length the provider did not state.
    Recovered {
        /// The place.
        place: Whereabouts,
    },
    /// An account refused a request for its size. It gets no request of this size for a while.
    SizeLimited {
        /// The account.
        account: Arc<str>,
        /// The model, if the request had one.
        model: Option<Arc<str>>,
        /// The largest request that it gets, in tokens.
        tokens: u64,
        /// The rule that matched the refusal.
        rule: Arc<str>,
    },
    /// The provider rejected a key and accepted another key with the same request, or it rejected the key
    /// again. The key is tried again when its rest is over.
    KeyRejected {
        /// The key.
        key: KeyId,
        /// Its account.
        account: Arc<str>,
        /// The rule that matched the refusal.
        rule: Arc<str>,
        /// How long it rests from now.
        #[serde(serialize_with = "seconds")]
        wait: Duration,
        /// The number of keys of the pool that are left.
        live: usize,
        /// The number of keys of the pool.
        total: usize,
    },
    /// An operator declared a key good again ([`KeyPool::revive`](crate::KeyPool::revive)).
    KeyRevived {
        /// The key.
        key: KeyId,
    },
    /// An operator switched a key off ([`KeyPool::disable`](crate::KeyPool::disable)).
    KeyDisabled {
        /// The key.
        key: KeyId,
    },
    /// An operator switched a key on again ([`KeyPool::enable`](crate::KeyPool::enable)).
    KeyEnabled {
        /// The key.
        key: KeyId,
    },
    /// A key expires soon ([`ApiKey::expires`](crate::ApiKey::expires)). Emitted seven days and one day
    /// before. For a key that is added later than that, emitted at once.
    KeyExpires {
        /// The key.
        key: KeyId,
        /// Its account.
        account: Arc<str>,
        /// The time from now.
        #[serde(serialize_with = "seconds")]
        wait: Duration,
    },
    /// A key has expired. It is not used until its secret or its expiry date is replaced.
    KeyExpired {
        /// The key.
        key: KeyId,
        /// Its account.
        account: Arc<str>,
        /// The number of keys of the pool that are left.
        live: usize,
        /// The number of keys of the pool.
        total: usize,
    },
    /// A limit is used to 80 %: a limit on spending, or one with a period of an hour or longer. Emitted again
    /// only after its use was below half, for instance in the next window.
    NearLimit {
        /// The account, key or tag with the limit.
        whose: Whose,
        /// The limit.
        #[serde(serialize_with = "text")]
        limit: Limit,
        /// The used share of what may be spent at once, in percent.
        used_percent: u64,
        /// The amount that could be spent at once, now, in the unit of the limit.
        remaining: u64,
    },
    /// A request found no account with room, and no other request for its model would find one. Not emitted
    /// again before [`ExhaustionEnded`](Self::ExhaustionEnded).
    Exhausted {
        /// The model, if the request had one.
        model: Option<Arc<str>>,
        /// The time until there is room, if that is known.
        #[serde(serialize_with = "seconds_if_known")]
        wait: Option<Duration>,
    },
    /// Requests are admitted at once again, and for ten seconds no request found the pool exhausted.
    ExhaustionEnded,
    /// Fewer keys than before can be used: some were rejected, have expired or were removed.
    PoolShrunk {
        /// The number of keys of the pool that are left.
        live: usize,
        /// The number of keys of the pool.
        total: usize,
    },
    /// Too many accounts fail at once, so the pool assumes an outage and stops resting accounts, until
    /// [`AllFailingEnded`](Self::AllFailingEnded).
    AllFailing {
        /// The number of accounts that rest already.
        resting: usize,
        /// The number of accounts.
        total: usize,
    },
    /// The outage is over: accounts succeed again.
    AllFailingEnded,
    /// The pool learnt a limit that was not declared: the provider reported it, or its refusals showed it.
    /// The pool keeps to it from now on.
    LimitLearnt {
        /// The account.
        account: Arc<str>,
        /// The model, if not all.
        model: Option<Arc<str>>,
        /// The limit.
        #[serde(serialize_with = "text")]
        limit: Limit,
    },
    /// The provider reported a lower limit than the declared one. The pool keeps to the reported one from now
    /// on.
    LimitContradicted {
        /// The account.
        account: Arc<str>,
        /// The declared limit.
        #[serde(serialize_with = "text")]
        declared: Limit,
        /// The reported limit.
        #[serde(serialize_with = "text")]
        told: Limit,
    },
    /// The provider has repeatedly refused requests that were well within the account's limits. The account
    /// now gets requests at the rate that the provider accepted.
    RefusedWithinLimits {
        /// The account.
        account: Arc<str>,
        /// The model, if the requests had one.
        model: Option<Arc<str>>,
    },
    /// Keys or accounts were added, removed or changed.
    ConfigChanged(Arc<Changes>),
    /// A new set of keys and accounts could not be loaded, or is invalid. The pool did not change
    /// ([`KeyPool::watch`](crate::KeyPool::watch)).
    ConfigRefused {
        /// The problem, without any secret.
        why: String,
    },
    /// A request is for a model without a known price, although spending is limited. Emitted once for each
    /// model.
    Unpriced {
        /// The model, if the request had one.
        model: Option<Arc<str>>,
    },
    /// An answer reported more than 100 million tokens, which no request has. The pool uses its estimate
    /// instead.
    UsageIgnored {
        /// The key.
        key: KeyId,
        /// Its account.
        account: Arc<str>,
        /// The larger of the two reported numbers: tokens of the prompt, and tokens of the answer.
        tokens: u64,
    },
    /// In a [dry run](crate::KeyPoolBuilder::dry_run), the pool sent requests that it would have held back.
    /// Emitted at most once a second.
    DryRunHeldBack {
        /// Their number since the last such event.
        requests: u64,
        /// Their number since the pool was built.
        total: u64,
    },
}

impl Event {
    /// A short lower-case name, such as `key_rejected`. It never changes.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Resting { .. } => "resting",
            Self::Recovered { .. } => "recovered",
            Self::SizeLimited { .. } => "size_limited",
            Self::KeyRejected { .. } => "key_rejected",
            Self::KeyRevived { .. } => "key_revived",
            Self::KeyDisabled { .. } => "key_disabled",
            Self::KeyEnabled { .. } => "key_enabled",
            Self::KeyExpires { .. } => "key_expires",
            Self::KeyExpired { .. } => "key_expired",
            Self::NearLimit { .. } => "near_limit",
            Self::Exhausted { .. } => "exhausted",
            Self::ExhaustionEnded => "exhaustion_ended",
            Self::PoolShrunk { .. } => "pool_shrunk",
            Self::AllFailing { .. } => "all_failing",
            Self::AllFailingEnded => "all_failing_ended",
            Self::LimitLearnt { .. } => "limit_learnt",
            Self::LimitContradicted { .. } => "limit_contradicted",
            Self::RefusedWithinLimits { .. } => "refused_within_limits",
            Self::ConfigChanged(_) => "config_changed",
            Self::ConfigRefused { .. } => "config_refused",
            Self::Unpriced { .. } => "unpriced",
            Self::UsageIgnored { .. } => "usage_ignored",
            Self::DryRunHeldBack { .. } => "dry_run_held_back",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resting { place, kind, rule, wait } => {
                write!(f, "{place} rests for {:.1} s: {kind} ({rule})", wait.as_secs_f32())
            }
            Self::Recovered { place } => write!(f, "{place} is back"),
            Self::SizeLimited { account, model, tokens, rule } => {
                let model = Model(model);
                write!(
                    f,
                    "account {account} gets at most {tokens} tokens at once{model}: size ({rule})"
                )
            }
            Self::KeyRejected { key, account, rule, wait, live, total } => {
                write!(f, "KEY REJECTED: {key} of account {account} ({rule}), ")?;
                write!(f, "tried again in {:.1} s; ", wait.as_secs_f32())?;
                write!(f, "{live} of {total} are left")
            }
            Self::KeyRevived { key } => write!(f, "an operator declared key {key} good again"),
            Self::KeyDisabled { key } => write!(f, "KEY DISABLED: {key} was switched off"),
            Self::KeyEnabled { key } => write!(f, "key {key} was switched on again"),
            Self::KeyExpires { key, account, wait } => {
                let days = wait.as_secs_f32() / 86_400.0;
                write!(f, "key {key} of account {account} expires in {days:.1} days")
            }
            Self::KeyExpired { key, account, live, total } => {
                write!(f, "KEY EXPIRED: {key} of account {account}; ")?;
                write!(f, "{live} of {total} keys are left")
            }
            Self::NearLimit { whose, limit, used_percent, .. } => {
                write!(f, "{whose} has used {used_percent} % of {limit}")
            }
            Self::Exhausted { model, wait } => {
                write!(f, "EXHAUSTED: no account has room{}, ", Model(model))?;
                match wait {
                    Some(wait) => write!(f, "for {:.1} s", wait.as_secs_f32()),
                    None => f.write_str("for an unknown time"),
                }
            }
            Self::ExhaustionEnded => f.write_str("the pool is no longer exhausted"),
            Self::PoolShrunk { live, total } => write!(f, "{live} of {total} keys are left"),
            Self::AllFailing { resting, total } => {
                write!(f, "ALL FAILING: {resting} of {total} accounts rest already, ")?;
                f.write_str("so no other account rests for failures")
            }
            Self::AllFailingEnded => f.write_str("accounts succeed again"),
            Self::LimitLearnt { account, model, limit } => {
                write!(f, "account {account} has a limit of {limit}{}", Model(model))
            }
            Self::LimitContradicted { account, declared, told } => {
                write!(f, "account {account} has a limit of {told}, not {declared} as declared")
            }
            Self::RefusedWithinLimits { account, model } => {
                let model = Model(model);
                write!(
                    f,
                    "account {account} refuses requests well within its limits{model}; it now gets fewer"
                )
            }
            Self::ConfigChanged(changes) => changes.fmt(f),
            Self::ConfigRefused { why } => {
                write!(
                    f,
                    "the new keys and accounts are invalid, nothing has changed: {}",
                    OneLine(why)
                )
            }
            Self::Unpriced { model } => {
                write!(f, "the price{} is not known; its requests count as 0", Model(model))
            }
            Self::UsageIgnored { key, account, tokens } => {
                write!(
                    f,
                    "an answer to key {key} of account {account} reported {tokens} tokens; the estimate is used instead"
                )
            }
            Self::DryRunHeldBack { requests, total } => {
                write!(f, "{requests} requests would have been held back, {total} so far")
            }
        }
    }
}

/// ` for model "gpt-4o"`, or nothing.
struct Model<'a>(&'a Option<Arc<str>>);

impl fmt::Display for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The name comes from a caller. It is quoted and escaped, so that it cannot start a new line.
        self.0.as_ref().map_or(Ok(()), |model| write!(f, " for model {model:?}"))
    }
}

/// Writes a text of several lines on one line.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.0.lines().map(str::trim);
        f.write_str(lines.next().unwrap_or_default())?;
        lines.try_for_each(|line| write!(f, " {line}"))
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    time.as_secs_f64().serialize(serializer)
}

fn seconds_if_known<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    time.map(|time| time.as_secs_f64()).serialize(serializer)
}

fn text<S: Serializer>(limit: &Limit, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(limit)
}

/// The account, key or tag that a limit belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Whose {
    /// An account, by its name.
    Account(Arc<str>),
    /// A key.
    Key(KeyId),
    /// A [tag](crate::Demand::tag).
    Tag(Arc<str>),
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Account(name) => write!(f, "account {name:?}"),
            Self::Key(id) => write!(f, "key {id:?}"),
            Self::Tag(tag) => write!(f, "tag {tag:?}"),
        }
    }
}

/// The place of an event, by the names of its key, account, operation and model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Whereabouts {
    /// The kind of place.
    pub place: Place,
    /// The key, if the place is of one key.
    pub key: Option<KeyId>,
    /// The account, if the place is of one account or of one key.
    pub account: Option<Arc<str>>,
    /// The [operation](crate::provider::Operation), if the place is of one operation.
    pub operation: Option<Arc<str>>,
    /// The model, if the place is of one model; none for requests without a model.
    pub model: Option<Arc<str>>,
}

impl Whereabouts {
    /// A place without names. Set the fields that apply.
    ///
    /// ```
    /// use tower_key_rotation::{event::Whereabouts, verdict::Place};
    ///
    /// let mut place = Whereabouts::new(Place::Account);
    /// place.account = Some("org-a".into());
    /// assert_eq!(place.to_string(), "account org-a");
    /// ```
    #[must_use]
    pub fn new(place: Place) -> Self {
        Self { place, key: None, account: None, operation: None, model: None }
    }
}

impl fmt::Display for Whereabouts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.key, &self.account) {
            (Some(key), _) => write!(f, "key {key}")?,
            (None, Some(account)) => write!(f, "account {account}")?,
            (None, None) => f.write_str("the provider")?,
        }
        if let Some(operation) = &self.operation {
            write!(f, " for {operation}")?;
        }
        Model(&self.model).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One event of each kind. Names from callers try to start a new line.
    fn all() -> Vec<Event> {
        let (key, account, rule) =
            (|| KeyId::new("a1"), || Arc::from("org-a"), || Arc::from("openai/rate-limit"));
        let model = || Some(Arc::from("gpt\nKEY REJECTED: a1"));
        let (limit, wait) = (|| Limit::requests(60).per_minute(), Duration::from_millis(1_500));
        let place = || Whereabouts { model: model(), ..Whereabouts::new(Place::ProviderModel) };
        let tag = Arc::from("team\na");
        vec![
            Event::Resting { place: place(), kind: "rate", rule: rule(), wait },
            Event::Recovered { place: place() },
            Event::SizeLimited { account: account(), model: model(), tokens: 9, rule: rule() },
            Event::KeyRejected {
                key: key(),
                account: account(),
                rule: rule(),
                wait,
                live: 1,
                total: 2,
            },
            Event::KeyRevived { key: key() },
            Event::KeyDisabled { key: key() },
            Event::KeyEnabled { key: key() },
            Event::KeyExpires { key: key(), account: account(), wait },
            Event::KeyExpired { key: key(), account: account(), live: 1, total: 2 },
            Event::NearLimit {
                whose: Whose::Tag(tag),
                limit: limit(),
                used_percent: 80,
                remaining: 6,
            },
            Event::Exhausted { model: model(), wait: Some(wait) },
            Event::ExhaustionEnded,
            Event::PoolShrunk { live: 1, total: 2 },
            Event::AllFailing { resting: 1, total: 2 },
            Event::AllFailingEnded,
            Event::LimitLearnt { account: account(), model: model(), limit: limit() },
            Event::LimitContradicted { account: account(), declared: limit(), told: limit() },
            Event::RefusedWithinLimits { account: account(), model: model() },
            Event::ConfigChanged(Arc::new(Changes {
                keys_added: vec![key()],
                ..Changes::default()
            })),
            Event::ConfigRefused { why: "2 problems:\n  - one\n  - two".into() },
            Event::Unpriced { model: model() },
            Event::UsageIgnored { key: key(), account: account(), tokens: 9 },
            Event::DryRunHeldBack { requests: 1, total: 2 },
        ]
    }

    #[test]
    fn an_event_is_written_on_one_line() {
        for event in all() {
            let line = event.to_string();
            assert!(!line.is_empty() && !line.contains('\n'), "{line}");
        }
        let [resting, _, size, rejected, ..] = &all()[..] else { panic!() };
        assert_eq!(
            resting.to_string(),
            r#"the provider for model "gpt\nKEY REJECTED: a1" rests for 1.5 s: rate (openai/rate-limit)"#
        );
        assert_eq!(
            size.to_string(),
            r#"account org-a gets at most 9 tokens at once for model "gpt\nKEY REJECTED: a1": size (openai/rate-limit)"#
        );
        assert_eq!(
            rejected.to_string(),
            "KEY REJECTED: a1 of account org-a (openai/rate-limit), tried again in 1.5 s; 1 of 2 are left"
        );
    }

    #[test]
    fn the_json_of_an_event_holds_its_name_its_fields_and_times_in_seconds() {
        let mut names = std::collections::BTreeSet::new();
        for event in all() {
            let json = serde_json::to_value(&event).unwrap();
            assert_eq!(json["event"], event.name());
            assert!(names.insert(event.name()), "{} stands for two events", event.name());
        }
        let json = serde_json::to_value(&all()[3]).unwrap();
        let expected = serde_json::json!({
            "event": "key_rejected", "key": "a1", "account": "org-a", "rule": "openai/rate-limit",
            "wait": 1.5, "live": 1, "total": 2,
        });
        assert_eq!(json, expected);
    }
}
