//! The measured rows: each row is one way to serve a request.
//!
//! Every row sends the same request through the same loop, on one thread, to the same inner service,
//! and reads the response to its end. Rows differ in the middleware only.

#![allow(dead_code, reason = "each program uses a part of it")]
#![allow(clippy::unwrap_used)]

pub(crate) mod driver;
pub(crate) mod engine;
mod hand_made;
pub(crate) mod instructions;
pub(crate) mod pools;
pub(crate) mod rows;
