//! What those who sorted the recordings say of them, and where we know better.

use serde_json::Value;
use tower_key_rotation::{
    Verdict,
    provider::Ruling,
    verdict::{
        Blame,
        Place::{self, Account, Key, KeyModel, Model, Operation, Provider, ProviderModel},
    },
};

use crate::{coverage::Found, recording::Recording};

/// The kind of a recording, and the verdicts that fit it.
const KINDS: &[(&str, &[&str])] = &[
    ("429_rate", &["rate_limited"]),
    ("429_quota", &["quota_exhausted"]),
    ("429_request_too_large", &["too_large"]),
    ("400", &["caller_fault"]),
    ("400_invalid_key", &["key_rejected"]),
    ("400_billing", &["quota_exhausted"]),
    ("400_context_length", &["caller_fault"]),
    ("401", &["key_rejected"]),
    ("402", &["quota_exhausted"]),
    ("403", &["caller_fault", "permission_refused"]),
    ("404", &["caller_fault", "permission_refused"]),
    ("413", &["caller_fault"]),
    ("422", &["caller_fault"]),
    ("5xx", &["transient", "overloaded"]),
];

/// What a refusal proves something of, and how well. Of a caller's fault: nothing.
type Proven = Option<(Place, Blame)>;

const fn told(place: Place) -> Proven {
    Some((place, Blame::Told))
}

const fn inferred(place: Place) -> Proven {
    Some((place, Blame::Inferred))
}

const NOBODY: Proven = None;

/// The kind of a recording, words in its body of which one is there (or none are needed), and what these
/// prove. The first that fits counts.
const PROVEN: &[(&str, &[&str], Proven)] = &[
    ("400_billing", &["credit balance"], told(Account)),
    ("400_invalid_key", &["api key"], told(Key)),
    ("401", &["no api key", "no auth", "no cookie auth", "missing auth"], inferred(Operation)),
    ("401", &["api key", "api-key", "api token", "credentials"], told(Key)),
    ("401", &[], inferred(Operation)),
    ("402", &["this api key", "key limit"], told(Key)),
    ("402", &["balance", "credits", "payment method", "spending"], told(Account)),
    ("402", &[], inferred(Account)),
    ("403", &["access to the model", "access to model"], told(KeyModel)),
    ("403", &["not authorized to perform"], told(Operation)),
    ("403", &[], inferred(Operation)),
    ("404", &["model_not_found", "deploymentnotfound"], inferred(KeyModel)),
    ("404", &[], inferred(Operation)),
    ("429_quota", &["limit: 0"], told(Model)),
    ("429_quota", &[], told(Account)),
    ("429_request_too_large", &[], told(Model)),
    // A code that this dialect does not know.
    ("429_rate", &["\"1305\""], inferred(Model)),
    ("429_rate", &[], told(Model)),
    ("5xx", &["model is overloaded", "at capacity"], told(ProviderModel)),
    ("5xx", &["upstream connect error", "<!doctype"], inferred(ProviderModel)),
    ("5xx", &[], inferred(Account)),
];

/// Where a rule says otherwise than the kind, which goes by status and by what a text looks like: the
/// rule, the kind, what it proves, and why.
const BETTER: &[(&str, &str, Proven, &str)] = &[
    (
        "gemini/capacity",
        "429_rate",
        inferred(ProviderModel),
        "RESOURCE_EXHAUSTED and no details: no limit of the account's",
    ),
    ("gemini/daily-quota", "429_rate", told(Model), "a quota of the day is out until midnight"),
    ("gemini/limit-zero", "429_rate", told(Model), "the model is not in the plan: no wait helps"),
    ("gemini/no-credit", "429_rate", told(Account), "prepaid credit is used up"),
    ("gemini/no-billing", "400", told(Account), "another project may have paid"),
    (
        "gemini/no-key-sent",
        "401",
        NOBODY,
        "nobody sent a key, or another kind of credential: none is bad",
    ),
    ("gemini/invalid-key", "403", told(Key), "a leaked or suspended key is a 403"),
    ("openai/daily-limit", "429_rate", told(Model), "a quota of the day"),
    (
        "openai/insufficient-quota",
        "400",
        told(Account),
        "a limit on money, told with 400 by images",
    ),
    ("openai/no-key-sent", "401", NOBODY, "nobody sent a key"),
    ("openai/missing-scopes", "401", told(Operation), "a key that is good for other paths"),
    ("openai/wrong-address", "401", told(Key), "a key that is good from other addresses"),
    ("openai/organization-mismatch", "401", NOBODY, "the caller named another organisation"),
    ("anthropic/no-credit", "400", told(Account), "no credit, told with 400"),
    ("anthropic/usage-limit", "400", told(Account), "a limit on money, told with 400"),
    ("anthropic/usage-limit", "429_rate", told(Account), "a limit on money"),
    ("anthropic/spend-limit", "429_rate", told(Account), "a limit on money"),
    ("anthropic/organization-disabled", "400", told(Key), "a closed account, told with 400"),
    ("anthropic/request-too-large", "429_rate", told(Model), "one prompt larger than the limit"),
    ("groq/spend-limit", "400", told(Account), "a limit on money, told with 400"),
    ("groq/organization-restricted", "400", told(Key), "a closed account, told with 400"),
    ("groq/no-model-access", "400", told(KeyModel), "terms that were not accepted"),
    ("groq/request-too-large", "413", told(Model), "one prompt larger than the limit"),
    (
        "mistral/capacity",
        "429_rate",
        told(ProviderModel),
        "the tier's capacity, not an account's limit",
    ),
    ("cohere/monthly-calls", "429_rate", told(Account), "a quota of the month"),
    ("cerebras/queue", "429_rate", told(ProviderModel), "a queue that is full for everybody"),
    ("cerebras/daily-limit", "429_rate", told(Model), "a quota of the day"),
    ("bedrock/daily-limit", "429_rate", told(Model), "a quota of the day"),
    ("bedrock/model-not-ready", "429_rate", told(Account), "a model that is still loading"),
    ("bedrock/invalid-key", "403", told(Key), "a bad or expired credential is a 403"),
    ("bedrock/service-quota", "400", told(Account), "a quota, told with 400"),
    ("fireworks/capacity", "429_rate", inferred(ProviderModel), "capacity, not an account's limit"),
    ("fireworks/invalid-key", "403", inferred(Operation), "a bad key is a 403"),
    ("openrouter/daily-limit", "429_rate", told(Model), "a quota of the day"),
    ("openrouter/in-flight-budget", "402", told(Account), "passes when a request has ended"),
    ("openrouter/can-only-afford", "402", told(Model), "a smaller request is served"),
    ("openrouter/budget", "403", told(Account), "a budget that is used up"),
    ("openrouter/key-limit", "403", told(Key), "a budget that is used up"),
    ("xai/no-credit", "429_rate", told(Account), "no credit"),
    ("xai/no-credit", "403", told(Account), "no credit, told with 403"),
    ("xai/invalid-key", "400", told(Key), "a bad key is a 400"),
    ("github/rate-limit", "403", told(Model), "a limit, told with 403"),
    ("github/secondary-limit", "403", told(Account), "a limit, told with 403"),
    ("page/429", "429_rate", inferred(Provider), "a page about our address"),
    ("page/401", "401", inferred(Account), "a page of something in between"),
    ("together/no-model-access", "400", inferred(KeyModel), "an account has models of its own"),
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
    let better = BETTER.iter().find(|(rule, of, ..)| *rule == ruling.rule && *of == kind);
    let proven = match better {
        Some((_, _, proven, _)) => Some(*proven),
        None if fits => proven_by_words(recording),
        None => return Err(format!("{kind} is {verdict} by {}", ruling.rule)),
    };
    proves(ruling, proven)?;
    size(recording, ruling)?;
    wait(recording, ruling)
}

fn proven_by_words(recording: &Recording) -> Option<Proven> {
    let body = String::from_utf8_lossy(&recording.body).to_lowercase();
    let fits = |words: &[&str]| words.is_empty() || words.iter().any(|word| body.contains(word));
    let found = PROVEN.iter().find(|(kind, words, _)| *kind == recording.kind && fits(words));
    found.map(|(.., proven)| *proven)
}

/// A refusal blames no more than what its words prove.
fn proves(ruling: &Ruling, proven: Option<Proven>) -> Result<(), String> {
    let found = ruling.verdict.is_refusal().then_some((ruling.place, ruling.blame));
    // A caller's fault blames no key, whatever the words say.
    if found.is_none() || proven.is_none_or(|proven| proven == found) {
        return Ok(());
    }
    Err(format!("{found:?} is blamed by {}, where {proven:?} is proven", ruling.rule))
}

/// The largest size that is taken stands in the body.
fn size(recording: &Recording, ruling: &Ruling) -> Result<(), String> {
    let Verdict::TooLarge { limit } = ruling.verdict else { return Ok(()) };
    let body = String::from_utf8_lossy(&recording.body).replace(',', "");
    match limit.filter(|limit| body.contains(&limit.to_string())) {
        Some(_) => Ok(()),
        None => Err(format!("a size is told, and {limit:?} was found")),
    }
}

/// A wait in the headers or the body is found.
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
