//! Removes headers that a proxy must not pass on, because they are about one connection only (RFC 9110,
//! 7.6.1).

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The headers of one connection, whether `connection` names them or not. `te` and headers that start with
/// `proxy-` are handled separately.
const HOP_BY_HOP: [HeaderName; 5] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Removes the headers of this hop from a request or a response.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let trailers = list(headers, &header::TE).any(|coding| coding.eq_ignore_ascii_case("trailers"));
    let named = |name: &str| {
        let usual = name.eq_ignore_ascii_case("close") || name.eq_ignore_ascii_case("keep-alive");
        if usual { None } else { name.parse::<HeaderName>().ok() }
    };
    let named: Vec<_> = list(headers, &header::CONNECTION).filter_map(named).collect();
    let is_proxys = |name: &&HeaderName| name.as_str().starts_with("proxy-");
    let proxys: Vec<_> = headers.keys().filter(is_proxys).cloned().collect();
    for name in HOP_BY_HOP.iter().chain(&named).chain(&proxys) {
        headers.remove(name);
    }
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes the headers that the client of the next hop sets itself: `host` comes from the address, and an
/// expected `100 Continue` was answered here.
pub(crate) fn strip_request(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    headers.remove(header::HOST);
    headers.remove(header::EXPECT);
}

/// The elements of a comma-separated header.
fn list<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let lines = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    lines.flat_map(|line| line.split(',').map(str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let line = |&(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        lines.iter().map(line).collect()
    }

    #[test]
    fn only_end_to_end_headers_are_left() {
        let mut found = headers(&[
            ("connection", "keep-alive, X-Secret-Hop"),
            ("connection", "x-other"),
            ("x-secret-hop", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-authorization", "Basic x"),
            ("proxy-connection", "keep-alive"),
            ("te", "gzip, trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("host", "127.0.0.1"),
            ("expect", "100-continue"),
            ("content-type", "application/json"),
            ("accept", "a"),
            ("accept", "b"),
        ]);
        strip_request(&mut found);
        let left = headers(&[
            ("content-type", "application/json"),
            ("accept", "a"),
            ("accept", "b"),
            ("te", "trailers"),
        ]);
        assert_eq!(found, left);
    }

    #[test]
    fn te_without_trailers_is_removed() {
        let mut found = headers(&[("te", "gzip")]);
        strip_hop_by_hop(&mut found);
        assert!(found.is_empty());
    }
}
