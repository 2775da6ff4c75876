//! The statistics of a sandbox.

use std::time::Duration;

use tokio::time::advance;
use tower_key_rotation::{
    Limit,
    sandbox::{Dialect, Fault},
};

use crate::{CHAT_STREAM, chat, chat_with, org_a, send, text};

#[tokio::test(start_paused = true)]
async fn requests_are_counted_by_key_by_account_and_in_total() {
    let limits = [Limit::requests(12).per_minute().burst(3)];
    let sandbox = org_a(Dialect::OpenAi, limits).account("org-b", [], ["sk-sandbox-b1"]).build();
    text(&sandbox, chat("sk-sandbox-a1")).await;
    advance(Duration::from_millis(10)).await;
    text(&sandbox, chat_with("sk-sandbox-a2", CHAT_STREAM)).await;
    let running = send(&sandbox, chat("sk-sandbox-a2")).await;
    text(&sandbox, chat("sk-sandbox-a1")).await;
    text(&sandbox, chat("sk-sandbox-b1")).await;
    text(&sandbox, chat("sk-wrong")).await;
    sandbox.fail(Fault::overload(1));
    text(&sandbox, chat("sk-sandbox-b1")).await;

    let stats = sandbox.stats();
    let a = stats.account("org-a");
    assert_eq!((a.requests, a.accepted, a.rate_limited, a.errors), (4, 3, 1, 0));
    assert_eq!((a.prompt_tokens, a.answer_tokens), (6, 24), "one answer was not read");
    assert_eq!((a.streams_started, a.streams_finished, a.streams_cut), (1, 1, 0));
    assert_eq!((a.in_flight, a.max_in_flight), (1, 1));
    assert_eq!(stats.key("org-a-1").rate_limited, 1);
    assert_eq!((stats.key("org-a-2").accepted, stats.key("org-a-2").streams_finished), (2, 1));
    let b = stats.account("org-b");
    assert_eq!((b.requests, b.accepted, b.errors), (2, 1, 1));
    let total = stats.total();
    assert_eq!((total.requests, total.accepted, total.rejected), (7, 4, 1));
    assert_eq!(total.max_in_flight, 2);
    assert_eq!(stats.accounts().count(), 2);
    assert_eq!(
        stats.keys().map(|(id, _)| id.as_str()).collect::<Vec<_>>(),
        ["org-a-1", "org-a-2", "org-b-1"]
    );
    assert_eq!(stats.account("org-c").requests, 0);
    drop(running);

    let arrivals: Vec<_> = sandbox
        .arrivals("org-a")
        .into_iter()
        .map(|arrival| (arrival.at.as_millis(), arrival.key.to_string(), arrival.accepted))
        .collect();
    let expected = [
        (0, "org-a-1", true),
        (10, "org-a-2", true),
        (10, "org-a-2", true),
        (10, "org-a-1", false),
    ];
    assert_eq!(arrivals, expected.map(|(at, key, accepted)| (at, key.to_owned(), accepted)));
}
