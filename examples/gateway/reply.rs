//! The gateway's own answers, in the error shape that OpenAI's SDKs read.

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};

use super::guard::Denied;

/// An answer that says what is wrong, and what to do.
pub(crate) fn error(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let kind = if status.is_server_error() { "server_error" } else { "invalid_request_error" };
    let error = serde_json::json!({
        "error": { "message": message, "type": kind, "param": null, "code": code }
    });
    json(status, error.to_string())
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
            let message =
                "wrong or missing token: send a client token where your SDK sends its API key";
            let mut response = error(StatusCode::UNAUTHORIZED, "invalid_api_key", message);
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
            response
        }
        Denied::Foreign => error(
            StatusCode::FORBIDDEN,
            "foreign_site",
            "without client tokens the gateway answers this machine only: call it as 127.0.0.1 or localhost",
        ),
        Denied::Off => {
            error(StatusCode::NOT_FOUND, "not_found", "set an admin token to see this page")
        }
    }
}

pub(crate) fn unknown_model(model: &str, patterns: &str) -> Response<Body> {
    let message = format!("no pool serves the model {model:?}; there are {patterns}");
    error(StatusCode::NOT_FOUND, "model_not_found", &message)
}

pub(crate) fn unknown_pool(name: &str, pools: &str) -> Response<Body> {
    let message = format!("there is no pool {name:?}; there are /v1/... and {pools}");
    error(StatusCode::NOT_FOUND, "pool_not_found", &message)
}
