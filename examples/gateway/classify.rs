//! `--classify`: what the gateway would make of a refusal, and which rule says so.

use std::{
    io::{self, Read},
    time::SystemTime,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tower_key_rotation::{
    ApiKey, KeyPool, Scope, Verdict,
    provider::{Answer, Ruling},
};

use super::config::{Config, Dialect, Problems};

/// As much of a body is looked at as of a real refusal's.
const MOST: u64 = 64 * 1024;

/// Judges the refusal that the arguments describe: a dialect, or a pool of the configuration with its
/// own rules; a status; headers as `name: value`; and a file with the body, or `-`.
pub(crate) fn classify(words: &[String], config: Option<Config>) -> Result<String, Problems> {
    #[expect(clippy::disallowed_methods, reason = "dates are compared with this very moment")]
    let now = SystemTime::now();
    judge(words, config, now).map_err(|problem| Problems(vec![problem]))
}

fn judge(words: &[String], config: Option<Config>, now: SystemTime) -> Result<String, String> {
    let [whom, status, rest @ ..] = words else {
        return Err("--classify needs a provider and a status, such as openai 429".to_owned());
    };
    let pool = pool(whom, config)?;
    let status = status.parse::<u16>().ok().and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or("the status must be a number such as 429")?;
    let (mut headers, mut body) = (HeaderMap::new(), Vec::new());
    for word in rest {
        match header(word) {
            Some((name, value)) => drop(headers.append(name, value)),
            None => body = read(word).map_err(|error| format!("{word}: {}", error.kind()))?,
        }
    }
    let Ruling { verdict, rule, .. } =
        pool.classify(&Answer { status, headers: &headers, body: &body, now });
    Ok(format!("{verdict}{}\nrule: {rule}\n", details(&verdict)))
}

/// A pool of the configuration, or one that only speaks a dialect.
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

fn details(verdict: &Verdict) -> String {
    let (wait, scope) = match verdict {
        Verdict::RateLimited { retry_after, scope }
        | Verdict::QuotaExhausted { retry_after, scope } => (retry_after, Some(scope)),
        Verdict::Overloaded { retry_after } => (retry_after, None),
        _ => return String::new(),
    };
    let scope = scope.map(|scope| match scope {
        Scope::Account => " of the account",
        _ => " of the account for this model",
    });
    let wait = wait.map_or("nothing told of when to come back".to_owned(), |wait| {
        format!("again in {:.3} s", wait.as_secs_f64())
    });
    format!("{}, {wait}", scope.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(words: &[&str]) -> Result<String, String> {
        let words: Vec<_> = words.iter().map(ToString::to_string).collect();
        judge(&words, None, SystemTime::UNIX_EPOCH)
    }

    #[test]
    fn the_verdict_and_its_rule_are_told() {
        let body = std::env::temp_dir().join(format!("gateway-classify-{}", std::process::id()));
        std::fs::write(&body, r#"{"error":{"code":"insufficient_quota"}}"#).unwrap();
        assert_eq!(
            told(&["openai", "429", body.to_str().unwrap()]).unwrap(),
            "quota_exhausted of the account, nothing told of when to come back\n\
             rule: openai/insufficient-quota\n"
        );
        std::fs::remove_file(body).unwrap();
        assert_eq!(
            told(&["groq", "429", "Retry-After: 7"]).unwrap(),
            "rate_limited of the account for this model, again in 7.000 s\nrule: status/429\n"
        );
        assert_eq!(told(&["xai", "401"]).unwrap(), "key_rejected\nrule: status/401\n");
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (words, problem) in [
            (&["openai"][..], "needs a provider and a status"),
            (&["openia", "429"], "\"openia\" is none of openai"),
            (&["openai", "many"], "the status must be a number"),
            (&["openai", "429", "/nowhere/at/all"], "/nowhere/at/all: "),
        ] {
            let error = told(words).unwrap_err();
            assert!(error.contains(problem), "{words:?}: {error}");
        }
    }
}
