//! Checks which requests are allowed, and removes the credentials of callers.

use std::borrow::Cow;

use axum::http::{HeaderMap, HeaderName, Uri, header, request::Parts};
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

use super::config::{Config, is_loopback};

/// The headers in which the official SDKs send their API key. Older ones of Gemini send `?key=`.
const CARRIERS: [HeaderName; 4] = [
    header::AUTHORIZATION,
    HeaderName::from_static("x-api-key"),
    HeaderName::from_static("x-goog-api-key"),
    HeaderName::from_static("api-key"),
];
const QUERY_CARRIER: &[u8] = b"key";

/// The header in which a browser says which site sends a request (<https://www.w3.org/TR/fetch-metadata/>).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Who may call, and who may see the state.
#[derive(Debug)]
pub(crate) struct Guard {
    clients: Vec<Client>,
    admin: Option<SecretString>,
    /// Whether only this machine can reach the gateway.
    local: bool,
}

/// A caller, known by its token.
#[derive(Debug)]
struct Client {
    token: SecretString,
    /// The name of its tenant.
    tenant: Option<String>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The token is missing or wrong.
    Token,
    /// A web page of another site sent the request through a browser on this machine.
    Foreign,
    /// A web page of another site tried to change something.
    CrossSite,
    /// The page is switched off.
    Off,
}

impl Guard {
    pub(crate) fn new(config: &Config) -> Self {
        let of = |tenant: Option<&str>, token: &SecretString| Client {
            token: token.clone(),
            tenant: tenant.map(str::to_owned),
        };
        let mut clients: Vec<_> =
            config.client_tokens.iter().map(|token| of(None, token)).collect();
        for tenant in &config.tenants {
            clients.extend(tenant.tokens.iter().map(|token| of(Some(&tenant.name), token)));
        }
        Self { clients, admin: config.admin_token.clone(), local: config.listen.ip().is_loopback() }
    }

    /// Whether a request may go to a provider, and for which tenant.
    pub(crate) fn admit(&self, head: &Parts) -> Result<Option<&str>, Denied> {
        if self.clients.is_empty() {
            return from_here(head).map(|()| None);
        }
        let tokens = self.clients.iter().map(|client| &client.token);
        let client = presents(head, &tokens)?;
        Ok(self.clients.get(client).and_then(|client| client.tenant.as_deref()))
    }

    /// Whether a request may see the state of the pools.
    pub(crate) fn admit_admin(&self, head: &Parts) -> Result<(), Denied> {
        match &self.admin {
            Some(token) => presents(head, &std::iter::once(token)).map(|_| ()),
            None if self.local => from_here(head),
            None => Err(Denied::Off),
        }
    }

    /// Whether a request may change the state of the pools. Never without an admin token, and never for
    /// another site, even with a credential of its browser.
    pub(crate) fn admit_action(&self, head: &Parts) -> Result<(), Denied> {
        if self.admin.is_none() {
            return Err(Denied::Off);
        }
        let mut sites = head.headers.get_all(SEC_FETCH_SITE).into_iter();
        if !sites.all(|site| site == "same-origin" || site == "none") {
            return Err(Denied::CrossSite);
        }
        self.admit_admin(head)
    }
}

/// The token that a request presents. The time of the comparison depends only on the number and lengths of
/// the tokens.
fn presents<'a>(
    head: &Parts,
    tokens: &(impl Iterator<Item = &'a SecretString> + Clone),
) -> Result<usize, Denied> {
    let (mut found, mut which) = (Choice::from(0), 0);
    let mut compare = |presented: &[u8]| {
        for (place, token) in (0..).zip(tokens.clone()) {
            let same = token.expose_secret().as_bytes().ct_eq(presented);
            which = u64::conditional_select(&which, &place, same);
            found |= same;
        }
    };
    for value in CARRIERS.iter().flat_map(|name| head.headers.get_all(name)) {
        compare(without_bearer(value.as_bytes()));
    }
    for (_, value) in pairs(&head.uri).filter(|(name, _)| is_credential(name)) {
        compare(&decode(value));
    }
    if found.into() { Ok(which as usize) } else { Err(Denied::Token) }
}

/// If no token is required, a browser on this machine must not send requests of other sites: neither from
/// their pages (`origin`), nor by a host name that resolves to this machine (`host`, DNS rebinding).
fn from_here(head: &Parts) -> Result<(), Denied> {
    let text = |name| head.headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = head.uri.authority().map(|authority| authority.as_str());
    let host = host.or_else(|| text(header::HOST)).map(host_of);
    let origin = text(header::ORIGIN)
        .map(|origin| origin.split_once("://").map_or("", |(_, authority)| host_of(authority)));
    let local = host.into_iter().chain(origin).all(is_loopback);
    if local { Ok(()) } else { Err(Denied::Foreign) }
}

/// The host of `host:port`.
fn host_of(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

fn without_bearer(value: &[u8]) -> &[u8] {
    match value.split_at_checked(7) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token.trim_ascii(),
        _ => value,
    }
}

/// Removes all headers that may contain a credential of the caller.
pub(crate) fn strip_headers(headers: &mut HeaderMap) {
    for name in &CARRIERS {
        headers.remove(name);
    }
}

/// The query without credentials.
pub(crate) fn strip_query(uri: &Uri) -> Option<Cow<'_, str>> {
    let query = uri.query()?;
    if !pairs(uri).any(|(name, _)| is_credential(name)) {
        return Some(Cow::Borrowed(query));
    }
    let is_kept = |pair: &&str| !is_credential(pair.split('=').next().unwrap_or_default());
    let kept: Vec<_> = query.split('&').filter(is_kept).collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join("&")))
}

fn is_credential(name: &str) -> bool {
    *decode(name) == *QUERY_CARRIER
}

fn pairs(uri: &Uri) -> impl Iterator<Item = (&str, &str)> {
    let pairs = uri.query().into_iter().flat_map(|query| query.split('&'));
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Decodes percent-encoding. Invalid escapes stay as they are.
fn decode(text: &str) -> Cow<'_, [u8]> {
    let Some((head, tail)) = text.split_once('%') else {
        return Cow::Borrowed(text.as_bytes());
    };
    let mut decoded = head.as_bytes().to_vec();
    for part in tail.split('%') {
        let code = part.split_at_checked(2);
        let byte = code.and_then(|(code, rest)| Some((u8::from_str_radix(code, 16).ok()?, rest)));
        let (byte, rest) = byte.unwrap_or((b'%', part));
        decoded.push(byte);
        decoded.extend_from_slice(rest.as_bytes());
    }
    Cow::Owned(decoded)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let request = Request::builder().uri(uri);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap().into_parts().0
    }

    fn guard(clients: &[&str], admin: Option<&str>, local: bool) -> Guard {
        let secret = |token: &&str| SecretString::from(token.to_string());
        let client = |token: &&str| Client {
            token: secret(token),
            tenant: token.split_once('/').map(|(tenant, _)| tenant.to_owned()),
        };
        Guard {
            clients: clients.iter().map(client).collect(),
            admin: admin.as_ref().map(secret),
            local,
        }
    }

    #[test]
    fn a_token_is_found_in_all_places_where_sdks_put_keys() {
        let guard = guard(&["first", "t/1"], None, false);
        for (uri, headers, tenant) in [
            ("/", &[("authorization", "Bearer t/1")][..], Some("t")),
            ("/", &[("authorization", "bearer  t/1")], Some("t")),
            ("/", &[("x-api-key", "t/1")], Some("t")),
            ("/", &[("x-goog-api-key", "t/1")], Some("t")),
            ("/", &[("api-key", "first")], None),
            ("/", &[("authorization", "Bearer wrong"), ("x-api-key", "t/1")], Some("t")),
            ("/?alt=sse&key=t%2F1", &[], Some("t")),
            ("/?%6bey=first", &[], None),
        ] {
            assert_eq!(guard.admit(&head(uri, headers)), Ok(tenant), "{uri} {headers:?}");
        }
        for (uri, headers) in [
            ("/", &[][..]),
            ("/", &[("authorization", "Bearer t/")]),
            ("/", &[("authorization", "Bearer t/11")]),
            ("/", &[("authorization", "Bearer ")]),
            ("/", &[("x-other", "t/1")]),
            ("/?akey=first", &[]),
            ("/?key=", &[]),
        ] {
            assert_eq!(guard.admit(&head(uri, headers)), Err(Denied::Token), "{uri} {headers:?}");
        }
    }

    #[test]
    fn the_admin_page_has_a_token_of_its_own() {
        let admitted =
            |guard: Guard, token| guard.admit_admin(&head("/", &[("authorization", token)]));
        assert_eq!(admitted(guard(&["c"], Some("a"), true), "Bearer a"), Ok(()));
        assert_eq!(admitted(guard(&["c"], Some("a"), true), "Bearer c"), Err(Denied::Token));
        assert_eq!(admitted(guard(&["c"], None, false), "Bearer c"), Err(Denied::Off));
        assert_eq!(admitted(guard(&["c"], None, true), "Bearer c"), Ok(()));
    }

    #[test]
    fn an_action_needs_an_admin_token_and_its_own_site() {
        let admitted = |guard: Guard, site: &[(&str, &str)]| {
            guard.admit_action(&head("/", &[&[("authorization", "Bearer a")], site].concat()))
        };
        assert_eq!(admitted(guard(&[], None, true), &[]), Err(Denied::Off));
        assert_eq!(admitted(guard(&["a"], Some("b"), true), &[]), Err(Denied::Token));
        for (site, expected) in [
            (&[][..], Ok(())),
            (&[("sec-fetch-site", "same-origin")], Ok(())),
            (&[("sec-fetch-site", "none")], Ok(())),
            (&[("sec-fetch-site", "same-site")], Err(Denied::CrossSite)),
            (&[("sec-fetch-site", "cross-site")], Err(Denied::CrossSite)),
            (
                &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
                Err(Denied::CrossSite),
            ),
        ] {
            assert_eq!(admitted(guard(&[], Some("a"), true), site), expected, "{site:?}");
        }
    }

    #[test]
    fn without_tokens_a_browser_cannot_send_requests_of_other_sites() {
        let guard = guard(&[], None, true);
        for headers in [
            &[("host", "127.0.0.1:8080")][..],
            &[("host", "localhost")],
            &[("host", "[::1]:8080"), ("origin", "http://localhost:3000")],
            &[],
        ] {
            assert_eq!(guard.admit(&head("/", headers)), Ok(None), "{headers:?}");
        }
        for headers in [
            &[("host", "evil.example")][..],
            &[("host", "127.0.0.1.evil.example:8080")],
            &[("host", "localhost"), ("origin", "https://evil.example")],
            &[("host", "localhost"), ("origin", "null")],
        ] {
            assert_eq!(guard.admit(&head("/", headers)), Err(Denied::Foreign), "{headers:?}");
        }
    }

    #[test]
    fn no_credential_of_a_caller_is_passed_on() {
        let stripped = |uri: &'static str| strip_query(&Uri::from_static(uri)).map(Cow::into_owned);
        assert_eq!(stripped("/?alt=sse&key=t&x=%20").as_deref(), Some("alt=sse&x=%20"));
        assert_eq!(stripped("/?key=t"), None);
        assert_eq!(stripped("/?%6Bey=t&k=1").as_deref(), Some("k=1"));
        assert_eq!(stripped("/?monkey=1&b").as_deref(), Some("monkey=1&b"));
        let mut head =
            head("/", &[("authorization", "Bearer t"), ("api-key", "t"), ("accept", "*")]);
        strip_headers(&mut head.headers);
        assert_eq!(head.headers.len(), 1);
    }
}
