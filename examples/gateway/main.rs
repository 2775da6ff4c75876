//! One endpoint in front of many API keys: an axum server with key rotation.

mod args;
mod config;

fn main() {}
