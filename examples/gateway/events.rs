//! Writes the events of pools into the log: one line for each event.

use tower_key_rotation::{KeyPool, pool::EventError};

use super::access::log;

/// Logs the events of a pool until the pool is dropped.
pub(crate) async fn write(pool: KeyPool) {
    let (name, mut events) = (pool.name().to_owned(), pool.events());
    drop(pool);
    loop {
        match events.recv().await {
            Ok(event) => log(format_args!("{name} {event}")),
            Err(EventError::Lagged(lost)) => {
                log(format_args!("{name} the log was too slow: {lost} events were dropped"))
            }
            Err(_) => return,
        }
    }
}
