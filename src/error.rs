//! The errors of building and changing a pool, and of asking it for a key.

use std::{fmt, sync::Arc, time::Duration};

use http::StatusCode;

/// A pool could not be built or changed. It lists all problems at once, and nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    problems: Vec<String>,
    attempt: &'static str,
}

impl BuildError {
    pub(crate) fn new(problems: Vec<String>) -> Self {
        Self { problems, attempt: "build" }
    }

    /// An error of a change to a pool.
    pub(crate) fn change(problems: Vec<String>) -> Self {
        Self { problems, attempt: "change" }
    }

    /// One sentence for each problem. It names the account, key or limit. It never contains a secret.
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

/// A request cannot be admitted in time: why, and when to try again.
///
/// It is the error of [`KeyPool::acquire`](crate::KeyPool::acquire), and an extension of the response
/// with which [`KeyRotation`](crate::KeyRotation) answers such a request.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::{Exhausted, pool::Reason};
///
/// let busy = Exhausted::new(Reason::Busy, Some(Duration::from_secs(7)));
/// assert_eq!(busy.to_string(), "every account is at its limits; try again in 7 s");
/// assert_eq!(busy.status(), 429);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exhausted {
    reason: Reason,
    retry_after: Option<Duration>,
    details: Option<Arc<str>>,
}

/// Why a request cannot be admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Every account is at its limits or rests after an error, for longer than the request may wait.
    Busy,
    /// Every account that has a good key is out of quota.
    Quota,
    /// The provider is overloaded, for this model or as a whole, for longer than the request may wait.
    Overloaded,
    /// The queue is full ([`KeyPoolBuilder::max_queued`](crate::KeyPoolBuilder::max_queued)).
    LineFull,
    /// The demand is larger than the limits of every account: waiting does not help.
    TooLarge,
    /// Every key that may serve the request was rejected by the provider or is excluded by the demand.
    /// Rejected keys are probed from time to time.
    NoKey,
    /// The budget of the request's [tag](crate::Demand::tag) is spent.
    Budget,
    /// The price of the model is not known, and the pool refuses such requests
    /// ([`KeyPoolBuilder::refuse_unpriced`](crate::KeyPoolBuilder::refuse_unpriced)).
    Unpriced,
    /// The caller broke off the body of the request.
    BodyBrokenOff,
    /// The provider took longer than a timeout of
    /// [`KeyRotationLayer`](crate::KeyRotationLayer) allows.
    TimedOut,
}

impl Reason {
    /// A short lower-case name, such as `no_key`. It is the value of the header `x-key-pool-refused`.
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
    /// An error with the time until the request could be admitted, if that is known. It is useful to test
    /// your own handlers.
    #[must_use]
    pub fn new(reason: Reason, retry_after: Option<Duration>) -> Self {
        Self { reason, retry_after, details: None }
    }

    /// The state of the keys, such as `2 of 2 keys were rejected (openai/invalid-key)`. It replaces the
    /// general sentence for [`Busy`](Reason::Busy), [`Quota`](Reason::Quota),
    /// [`Overloaded`](Reason::Overloaded) and [`NoKey`](Reason::NoKey). An empty text is ignored.
    #[must_use]
    pub fn because(mut self, details: impl Into<String>) -> Self {
        let details = details.into();
        self.details = Some(details).filter(|text| !text.is_empty()).map(Arc::from);
        self
    }

    /// Why the request cannot be admitted.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// How long until the same request could be admitted, if that is known.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// [`retry_after`](Self::retry_after) in whole seconds, rounded up and at least 1, for a
    /// `Retry-After` header.
    #[must_use]
    pub fn retry_after_secs(&self) -> Option<u64> {
        self.retry_after.map(|after| {
            let whole = after.as_secs() + u64::from(after.subsec_nanos() > 0);
            whole.max(1)
        })
    }

    /// Whether it is useful to try the same request again within a minute. It is the value of the header
    /// `x-should-retry`; without that, SDKs would sleep as long as [`retry_after`](Self::retry_after)
    /// says.
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

    /// The status of the response: 400 if the caller broke off the body, 403 if the price is not known, 413
    /// if the demand is too large, 429 if waiting helps, 503 if no key is left or the provider is overloaded,
    /// 504 if the provider did not answer in time.
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
        let details = self.details.as_deref();
        f.write_str(match self.reason {
            Reason::Busy => details.unwrap_or("every account is at its limits"),
            Reason::Quota => details.unwrap_or("every account is out of quota"),
            Reason::Overloaded => details.unwrap_or("the provider is overloaded"),
            Reason::LineFull => "the queue of waiting requests is full",
            Reason::TooLarge => "the request is larger than any account's limit; make it smaller",
            Reason::Budget => "the budget of the request's tag is spent",
            Reason::Unpriced => "the price of the model is not known; add it to the price file",
            Reason::NoKey => {
                details.unwrap_or("no key of the pool may serve this request; check its keys")
            }
            Reason::BodyBrokenOff => {
                "the body of the request broke off; send the request again with its whole body"
            }
            Reason::TimedOut => "the provider did not continue its answer in time",
        })?;
        let Some(seconds) = self.retry_after_secs() else { return Ok(()) };
        match self.reason {
            Reason::NoKey => write!(f, "; the keys are tried again in {seconds} s"),
            _ => write!(f, "; try again in {seconds} s"),
        }
    }
}

impl std::error::Error for Exhausted {}
