//! `retry-after` and `retry-after-ms`.

use std::time::Duration;

use http::HeaderName;

use super::{clock, duration, exchange::Answer};

const RETRY_AFTER: HeaderName = http::header::RETRY_AFTER;
const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// How long the provider says to wait. To be read from errors only: Anthropic sends `retry-after`
/// with answers too.
///
/// `retry-after` (seconds, whole or not, or an HTTP date), or `retry-after-ms` where that says the same
/// more exactly. If they disagree, the larger counts, as some gateways send a 0 beside the true value. A
/// wait of 0 and a date in the past are ignored, as is a header that is malformed, negative, longer than a
/// year or sent twice.
pub(crate) fn retry_after(answer: &Answer<'_>) -> Option<Duration> {
    let seconds = only(answer, &RETRY_AFTER).and_then(|text| {
        duration::wait(text)
            .or_else(|| clock::until(httpdate::parse_http_date(text).ok()?, answer.sent_at()))
    });
    let millis = only(answer, &RETRY_AFTER_MS).and_then(duration::millis);
    let exact = millis.zip(seconds).filter(|(millis, seconds)| {
        let rounded_up = millis <= seconds && *seconds - *millis < Duration::from_secs(1);
        rounded_up && *millis >= Duration::from_millis(1)
    });
    let wait = exact.map(|(millis, _)| millis).or(seconds.max(millis));
    wait.filter(|wait| !wait.is_zero())
}

/// The one value of a header; `None` if it is sent twice, as either can be meant.
fn only<'a>(answer: &Answer<'a>, name: &HeaderName) -> Option<&'a str> {
    let mut values = answer.headers().get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { clock::text(first) }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> Option<u64> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 100); // see below
        let answer = Answer::new(StatusCode::TOO_MANY_REQUESTS, &map, now);
        retry_after(&answer).map(|wait| wait.as_millis() as u64)
    }

    const DATE: (&str, &str) = ("date", "Sun, 06 Nov 1994 08:49:07 GMT");
    const AT: (&str, &str) = ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"); // 784,111,777 s

    #[test]
    fn seconds_milliseconds_and_dates() {
        assert_eq!(read(&[("retry-after", "20")]), Some(20_000));
        assert_eq!(read(&[("retry-after", " 20 ")]), Some(20_000));
        assert_eq!(read(&[("retry-after", "1.5")]), Some(1_500));
        assert_eq!(read(&[("retry-after", "6m0s")]), Some(360_000));
        assert_eq!(read(&[("retry-after-ms", "20000")]), Some(20_000));
        assert_eq!(read(&[("retry-after-ms", "0.5"), ("retry-after", "1")]), Some(1_000));
        assert_eq!(read(&[DATE, AT]), Some(30_000), "by the provider's clock");
        assert_eq!(read(&[AT]), Some(100_000), "by ours if it has none");
        assert_eq!(read(&[("date", "yesterday"), AT]), Some(100_000));
    }

    #[test]
    fn of_two_waits_the_more_exact_counts_if_they_agree_and_otherwise_the_larger() {
        assert_eq!(read(&[("retry-after", "1"), ("retry-after-ms", "5")]), Some(5));
        assert_eq!(read(&[("retry-after", "20"), ("retry-after-ms", "5")]), Some(20_000));
        assert_eq!(read(&[("retry-after", "1"), ("retry-after-ms", "0")]), Some(1_000));
        assert_eq!(read(&[("retry-after", "1"), ("retry-after-ms", "1400")]), Some(1_400));
        assert_eq!(read(&[("retry-after", "soon"), ("retry-after-ms", "1400")]), Some(1_400));
        assert_eq!(read(&[("retry-after", "3"), ("retry-after-ms", "-1")]), Some(3_000));
    }

    #[test]
    fn a_wait_that_is_no_wait_is_ignored() {
        for value in [
            "",
            "0",
            "0.0",
            "-1",
            "-20",
            "+20",
            "1e9",
            "99999999999999999999",
            "31708800",
            "NaN",
            "inf",
            "soon",
            "20, 20",
            "20;",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 9994 08:49:37 GMT",
            "Sun, 06 Nov 1993 08:49:37 GMT",
            "\u{7ff}",
            "2 0",
        ] {
            assert_eq!(read(&[("retry-after", value)]), None, "{value:?}");
        }
        assert_eq!(read(&[("retry-after", "20"), ("retry-after", "20")]), None, "sent twice");
        assert_eq!(read(&[]), None);
    }
}
