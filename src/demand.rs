//! What one request asks for.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{KeyId, provider::Operation};

/// What one request asks for, as its caller says it: a request extension, or the argument of
/// [`KeyPool::acquire`](crate::KeyPool::acquire).
///
/// Whatever is left unsaid is read from the request by the pool's
/// [`Provider`](crate::provider::Provider), or else taken as "one request".
///
/// ```
/// use tower_key_rotation::Demand;
///
/// let mut request = http::Request::post("https://api.openai.com/v1/responses").body(()).unwrap();
/// request.extensions_mut().insert(Demand::new().model("gpt-4o").input_tokens(1_200));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Demand {
    pub(crate) model: Option<Arc<str>>,
    pub(crate) input_tokens: Option<u64>,
    pub(crate) output_tokens: Option<u64>,
    pub(crate) nano_dollars: u64,
    pub(crate) priority: i8,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) affinity: Option<Arc<str>>,
    pub(crate) tag: Option<Arc<str>>,
    pub(crate) since: Option<Instant>,
    pub(crate) deadline: Option<Instant>,
    pub(crate) excluded: Vec<KeyId>,
    pub(crate) pinned: Option<KeyId>,
    pub(crate) operation: Option<Arc<str>>,
}

impl Demand {
    /// One request, and nothing more is known.
    pub fn new() -> Self {
        Self::default()
    }

    /// The model: the class of request that the provider meters separately.
    pub fn model(mut self, model: impl AsRef<str>) -> Self {
        self.model = Some(Arc::from(model.as_ref()));
        self
    }

    /// What the request does, by its [name](crate::provider::Operation): `chat`, `embeddings`,
    /// `files.read`. A key may be refused for one operation and be good for others. By default that is
    /// read from the request's method and path.
    pub fn operation(mut self, name: impl AsRef<str>) -> Self {
        self.operation = Some(Arc::from(name.as_ref()));
        self
    }

    /// How many tokens the prompt is expected to have.
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.input_tokens = Some(tokens);
        self
    }

    /// How many tokens the answer may have at most.
    pub fn output_tokens(mut self, tokens: u64) -> Self {
        self.output_tokens = Some(tokens);
        self
    }

    /// What it is expected to cost at most, in billionths of a US dollar. By default, and if it is 0, that is
    /// reckoned from its tokens and the pool's prices, where any limit counts money.
    pub fn nano_dollars(mut self, cost: u64) -> Self {
        self.nano_dollars = cost;
        self
    }

    /// Its place among those who wait; 0 by default. Each step up is worth ten seconds of waiting, so
    /// a request goes before all of lower priority that came less than that much earlier, and
    /// nobody starves.
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = priority;
        self
    }

    /// On whose behalf it is sent; nobody's by default. While requests wait in line, each tenant of a
    /// pool is served in proportion to its weight
    /// ([`KeyPoolBuilder::tenant`](crate::KeyPoolBuilder::tenant)), however many requests it has
    /// there; priority then orders the requests of one tenant.
    pub fn tenant(mut self, name: impl AsRef<str>) -> Self {
        self.tenant = Some(Arc::from(name.as_ref()));
        self
    }

    /// What it has in common with other requests that begin as it does, such as the id of a
    /// conversation: they stay on one account, whose provider has their beginning in its cache; see
    /// [`Affinity`](crate::Affinity). By default that is read from the request.
    pub fn affinity(mut self, name: impl AsRef<str>) -> Self {
        self.affinity = Some(Arc::from(name.as_ref()));
        self
    }

    /// What its usage is booked under, beside its key and model: a team, a feature, a customer; nothing
    /// by default. Of a longer one, the [`Ledger`](crate::usage::Ledger) keeps 256 bytes.
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        self.tag = Some(Arc::from(tag.as_ref()));
        self
    }

    /// When it was first asked for; now, by default. It is its place in the line, and `max_wait` is
    /// counted from then on: for another attempt of a request that was refused.
    pub fn since(mut self, since: Instant) -> Self {
        self.since = Some(since);
        self
    }

    /// When the caller gives up. A request that is unlikely to be answered by then is not sent: the
    /// time that answers of its model usually take is measured. The pool's `max_wait` still holds.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// A key this request must not be sent with. May be called several times.
    pub fn exclude(mut self, key: KeyId) -> Self {
        self.excluded.push(key);
        self
    }

    /// The only key this request may be sent with: it waits for that one, whatever room the others
    /// have. A key that the pool has not is [`Reason::NoKey`](crate::Reason::NoKey).
    pub fn pinned(mut self, key: KeyId) -> Self {
        self.pinned = Some(key);
        self
    }
}

impl Demand {
    /// The operation that its caller says.
    pub(crate) fn known_operation(&self) -> Operation<'_> {
        self.operation.as_deref().map_or(Operation::UNKNOWN, Operation::named)
    }
}

/// What a request asks for, as read from the request itself without copying it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Estimate<'a> {
    /// The model named in the body or the path.
    pub model: Option<std::borrow::Cow<'a, str>>,
    /// Tokens of the prompt.
    pub input_tokens: u64,
    /// The most tokens that the answer may have; 0 where the request says nothing.
    pub output_tokens: u64,
    /// Whether the answer is asked for as a stream of events.
    pub stream: bool,
}
