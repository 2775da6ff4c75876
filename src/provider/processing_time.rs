//! How long a provider worked on an answer, by its own header.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

/// Longer than any answer takes to begin.
const MOST: f64 = 3_600_000.0;

/// Milliseconds: a number alone, or the last `dur=` of a `server-timing`.
pub(crate) fn processing_time(headers: &HeaderMap, name: Option<&HeaderName>) -> Option<Duration> {
    let text = headers.get(name?)?.to_str().ok()?;
    let number = match text.parse() {
        Ok(number) => number,
        Err(_) => last_duration(text)?,
    };
    (0.0..=MOST).contains(&number).then(|| Duration::from_secs_f64(number / 1_000.0))
}

fn last_duration(text: &str) -> Option<f64> {
    let number = text.rsplit_once("dur=").map_or(text, |(_, last)| last);
    number.split([',', ';']).next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn numbers_and_server_timings_are_read_and_other_texts_are_not() {
        let name = HeaderName::from_static("server-timing");
        let read = |text: &'static str| {
            let headers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(text))]);
            processing_time(&headers, Some(&name)).map(|time| time.as_millis())
        };
        assert_eq!(read("5654"), Some(5_654));
        assert_eq!(read("gfet4t7; dur=1180"), Some(1_180));
        assert_eq!(read("cdn;dur=3, total;dur=2828.5;desc=\"all of it\""), Some(2_828));
        for nonsense in ["", "-1", "soon", "NaN", "inf", "1e300", "dur=", "hit, miss"] {
            assert_eq!(read(nonsense), None, "{nonsense}");
        }
        assert_eq!(processing_time(&HeaderMap::new(), Some(&name)), None);
        assert_eq!(processing_time(&HeaderMap::new(), None), None);
    }
}
