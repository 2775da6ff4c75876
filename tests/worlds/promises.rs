//! What users of a pool may count on, held against the truth.

use std::fmt;

use tower_key_rotation::{event::Whereabouts, snapshot::StandingState};

use super::{
    plan::{END, PEACE, Plan, Seconds, Task, What},
    traffic::{Run, Told},
    world::Call,
};

/// A promise that was not kept.
#[derive(Debug)]
pub(crate) struct Broken {
    seed: u64,
    what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.what)
    }
}

/// In a world with all kinds of troubles.
pub(crate) fn of_troubles(run: &Run) -> Vec<Broken> {
    let promises = [
        nothing_is_out_for_good,
        extra_calls_are_few,
        a_revoked_key_is_asked_rarely,
        nobody_is_shown_a_limit_that_would_let_it_through,
        what_a_good_key_could_do_is_done,
    ];
    broken(run, &promises)
}

/// In a world where nothing is wrong but some requests.
pub(crate) fn of_faults(run: &Run) -> Vec<Broken> {
    let promises = [
        nothing_is_out_for_good,
        extra_calls_are_few,
        no_key_ever_rests,
        who_is_not_at_fault_is_always_served,
    ];
    broken(run, &promises)
}

fn broken(run: &Run, promises: &[fn(&Run) -> Vec<String>]) -> Vec<Broken> {
    let all = promises.iter().flat_map(|promise| promise(run));
    all.map(|what| Broken { seed: run.plan.seed, what }).collect()
}

/// Each key that the provider accepts is in use an hour after the last trouble.
fn nothing_is_out_for_good(run: &Run) -> Vec<String> {
    let mut broken = Vec::new();
    let is_accepted =
        |key: usize| Task::ALL.iter().all(|task| run.plan.wrong(END, key, *task).is_none());
    for key in (0..run.plan.keys.len()).filter(|key| is_accepted(*key)) {
        let is_served = |call: &&Call| call.at > PEACE && call.key == key && call.status == 200;
        if run.calls.iter().filter(is_served).count() == 0 {
            broken.push(format!("k{key} is good and served nobody in an hour of peace"));
        }
        let name = format!("k{key}");
        let state = run.snapshot().accounts.iter().flat_map(|account| &account.keys);
        if !state.clone().any(|state| state.id.as_str() == name && state.alive) {
            broken.push(format!("k{key} is good and the pool takes it for dead"));
        }
    }
    if run.plan.is_lone_and_careless() {
        return broken;
    }
    let keys = (0..run.plan.keys.len()).filter(|key| is_accepted(*key));
    let keys: Vec<_> =
        keys.map(|key| (format!("k{key}"), format!("org-{}", run.plan.keys[key]))).collect();
    for standing in run.snapshot().standings.iter().filter(|standing| is_asked_for(standing)) {
        let Whereabouts { key, account, .. } = &standing.place;
        let mut keys = keys.iter();
        // Where no key is accepted any longer, nobody can find out what else is good.
        if keys.any(|(id, name)| {
            key.as_ref().is_none_or(|key| key.as_str() == id)
                && account.as_ref().is_none_or(|account| **account == **name)
        }) {
            broken.push(format!("after an hour of peace: {standing:?}"));
        }
    }
    broken
}

/// Whether a place is one that requests want which are not at fault. Of others nobody finds out whether they
/// are good again.
fn is_asked_for(standing: &StandingState) -> bool {
    let Whereabouts { model, operation, .. } = &standing.place;
    let is_unknown = matches!(model.as_deref(), Some("forbidden" | "unknown"));
    let is_odd = matches!(operation.as_deref(), Some("no" | "no.read"));
    !is_unknown && !is_odd
}

/// Calls beyond the first, for requests that got nothing of it.
fn extra_calls_are_few(run: &Run) -> Vec<String> {
    let extra = |of: fn(u16) -> bool| -> usize {
        let in_vain = run.told.iter().filter(|told| told.status != 200 && of(told.status));
        in_vain.map(|told| run.calls_of(told.errand.number).count().saturating_sub(1)).sum()
    };
    let opinions = extra(|status| status < 500);
    let retries = extra(|status| status >= 500);
    let (calls, requests) = (run.calls.len(), run.told.len());
    let mut broken = Vec::new();
    if opinions > calls / 20 + 100 {
        broken.push(format!("{opinions} second opinions in vain among {calls} calls"));
    }
    // Of overloads and failures, another tenth may be tried again.
    if retries > requests / 10 + 10 {
        broken.push(format!("{retries} retries in vain for {requests} requests"));
    }
    broken
}

/// While somebody else could serve, a revoked key is asked once for each rung of its ladder.
fn a_revoked_key_is_asked_rarely(run: &Run) -> Vec<String> {
    let Plan { troubles, keys, .. } = &run.plan;
    let mut broken = Vec::new();
    for trouble in troubles {
        let What::Revoked { key, is_told } = trouble.what else { continue };
        let (from, to) = (trouble.from, trouble.to.min(END));
        let has_others = Task::ALL.iter().all(|task| {
            let others = (0..keys.len()).filter(|other| keys[*other] != keys[key]);
            others.clone().any(|other| run.plan.is_good(other, *task, from, to))
        });
        if !has_others {
            continue;
        }
        let asked =
            run.calls.iter().filter(|call| call.key == key && (from..to).contains(&call.at));
        let asked = asked.count();
        let most = rungs(to - from) * run.plan.dialect.ladders(is_told) + 2;
        if asked > most {
            broken.push(format!(
                "k{key}, revoked from {from:.0} to {to:.0} (told: {is_told}), was asked {asked} times, at most {most}"
            ));
        }
    }
    broken
}

/// How often a key is asked in a time by a ladder of 5 s, 10 s, ... 1 h: at its beginning, and after each.
fn rungs(time: Seconds) -> usize {
    let (mut rungs, mut passed, mut rung) = (1, 5.0, 5.0_f64);
    while passed < time {
        rungs += 1;
        rung = (2.0 * rung).min(3_600.0);
        passed += rung;
    }
    rungs
}

/// Nobody is shown a 429 while some account would have let it through in time.
fn nobody_is_shown_a_limit_that_would_let_it_through(run: &Run) -> Vec<String> {
    /// An account that has room for so long is not used by anybody who waits.
    const LONG: Seconds = 20.0;
    let limited = run.told.iter().filter(|told| told.errand.fault.is_none() && told.status == 429);
    let could = |told: &&Told| {
        let latest = told.at + told.patience - 2.0 * LONG;
        let mut from = told.at;
        let mut found = false;
        while from < latest && !found {
            found = could_serve(run, told.errand.task, from, from + LONG).is_some();
            from += 1.0;
        }
        found
    };
    limited.filter(could).map(|told| format!("would have been let through: {told}")).collect()
}

/// What some accepted key could do all the while that a request is in the pool's hands is answered 200. A 429 is
/// another matter: others may stand before it in line.
fn what_a_good_key_could_do_is_done(run: &Run) -> Vec<String> {
    let is_refused =
        |told: &&Told| told.errand.fault.is_none() && !matches!(told.status, 200 | 429);
    let could = |told: &Told| {
        if is_taken_for_another(run, told) {
            return None;
        }
        let key = could_serve(run, told.errand.task, told.at, told.done)?;
        let calls: Vec<_> =
            run.calls_of(told.errand.number).map(|call| (call.key, call.status)).collect();
        let look = run.looks.iter().rev().find(|(at, _)| *at <= told.at);
        let asked = look.map_or(0, |(_, look)| look.second_opinions);
        Some(format!(
            "k{key} could have served: {told}, after {calls:?} and {asked} second opinions"
        ))
    };
    run.told.iter().filter(is_refused).filter_map(could).collect()
}

/// Whether requests of the same caller were refused alike just before, and were at fault. That is remembered
/// for two minutes, so that a mistake which is repeated costs one call.
fn is_taken_for_another(run: &Run, told: &Told) -> bool {
    const REMEMBERED: Seconds = 120.0;
    let is_such = |other: &&Told| {
        other.errand.fault.is_some()
            && other.status == told.status
            && (told.at - REMEMBERED..told.done).contains(&other.done)
    };
    !run.plan.is_tagged && run.told.iter().any(|other| is_such(&other))
}

/// A key that was good for a task all the while, on an account with room.
fn could_serve(run: &Run, task: Task, from: Seconds, to: Seconds) -> Option<usize> {
    let mut keys = 0..run.plan.keys.len();
    keys.find(|key| run.plan.is_good(*key, task, from, to) && run.account_has_room(*key, from, to))
}

/// Nothing is ever proven against a key.
fn no_key_ever_rests(run: &Run) -> Vec<String> {
    let mut broken = Vec::new();
    if run.plan.is_lone_and_careless() {
        return broken;
    }
    for (at, look) in &run.looks {
        let resting = look
            .standings
            .iter()
            .filter(|it| it.proven && it.place.key.is_some() && is_asked_for(it));
        broken.extend(resting.map(|it| format!("at {at:.0}: {it:?}")));
    }
    broken
}

fn who_is_not_at_fault_is_always_served(run: &Run) -> Vec<String> {
    let refused = run.told.iter().filter(|told| told.errand.fault.is_none() && told.status != 200);
    refused.map(|told| format!("nothing was wrong: {told}")).collect()
}
