//! Forwards one request: removes headers that are not for the provider, sends it, and removes headers from
//! the response that are not for the caller.

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{Extensions, HeaderName, Request, Response, StatusCode, Version, request::Parts},
};
use tower_key_rotation::{Demand, Exhausted, KeyUsed, Trail, Verdict};

use super::{
    access::{Remark, Way},
    guard,
    headers::{strip_hop_by_hop, strip_request},
    joined::Joined,
    pool::Pool,
    reply,
    routes::Gateway,
    times::Times,
};

/// The header by which callers name the conversation of a request. It is not passed on to the provider.
const AFFINITY: HeaderName = HeaderName::from_static("x-affinity");

/// Sends a request of a tenant to `path` of a pool's provider.
pub(crate) async fn forward(
    gateway: &Gateway,
    pool: &Pool,
    tenant: Option<&str>,
    path: &str,
    mut head: Parts,
    body: Body,
) -> Response<Body> {
    let (trail, times) = (Trail::new(), Times::default());
    Way::of(&head.extensions).lead(&pool.keys, &trail, &times);
    let tag = gateway.usage().take_tag(&mut head.headers);
    let Some(mut request) = outgoing(pool, path, head, body) else {
        return reply::error(StatusCode::BAD_REQUEST, "bad_path", "the path leaves its API");
    };
    let name = request.headers_mut().remove(AFFINITY);
    let name = name.as_ref().and_then(|name| name.to_str().ok());
    let demand = tenant.into_iter().fold(Demand::new(), Demand::tenant);
    let demand = name.into_iter().fold(demand, Demand::affinity);
    // Without a tag of its own, the request is recorded under its tenant.
    let demand = tag.as_deref().or(tenant).into_iter().fold(demand, Demand::tag);
    let extensions = request.extensions_mut();
    extensions.insert(trail.clone());
    extensions.insert(times);
    extensions.insert(demand);
    match pool.call(request).await {
        Ok(answer) => passed_on(answer),
        Err(_) if is_broken_off(&trail) => reply::broken_off(),
        Err(error) => {
            let name = &pool.name;
            let message =
                format!("the provider of pool {name:?} did not answer: {error}; try again");
            let code = "upstream_unreachable";
            let mut refusal = reply::error(StatusCode::BAD_GATEWAY, code, &message);
            let words = Some(error.to_string());
            refusal.extensions_mut().insert(Remark { refused: Some(code), words });
            refusal
        }
    }
}

/// Whether a call failed because the body of the request failed.
fn is_broken_off(trail: &Trail) -> bool {
    trail.attempts().last().is_some_and(|last| last.rule == "body-broken-off")
}

/// The request as the provider gets it, except for the key. None if its path leads out of the part of the
/// provider's site that the pool is for.
fn outgoing(pool: &Pool, path: &str, mut head: Parts, body: Body) -> Option<Request<Body>> {
    if climbs(path) {
        return None;
    }
    head.uri = pool.base.join(path, guard::strip_query(&head.uri).as_deref())?;
    guard::strip_headers(&mut head.headers);
    strip_request(&mut head.headers);
    // The connection to the provider has its own HTTP version, and no data of the caller's connection.
    head.version = Version::HTTP_11;
    head.extensions = Extensions::new();
    Some(Request::from_parts(head, body))
}

/// What the status of a response does not show.
fn remark<B>(answer: &Response<B>) -> Remark {
    if let Some(exhausted) = answer.extensions().get::<Exhausted>() {
        let refused = Some(exhausted.reason().name());
        return Remark { refused, words: Some(exhausted.to_string()) };
    }
    let verdict = answer.extensions().get::<KeyUsed>().map(|used| used.verdict);
    let is_hidden =
        |verdict: &Verdict| answer.status().is_success() && *verdict != Verdict::Accepted;
    let hidden = verdict.filter(is_hidden);
    Remark { refused: None, words: hidden.map(|verdict| format!("{verdict}, inside a 200")) }
}

/// The response as the caller gets it.
fn passed_on<B>(answer: Response<B>) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError> + Send> + Send + 'static,
{
    let remark = remark(&answer);
    let (mut head, body) = answer.into_parts();
    strip_hop_by_hop(&mut head.headers);
    head.version = Version::HTTP_11;
    head.extensions = Extensions::new();
    head.extensions.insert(remark);
    Response::from_parts(head, Body::new(Joined::new(body)))
}

/// Whether a path has a `..` in it, in any spelling.
fn climbs(path: &str) -> bool {
    if !path.contains("..") && !path.contains('%') {
        return false;
    }
    let plain = path.to_ascii_lowercase().replace("%2e", ".");
    let plain = plain.replace("%2f", "/").replace("%5c", "/");
    plain.split(['/', '\\']).any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use super::climbs;

    #[test]
    fn only_paths_with_dot_dot_are_refused() {
        for path in ["/v1/../admin", "/..", "/%2e%2E/x", "/v1/.%2e/x", "/v1/..%2Fx", "/v1\\..\\x"] {
            assert!(climbs(path), "{path}");
        }
        for path in ["/v1/models/gpt-4.1", "/v1/...", "/", "/v1//x", "/a..b", "/a%20b"] {
            assert!(!climbs(path), "{path}");
        }
    }
}
