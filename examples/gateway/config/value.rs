//! Values with a form of their own: base URLs, durations, names, patterns.

use std::{fmt, net::IpAddr, path::PathBuf, time::Duration};

use axum::http::{
    HeaderName, Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

/// Scheme, host, port and path that a pool's requests go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Base {
    scheme: Scheme,
    authority: Authority,
    /// Empty, or begins with a slash and does not end with one.
    path: String,
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path)
    }
}

impl Base {
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        // The URL is not quoted in errors, because it may contain a password.
        let uri: Uri = text.parse().map_err(|_| "is not a URL".to_owned())?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err("needs a scheme and a host, such as https://api.example.com".to_owned());
        };
        if authority.as_str().contains('@') {
            return Err(
                "must not contain a user name or password; put keys into account".to_owned()
            );
        }
        if scheme == Scheme::HTTP && !is_loopback(authority.host()) {
            return Err("plain http would send keys without encryption; use https".to_owned());
        }
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err("must begin with https://".to_owned());
        }
        let path = parts.path_and_query;
        if path.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err("must not have a query".to_owned());
        }
        let path =
            path.map_or_else(String::new, |path| path.path().trim_end_matches('/').to_owned());
        if let Some(end) = ["/v1", "/v1beta"].into_iter().find(|end| path.ends_with(end)) {
            return Err(format!("leave out the {end} at the end; each request has its own"));
        }
        Ok(Self { scheme, authority, path })
    }

    /// `https://api.example.com`: where keys may be sent.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// The address of `path`, which begins with a slash, and an optional query.
    pub(crate) fn join(&self, path: &str, query: Option<&str>) -> Option<Uri> {
        let mut whole = String::with_capacity(
            self.path.len() + path.len() + query.map_or(0, |query| query.len() + 1),
        );
        whole.push_str(&self.path);
        whole.push_str(path);
        if let Some(query) = query {
            whole.push('?');
            whole.push_str(query);
        }
        let path = PathAndQuery::from_maybe_shared(axum::body::Bytes::from(whole)).ok()?;
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query(path)
            .build()
            .ok()
    }
}

/// Whether a host is this machine: `localhost`, `127.0.0.1`, `[::1]`.
pub(crate) fn is_loopback(host: &str) -> bool {
    let ip = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || ip.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `2027-01-31T12:00:00Z`.
pub(super) fn time(text: &str) -> Result<jiff::Timestamp, &'static str> {
    text.parse().map_err(|_| "must be a time such as \"2027-01-31T12:00:00Z\"")
}

/// `500ms`, `30s`, `2m` or `1h`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let millis = match unit.trim() {
        "ms" => Some(1),
        "s" => Some(1_000),
        "m" | "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    let millis = number.parse::<u64>().ok().zip(millis).and_then(|(n, unit)| n.checked_mul(unit));
    millis
        .map(Duration::from_millis)
        .ok_or_else(|| format!("{text:?} is not a time such as 500ms, 30s, 2m or 1h"))
}

/// A file.
pub(super) fn path(text: &str) -> Result<PathBuf, &'static str> {
    if text.is_empty() { Err("must be the path of a file") } else { Ok(PathBuf::from(text)) }
}

/// A header that callers may set, and that is removed. Headers with credentials or about the message are not
/// allowed.
pub(super) fn header(text: &str) -> Result<HeaderName, String> {
    let name = text.parse::<HeaderName>().ok().filter(|name| name.as_str().starts_with("x-"));
    let name = name.filter(|name| !matches!(name.as_str(), "x-api-key" | "x-goog-api-key"));
    name.ok_or_else(|| {
        format!("{text:?} must be a header without another purpose, such as x-usage-tag")
    })
}

/// A pool's name is the first part of its path.
pub(super) fn pool_name(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if text.is_empty() || !text.chars().all(fits) || text.starts_with('.') {
        Err(format!(
            "{text:?} must have only letters, digits, - and _, because it is part of the path"
        ))
    } else if text == "v1" || text == "-" {
        Err(format!("{text:?} is a path of the gateway; choose another name"))
    } else {
        Ok(text.to_owned())
    }
}

/// A label of an account or a key, for logs.
pub(super) fn label(text: &str) -> Result<String, String> {
    if text.is_empty() || text.len() > 64 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("must be 1 to 64 characters without spaces".to_owned());
    }
    Ok(text.to_owned())
}

/// A pattern of model names: `*` is any text, `?` one character.
pub(super) fn pattern(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("a pattern is empty; write * for all models".to_owned())
    } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Err(format!(
            "{text:?} contains a space, which no name of a model has; write each pattern separately"
        ))
    } else {
        Ok(text.to_owned())
    }
}
