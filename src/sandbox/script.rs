//! How answers look: their length, their delay, and the pieces of a stream.

use std::{ops::Range, time::Duration};

/// How answers look: their length, their delay, and the pieces of a stream.
///
/// ```
/// use std::time::Duration;
/// use tower_key_rotation::sandbox::Script;
///
/// // 200 tokens in 50 events: the first after 500 ms, the others 20 ms apart.
/// let script = Script::new()
///     .tokens(200)
///     .latency(Duration::from_millis(500))
///     .events(50)
///     .gap(Duration::from_millis(20));
/// # let _ = script;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Script {
    pub(super) tokens: u64,
    pub(super) latency: Duration,
    pub(super) jitter: Duration,
    pub(super) gap: Duration,
    events: Option<u64>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            tokens: 12,
            latency: Duration::ZERO,
            jitter: Duration::ZERO,
            gap: Duration::ZERO,
            events: None,
        }
    }
}

impl Script {
    /// Answers of 12 tokens without delay; a stream has one token in each event.
    pub fn new() -> Self {
        Self::default()
    }

    /// The number of tokens of an answer, if the request allows as many; 12 by default. A token is four
    /// bytes of text.
    pub fn tokens(mut self, tokens: u64) -> Self {
        self.tokens = tokens;
        self
    }

    /// The time from a request to the head of its answer; zero by default. Refusals come at once.
    pub fn latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// A random time from zero to this is added to each latency; zero by default.
    pub fn jitter(mut self, jitter: Duration) -> Self {
        self.jitter = jitter;
        self
    }

    /// How many events of a stream carry text; by default one for each token, which is also the most.
    pub fn events(mut self, events: u64) -> Self {
        self.events = Some(events);
        self
    }

    /// The time between two events of a stream; zero by default.
    pub fn gap(mut self, gap: Duration) -> Self {
        self.gap = gap;
        self
    }

    /// How many events carry text in an answer of this many tokens.
    pub(super) fn events_for(&self, tokens: u64) -> u64 {
        self.events.unwrap_or(tokens).clamp(tokens.min(1), tokens)
    }
}

/// The text of a range of answer tokens, four bytes each.
pub(super) fn text(tokens: Range<u64>) -> String {
    const WORDS: [&str; 8] = ["ant ", "bee ", "cat ", "dog ", "elk ", "fox ", "gnu ", "hen "];
    let word = |token: u64| usize::try_from(token % 8).ok().and_then(|at| WORDS.get(at));
    tokens.filter_map(word).copied().collect()
}
