//! What a status says where no rule of the dialect matches: the ground all dialects stand on.

use std::sync::LazyLock;

use super::{Match, Rule};
use crate::{Blame, Place};

/// The rules behind those of every dialect, by status.
///
/// A web page was written by something between us and the provider, which knows no keys. Therefore:
///
/// - 429 with a page is about our address (Cloudflare's error 1015): everybody waits, no account is
///   cooled.
/// - 401 with a page counts against the key only with the `www-authenticate` that RFC 9110 demands
///   of a 401. Without it the way is at fault.
///
/// A bare 401 or 403 proves little: it may be the key, what it may do, or the request. Another key is
/// asked before anything rests.
///
/// The rules named `body/` are for error events within a 200, which tell no status.
pub(super) fn rules() -> &'static [Rule] {
    static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
        vec![
            Rule::overloaded("page/429").status(429).page().place(Place::Provider),
            Rule::transient("page/401")
                .status(401)
                .page()
                .header("www-authenticate", Match::Absent),
            inferred(Rule::key_rejected("status/401").status(401)),
            inferred(Rule::quota_exhausted("status/402").status(402)),
            inferred(Rule::permission_refused("status/403").status(403)),
            inferred(Rule::rate_limited("status/429").status(429)),
            // A dialect that we do not know well may tell a bad key so.
            inferred(
                Rule::key_rejected("status/400-about-the-key")
                    .status(400)
                    .says(["api key", "api_key", "apikey"]),
            ),
            inferred(
                Rule::permission_refused("status/404-or-no-access")
                    .status(404)
                    .says(["not have access", "don't have access", "no access to"]),
            ),
            // 529 is Anthropic's "overloaded", and others' since.
            Rule::overloaded("status/overloaded").status([503, 529]),
            Rule::overloaded("body/overloaded").status(500..=999).code(OVERLOADED),
            Rule::overloaded("body/overloaded").status(500..=999).says(["overloaded"]),
            Rule::transient("status/408").status(408),
            Rule::transient("status/5xx").status(500..=999),
            Rule::caller_fault("status/4xx").status(400..=499),
            Rule::quota_exhausted("body/quota").code(QUOTA),
            Rule::rate_limited("body/rate-limit").code(RATE),
            google(Rule::rate_limited("body/rate-limit"), ["RESOURCE_EXHAUSTED"]),
            google(Rule::overloaded("body/overloaded"), ["UNAVAILABLE"]),
            Rule::key_rejected("body/key").code(["authentication_error", "invalid_api_key"]),
            google(Rule::key_rejected("body/key"), ["UNAUTHENTICATED"]),
            inferred(Rule::permission_refused("body/permission").code(["permission_error"])),
            inferred(google(Rule::permission_refused("body/permission"), ["PERMISSION_DENIED"])),
            Rule::caller_fault("body/request").code(REQUEST),
            google(Rule::caller_fault("body/request"), GOOGLE_REQUEST),
        ]
    });
    &RULES
}

/// About this key, this operation and this model, for all that a status proves.
fn inferred(rule: Rule) -> Rule {
    let rule = rule.blame(Blame::Inferred);
    if rule.is_about_a_key() { rule.place(Place::Operation) } else { rule }
}

/// Google's word for a status (<https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>).
fn google<const N: usize>(rule: Rule, words: [&'static str; N]) -> Rule {
    rule.json("/error/status", Match::is(words))
}

/// Says so with another status: OpenAI `server_is_overloaded`, Anthropic `overloaded_error`.
const OVERLOADED: [&str; 4] =
    ["server_is_overloaded", "service_unavailable_error", "overloaded_error", "overloaded"];

const QUOTA: [&str; 3] = ["billing_error", "payment_required", "insufficient_quota"];

const RATE: [&str; 5] =
    ["rate_limit_error", "rate_limit_exceeded", "rate_limited", "too_many_requests", "slow_down"];

const REQUEST: [&str; 5] = [
    "invalid_request_error",
    "invalid_request",
    "not_found_error",
    "request_too_large",
    "content_filter",
];

const GOOGLE_REQUEST: [&str; 3] = ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"];
