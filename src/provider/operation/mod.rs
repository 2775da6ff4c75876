//! What a request does: its operation.
//!
//! A refusal often proves only that one key may not do one kind of thing. So the kinds of requests of
//! each provider are distinguished, by method and path alone:
//!
//! ```
//! use http::{Method, Uri};
//! use tower_key_rotation::{OpenAi, provider::{Provider, operation::{Access, Kind}}};
//!
//! let uri = Uri::from_static("/v1/files/file-abc/content");
//! let operation = OpenAi::default().operation(&Method::GET, &uri);
//! assert_eq!((operation.kind(), operation.access()), (Kind::Files, Access::Read));
//! assert_eq!(operation.to_string(), "files.read");
//! assert!(operation.names() && operation.is_free());
//! ```
//!
//! A kind is found by the first segment that is a collection of the provider's, behind whatever base
//! path stands before it: `/v1/chat/completions` and `/openai/deployments/x/chat/completions` are both
//! `chat`. A path that no dialect knows is an operation by its first segment behind a version:
//! `GET /api/v3/repos/a/b` is `repos.read`.

mod kind;
mod read;
mod segments;
#[cfg(test)]
mod tests;
mod words;

pub(crate) use self::kind::OPERATIONS;
pub use self::{
    kind::{Access, Kind, Operation},
    read::Operations,
};
