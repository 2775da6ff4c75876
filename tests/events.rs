//! The subscription to a pool's events, as a stream and call by call.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use tokio_stream::StreamExt;
use tokio_test::{assert_pending, assert_ready, task};
use tower_key_rotation::{
    ApiKey, KeyId, KeyPool, OpenAi,
    event::Event,
    pool::{EventError, Events},
};

fn pool() -> KeyPool {
    let key = ApiKey::new("sk-not-a-real-key").id("a1");
    KeyPool::builder(OpenAi::default()).key(key).build().unwrap()
}

/// An event that a test can cause at will.
fn switch_on_again(pool: &KeyPool) -> Event {
    assert!(pool.disable("a1") && pool.enable("a1"));
    Event::KeyEnabled { key: KeyId::new("a1") }
}

fn is_off(event: &Event) -> bool {
    matches!(event, Event::KeyDisabled { .. } | Event::PoolShrunk { .. })
}

/// The next event that says more than that the key was switched off.
async fn next(events: &mut Events) -> Option<Result<Event, EventError>> {
    loop {
        match events.next().await {
            Some(Ok(event)) if is_off(&event) => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn a_stream_gives_each_event_and_ends_with_the_pool() {
    let pool = pool();
    let mut events = pool.events();
    let enabled = switch_on_again(&pool);
    assert_eq!(next(&mut events).await, Some(Ok(enabled.clone())));
    let enabled_again = switch_on_again(&pool);
    drop(pool);
    assert_eq!(next(&mut events).await, Some(Ok(enabled_again)));
    assert_eq!(next(&mut events).await, None);
    assert_eq!(next(&mut events).await, None, "it stays at its end");
    assert_eq!(events.recv().await, Err(EventError::Closed));
    assert_eq!(events.try_recv(), Err(EventError::Closed));
}

#[tokio::test]
async fn a_waiting_stream_is_woken_and_can_be_asked_call_by_call() {
    let pool = pool();
    let mut events = task::spawn(pool.events());
    assert_pending!(events.poll_next());
    assert_eq!(events.try_recv(), Ok(None));
    assert_pending!(events.poll_next());
    switch_on_again(&pool);
    assert!(events.is_woken());
    let disabled = Event::KeyDisabled { key: KeyId::new("a1") };
    assert_eq!(assert_ready!(events.poll_next()), Some(Ok(disabled.clone())));

    while !matches!(events.try_recv(), Ok(None)) {}
    assert_pending!(events.poll_next());
    switch_on_again(&pool);
    assert_eq!(events.recv().await, Ok(disabled.clone()), "the stream has waited for it");

    while !matches!(events.try_recv(), Ok(None)) {}
    assert_pending!(events.poll_next());
    switch_on_again(&pool);
    assert_eq!(events.try_recv(), Ok(Some(disabled)));
}

#[tokio::test]
async fn a_slow_reader_learns_how_many_events_are_lost() {
    let pool = pool();
    let mut events = pool.events();
    for _ in 0..200 {
        switch_on_again(&pool);
    }
    let Some(Err(EventError::Lagged(lost))) = events.next().await else { panic!("none is lost") };
    let mut read = 0;
    while let Ok(Some(_)) = events.try_recv() {
        read += 1;
    }
    assert_eq!(read, 256);
    assert!(lost >= 400 - 256, "{lost}");
}
