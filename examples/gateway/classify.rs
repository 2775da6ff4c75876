//! `--classify`: shows how the gateway reads a refusal: the verdict, the place, how well it is proven, and
//! the rule.

use std::{
    io::{self, Read},
    time::SystemTime,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tower_key_rotation::{
    ApiKey, KeyPool, Verdict,
    provider::{Answer, Ruling},
    verdict::{Blame, Place},
};

use super::config::{Config, Dialect, Problems, Served};

/// The bytes of a body that are read, the same as for a real refusal.
const MOST: u64 = 64 * 1024;

/// Judges the refusal that the arguments describe: a dialect or a pool of the configuration with its own
/// rules, a status, headers as `name: value`, and a file with the body, or `-` for standard input.
pub(crate) fn classify(words: &[String], config: Option<Config>) -> Result<String, Problems> {
    #[expect(
        clippy::disallowed_methods,
        reason = "dates in headers are compared with the current time"
    )]
    let now = SystemTime::now();
    judge(words, config, now).map_err(|problem| Problems(vec![problem]))
}

fn judge(words: &[String], config: Option<Config>, now: SystemTime) -> Result<String, String> {
    let [whom, status, rest @ ..] = words else {
        return Err("--classify needs a provider and a status, such as openai 429".to_owned());
    };
    let pool = pool(whom, config)?;
    let status = status.parse::<u16>().ok().and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or("the status must be a number from 100 to 999, such as 429")?;
    let (mut headers, mut body) = (HeaderMap::new(), Vec::new());
    for word in rest {
        match header(word) {
            Some((name, value)) => drop(headers.append(name, value)),
            None => {
                body = read(word).map_err(|error| {
                    format!("cannot read the body from {word}: {}", error.kind())
                })?
            }
        }
    }
    let answer = Answer::new(status, &headers, now).with_body(&body);
    let ruling = pool.classify(&answer);
    let by = match ruling.blame {
        Blame::Told => format!("stated by {}", teller(&pool, &answer, &ruling)),
        _ => "inferred from little more than the status".to_owned(),
    };
    let Ruling { verdict, place, ref rule, .. } = ruling;
    let place = if verdict == Verdict::CallerFault { "" } else { about(place) };
    let (details, then) = (details(&verdict), consequence(&ruling));
    Ok(format!("{verdict}{place}, {by}{details}\nrule: {rule}\n{then}\n"))
}

/// The part of a refusal that the rule matched: without it, another rule would match.
fn teller(pool: &KeyPool, answer: &Answer<'_>, ruling: &Ruling) -> &'static str {
    let (status, headers, now) = (answer.status(), answer.headers(), answer.now());
    let fires = |answer: &Answer<'_>| pool.classify(answer).rule == ruling.rule;
    if !fires(&Answer::new(status, headers, now)) {
        "the body"
    } else if !fires(&Answer::new(status, &HeaderMap::new(), now)) {
        "a header"
    } else {
        "the status"
    }
}

/// A pool of the configuration, or a pool of a dialect alone.
fn pool(whom: &str, config: Option<Config>) -> Result<KeyPool, String> {
    let configured = config.into_iter().flat_map(|config| config.pools);
    let configured = configured.into_iter().find(|pool| pool.name == whom);
    let builder = match configured {
        Some(pool) => {
            pool.rules.into_iter().fold(pool.dialect.pool(&pool.base.origin()), |b, r| b.rule(r))
        }
        None => Dialect::read(whom)?.pool("https://provider.invalid"),
    };
    builder.key(ApiKey::new("none")).build().map_err(|error| error.to_string())
}

fn header(word: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = word.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    match path {
        "-" => io::stdin().lock().take(MOST).read_to_end(&mut body)?,
        path => std::fs::File::open(path)?.take(MOST).read_to_end(&mut body)?,
    };
    Ok(body)
}

/// A place in words.
fn about(place: Place) -> &'static str {
    match place {
        Place::Operation => " of the key for this operation and model",
        Place::KeyModel => " of the key for this model",
        Place::Key => " of the key",
        Place::Model => " of the account for this model",
        Place::Account => " of the account",
        Place::ProviderModel => " of the provider for this model",
        Place::Provider => " of the provider",
        _ => "",
    }
}

/// The time to wait or the size, if the verdict has one.
fn details(verdict: &Verdict) -> String {
    match verdict {
        Verdict::RateLimited { retry_after }
        | Verdict::QuotaExhausted { retry_after }
        | Verdict::Overloaded { retry_after } => match retry_after {
            Some(wait) => format!(", again in {:.3} s", wait.as_secs_f64()),
            None => ", without a time to wait".to_owned(),
        },
        Verdict::TooLarge { limit: Some(tokens) } => format!(", {tokens} tokens at most"),
        Verdict::TooLarge { limit: None } => ", without a size that fits".to_owned(),
        _ => String::new(),
    }
}

/// The consequence of the ruling.
fn consequence(ruling: &Ruling) -> &'static str {
    match ruling.verdict {
        _ if ruling.needs_second_opinion() => "another key is tried before anything rests",
        Verdict::Accepted | Verdict::CallerFault => "nothing rests",
        Verdict::Transient => "it rests only if most of its requests fail",
        Verdict::TooLarge { .. } => {
            "it gets no request of this size for a while, without a second opinion"
        }
        _ => "it rests at once, without a second opinion",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(words: &[&str]) -> Result<String, String> {
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        judge(&words, None, SystemTime::UNIX_EPOCH)
    }

    fn judged_with_body(body: &str, words: &[&str]) -> String {
        let file = std::env::temp_dir().join(format!("gateway-classify-{}", std::process::id()));
        std::fs::write(&file, body).unwrap();
        let judged = judged(&[words, &[file.to_str().unwrap()]].concat()).unwrap();
        std::fs::remove_file(file).unwrap();
        judged
    }

    #[test]
    fn the_verdict_its_place_its_proof_and_its_rule_are_shown() {
        assert_eq!(
            judged_with_body(r#"{"error":{"code":"insufficient_quota"}}"#, &["openai", "429"]),
            "quota_exhausted of the account, stated by the body, without a time to wait\n\
             rule: openai/insufficient-quota\n\
             it rests at once, without a second opinion\n"
        );
        let scopes = r#"{"error":{"message":"You have insufficient permissions for this operation. Missing scopes: api.responses.write.","type":"invalid_request_error"}}"#;
        assert_eq!(
            judged_with_body(scopes, &["openai", "401"]),
            "permission_refused of the key for this operation and model, stated by the body\n\
             rule: openai/missing-scopes\n\
             another key is tried before anything rests\n"
        );
        let large = r#"{"error":{"message":"Request too large for gpt-4.1 in organization org-x on tokens per min (TPM): Limit 30000, Requested 41027.","type":"tokens","code":"rate_limit_exceeded"}}"#;
        let large = judged_with_body(large, &["openai", "429"]);
        assert!(
            large.starts_with(
                "too_large of the account for this model, stated by the body, 30000 tokens at most\n"
            ),
            "{large}"
        );
        assert_eq!(
            judged(&["groq", "429", "Retry-After: 7"]).unwrap(),
            "rate_limited of the account for this model, inferred from little more than the status, \
             again in 7.000 s\n\
             rule: status/429\n\
             it rests at once, without a second opinion\n"
        );
        assert_eq!(
            judged(&["xai", "401"]).unwrap(),
            "key_rejected of the key for this operation and model, inferred from little more than the \
             status\n\
             rule: status/401\n\
             another key is tried before anything rests\n"
        );
        assert_eq!(
            judged(&["openai", "422"]).unwrap(),
            "caller_fault, stated by the status\nrule: status/4xx\nnothing rests\n"
        );
        let overloaded = judged(&["openai", "503"]).unwrap();
        assert!(
            overloaded.starts_with("overloaded of the provider for this model, "),
            "{overloaded}"
        );
    }

    #[test]
    fn a_wrong_argument_is_reported() {
        for (words, problem) in [
            (&["openai"][..], "needs a provider and a status"),
            (&["openia", "429"], "\"openia\" is none of openai"),
            (&["openai", "many"], "the status must be a number"),
            (&["openai", "429", "/nowhere/at/all"], "/nowhere/at/all: "),
        ] {
            let error = judged(words).unwrap_err();
            assert!(error.contains(problem), "{words:?}: {error}");
        }
    }
}
