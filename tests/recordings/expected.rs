//! What those who sorted the recordings say of them, and where we know better.

use serde_json::Value;
use tower_key_rotation::{Verdict, provider::Ruling};

use crate::{coverage::Found, recording::Recording};

/// The kind of a recording, and the verdicts that fit it.
const KINDS: &[(&str, &[&str])] = &[
    ("429_rate", &["rate_limited"]),
    ("429_quota", &["quota_exhausted"]),
    ("429_request_too_large", &["caller_fault"]),
    ("400", &["caller_fault"]),
    ("400_invalid_key", &["key_rejected"]),
    ("400_billing", &["quota_exhausted"]),
    ("400_context_length", &["caller_fault"]),
    ("401", &["key_rejected"]),
    ("402", &["quota_exhausted"]),
    ("403", &["caller_fault", "model_refused"]),
    ("404", &["caller_fault", "model_refused"]),
    ("413", &["caller_fault"]),
    ("422", &["caller_fault"]),
    ("5xx", &["transient", "overloaded"]),
];

/// Where a rule says otherwise than the kind, which goes by status and by what a text looks like: the
/// rule, the kind, and why.
const BETTER: &[(&str, &str, &str)] = &[
    ("gemini/capacity", "429_rate", "RESOURCE_EXHAUSTED and no details: no limit of the account's"),
    ("gemini/daily-quota", "429_rate", "a quota of the day is out until midnight"),
    ("gemini/limit-zero", "429_rate", "the model is not in the plan: no wait helps"),
    ("gemini/no-credit", "429_rate", "prepaid credit is used up"),
    ("gemini/no-key-sent", "401", "nobody sent a key, or another kind of credential: none is bad"),
    ("gemini/invalid-key", "403", "a leaked or suspended key is a 403"),
    ("openai/daily-limit", "429_rate", "a quota of the day"),
    ("openai/insufficient-quota", "400", "a limit on money, told with 400 by images"),
    ("openai/no-key-sent", "401", "nobody sent a key"),
    ("openai/missing-scopes", "401", "a key that is good for other paths"),
    ("openai/wrong-address", "401", "a key that is good from other addresses"),
    ("openai/organization-mismatch", "401", "the caller named another organisation"),
    ("anthropic/no-credit", "400", "no credit, told with 400"),
    ("anthropic/usage-limit", "400", "a limit on money, told with 400"),
    ("anthropic/usage-limit", "429_rate", "a limit on money"),
    ("anthropic/spend-limit", "429_rate", "a limit on money"),
    ("anthropic/organization-disabled", "400", "a closed account, told with 400"),
    ("anthropic/request-too-large", "429_rate", "one prompt larger than the limit"),
    ("groq/spend-limit", "400", "a limit on money, told with 400"),
    ("mistral/capacity", "429_rate", "the tier's capacity, not an account's limit"),
    ("cohere/monthly-calls", "429_rate", "a quota of the month"),
    ("cerebras/queue", "429_rate", "a queue that is full for everybody"),
    ("cerebras/daily-limit", "429_rate", "a quota of the day"),
    ("bedrock/daily-limit", "429_rate", "a quota of the day"),
    ("bedrock/model-not-ready", "429_rate", "a model that is still loading"),
    ("bedrock/invalid-key", "403", "a bad or expired credential is a 403"),
    ("bedrock/service-quota", "400", "a quota, told with 400"),
    ("fireworks/capacity", "429_rate", "capacity, not an account's limit"),
    ("fireworks/invalid-key", "403", "a bad key is a 403"),
    ("openrouter/daily-limit", "429_rate", "a quota of the day"),
    ("openrouter/in-flight-budget", "402", "passes when a request has ended"),
    ("openrouter/budget", "403", "a budget that is used up"),
    ("openrouter/key-limit", "403", "a budget that is used up"),
    ("perplexity/no-credit-or-key", "401", "may be no credit: the key is not taken for dead"),
    ("xai/no-credit", "429_rate", "no credit"),
    ("xai/no-credit", "403", "no credit, told with 403"),
    ("xai/invalid-key", "400", "a bad key is a 400"),
    ("github/rate-limit", "403", "a limit, told with 403"),
    ("github/secondary-limit", "403", "a limit, told with 403"),
    ("page/429", "429_rate", "a page about our address"),
    ("page/401", "401", "a page of something in between"),
];

pub(crate) fn check(recording: &Recording, ruling: &Ruling) -> Found {
    let verdict = ruling.verdict.name();
    let kind = &*recording.kind;
    let usual = KINDS.iter().find(|(known, _)| *known == kind);
    let fits = match usual {
        Some((_, verdicts)) => verdicts.contains(&verdict),
        // A kind that is not known: no more can be said than what the status is about.
        None => ruling.verdict != Verdict::Accepted,
    };
    let better = || BETTER.iter().any(|(rule, of, _)| *rule == ruling.rule && *of == kind);
    if !fits && !better() {
        return Err(format!("{kind} is {verdict} by {}", ruling.rule));
    }
    wait(recording, ruling)
}

/// A wait that the headers or the body tell is found.
fn wait(recording: &Recording, ruling: &Ruling) -> Found {
    let Verdict::RateLimited { retry_after, .. } = ruling.verdict else { return Ok(1) };
    let number = |name: &str| {
        let text = recording.headers.get(name)?.to_str().ok()?;
        text.parse::<u64>().ok().filter(|number| *number > 0)
    };
    let found = retry_after.map(|wait| wait.as_millis() as u64);
    let fits = match (number("retry-after"), number("retry-after-ms")) {
        (Some(seconds), _) => {
            found.is_some_and(|found| found > (seconds - 1) * 1_000 && found <= seconds * 1_000)
        }
        (None, Some(millis)) => found == Some(millis),
        (None, None) => {
            let body = String::from_utf8_lossy(&recording.body);
            let hints = ["try again in ", "retryDelay", "retry in "];
            found.is_some() || !hints.iter().any(|hint| body.contains(hint))
        }
    };
    if fits { Ok(1) } else { Err(format!("the wait is told, and {retry_after:?} was found")) }
}

/// An error inside an answer that had begun well: by the status that it names.
pub(crate) fn check_within(error: &[u8], ruling: &Ruling) -> Found {
    let error: Value = serde_json::from_slice(error).unwrap();
    let error = ["/choices/0/error", "/error"].iter().find_map(|at| error.pointer(at)).unwrap();
    let status = ["status_code", "code"].into_iter().find_map(|name| error[name].as_u64());
    let verdict = ruling.verdict.name();
    let fits = match status {
        Some(429) => matches!(verdict, "rate_limited" | "quota_exhausted" | "overloaded"),
        Some(400..=499) => verdict != "transient" && verdict != "accepted",
        _ => verdict != "accepted",
    };
    if fits {
        Ok(1)
    } else {
        Err(format!("an error of {status:?} is {verdict} by {}", ruling.rule))
    }
}
