//! What can go wrong, and what to do about it.

use std::{fmt, sync::Arc, time::Duration};

use http::StatusCode;

/// Why a pool could not be built, or not be changed: everything that is wrong, at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    problems: Vec<String>,
    attempt: &'static str,
}

impl BuildError {
    pub(crate) fn new(problems: Vec<String>) -> Self {
        Self { problems, attempt: "build" }
    }

    /// Nothing was changed.
    pub(crate) fn change(problems: Vec<String>) -> Self {
        Self { problems, attempt: "change" }
    }

    /// Each problem in a sentence that names the account, key or limit. Never a secret.
    #[must_use]
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let attempt = self.attempt;
        match self.problems.as_slice() {
            [one] => write!(f, "cannot {attempt} the key pool: {one}"),
            many => {
                write!(f, "cannot {attempt} the key pool, {} problems:", many.len())?;
                many.iter().try_for_each(|problem| write!(f, "\n  - {problem}"))
            }
        }
    }
}

impl std::error::Error for BuildError {}

/// Nothing is left to admit a request in time: what to tell its caller.
///
/// It is an error of [`KeyPool::acquire`](crate::KeyPool::acquire), and an extension of the response
/// that [`KeyRotation`](crate::KeyRotation) answers in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    reason: Reason,
    retry_after: Option<Duration>,
    why: Option<Arc<str>>,
}

/// Why nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Every account is at its limits or rests, for longer than the caller can wait.
    Busy,
    /// Every account that has a good key is out of quota.
    Quota,
    /// The provider is overloaded, for this model or as a whole, for longer than the caller can wait.
    Overloaded,
    /// The line is full.
    LineFull,
    /// The demand is larger than any account's limit: waiting cannot help.
    TooLarge,
    /// No key is left that may serve the request: all are rejected, refused or excluded. They are asked
    /// again from time to time.
    NoKey,
    /// What may be spent under the request's [tag](crate::Demand::tag) is spent.
    Budget,
    /// Nobody knows what its model costs, and only what has a price may be sent
    /// ([`KeyPoolBuilder::refuse_unpriced`](crate::KeyPoolBuilder::refuse_unpriced)).
    Unpriced,
    /// Its caller broke off the body that it sends: nobody else is to blame.
    BodyBrokenOff,
    /// The provider took longer than [`KeyRotationLayer`](crate::KeyRotationLayer) was told to wait.
    TimedOut,
}

impl Reason {
    /// A short lower-case name, such as `no_key`: the value of the header `x-key-pool-refused`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Busy => "busy",
            Self::Quota => "quota",
            Self::Overloaded => "overloaded",
            Self::LineFull => "line_full",
            Self::TooLarge => "too_large",
            Self::NoKey => "no_key",
            Self::Budget => "budget",
            Self::Unpriced => "unpriced",
            Self::BodyBrokenOff => "body_broken_off",
            Self::TimedOut => "timed_out",
        }
    }
}

impl Exhausted {
    pub(crate) fn new(reason: Reason, retry_after: Option<Duration>) -> Self {
        Self { reason, retry_after, why: None }
    }

    /// In more words than the reason has. Nothing more is known where they are empty.
    pub(crate) fn because(mut self, why: String) -> Self {
        self.why = Some(why).filter(|why| !why.is_empty()).map(Arc::from);
        self
    }

    /// Why nothing is left.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// How long until the same request could be admitted, where that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// [`retry_after`](Self::retry_after) in whole seconds, rounded up, as a `Retry-After` header
    /// says it.
    #[must_use]
    pub fn retry_after_secs(&self) -> Option<u64> {
        self.retry_after.map(|after| {
            let whole = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            whole.max(1)
        })
    }

    /// Whether the same request is worth another try within a minute. SDKs are told so by `x-should-retry`,
    /// as they would otherwise sleep for however long [`retry_after`](Self::retry_after) says.
    #[must_use]
    pub fn should_retry(&self) -> bool {
        const SOON: Duration = Duration::from_secs(60);
        match self.reason {
            Reason::Busy | Reason::LineFull | Reason::Overloaded => {
                self.retry_after.is_none_or(|after| after <= SOON)
            }
            Reason::TimedOut => true,
            Reason::Quota
            | Reason::Budget
            | Reason::Unpriced
            | Reason::TooLarge
            | Reason::NoKey
            | Reason::BodyBrokenOff => false,
        }
    }

    /// The status a caller is told: 429 where waiting helps, 403 where the price is not known, 413 where
    /// the demand is too large, 503 where no key is left or the provider is overloaded, 504 where the
    /// provider did not answer in time.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.reason {
            Reason::Busy | Reason::LineFull | Reason::Quota | Reason::Budget => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Reason::Unpriced => StatusCode::FORBIDDEN,
            Reason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Reason::BodyBrokenOff => StatusCode::BAD_REQUEST,
            Reason::NoKey | Reason::Overloaded => StatusCode::SERVICE_UNAVAILABLE,
            Reason::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        }
    }
}

impl fmt::Display for Exhausted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = self.why.as_deref();
        f.write_str(match self.reason {
            Reason::Busy => why.unwrap_or("every account is at its limits"),
            Reason::Quota => why.unwrap_or("every account is out of quota"),
            Reason::Overloaded => why.unwrap_or("the provider is overloaded"),
            Reason::LineFull => "the line of waiting requests is full",
            Reason::TooLarge => "the request is larger than any account's limit; make it smaller",
            Reason::Budget => "the budget of its tag is spent",
            Reason::Unpriced => "the price of its model is not known; add it to the price file",
            Reason::NoKey => {
                why.unwrap_or("no key of the pool may serve this request: check its keys")
            }
            Reason::BodyBrokenOff => "the body of the request broke off; send it whole",
            Reason::TimedOut => "the provider did not go on with its answer in time",
        })?;
        let Some(seconds) = self.retry_after_secs() else { return Ok(()) };
        match self.reason {
            Reason::NoKey => write!(f, "; asked again in {seconds} s"),
            _ => write!(f, "; try again in {seconds} s"),
        }
    }
}

impl std::error::Error for Exhausted {}
