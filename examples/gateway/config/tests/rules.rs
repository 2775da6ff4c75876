use std::time::SystemTime;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tower_key_rotation::{
    ApiKey, KeyPoolBuilder, Verdict,
    provider::Answer,
    verdict::{Blame, Place},
};

use super::*;

#[test]
fn rules_of_the_operator_are_read_and_match() {
    let rule = r#"[[pool.rule]]
name = "proxy/busy"
status = [403, "500-599"]
header = { name = "X-Proxy", starts_with = ["busy", "late"] }
json = [{ at = "/reason", is = "later" }, { at = "/fatal", absent = true }]
says = "try"
verdict = "rate_limited"
place = "account"
blame = "inferred"
wait = ["json /seconds", "5s"]
[[pool.rule]]
name = "proxy/page"
status = 403
page = true
verdict = "transient"
[[pool.rule]]
name = "proxy/size"
status = 413
verdict = "too_large"
size_after = "at most "
[[pool.account]]"#;
    let config = read(&one_pool("[[pool.account]]", rule)).unwrap();
    let [pool] = &config.pools[..] else { panic!("one pool") };
    let builder = pool.dialect.pool("https://api.example.com").key(ApiKey::new("none"));
    let pool = pool.rules.iter().cloned().fold(builder, KeyPoolBuilder::rule).build().unwrap();
    let rule = |status: u16, header: &'static str, body: &str| {
        let headers = HeaderMap::from_iter([(
            HeaderName::from_static("x-proxy"),
            HeaderValue::from_static(header),
        )]);
        pool.classify(
            &Answer::new(StatusCode::from_u16(status).unwrap(), &headers, SystemTime::UNIX_EPOCH)
                .with_body(body.as_bytes()),
        )
    };
    let fired = |status, header, body: &str| {
        let ruling = rule(status, header, body);
        (ruling.rule.into_owned(), ruling.verdict)
    };
    let busy = |seconds| {
        let retry_after = Some(Duration::from_secs(seconds));
        ("proxy/busy".to_owned(), Verdict::RateLimited { retry_after })
    };
    let body = r#"{"reason":"later","message":"Try again","seconds":9}"#;
    assert_eq!(fired(403, "busy now", body), busy(9));
    let ruling = rule(403, "busy now", body);
    assert_eq!((ruling.place, ruling.blame), (Place::Account, Blame::Inferred));
    assert_eq!(fired(599, "LATE", r#"{"reason":"later","error":"try"}"#), busy(5));
    for (status, header, body) in [
        (404, "busy", body),
        (403, "idle", body),
        (403, "busy", r#"{"reason":"sooner","message":"try"}"#),
        (403, "busy", r#"{"reason":"later","message":"try","fatal":1}"#),
        (403, "busy", r#"{"reason":"later","message":"no"}"#),
    ] {
        let rule = if status == 404 { "status/4xx" } else { "status/403" };
        assert_eq!(fired(status, header, body).0, rule, "{status} {header} {body}");
    }
    assert_eq!(fired(403, "", "<html>").0, "proxy/page");
    let large = Verdict::TooLarge { limit: Some(9) };
    let body = r#"{"error":{"message":"Send at most 9 words."}}"#;
    assert_eq!(fired(413, "", body), ("proxy/size".to_owned(), large));
}

#[test]
fn mistakes_in_rules_are_reported_at_once_with_their_lines() {
    let rules = r#"[[pool.rule]]
name = "a"
status = [200, "500", "599-500"]
header = { name = "no name", is = "x" }
json = { at = "code", is = "x", contains = "y" }
says = [""]
verdict = "limited"
place = "world"
wait = ["soon", "midnight Atlantis"]
page = "yes"
scope = "account"
[[pool.rule]]
verdict = "transient"
blame = "sure"
size_after = "Limit "
[[pool.account]]"#;
    let expected = [
        "keys.toml:6: pool \"a\": rule \"a\": status 1: must be a whole number from 400 to 599",
        "keys.toml:6: pool \"a\": rule \"a\": status 2: \"500\" is not a status or a range of statuses",
        "keys.toml:6: pool \"a\": rule \"a\": status 3: \"599-500\" is not a status or a range of statuses",
        "keys.toml:7: pool \"a\": rule \"a\": header: name: \"no name\" is not a valid name of a header",
        "keys.toml:8: pool \"a\": rule \"a\": json: at: \"code\" must begin with a slash",
        "keys.toml:8: pool \"a\": rule \"a\": json: say one of is, starts_with",
        "keys.toml:9: pool \"a\": rule \"a\": says 1: must not be empty",
        "keys.toml:10: pool \"a\": rule \"a\": verdict: \"limited\" is none of rate_limited, \
            quota_exhausted, key_rejected, permission_refused, too_large, overloaded, transient, caller_fault",
        "keys.toml:11: pool \"a\": rule \"a\": place: \"world\" is none of operation, key_model, key, \
            model, account, provider_model, provider",
        "keys.toml:12: pool \"a\": rule \"a\": wait 1: \"soon\" is none of retry-after, reset",
        "keys.toml:12: pool \"a\": rule \"a\": wait 2: the time zone \"Atlantis\" is unknown",
        "keys.toml:13: pool \"a\": rule \"a\": page: must be true or false, not text",
        "keys.toml:14: pool \"a\": rule \"a\": scope is not a field here; the fields are name, verdict",
        "keys.toml:15: pool \"a\": rule 2: name is missing",
        "keys.toml:17: pool \"a\": rule 2: blame: \"sure\" is none of told, inferred",
        "keys.toml:18: pool \"a\": rule 2: size_after: is for verdict = \"too_large\" alone",
    ];
    let found = problems(&one_pool("[[pool.account]]", rules));
    for expected in expected {
        assert!(found.iter().any(|p| p.starts_with(expected)), "no {expected:?} in\n{found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

#[test]
fn every_dialect_has_a_place_and_a_path() {
    let names = Dialect::read("nobody").unwrap_err();
    let names: Vec<_> = names.split(" is none of ").nth(1).unwrap().split(", ").collect();
    assert_eq!(names.len(), 17);
    for name in names {
        let dialect = Dialect::read(name).unwrap();
        let pool =
            dialect.pool("https://api.example.com").key(ApiKey::new("none")).build().unwrap();
        let facts = pool.provider().spec();
        assert_eq!(facts.name, name);
        match dialect.default_base() {
            Some(base) => assert_eq!(facts.origin, base),
            None => assert_eq!(facts.origin, "https://api.example.com"),
        }
    }
}
