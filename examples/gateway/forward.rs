//! One request passed on: cleaned of what is not the provider's business, called, and cleaned again
//! on the way back.

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{Extensions, HeaderName, Request, Response, StatusCode, Version, request::Parts},
};
use tower_key_rotation::{Demand, Exhausted, KeyUsed, Trail, Verdict};

use super::{
    access::{Access, Logged},
    guard,
    headers::{strip_hop_by_hop, strip_request},
    joined::Joined,
    pool::Pool,
    reply,
    routes::Gateway,
};

/// The header by which callers say what a request has in common with others; not for the provider.
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
    let trail = Trail::new();
    let access = Access::new(&pool.name, &head.method, head.uri.path(), trail.clone());
    let tag = gateway.usage().take_tag(&mut head.headers);
    let Some(mut request) = outgoing(pool, path, head, body) else {
        let refusal = reply::error(StatusCode::BAD_REQUEST, "bad_path", "the path leaves its API");
        return logged(refusal, access, None);
    };
    request.extensions_mut().insert(trail);
    let name = request.headers_mut().remove(AFFINITY);
    let name = name.as_ref().and_then(|name| name.to_str().ok());
    let demand = tenant.into_iter().fold(Demand::new(), Demand::tenant);
    let demand = name.into_iter().fold(demand, Demand::affinity);
    // Who says nothing else is booked under whom it calls for.
    let demand = tag.as_deref().or(tenant).into_iter().fold(demand, Demand::tag);
    request.extensions_mut().insert(demand);
    match pool.call(request).await {
        Ok(answer) => {
            let note = note(&answer);
            logged(answer, access, note)
        }
        Err(error) => {
            let name = &pool.name;
            let message = format!("the provider of pool {name:?} did not answer: {error}");
            let refusal = reply::error(StatusCode::BAD_GATEWAY, "upstream_unreachable", &message);
            logged(refusal, access, Some(error.to_string()))
        }
    }
}

/// The request as the provider is to see it, but for its key. None if its path climbs out of the
/// part of the provider's site that the pool is for.
fn outgoing(pool: &Pool, path: &str, mut head: Parts, body: Body) -> Option<Request<Body>> {
    if climbs(path) {
        return None;
    }
    head.uri = pool.base.join(path, guard::strip_query(&head.uri).as_deref())?;
    guard::strip_headers(&mut head.headers);
    strip_request(&mut head.headers);
    // The connection to the provider has a version of its own, and nothing of the caller's.
    head.version = Version::HTTP_11;
    head.extensions = Extensions::new();
    Some(Request::from_parts(head, body))
}

/// What its status does not tell.
fn note<B>(answer: &Response<B>) -> Option<String> {
    if let Some(exhausted) = answer.extensions().get::<Exhausted>() {
        return Some(exhausted.to_string());
    }
    let verdict = answer.extensions().get::<KeyUsed>()?.verdict;
    let is_hidden = answer.status().is_success() && verdict != Verdict::Accepted;
    is_hidden.then(|| format!("{verdict}, told inside a 200"))
}

/// The response as the caller is to see it.
fn logged<B>(answer: Response<B>, mut access: Access, note: Option<String>) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError> + Send> + Send + 'static,
{
    let (mut head, body) = answer.into_parts();
    access.answered(head.status, note);
    strip_hop_by_hop(&mut head.headers);
    head.version = Version::HTTP_11;
    head.extensions = Extensions::new();
    Response::from_parts(head, Body::new(Logged::new(Joined::new(body), access)))
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
    fn only_paths_that_climb_are_refused() {
        for path in ["/v1/../admin", "/..", "/%2e%2E/x", "/v1/.%2e/x", "/v1/..%2Fx", "/v1\\..\\x"] {
            assert!(climbs(path), "{path}");
        }
        for path in ["/v1/models/gpt-4.1", "/v1/...", "/", "/v1//x", "/a..b", "/a%20b"] {
            assert!(!climbs(path), "{path}");
        }
    }
}
