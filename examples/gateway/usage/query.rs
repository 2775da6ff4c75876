//! The query of `/-/usage`: which sums, in which format.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use tower_key_rotation::usage::{Dimension, Interval, Query};

/// What a caller of `/-/usage` asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct UsageQuery {
    pub(super) query: Query,
    pub(super) format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    #[default]
    Json,
    Csv,
}

impl UsageQuery {
    /// Parses the query of a URL, such as `by=key,model,hour&from=2026-11-25T08:00:00Z&to=2026-11-26`.
    ///
    /// `by` takes dimensions and one interval; `from` and `to` take a time (RFC 3339), a date (its
    /// midnight in UTC) or seconds since 1970; `format` is `json` or `csv`. Each may be left out. Other
    /// parameters are ignored.
    ///
    /// # Errors
    /// The name of the parameter, and what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (mut query, mut interval, mut format) = (Query::new(), None, Format::default());
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            match &*name {
                "by" => {
                    for by in value.split(',').map(str::trim).filter(|by| !by.is_empty()) {
                        query = group_by(query, &mut interval, by)?;
                    }
                }
                "from" => query = query.from(moment(&name, &value)?),
                "to" => query = query.to(moment(&name, &value)?),
                "format" => {
                    format = match &*value {
                        "json" => Format::Json,
                        "csv" => Format::Csv,
                        other => return Err(format!("format: {other:?} is neither json nor csv")),
                    };
                }
                _ => {}
            }
        }
        Ok(Self { query, format })
    }
}

fn group_by(query: Query, interval: &mut Option<Interval>, name: &str) -> Result<Query, String> {
    if let Some(dimension) = Dimension::ALL.into_iter().find(|by| by.name() == name) {
        return Ok(query.by(dimension));
    }
    let Some(named) = Interval::ALL.into_iter().find(|interval| interval.name() == name) else {
        return Err(format!(
            "by: {name:?} is none of pool, account, key, model, tag, minute, hour and day"
        ));
    };
    match interval.replace(named) {
        Some(other) if other != named => {
            Err(format!("by: {} and {name} are both intervals; give only one", other.name()))
        }
        _ => Ok(query.per(named)),
    }
}

/// A moment; those before 1970 become 1970.
fn moment(name: &str, text: &str) -> Result<SystemTime, String> {
    // In the query of a URL, a plus sign that is not escaped stands for a space.
    let text = text.replace(' ', "+");
    let seconds = || text.parse::<u64>().ok();
    let time = || text.parse::<Timestamp>().ok().map(Timestamp::as_second);
    let midnight = || {
        let date = text.parse::<Date>().ok().filter(|_| text.len() == "2026-11-25".len())?;
        Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
    };
    let since = || time().or_else(midnight).map(|seconds| u64::try_from(seconds).unwrap_or(0));
    let at = seconds().or_else(since).map(Duration::from_secs);
    at.and_then(|at| UNIX_EPOCH.checked_add(at)).ok_or_else(|| {
        let how = "a time (2026-11-25T08:00:00Z), a date (2026-11-25) or seconds since 1970";
        format!("{name}: {text:?} is not {how}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        UsageQuery::parse(text).unwrap().query
    }

    #[test]
    fn a_query_names_dimensions_an_interval_and_moments() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(query(""), Query::new());
        assert_eq!(query("x=y&by=,"), Query::new());
        assert_eq!(
            query("by=key,model&by=hour, key"),
            Query::new().by(Dimension::Key).by(Dimension::Model).per(Interval::Hour)
        );
        assert_eq!(query("by=day,day"), Query::new().per(Interval::Day));
        assert_eq!(query("%62y=t%61g"), Query::new().by(Dimension::Tag), "escaped names count");
        let morning = Query::new().from(at(1_795_593_600)).to(at(1_795_651_200));
        assert_eq!(query("from=2026-11-25T08:00:00Z&to=2026-11-26"), morning);
        assert_eq!(query("from=2026-11-25T09%3A00%3A00%2B01:00&to=1795651200"), morning);
        assert_eq!(query("from=2026-11-25T09:00:00+01:00&to=2026-11-26"), morning);
        assert_eq!(query("from=1900-01-01"), Query::new().from(at(0)));
    }

    #[test]
    fn the_format_is_json_unless_the_query_says_csv() {
        for (text, format) in
            [("", Format::Json), ("format=json", Format::Json), ("by=key&format=csv", Format::Csv)]
        {
            assert_eq!(UsageQuery::parse(text).unwrap().format, format, "{text}");
        }
    }

    #[test]
    fn an_error_names_the_parameter_and_its_value() {
        for (text, words) in [
            ("by=colour", "by: \"colour\" is none of pool"),
            ("by=hour,day", "by: hour and day are both intervals"),
            ("from=yesterday", "from: \"yesterday\" is not a time"),
            ("to=2026-13-01", "to: \"2026-13-01\""),
            ("to=-5", "to: \"-5\""),
            ("to=18446744073709551615", "to: \"18446744073709551615\""),
            ("format=xml", "format: \"xml\" is neither"),
        ] {
            let error = UsageQuery::parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
