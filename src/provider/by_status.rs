//! What a status says where the body says nothing more: the ground all dialects stand on.

use http::header;

use super::{Answer, error_body::ErrorBody, retry_after::retry_after};
use crate::verdict::{Scope, Verdict};

/// The verdict by status; `scope` is how far a 429 reaches.
///
/// A web page was written by something between us and the provider, which knows no keys. Therefore:
///
/// - 429 with a page is about our address (Cloudflare's error 1015): everybody waits, no account is
///   cooled.
/// - 401 with a page counts against the key only with the `www-authenticate` that RFC 9110 demands
///   of a 401. A key that is taken for dead stays so until it is replaced; were we wrong, one broken
///   proxy would kill them all. So without it the way is at fault.
/// - 403 with a page (a firewall's) is as any other 403 the caller's: it bans nobody.
pub(crate) fn verdict(answer: &Answer<'_>, body: &ErrorBody<'_>, scope: Scope) -> Verdict {
    match answer.status.as_u16() {
        401 if body.is_html() && !answer.headers.contains_key(header::WWW_AUTHENTICATE) => {
            Verdict::Transient
        }
        401 => Verdict::KeyRejected,
        402 => Verdict::QuotaExhausted { retry_after: retry_after(answer), scope: Scope::Account },
        429 if body.is_html() => overloaded(answer),
        429 => Verdict::RateLimited { retry_after: retry_after(answer), scope },
        // 529 is Anthropic's "overloaded", and others' since.
        503 | 529 => overloaded(answer),
        500.. if is_overload(body) => overloaded(answer),
        408 | 500.. => Verdict::Transient,
        _ => Verdict::CallerFault,
    }
}

pub(crate) fn overloaded(answer: &Answer<'_>) -> Verdict {
    Verdict::Overloaded { retry_after: retry_after(answer) }
}

/// Says so with another status: OpenAI `server_is_overloaded`, Anthropic `overloaded_error`.
fn is_overload(body: &ErrorBody<'_>) -> bool {
    body.is(&["server_is_overloaded", "overloaded_error"]) || body.says("overloaded")
}
