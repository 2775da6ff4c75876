//! The state of the engine at a moment, as an operator sees it.

use std::{sync::Arc, time::Duration};

use crate::{
    KeyId,
    engine::{
        Engine,
        evidence::refusal::Refusal,
        ids::{AccountIx, KeyIx},
        lane::Lane,
        learn::Belief,
        meter::{Meter, NEAR},
        roster::account::{Account, Key, Life},
        standing::Standing,
        time::Time,
    },
    event::Whereabouts,
    snapshot::{
        AccountState, BudgetState, KeyState, LastRefusal, MeterState, ModelState, Snapshot,
        StandingState, TenantState,
    },
    verdict::Place,
};

impl Engine {
    /// The state at this moment.
    pub(crate) fn snapshot(&self, now: Time, pool: Arc<str>) -> Snapshot {
        Snapshot {
            pool,
            live_keys: self.live_keys,
            waiting: self.waiting,
            overloaded_for: cooling(&self.provider, now),
            all_failing: self.all_failing.is_raised(),
            dry_run_held_back: self.shadow.as_ref().map(|shadow| shadow.held_back),
            affinity: self.affinities.state(),
            verdicts: self.counters.verdicts(),
            budgets: self
                .budgets
                .in_use(now)
                .map(|(tag, meters)| budget_state(now, tag, meters))
                .collect(),
            standings: self.standing_states(now).collect(),
            second_opinions: self.opinions.asked(),
            accounts: self
                .declared()
                .map(|(_, account)| self.account_state(now, account))
                .collect(),
            models: self.lanes.iter().map(|lane| self.model_state(now, lane)).collect(),
            tenants: self.tenant_states().collect(),
        }
    }

    /// The declared accounts, in order.
    pub(in crate::engine) fn declared(&self) -> impl Iterator<Item = (AccountIx, &Account)> {
        self.order.iter().map(|&ix| (ix, &self.accounts[ix.index()]))
    }

    fn tenant_states(&self) -> impl Iterator<Item = TenantState> {
        let waiting = self.tenants.iter().filter(|(_, tenant)| tenant.waiting > 0);
        waiting.map(|(name, tenant)| TenantState { name: name.cloned(), waiting: tenant.waiting })
    }

    fn account_state(&self, now: Time, account: &Account) -> AccountState {
        let keys = account.keys.iter().map(|key| key_state(now, &self.keys[key.index()]));
        let told = account.told.iter().flat_map(|told| told.limits(now));
        AccountState {
            name: account.name.clone(),
            served: account.served,
            in_flight: account.in_flight,
            cooling_for: cooling(&account.standing, now),
            last_refusal: last_refusal(now, self.last_refusal_of(account)),
            meters: account
                .counting(!account.unused)
                .map(|meter| meter_state(now, meter))
                .chain(told.map(belief_state))
                .collect(),
            keys: keys.collect(),
        }
    }

    fn resting_keys(&self, now: Time, lane: &Lane) -> Vec<KeyId> {
        let resting = lane.keys.iter().filter(|(_, standing)| standing.is_troubled(now));
        let mut keys: Vec<_> = resting.map(|((key, _), _)| *key).collect();
        keys.dedup();
        keys.into_iter().map(|key| self.keys[key.index()].id.clone()).collect()
    }

    /// All standings that are not open.
    fn standing_states(&self, now: Time) -> impl Iterator<Item = StandingState> {
        let account_of = |ix: AccountIx| Some(Arc::clone(&self.accounts[ix.index()].name));
        let key_of = |ix: KeyIx| Some(self.keys[ix.index()].id.clone());
        let place = Whereabouts::new;
        let provider = std::iter::once((place(Place::Provider), &self.provider));
        let accounts = self.declared().map(move |(ix, account)| {
            (Whereabouts { account: account_of(ix), ..place(Place::Account) }, &account.standing)
        });
        let keys = self.declared().flat_map(|(_, account)| &account.keys).map(move |ix| {
            let key = &self.keys[ix.index()];
            let (id, account) = (key_of(*ix), account_of(key.account));
            (Whereabouts { key: id, account, ..place(Place::Key) }, &key.standing)
        });
        let lanes = self.lanes.iter().flat_map(move |lane| {
            let model = lane.model.clone();
            let of = move |at| Whereabouts { model: model.clone(), ..place(at) };
            let (of_seats, of_keys) = (of.clone(), of.clone());
            let seats = self.declared().map(move |(ix, _)| {
                let place = Whereabouts { account: account_of(ix), ..of_seats(Place::Model) };
                (place, &lane.seat(ix).standing)
            });
            let keys = lane.keys.iter().map(move |((ix, operation), standing)| {
                let at = if operation.is_some() { Place::Operation } else { Place::KeyModel };
                let account = account_of(self.keys[ix.index()].account);
                let operation = operation.map(|at| Arc::clone(self.operations.name(at)));
                (Whereabouts { key: key_of(*ix), account, operation, ..of_keys(at) }, standing)
            });
            let sizes = {
                let of = of.clone();
                self.declared().filter_map(move |(ix, _)| {
                    let largest = lane.seat(ix).largest.as_ref()?;
                    let place = Whereabouts { account: account_of(ix), ..of(Place::Model) };
                    Some((place, largest.standing()))
                })
            };
            std::iter::once((of(Place::ProviderModel), &lane.standing))
                .chain(seats)
                .chain(keys)
                .chain(sizes)
        });
        let all = provider.chain(accounts).chain(keys).chain(lanes);
        all.filter_map(move |(place, standing)| {
            let cause = standing.cause(now)?;
            Some(StandingState {
                place,
                kind: cause.kind.name(),
                rule: Arc::clone(&cause.rule),
                told: cause.is_told,
                proven: standing.is_proven(now),
                wait: now.until(standing.until()),
                half_open: standing.is_half_open(now),
            })
        })
    }

    fn last_refusal_of(&self, account: &Account) -> Option<&Refusal> {
        let keys = account.keys.iter().map(|key| &self.keys[key.index()]);
        keys.filter_map(|key| key.refusal.as_deref()).max_by_key(|refusal| refusal.at)
    }

    fn model_state(&self, now: Time, lane: &Lane) -> ModelState {
        let cooling = self.declared().filter_map(|(ix, account)| {
            let standing = &lane.seat(ix).standing;
            Some((account.name.clone(), cooling(standing, now)?))
        });
        let learnt = self.declared().filter_map(|(ix, account)| {
            let learnt = lane.seat(ix).learnt.as_ref()?;
            let meters: Vec<_> = learnt.limits(now).map(belief_state).collect();
            (!meters.is_empty()).then(|| (account.name.clone(), meters))
        });
        let overloaded_for = self::cooling(&lane.standing, now);
        ModelState {
            model: lane.model.clone(),
            waiting: lane.line.len(),
            in_flight: lane.in_flight,
            cooling: cooling.collect(),
            refused: self.resting_keys(now, lane),
            overloaded_for,
            learnt: learnt.collect(),
        }
    }
}

pub(in crate::engine) fn meter_state(now: Time, meter: &Meter) -> MeterState {
    let declared = meter.declared.amount();
    let used_share = meter.used_share(now);
    MeterState {
        limit: meter.limit.to_string(),
        models: meter.limit.model_pattern().map(str::to_owned),
        source: "declared",
        declared: Some(declared).filter(|declared| *declared != meter.limit.amount()),
        remaining: meter.remaining(now),
        used_share: used_share as f64 / 65_536.0,
        near_limit: used_share >= NEAR,
    }
}

/// A limit that was learnt.
fn belief_state(belief: Belief) -> MeterState {
    let Belief { limit, source, left, used_share } = belief;
    MeterState {
        limit: limit.to_string(),
        models: None,
        source: source.name(),
        declared: None,
        remaining: left,
        used_share,
        near_limit: used_share * 65_536.0 >= NEAR as f64,
    }
}

fn key_state(now: Time, key: &Key) -> KeyState {
    KeyState {
        id: key.id.clone(),
        alive: key.is_live(),
        disabled: key.life == Life::Disabled,
        last_refusal: last_refusal(now, key.refusal.as_deref()),
        served: key.served,
        in_flight: u64::from(key.in_flight),
    }
}

fn last_refusal(now: Time, refusal: Option<&Refusal>) -> Option<LastRefusal> {
    refusal.map(|refusal| LastRefusal {
        verdict: refusal.verdict.name(),
        rule: Arc::clone(&refusal.rule),
        ago: refusal.at.until(now),
    })
}

fn cooling(standing: &Standing, now: Time) -> Option<Duration> {
    Some(now.until(standing.until())).filter(|left| !left.is_zero())
}

fn budget_state(now: Time, tag: &Arc<str>, meters: &[Meter]) -> BudgetState {
    let meters = meters.iter().map(|meter| meter_state(now, meter)).collect();
    BudgetState { tag: Arc::clone(tag), meters }
}
