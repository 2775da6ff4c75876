//! Where a key may be sent: scheme, host and port.

use std::{fmt, net::IpAddr};

use http::{Uri, uri::Authority};

/// Scheme, host and port. A key is never sent anywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    https: bool,
    host: String,
    port: u16,
    /// Host and port as they are mostly written: without the usual port.
    authority: String,
}

impl Origin {
    /// Reads an origin; what is wrong with it is a sentence for its author.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (origin, uri) = Self::parse_base("origin", text)?;
        match uri.path() {
            "" | "/" => Ok(origin),
            _ => Err(problem("origin", text, "it must end after the host and port")),
        }
    }

    /// Reads an origin that a path may follow, of something by that name.
    pub(crate) fn parse_base(name: &str, text: &str) -> Result<(Self, Uri), String> {
        let problem = |what: &str| problem(name, text, what);
        let uri: Uri = text.parse().map_err(|_| problem("it is not a URL"))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(problem("it must not hold a user name or password"));
        }
        if uri.query().is_some() {
            return Err(problem("it must not hold a query"));
        }
        let origin = Self::of(&uri)
            .ok_or_else(|| problem("it must begin with https:// or http:// and name a host"))?;
        if !origin.https && !origin.is_loopback() {
            return Err(problem("keys go over plain http to loopback addresses only; use https"));
        }
        Ok((origin, uri))
    }

    /// The origin of an absolute URI.
    fn of(uri: &Uri) -> Option<Self> {
        let https = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let host = uri.host()?.to_ascii_lowercase();
        let port = uri.port_u16().unwrap_or(default_port(https));
        let authority = match port == default_port(https) {
            true => host.clone(),
            false => format!("{host}:{port}"),
        };
        Some(Self { https, host, port, authority })
    }

    /// Whether a URI leads here. A URI without a host does not.
    pub(crate) fn covers(&self, uri: &Uri) -> bool {
        let scheme = if self.https { "https" } else { "http" };
        // Mostly it is written just so, and need not be taken apart.
        let is_authority = |authority: &Authority| {
            authority.as_str() == self.authority
                || authority.host().eq_ignore_ascii_case(&self.host)
                    && authority.port_u16().unwrap_or(default_port(self.https)) == self.port
        };
        uri.scheme_str() == Some(scheme) && uri.authority().is_some_and(is_authority)
    }

    fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

fn default_port(https: bool) -> u16 {
    if https { 443 } else { 80 }
}

fn problem(name: &str, text: &str, what: &str) -> String {
    format!("{name} {:?}: {what}", without_userinfo(text))
}

fn without_userinfo(text: &str) -> &str {
    text.rsplit_once('@').map_or(text, |(_, rest)| rest)
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covers_its_scheme_host_and_port_only() {
        let origin = Origin::parse("https://api.Example.com").unwrap();
        let covers = |uri: &str| origin.covers(&uri.parse().unwrap());
        assert!(covers("https://api.example.com/v1?x=1"));
        assert!(covers("https://API.example.com:443/"));
        let origin = Origin::parse("http://localhost:8080").unwrap();
        let covers_port = |uri: &str| origin.covers(&uri.parse().unwrap());
        assert!(covers_port("http://localhost:8080/"));
        assert!(covers_port("http://LOCALHOST:8080/"));
        assert!(!covers_port("http://localhost:80/"));
        assert!(!covers("http://api.example.com/"), "another scheme");
        assert!(!covers("https://api.example.com:8443/"), "another port");
        assert!(!covers("https://api.example.com.evil.test/"), "another host");
        assert!(!covers("https://api.example.com@evil.test/"), "a user name is not a host");
        assert!(!covers("/v1/relative"), "no host");
    }

    #[test]
    fn plain_http_is_for_loopback() {
        for good in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:9", "https://a.b/"]
        {
            assert!(Origin::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "http://example.com",
            "http://127.0.0.1.example.com",
            "ftp://localhost",
            "example.com",
            "/path",
            "https://example.com/v1",
            "https://example.com/?key=x",
            "",
        ] {
            assert!(Origin::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_never_shows_a_password() {
        let error = Origin::parse("https://user:hunter2@example.com").unwrap_err();
        assert!(!error.contains("hunter2"), "{error}");
    }
}
