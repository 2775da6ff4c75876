//! The `RateLimit` and `RateLimit-Policy` headers of draft-ietf-httpapi-ratelimit-headers:
//!
//! ```text
//! RateLimit-Policy: "burst";q=100;w=60, "daily";q=1000;w=86400
//! RateLimit: "burst";r=50;t=30, "daily";r=900;t=3600
//! ```
//!
//! and the form of its draft 07, `RateLimit: limit=100, remaining=50, reset=5`.

use std::time::Duration;

use http::{HeaderMap, HeaderName, StatusCode};

use super::{
    figures::amount,
    reading::{LimitReading, Refill},
};
use crate::{
    limit::Metered,
    provider::{clock, duration, exchange::Answer},
    verdict::Scope,
};

const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The tightest of the policies that count requests. As in the parent module, nothing is read from a 401.
pub(super) fn read(answer: &Answer<'_>) -> Option<LimitReading> {
    if answer.status() == StatusCode::UNAUTHORIZED {
        return None;
    }
    let headers = answer.headers();
    items(headers, &RATE_LIMIT)
        .filter_map(|item| reading(headers, item))
        .min_by_key(|reading| (reading.remaining, reading.reset.map(std::cmp::Reverse)))
        .or_else(|| draft_07(headers))
}

fn reading(headers: &HeaderMap, item: &str) -> Option<LimitReading> {
    let remaining = amount(parameter(item, "r")?)?;
    let policy = policy_of(headers, item);
    // `qu` is the unit of the quota; without one it is requests.
    if policy.and_then(|policy| parameter(policy, "qu")).is_some_and(|unit| unit != "\"requests\"")
    {
        return None;
    }
    Some(LimitReading {
        period: policy.and_then(|policy| seconds(parameter(policy, "w"))),
        limit: policy.and_then(|policy| amount(parameter(policy, "q")?)),
        remaining: Some(remaining),
        reset: seconds(parameter(item, "t")),
        ..requests()
    })
}

fn draft_07(headers: &HeaderMap) -> Option<LimitReading> {
    let figure = |name| items(headers, &RATE_LIMIT).find_map(|item| parameter(item, name));
    Some(LimitReading {
        limit: figure("limit").and_then(amount),
        remaining: Some(figure("remaining").and_then(amount)?),
        reset: seconds(figure("reset")),
        ..requests()
    })
}

/// The draft leaves open whether a quota comes back at once or bit by bit; at once is the more
/// cautious reading.
fn requests() -> LimitReading {
    LimitReading::new(Metered::Requests, Scope::Account, Refill::Fixed)
}

/// The policy that an item names. Hugging Face puts a second name in front of it.
fn policy_of<'a>(headers: &'a HeaderMap, item: &str) -> Option<&'a str> {
    let name = item.split(';').next()?.trim();
    items(headers, &RATE_LIMIT_POLICY)
        .find(|policy| policy.split(';').any(|part| part.trim() == name))
}

fn items<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(clock::text).flat_map(|text| text.split(','))
}

fn parameter<'a>(item: &'a str, name: &str) -> Option<&'a str> {
    item.split(';').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
}

fn seconds(text: Option<&str>) -> Option<Duration> {
    duration::wait(text?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(
        headers: &[(&'static str, &'static str)],
    ) -> Option<(Option<u64>, u64, Option<u64>)> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let now = std::time::SystemTime::UNIX_EPOCH;
        let reading = read(&Answer::new(StatusCode::OK, &map, now))?;
        Some((reading.limit, reading.remaining?, reading.reset.map(|reset| reset.as_secs())))
    }

    #[test]
    fn the_tightest_policy_counts() {
        let policy = ("ratelimit-policy", "\"burst\";q=100;w=60,\"daily\";q=1000;w=86400");
        let tight_day = ("ratelimit", "\"burst\";r=50;t=30, \"daily\";r=9;t=3600");
        assert_eq!(read_from(&[policy, tight_day]), Some((Some(1_000), 9, Some(3_600))));
        assert_eq!(read_from(&[tight_day]), Some((None, 9, Some(3_600))));
        let on_two_lines =
            [("ratelimit", "\"burst\";r=0;t=30"), ("ratelimit", "\"daily\";r=0;t=3600")];
        assert_eq!(
            read_from(&on_two_lines),
            Some((None, 0, Some(3_600))),
            "the longer of two waits"
        );
    }

    #[test]
    fn headers_of_real_servers_are_read() {
        let hugging_face = [
            ("ratelimit", "\"api\";r=499;t=112"),
            ("ratelimit-policy", "\"fixed window\";\"api\";q=500;w=300"),
        ];
        assert_eq!(read_from(&hugging_face), Some((Some(500), 499, Some(112))));
        let draft_07 = ("ratelimit", "limit=100, remaining=50, reset=5");
        assert_eq!(read_from(&[draft_07]), Some((Some(100), 50, Some(5))));
    }

    #[test]
    fn other_units_and_malformed_headers_are_ignored() {
        let bytes = ("ratelimit-policy", "\"default\";q=9;qu=\"content-bytes\"");
        assert_eq!(read_from(&[bytes, ("ratelimit", "\"default\";r=5;t=1")]), None);
        for value in [
            "",
            ";",
            ",,,",
            "\"a\"",
            "\"a\";r",
            "\"a\";r=",
            "\"a\";r=x",
            "\"a\";r=-1",
            "r",
            "100",
            "limit=5",
        ] {
            assert_eq!(read_from(&[("ratelimit", value)]), None, "{value}");
        }
        assert_eq!(read_from(&[("ratelimit", "\"a\";r=5;t=-1")]), Some((None, 5, None)));
        assert_eq!(read_from(&[]), None);
    }
}
