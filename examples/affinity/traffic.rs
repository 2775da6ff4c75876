//! The conversations of a run, the same for each client.

use std::time::Duration;

use serde_json::{Value, json};

use crate::scenario::{Dialect, Scenario};

/// Instructions that many conversations share, in tokens. They are useful in the cache of each account.
const INSTRUCTIONS: [usize; 4] = [400, 1_100, 1_600, 2_400];

#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) at: Duration,
    pub(crate) instructions: String,
    pub(crate) turns: Vec<Turn>,
}

#[derive(Clone, Debug)]
pub(crate) struct Turn {
    /// The time after the answer to the last turn.
    pub(crate) pause: Duration,
    pub(crate) text: String,
    /// The length of the answer, in tokens.
    pub(crate) answer: u64,
}

/// Conversations that start at random times and have a random number of turns: first a document or a
/// question, then short turns. Some callers think longer than a cache keeps a prompt.
pub(crate) fn conversations(scenario: &Scenario, seed: u64) -> Vec<Conversation> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let instructions = INSTRUCTIONS.map(|tokens| text(&mut rng, tokens));
    let mut at = 0.0;
    let gap = 1.0 / scenario.conversations_a_second;
    let mut all = Vec::new();
    loop {
        at += exponential(&mut rng, gap);
        let at = Duration::from_secs_f64(at);
        if at >= scenario.time {
            return all;
        }
        let turns = 1 + (exponential(&mut rng, 6.0) as usize).min(30);
        let turns = (0..turns).map(|number| Turn {
            pause: match number {
                0 => Duration::ZERO,
                _ => Duration::from_secs_f64(2.0 + exponential(&mut rng, 45.0)),
            },
            text: match number {
                0 => {
                    let tokens = 200 + (exponential(&mut rng, 2_500.0) as usize).min(20_000);
                    text(&mut rng, tokens)
                }
                _ => {
                    let tokens = rng.usize(20..400);
                    text(&mut rng, tokens)
                }
            },
            answer: rng.u64(50..500),
        });
        let turns = turns.collect();
        let instructions = instructions[rng.usize(..INSTRUCTIONS.len())].clone();
        all.push(Conversation { at, instructions, turns });
    }
}

/// A text of this many tokens, of four bytes each.
fn text(rng: &mut fastrand::Rng, tokens: usize) -> String {
    let mut text = String::with_capacity(4 * tokens);
    for _ in 0..tokens {
        (0..3).for_each(|_| text.push(rng.lowercase()));
        text.push(' ');
    }
    text
}

fn exponential(rng: &mut fastrand::Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

/// A conversation. Each request contains all earlier messages.
pub(crate) struct Transcript {
    dialect: Dialect,
    instructions: String,
    turns: Vec<Value>,
}

impl Transcript {
    pub(crate) fn new(dialect: Dialect, instructions: &str) -> Self {
        Self { dialect, instructions: instructions.to_owned(), turns: Vec::new() }
    }

    /// Adds the next turn of the caller, and returns the body of the request.
    pub(crate) fn ask(&mut self, turn: &Turn) -> String {
        self.turns.push(json!({"role": "user", "content": turn.text}));
        let (model, most) = (self.dialect.model(), turn.answer);
        let body = match self.dialect {
            Dialect::OpenAi => {
                let mut messages = vec![json!({"role": "system", "content": self.instructions})];
                messages.extend(self.turns.iter().cloned());
                json!({"model": model, "max_completion_tokens": most, "messages": messages})
            }
            Dialect::Anthropic => {
                let marked = |text: &str| {
                    let mark = json!({"type": "ephemeral"});
                    json!([{"type": "text", "text": text, "cache_control": mark}])
                };
                let mut messages = self.turns.clone();
                if let Some(last) = messages.last_mut() {
                    last["content"] = marked(&turn.text);
                }
                let system = marked(&self.instructions);
                json!({"model": model, "max_tokens": most, "system": system, "messages": messages})
            }
        };
        body.to_string()
    }

    /// The text of the answer; `None` if it cannot be read.
    pub(crate) fn answered(&mut self, body: &[u8]) -> Option<()> {
        let answer: Value = serde_json::from_slice(body).ok()?;
        let place = match self.dialect {
            Dialect::OpenAi => "/choices/0/message/content",
            Dialect::Anthropic => "/content/0/text",
        };
        let text = answer.pointer(place)?.as_str()?;
        self.turns.push(json!({"role": "assistant", "content": text}));
        Some(())
    }
}
