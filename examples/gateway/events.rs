//! What happens to keys and accounts, told in the log: one line each.

use tower_key_rotation::{KeyPool, event::Event, pool::EventError};

use super::access::log;

/// Tells of a pool for as long as it is there.
pub(crate) async fn tell(pool: KeyPool) {
    let (name, mut events) = (pool.name().to_owned(), pool.events());
    drop(pool);
    loop {
        match events.recv().await {
            Ok(event) => log(format_args!("{name} {}", line(&event))),
            Err(EventError::Lagged(lost)) => log(format_args!("{name} {lost} events lost")),
            Err(_) => return,
        }
    }
}

fn line(event: &Event) -> String {
    let of = |model: &Option<_>| match model {
        // The name came from a caller: quoted, it cannot begin a line of its own.
        Some(model) => format!(" for model {model:?}"),
        None => String::new(),
    };
    match event {
        Event::Resting { place, kind, rule, wait } => {
            format!("{place} rests for {:.1} s: {kind} ({rule})", wait.as_secs_f32())
        }
        Event::Recovered { place } => format!("{place} is back"),
        Event::SizeLimited { account, model, tokens, rule } => {
            let model = of(model);
            format!("account {account} gets {tokens} tokens at once at most{model}: size ({rule})")
        }
        Event::KeyRejected { key, account, rule, wait, live, total } => {
            let wait = wait.as_secs_f32();
            format!(
                "KEY REJECTED: {key} of account {account} ({rule}), asked again in {wait:.1} s; \
                 {live} of {total} are left"
            )
        }
        Event::KeyRevived { key } => format!("key {key} was said to be good again"),
        Event::KeyDisabled { key } => format!("KEY DISABLED: {key} was switched off"),
        Event::KeyEnabled { key } => format!("key {key} was switched on again"),
        Event::KeyExpires { key, account, wait } => {
            let days = wait.as_secs_f32() / 86_400.0;
            format!("key {key} of account {account} expires in {days:.1} days")
        }
        Event::KeyExpired { key, account, live, total } => {
            format!("KEY EXPIRED: {key} of account {account}; {live} of {total} keys are left")
        }
        Event::PoolShrunk { live, total } => format!("{live} of {total} keys are left"),
        Event::NearLimit { whose, limit, used_percent, .. } => {
            format!("{used_percent} % of {limit} are spent by {whose}")
        }
        Event::Exhausted { model, wait } => {
            let wait = wait.map_or("nobody knows for how long".to_owned(), |wait| {
                format!("for {:.1} s", wait.as_secs_f32())
            });
            format!("EXHAUSTED{}, {wait}", of(model))
        }
        Event::ExhaustionEnded => "no longer exhausted".to_owned(),
        Event::ConfigChanged(changes) => changes.to_string(),
        Event::AllFailing { resting, total } => {
            format!("PANIC: most accounts fail; {resting} of {total} rest, and no more for that")
        }
        Event::AllFailingEnded => "accounts succeed again".to_owned(),
        Event::LimitLearnt { account, model, limit } => {
            format!("account {account} has a limit of {limit}{}", of(model))
        }
        Event::LimitContradicted { account, declared, told } => {
            format!("account {account} has {told}, not {declared} as declared")
        }
        Event::RefusedWithinLimits { account, model } => {
            let model = of(model);
            format!("account {account} refuses well within its limits{model}: it is paced")
        }
        Event::DryRunHeldBack { requests, total } => {
            format!("{requests} requests would have been held back, {total} so far")
        }
        Event::UsageIgnored { key, account, tokens } => {
            format!("an answer to key {key} of {account} told {tokens} tokens: ignored")
        }
        Event::Unpriced { model } => {
            format!("the price{} is not known: it counts as nothing", of(model))
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_event_is_a_line() {
        let (account, rule, wait) = ("org-a".into(), "r/s".into(), Duration::from_millis(1_500));
        let rejected =
            Event::KeyRejected { key: "a1".into(), account, rule, wait, live: 1, total: 2 };
        assert_eq!(
            line(&rejected),
            "KEY REJECTED: a1 of account org-a (r/s), asked again in 1.5 s; 1 of 2 are left"
        );
        assert_eq!(line(&Event::KeyEnabled { key: "a1".into() }), "key a1 was switched on again");
    }

    #[test]
    fn a_callers_model_name_writes_no_line_of_its_own() {
        let model = Some("gpt\nKEY REJECTED: a1".into());
        let large = Event::SizeLimited {
            account: "org-a".into(),
            model,
            tokens: 30_000,
            rule: "r/s".into(),
        };
        assert_eq!(
            line(&large),
            r#"account org-a gets 30000 tokens at once at most for model "gpt\nKEY REJECTED: a1": size (r/s)"#
        );
    }
}
