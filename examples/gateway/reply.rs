//! The gateway's own answers, in the error shape that OpenAI's SDKs read.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, Response, StatusCode, header},
};

use super::{access::Remark, guard::Denied};

/// These headers say whether an SDK should try again, and that the answer is not from the provider. Refusals
/// of the pools have them too.
const SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const REFUSED: HeaderName = HeaderName::from_static("x-key-pool-refused");

/// An error answer. The same request would fail again, except if the provider could not be reached.
pub(crate) fn error(status: StatusCode, code: &'static str, message: &str) -> Response<Body> {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    let error = serde_json::json!({
        "error": { "message": message, "type": kind, "param": null, "code": code }
    });
    let mut response = json(status, error.to_string());
    let should_retry = if status == StatusCode::BAD_GATEWAY { "true" } else { "false" };
    let headers = response.headers_mut();
    headers.insert(SHOULD_RETRY, HeaderValue::from_static(should_retry));
    headers.insert(REFUSED, HeaderValue::from_static("gateway"));
    response.extensions_mut().insert(Remark { refused: Some(code), words: None });
    response
}

/// The answer to a request whose caller broke off the body.
pub(crate) fn broken_off() -> Response<Body> {
    let message = "the body of the request broke off; send the request again with its whole body";
    error(StatusCode::BAD_REQUEST, "body_broken_off", message)
}

pub(crate) fn json(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

pub(crate) fn denied(denied: Denied) -> Response<Body> {
    match denied {
        Denied::Token => {
            let message = "the token is wrong or missing; send a client token where your SDK sends its API key";
            let mut response = error(StatusCode::UNAUTHORIZED, "invalid_api_key", message);
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            response
        }
        Denied::Foreign => error(
            StatusCode::FORBIDDEN,
            "foreign_site",
            "without client tokens the gateway answers only this machine; call it as 127.0.0.1 or localhost",
        ),
        Denied::CrossSite => error(
            StatusCode::FORBIDDEN,
            "foreign_site",
            "a web page of another site must not do this; call the gateway from a program",
        ),
        Denied::Off => {
            error(StatusCode::NOT_FOUND, "not_found", "set an admin token to use this page")
        }
    }
}

pub(crate) fn unknown_model(model: &str, patterns: &str) -> Response<Body> {
    let message = format!("no pool serves the model {model:?}; the pools serve {patterns}");
    error(StatusCode::NOT_FOUND, "model_not_found", &message)
}

pub(crate) fn unknown_pool(name: &str, pools: &str) -> Response<Body> {
    let message = format!("there is no pool {name:?}; the paths are /v1/... and {pools}");
    error(StatusCode::NOT_FOUND, "pool_not_found", &message)
}
