//! Guides: each page explains one topic, with examples that run as tests.
//!
//! Start with the [guide]. The other pages can be read in any order.
//!
//! | page | topic |
//! | --- | --- |
//! | [`guide`] | getting started: the layers, retries, responses, a pool without Tower, tests |
//! | [`limits`] | declared and learnt limits, waiting in line, estimates of tokens |
//! | [`providers`] | dialects, verdicts, rules of your own, a dialect of your own |
//! | [`streams`] | streamed answers: errors, timeouts, usage |
//! | [`usage_and_money`] | tokens, prices, budgets, the ledger |
//! | [`balance`] | strategies, prompt caches, endpoints and a service for each key |
//! | [`gateway`] | the server in `examples/gateway`: configuration and operation |
//! | [`guarantees`] | what is promised, and which test shows it |
//! | [`migrating`] | from keys that are rotated by hand |
//! | [`does_rotating_help`] | what several keys bring at each provider, and what the terms say |

#[doc = include_str!("guide.md")]
pub mod guide {}

#[doc = include_str!("limits.md")]
pub mod limits {}

#[doc = include_str!("providers.md")]
pub mod providers {}

#[doc = include_str!("streams.md")]
pub mod streams {}

#[doc = include_str!("usage_and_money.md")]
pub mod usage_and_money {}

#[doc = include_str!("balance.md")]
pub mod balance {}

#[doc = include_str!("gateway.md")]
pub mod gateway {}

#[doc = include_str!("guarantees.md")]
pub mod guarantees {}

#[doc = include_str!("migrating.md")]
pub mod migrating {}

#[doc = include_str!("does_rotating_help.md")]
pub mod does_rotating_help {}

/// The Rust blocks of the README are doc tests, too.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}
