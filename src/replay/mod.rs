//! Bodies that can be sent again.
//!
//! [`ReplayBodyLayer`] buffers the body of a request up to a maximum, so that it can be sent again with
//! another key, and read to estimate what the request asks for. A longer body passes through as it comes,
//! and its request is sent once.
//!
//! ```
//! use http_body_util::BodyExt;
//! use tower_key_rotation::{ReplayBody, replay::Replay};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let body = ReplayBody::from("{}");
//! let again = body.replay().expect("a buffered body can be sent again");
//! assert_eq!(again.collect().await.unwrap().to_bytes(), "{}");
//! # }
//! ```
//!
//! [`ReplayBodyLayer`]: crate::ReplayBodyLayer

pub(crate) mod body;
mod buffer;
pub(crate) mod layer;

pub use body::Replay;
pub(crate) use body::{BrokenOff, longer_by};
pub use layer::{ReplayBodyService, ResponseFuture};
