//! What a status means if no rule of the dialect matches: the rules that all dialects share.

use std::sync::LazyLock;

use super::rule::{Match, Rule};
use crate::verdict::{Blame, Place};

/// The rules behind those of every dialect.
///
/// - 429 with a page is about our address (Cloudflare's error 1015): all requests wait, and no account
///   rests.
/// - 401 with a page counts against the key only with the `www-authenticate` that RFC 9110 demands
///   of a 401. Without it the way is at fault.
///
/// The rules named `body/` know the words that many providers share, in a refusal as in an error event
/// within a 200 that has no status. If the body names nothing, a rule named `status/` concludes from the
/// status.
/// A bare 401 or 403 proves little: the key can be at fault, its permissions, or the request. Another key
/// is tried before anything rests.
pub(super) fn rules() -> &'static [Rule] {
    static RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
        vec![
            inferred(Rule::overloaded("page/429").status(429).page().place(Place::Provider)),
            inferred(
                Rule::transient("page/401")
                    .status(401)
                    .page()
                    .header("www-authenticate", Match::Absent),
            ),
            Rule::key_rejected("body/key").status(401).code(KEY),
            Rule::key_rejected("body/key").status([401, 403]).begins(BAD_KEY),
            Rule::quota_exhausted("body/quota").status([402, 403, 429]).code(QUOTA),
            Rule::rate_limited("body/rate-limit").status(429).code(RATE),
            Rule::overloaded("body/overloaded").status(500..=999).code(OVERLOADED),
            Rule::overloaded("body/overloaded")
                .status(500..=999)
                .says(["overloaded", "at capacity"]),
            inferred(Rule::key_rejected("status/401").status(401)),
            inferred(Rule::quota_exhausted("status/402").status(402)),
            inferred(Rule::permission_refused("status/403").status(403)),
            inferred(Rule::rate_limited("status/429").status(429)),
            // An API that is not known well may refuse a bad key so.
            inferred(
                Rule::key_rejected("status/400-about-the-key")
                    .status(400)
                    .says(["api key", "api_key", "apikey"]),
            ),
            // "... does not exist or you do not have access to it"
            inferred(Rule::permission_refused("status/404-or-no-access").status(404).says([
                "have access",
                "has access",
                "no access to",
                "inaccessible",
            ])),
            // 529 is Anthropic's "overloaded", and others' since.
            inferred(Rule::overloaded("status/overloaded").status([503, 529])),
            inferred(Rule::transient("status/408").status(408)),
            inferred(Rule::transient("status/5xx").status(500..=999)),
            Rule::caller_fault("status/4xx").status(400..=499),
            // Other words for a status prove no more than that.
            inferred(Rule::rate_limited("body/rate-limit").code(["too_many_requests"])),
            inferred(google(Rule::rate_limited("body/rate-limit"), ["RESOURCE_EXHAUSTED"])),
            inferred(google(Rule::overloaded("body/overloaded"), ["UNAVAILABLE"])),
            inferred(Rule::key_rejected("body/key").code(["authentication_error"])),
            inferred(google(Rule::key_rejected("body/key"), ["UNAUTHENTICATED"])),
            inferred(Rule::permission_refused("body/permission").code(["permission_error"])),
            inferred(google(Rule::permission_refused("body/permission"), ["PERMISSION_DENIED"])),
            Rule::caller_fault("body/request").code(REQUEST),
            google(Rule::caller_fault("body/request"), GOOGLE_REQUEST),
        ]
    });
    &RULES
}

/// Concluded from the status. What is about a key is then about this operation and this model only.
fn inferred(rule: Rule) -> Rule {
    let rule = rule.blame(Blame::Inferred);
    if rule.is_about_a_key() { rule.place(Place::Operation) } else { rule }
}

/// Google's word for a status (<https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto>).
fn google<const N: usize>(rule: Rule, words: [&'static str; N]) -> Rule {
    rule.json("/error/status", Match::is(words))
}

const KEY: [&str; 2] = ["invalid_api_key", "wrong_api_key"];

/// What is only ever said about a key.
const BAD_KEY: [&str; 10] = [
    "api key expired",
    "api key not valid",
    "bad credentials",
    "incorrect api key",
    "invalid api key",
    "invalid api token",
    "invalid credentials",
    "the api key you provided is invalid",
    "wrong api key",
    "your api key has expired",
];

const QUOTA: [&str; 4] =
    ["billing_error", "payment_required", "payment_required_error", "insufficient_quota"];

const RATE: [&str; 4] = ["rate_limit_error", "rate_limit_exceeded", "rate_limited", "slow_down"];

/// OpenAI `server_is_overloaded`, Anthropic `overloaded_error`.
const OVERLOADED: [&str; 4] =
    ["server_is_overloaded", "service_unavailable_error", "overloaded_error", "overloaded"];

const REQUEST: [&str; 5] = [
    "invalid_request_error",
    "invalid_request",
    "not_found_error",
    "request_too_large",
    "content_filter",
];

const GOOGLE_REQUEST: [&str; 3] = ["INVALID_ARGUMENT", "FAILED_PRECONDITION", "NOT_FOUND"];
