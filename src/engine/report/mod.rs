//! What is seen of the engine from outside: its state at a moment, and what is kept over a restart.

mod saved;
mod snapshot;
