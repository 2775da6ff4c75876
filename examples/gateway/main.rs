//! One endpoint in front of many API keys: an axum server with key rotation.

mod access;
mod args;
mod config;
mod guard;
mod headers;
mod reply;
mod serve;

fn main() {}
