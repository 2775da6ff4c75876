//! Actions of an operator on keys: `POST /-/keys/{pool}/{key}/{action}`.

use axum::{
    body::Body,
    extract::{Path, State, rejection::PathRejection},
    http::{Response, StatusCode, request::Parts},
};
use tower_key_rotation::{KeyPool, snapshot::KeyState};

use super::{reply, routes::Shared};

/// Declares a key good again, or switches it off or on. The answer is the state of the key.
pub(crate) async fn act(
    State(gateway): Shared,
    path: Result<Path<(String, String, String)>, PathRejection>,
    head: Parts,
) -> Response<Body> {
    if let Err(denied) = gateway.guard().admit_action(&head) {
        return reply::denied(denied);
    }
    let Ok(Path((pool, key, action))) = path else {
        return unknown("key", "what the path says");
    };
    let Some(pool) = gateway.pools().iter().find(|known| *known.name == *pool) else {
        return unknown("pool", &pool);
    };
    if state(&pool.keys, &key).is_none() {
        return unknown("key", &key);
    }
    let (has_changed, already) = match action.as_str() {
        // A key that is good already can be declared good again.
        "revive" => (pool.keys.revive(&key), ""),
        "disable" => (pool.keys.disable(&key), "is switched off already"),
        "enable" => (pool.keys.enable(&key), "is not switched off"),
        _ => return unknown("action", &action),
    };
    // The key may have been removed meanwhile.
    let Some(state) = state(&pool.keys, &key) else { return unknown("key", &key) };
    if !has_changed {
        let message = format!("the key {key:?} {already}, so nothing has changed");
        return reply::error(StatusCode::CONFLICT, "unchanged", &message);
    }
    match serde_json::to_string_pretty(&state) {
        Ok(text) => reply::json(StatusCode::OK, text),
        Err(_) => reply::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "status",
            "the state of the key cannot be written as JSON",
        ),
    }
}

fn state(keys: &KeyPool, id: &str) -> Option<KeyState> {
    let accounts = keys.snapshot().accounts.into_iter();
    accounts.flat_map(|account| account.keys).find(|key| key.id.as_str() == id)
}

fn unknown(what: &str, name: &str) -> Response<Body> {
    let message = format!(
        "there is no {what} {name:?}; use POST /-/keys/{{pool}}/{{key}}/{{action}} with the action revive, disable or enable"
    );
    reply::error(StatusCode::NOT_FOUND, "not_found", &message)
}
