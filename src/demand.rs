//! What one request asks for.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{KeyId, provider::Operation};

/// What one request asks for, as its caller states it: a request extension, or the argument of
/// [`KeyPool::acquire`](crate::KeyPool::acquire).
///
/// What you do not set is read from the request by the pool's
/// [`Provider`](crate::provider::Provider), or counts as one request.
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
    /// A demand of one request, with everything else at its default.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the model. Providers count models separately. By default it is read from the request.
    pub fn model(mut self, model: impl AsRef<str>) -> Self {
        self.model = Some(Arc::from(model.as_ref()));
        self
    }

    /// Sets what the request does, by its [name](crate::provider::Operation): `chat`, `embeddings`,
    /// `files.read`. A provider may refuse a key for one operation and accept it for others. By default it is
    /// read from the request's method and path.
    pub fn operation(mut self, name: impl AsRef<str>) -> Self {
        self.operation = Some(Arc::from(name.as_ref()));
        self
    }

    /// Sets the expected number of tokens of the prompt. By default it is estimated from the request.
    pub fn input_tokens(mut self, tokens: u64) -> Self {
        self.input_tokens = Some(tokens);
        self
    }

    /// Sets the maximum number of tokens of the answer. By default it is read from the request.
    pub fn output_tokens(mut self, tokens: u64) -> Self {
        self.output_tokens = Some(tokens);
        self
    }

    /// Sets the expected maximum cost, in billionths of a US dollar. By default, and if it is 0, the cost is
    /// computed from its tokens and the pool's prices, provided that some limit counts money.
    pub fn nano_dollars(mut self, cost: u64) -> Self {
        self.nano_dollars = cost;
        self
    }

    /// Sets the priority in the queue; 0 by default. Each step is worth ten seconds of waiting: a request
    /// with a priority of 2 overtakes requests of priority 0 that came less than 20 s before it. So no
    /// request starves.
    pub fn priority(mut self, priority: i8) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the tenant that sends the request; none by default. Requests that wait are served by weighted
    /// fair queueing over the tenants ([`KeyPoolBuilder::tenant`](crate::KeyPoolBuilder::tenant)), however
    /// many requests each has in the queue. Priority orders the requests of one tenant.
    pub fn tenant(mut self, name: impl AsRef<str>) -> Self {
        self.tenant = Some(Arc::from(name.as_ref()));
        self
    }

    /// Sets a name that related requests share, such as the id of a conversation. They stay on one account,
    /// which has the conversation in its prompt cache. See [`Affinity`](crate::pool::Affinity). By default
    /// the conversation is recognised by its messages.
    pub fn affinity(mut self, name: impl AsRef<str>) -> Self {
        self.affinity = Some(Arc::from(name.as_ref()));
        self
    }

    /// Sets the tag under which its usage is recorded, in addition to key and model: a team, a feature, a
    /// customer; none by default. The [`Ledger`](crate::usage::Ledger) keeps the first 256 bytes of a tag.
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        self.tag = Some(Arc::from(tag.as_ref()));
        self
    }

    /// Sets when the request first asked for a key; now, by default. Its place in the queue and its
    /// `max_wait` count from then. Set it for another attempt at a request that was refused.
    pub fn since(mut self, since: Instant) -> Self {
        self.since = Some(since);
        self
    }

    /// Sets when the caller gives up; never, by default. A request that is unlikely to be answered by then is
    /// not sent: the pool measures how long answers of each model take. The pool's `max_wait` still holds.
    pub fn deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Excludes a key from this request. It can be called several times; by default no key is excluded.
    pub fn exclude(mut self, key: KeyId) -> Self {
        self.excluded.push(key);
        self
    }

    /// Sets the only key that may be used for this request; any key, by default. The request waits for that
    /// key even if others are free. If the pool does not have the key, the request fails with
    /// [`Reason::NoKey`](crate::pool::Reason::NoKey).
    pub fn pinned(mut self, key: KeyId) -> Self {
        self.pinned = Some(key);
        self
    }
}

impl Demand {
    /// The operation that the caller states.
    pub(crate) fn known_operation(&self) -> Operation<'_> {
        self.operation.as_deref().map_or(Operation::UNKNOWN, Operation::named)
    }
}
