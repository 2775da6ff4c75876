//! What happens to keys and accounts, told in the log: one line each.

use tower_key_rotation::{Event, KeyPool, pool::EventError};

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
        Event::Cooling { account, model, verdict, rule, wait } => {
            let (model, seconds) = (of(model), wait.as_secs_f32());
            format!("account {account} cools down for {seconds:.1} s{model}: {verdict} ({rule})")
        }
        Event::Recovered { account, model } => format!("account {account} is back{}", of(model)),
        Event::KeyRejected { key, account, rule, live, total } => {
            format!("KEY REJECTED: {key} of account {account} ({rule}); {live} of {total} are left")
        }
        Event::KeyExpires { key, account, wait } => {
            let days = wait.as_secs_f32() / 86_400.0;
            format!("key {key} of account {account} expires in {days:.1} days")
        }
        Event::KeyExpired { key, account, live, total } => {
            format!("KEY EXPIRED: {key} of account {account}; {live} of {total} keys are left")
        }
        Event::PoolShrunk { live, total } => format!("{live} of {total} keys are left"),
        Event::NearLimit { account, key, limit, remaining } => {
            let of = key.as_ref().map_or(String::new(), |key| format!(", key {key},"));
            format!("account {account}{of} has {remaining} left of {limit}")
        }
        Event::Exhausted { model, wait } => {
            let wait = wait.map_or("nobody knows for how long".to_owned(), |wait| {
                format!("for {:.1} s", wait.as_secs_f32())
            });
            format!("EXHAUSTED{}, {wait}", of(model))
        }
        Event::ExhaustionEnded => "no longer exhausted".to_owned(),
        Event::ConfigChanged(changes) => changes.to_string(),
        Event::ModelRefused { key, model, rule } => {
            format!("key {key} is refused{} ({rule})", of(model))
        }
        Event::Overloaded { wait, rule } => {
            let rule = rule.as_deref().unwrap_or("many are refused alike");
            format!("the provider is overloaded; all wait {:.1} s ({rule})", wait.as_secs_f32())
        }
        Event::ProviderRecovered => "the provider is back".to_owned(),
        Event::PanicBegan { resting, total } => {
            format!("PANIC: most accounts fail; {resting} of {total} rest, and no more for that")
        }
        Event::PanicEnded => "accounts succeed again".to_owned(),
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
        Event::ShadowHeldBack { requests, total } => {
            format!("{requests} requests would have been held back, {total} so far")
        }
        Event::BudgetNear { whose, limit, used_percent } => {
            format!("{used_percent} % of {limit} are spent by {whose}")
        }
        Event::Unpriced { model } => {
            format!("the price{} is not known: it counts as nothing", of(model))
        }
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_model_name_writes_no_line_of_its_own() {
        let model = Some("gpt\nKEY REJECTED: a1".into());
        let told = line(&Event::Recovered { account: "org-a".into(), model });
        assert!(!told.contains('\n'), "{told}");
    }
}
