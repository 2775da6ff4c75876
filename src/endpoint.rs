//! Where a key with a server of its own is sent: an origin and a base path.

use std::fmt;

use http::{
    Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};

use crate::origin::Origin;

/// A server of a key's own, or of all keys that have none. They are never sent anywhere else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    origin: Origin,
    scheme: Scheme,
    authority: Authority,
    /// Without the slash at its end; empty for none.
    base: String,
    uri: Uri,
}

impl Endpoint {
    /// Reads an endpoint; what is wrong with it is a sentence for its author.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        Self::parse_named("endpoint", text)
    }

    /// The same without a base path.
    pub(crate) fn parse_origin(text: &str) -> Result<Self, String> {
        Origin::parse(text)?;
        Self::parse_named("origin", text)
    }

    fn parse_named(name: &str, text: &str) -> Result<Self, String> {
        let (origin, uri) = Origin::parse_base(name, text)?;
        let base = uri.path().trim_end_matches('/').to_owned();
        let Parts { scheme, authority, .. } = uri.clone().into_parts();
        let (Some(scheme), Some(authority)) = (scheme, authority) else {
            return Err(format!("{name}: it is not a URL"));
        };
        Ok(Self { origin, scheme, authority, base, uri })
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// Whether a URI leads here already, below the base path.
    pub(crate) fn covers(&self, uri: &Uri) -> bool {
        let is_below = |rest: &str| rest.is_empty() || rest.starts_with('/');
        self.origin.covers(uri) && uri.path().strip_prefix(self.base.as_str()).is_some_and(is_below)
    }

    /// The same path and query, here, of a URI that leads elsewhere.
    fn lead_here(&self, uri: &Uri) -> Option<Uri> {
        let path = uri.path_and_query();
        let path = match self.base.as_str() {
            "" => path.cloned().unwrap_or(PathAndQuery::from_static("/")),
            base => format!("{base}{}", path.map_or("/", PathAndQuery::as_str)).parse().ok()?,
        };
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        Uri::from_parts(parts).ok()
    }
}

impl Endpoint {
    /// Leads a request here, whatever host it names. False if that cannot be.
    pub(crate) fn lead<B>(&self, request: &mut http::Request<B>) -> bool {
        if self.covers(request.uri()) {
            return true;
        }
        let Some(here) = self.lead_here(request.uri()) else { return false };
        *request.uri_mut() = here;
        true
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin, self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn led(endpoint: &str, uri: &str) -> String {
        let endpoint = Endpoint::parse(endpoint).unwrap();
        endpoint.lead_here(&uri.parse().unwrap()).unwrap().to_string()
    }

    #[test]
    fn scheme_authority_and_base_path_are_the_keys_own() {
        let path = "https://pool.test/openai/v1/chat?api-version=1";
        assert_eq!(led("https://eu.test", path), "https://eu.test/openai/v1/chat?api-version=1");
        assert_eq!(
            led("https://eu.test:8443/proxy/eu/", path),
            "https://eu.test:8443/proxy/eu/openai/v1/chat?api-version=1"
        );
        assert_eq!(led("http://127.0.0.1:9", "/v1?x"), "http://127.0.0.1:9/v1?x");
        assert_eq!(led("https://eu.test/a", "https://pool.test"), "https://eu.test/a/");
    }

    #[test]
    fn whatever_leads_here_already_stays_as_it_is() {
        let endpoint = Endpoint::parse("https://eu.test/a").unwrap();
        let covers = |uri: &str| endpoint.covers(&uri.parse().unwrap());
        assert!(covers("https://eu.test/a/b") && covers("https://eu.test/a"));
        assert!(!covers("https://eu.test/ab") && !covers("/b"));
        assert_eq!(led("https://eu.test/a", "https://eu.test/ab"), "https://eu.test/a/ab");
    }

    #[test]
    fn it_is_https_or_loopback_and_holds_no_more_than_a_path() {
        for good in ["https://eu.test/a/b", "http://localhost:1/a", "https://eu.test"] {
            assert!(Endpoint::parse(good).is_ok(), "{good}");
        }
        for bad in ["http://eu.test/a", "https://eu.test/?key=x", "https://u:p@eu.test", "/a", ""] {
            let problem = Endpoint::parse(bad).unwrap_err();
            assert!(problem.starts_with("endpoint ") && !problem.contains("u:p"), "{problem}");
        }
    }
}
