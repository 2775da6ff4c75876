//! Writes what happens to keys and accounts into the log: one line for each event.

use tower_key_rotation::{KeyPool, pool::EventError};

use super::access::log;

/// Follows a pool until it is gone.
pub(crate) async fn tell(pool: KeyPool) {
    let (name, mut events) = (pool.name().to_owned(), pool.events());
    drop(pool);
    loop {
        match events.recv().await {
            Ok(event) => log(format_args!("{name} {event}")),
            Err(EventError::Lagged(lost)) => log(format_args!("{name} {lost} events lost")),
            Err(_) => return,
        }
    }
}
