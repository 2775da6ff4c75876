//! Finds the model of a request to the unified endpoint.

use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, Response, StatusCode, header, request::Parts},
};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;

use super::reply;

/// The largest body that is read to find the model in it.
const LARGEST_BODY: usize = 32 << 20;

/// The part of a body that decides the pool.
#[derive(Deserialize)]
struct Named {
    model: Option<String>,
}

/// Reads the model, and gives back the body as it was. A request without a model (a list, an upload) can go
/// to any pool.
pub(crate) async fn read_model(
    head: &Parts,
    body: Body,
) -> Result<(Option<String>, Body), Response<Body>> {
    if let Some(model) = head.uri.path().strip_prefix("/v1/models/") {
        return Ok((Some(model.to_owned()), body));
    }
    if body.is_end_stream() || is_form(&head.headers) {
        return Ok((None, body));
    }
    let bytes = read_whole(body).await?;
    if bytes.is_empty() {
        return Ok((None, Body::empty()));
    }
    match serde_json::from_slice::<Named>(&bytes) {
        Ok(Named { model }) => Ok((model, Body::from(bytes))),
        Err(error) => {
            // The message may quote the body, so only its position is shown.
            let (line, column) = (error.line(), error.column());
            let message =
                format!("the body is not JSON with a model: line {line}, column {column}");
            Err(reply::error(StatusCode::BAD_REQUEST, "invalid_json", &message))
        }
    }
}

async fn read_whole(body: Body) -> Result<Bytes, Response<Body>> {
    let whole = Limited::new(body, LARGEST_BODY).collect().await;
    whole.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<LengthLimitError>() {
            let message = format!("the body is larger than {} MiB", LARGEST_BODY >> 20);
            reply::error(StatusCode::PAYLOAD_TOO_LARGE, "request_too_large", &message)
        } else {
            reply::broken_off()
        }
    })
}

/// Forms contain files, and are passed on as they come.
fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"multipart/"))
}
