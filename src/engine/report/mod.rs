//! What leaves the engine as plain data.
//!
//! [`snapshot`] gives its state at a moment, for operators. [`saved`] gives what is kept over a
//! restart, and restores it.

mod saved;
mod snapshot;
