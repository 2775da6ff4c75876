//! What a sandbox fails with instead of an answer.

use std::fmt;

/// Why a sandbox sends no response, or breaks one off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SandboxError {
    /// The connection was refused: see
    /// [`Fault::refuse_connections`](crate::sandbox::Fault::refuse_connections).
    ConnectionRefused,
    /// The body of the request failed before its end.
    RequestBody,
    /// The stream broke off: see [`Fault::cut_streams`](crate::sandbox::Fault::cut_streams). This is
    /// an error of the response body; the call itself succeeded.
    StreamCut,
}

impl fmt::Display for SandboxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConnectionRefused => "connection refused",
            Self::RequestBody => "the body of the request broke off",
            Self::StreamCut => "connection reset in the middle of the stream",
        })
    }
}

impl std::error::Error for SandboxError {}
