//! Where a key is sent: scheme, host, port and base path.

use std::{fmt, net::IpAddr};

use http::{
    Uri,
    uri::{Authority, PathAndQuery, Scheme},
};

/// Where the keys of a pool are sent, or a single key that has a server of its own. A key is never sent
/// anywhere else.
///
/// It holds an absolute `https` URI, or an `http` URI of a loopback address, without user name,
/// password and query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint(Uri);

impl Endpoint {
    /// Reads the endpoint of a key.
    ///
    /// # Errors
    /// A sentence for the author of the text that says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_named("endpoint", text)
    }

    /// Reads the endpoint of a pool, which has no base path.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub(crate) fn parse_origin(text: &str) -> Result<Self, String> {
        let origin = Self::parse_named("origin", text)?;
        match origin.base() {
            "" => Ok(origin),
            _ => {
                Err(problem("origin", text, "it must end after the host and port; remove the path"))
            }
        }
    }

    fn parse_named(name: &str, text: &str) -> Result<Self, String> {
        let problem = |what: &str| problem(name, text, what);
        let uri: Uri = text.parse().map_err(|_| problem("it is not a URL"))?;
        let (Some(authority), Some("https" | "http")) = (uri.authority(), uri.scheme_str()) else {
            return Err(problem("it must begin with https:// or http:// and name a host"));
        };
        if authority.as_str().contains('@') {
            return Err(problem("it must not hold a user name or password; remove them"));
        }
        if uri.query().is_some() {
            return Err(problem("it must not hold a query; remove all from the question mark on"));
        }
        if uri.scheme() == Some(&Scheme::HTTP) && !is_loopback(authority.host()) {
            return Err(problem("keys go over plain http to loopback addresses only; use https"));
        }
        Ok(Self(uri))
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }

    /// Whether a URI leads here, to the base path or below it. A URI without a host does not.
    pub(crate) fn covers(&self, uri: &Uri) -> bool {
        let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        uri.scheme() == self.0.scheme()
            && has_same_host_and_port(uri, &self.0)
            && uri.path().strip_prefix(self.base()).is_some_and(is_below)
    }

    /// Changes the URI of a request so that it leads here, with the same path below the base path and
    /// the same query, whatever host it names. False if that is no URI; the request is unchanged then.
    pub(crate) fn redirect<B>(&self, request: &mut http::Request<B>) -> bool {
        if self.covers(request.uri()) {
            return true;
        }
        let Some(here) = self.rebase(request.uri()) else { return false };
        *request.uri_mut() = here;
        true
    }

    /// The path and query of a URI that leads elsewhere, at this endpoint.
    fn rebase(&self, uri: &Uri) -> Option<Uri> {
        let path = uri.path_and_query();
        let path = match self.base() {
            "" => path.cloned().unwrap_or(PathAndQuery::from_static("/")),
            base => format!("{base}{}", path.map_or("/", PathAndQuery::as_str)).parse().ok()?,
        };
        let mut parts = self.0.clone().into_parts();
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).ok()
    }

    /// The base path without the slash at its end; empty for none.
    fn base(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }
}

impl fmt::Display for Endpoint {
    /// With the port in any case, as it is compared.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.scheme_str().unwrap_or_default();
        let host = self.0.host().unwrap_or_default().to_ascii_lowercase();
        write!(f, "{scheme}://{host}:{}{}", port(&self.0), self.base())
    }
}

/// Whether two URIs of one scheme name the same host and port.
fn has_same_host_and_port(one: &Uri, other: &Uri) -> bool {
    let (Some(a), Some(b)) = (one.authority(), other.authority()) else { return false };
    // Most callers write it as the configuration does, so that it need not be parsed.
    a.as_str() == b.as_str() || a.host().eq_ignore_ascii_case(b.host()) && port(one) == port(other)
}

/// The port of an absolute URI, the scheme's default if it names none.
fn port(uri: &Uri) -> u16 {
    let default = if uri.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    uri.authority().and_then(Authority::port_u16).unwrap_or(default)
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

/// What is wrong with a text. It does not repeat a password.
fn problem(name: &str, text: &str, what: &str) -> String {
    let shown = text.rsplit_once('@').map_or(text, |(_, rest)| rest);
    format!("{name} {shown:?}: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirected(endpoint: &str, uri: &str) -> String {
        let endpoint = Endpoint::parse(endpoint).unwrap();
        let mut request = http::Request::get(uri).body(()).unwrap();
        assert!(endpoint.redirect(&mut request));
        request.uri().to_string()
    }

    #[test]
    fn an_endpoint_covers_its_scheme_host_and_port_only() {
        let endpoint = Endpoint::parse_origin("https://api.Example.com").unwrap();
        let covers = |uri: &str| endpoint.covers(&uri.parse().unwrap());
        assert!(covers("https://api.example.com/v1?x=1"));
        assert!(covers("https://API.example.com:443/"));
        let local = Endpoint::parse_origin("http://localhost:8080").unwrap();
        let covers_port = |uri: &str| local.covers(&uri.parse().unwrap());
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
    fn an_endpoint_covers_paths_below_its_base_path_only() {
        let endpoint = Endpoint::parse("https://eu.test/a").unwrap();
        let covers = |uri: &str| endpoint.covers(&uri.parse().unwrap());
        assert!(covers("https://eu.test/a/b") && covers("https://eu.test/a"));
        assert!(!covers("https://eu.test/ab") && !covers("/b"));
    }

    #[test]
    fn a_redirected_request_has_the_endpoints_scheme_host_and_base_path() {
        let path = "https://pool.test/openai/v1/chat?api-version=1";
        assert_eq!(
            redirected("https://eu.test", path),
            "https://eu.test/openai/v1/chat?api-version=1"
        );
        assert_eq!(
            redirected("https://eu.test:8443/proxy/eu/", path),
            "https://eu.test:8443/proxy/eu/openai/v1/chat?api-version=1"
        );
        assert_eq!(redirected("http://127.0.0.1:9", "/v1?x"), "http://127.0.0.1:9/v1?x");
        assert_eq!(redirected("https://eu.test/a", "https://pool.test"), "https://eu.test/a/");
        assert_eq!(redirected("https://eu.test/a", "https://eu.test/ab"), "https://eu.test/a/ab");
        assert_eq!(redirected("https://eu.test/a", "https://eu.test/a/b"), "https://eu.test/a/b");
    }

    #[test]
    fn plain_http_is_for_loopback_addresses_only() {
        for good in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:9", "https://a.b/"]
        {
            assert!(Endpoint::parse_origin(good).is_ok(), "{good}");
        }
        for bad in ["http://example.com", "http://127.0.0.1.example.com", "ftp://localhost"] {
            assert!(Endpoint::parse_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_the_endpoint_of_a_key_has_a_base_path() {
        for good in ["https://eu.test/a/b", "http://localhost:1/a", "https://eu.test"] {
            assert!(Endpoint::parse(good).is_ok(), "{good}");
        }
        for bad in ["https://example.com/v1", "https://example.com/?key=x", "example.com", "/a", ""]
        {
            assert!(Endpoint::parse_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_error_names_the_endpoint_and_never_shows_a_password() {
        for bad in ["http://eu.test/a", "https://eu.test/?key=x", "https://u:hunter2@eu.test", "/a"]
        {
            let problem = Endpoint::parse(bad).unwrap_err();
            assert!(problem.starts_with("endpoint "), "{problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }
}
