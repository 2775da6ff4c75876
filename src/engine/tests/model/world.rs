//! All accounts, keys and lanes, and what may be admitted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::{Account as Declared, usage::Usage};

use super::{
    super::super::Cost, Check, Told, View, When, meter::Meter, standing::Standing, way::Way,
};

#[derive(Debug)]
pub(in super::super) struct World {
    pub(super) wall: Timestamp,
    /// All that ever existed; no number is used again.
    pub(in super::super) accounts: Vec<Account>,
    pub(in super::super) keys: Vec<Key>,
    pub(in super::super) lanes: Vec<Lane>,
    /// The standings that are not open, or were not once.
    pub(in super::super) places: BTreeMap<Spot, Standing>,
    pub(in super::super) grants: BTreeMap<usize, Grant>,
    /// When accounts were refused for their rate, and for which model if for one.
    pub(super) refusals: Vec<(u64, usize, Option<usize>)>,
    /// When models were served.
    pub(super) served: Vec<(u64, usize)>,
}

/// A place, by the model's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in super::super) enum Spot {
    Operation { lane: usize, key: usize, operation: usize },
    KeyModel { lane: usize, key: usize },
    Key(usize),
    Model { lane: usize, account: usize },
    Account(usize),
    ProviderModel(usize),
    Provider,
}

#[derive(Debug)]
pub(in super::super) struct Account {
    pub(in super::super) name: usize,
    pub(in super::super) declared: bool,
    pub(in super::super) meters: Vec<Meter>,
    pub(super) way: Way,
    pub(super) failures: Vec<bool>,
    /// The end of its rest for failures without a proven cause.
    pub(super) rests: u64,
}

#[derive(Debug)]
pub(in super::super) struct Key {
    pub(in super::super) account: usize,
    pub(in super::super) meters: Vec<Meter>,
    pub(in super::super) id: usize,
    pub(in super::super) declared: bool,
    /// Its time is not over.
    pub(in super::super) alive: bool,
    /// It is known to be rejected.
    pub(in super::super) rejected: bool,
    /// When it was accepted, and for which operation.
    pub(super) accepted: Vec<(u64, usize)>,
    pub(super) secret: u32,
    pub(in super::super) expires: Option<u64>,
}

#[derive(Debug)]
pub(in super::super) struct Lane {
    pub(in super::super) model: Option<&'static str>,
    /// In the order in which they are served.
    pub(in super::super) line: Vec<(usize, Want)>,
}

#[derive(Clone, Debug)]
pub(in super::super) struct Want {
    pub(in super::super) lane: usize,
    pub(in super::super) operation: usize,
    pub(in super::super) tenant: Option<&'static str>,
    pub(in super::super) cost: Cost,
    pub(in super::super) since: u64,
    pub(in super::super) priority: i8,
    pub(in super::super) deadline: u64,
    pub(in super::super) excluded: Vec<usize>,
}

#[derive(Debug)]
pub(in super::super) struct Grant {
    pub(in super::super) account: usize,
    pub(in super::super) key: usize,
    pub(in super::super) lane: usize,
    pub(super) operation: usize,
    /// Where it is the probe.
    pub(super) probes: BTreeSet<Spot>,
    pub(in super::super) sent: u64,
    pub(super) cost: Cost,
    /// The version of the key's secret that it was sent with.
    pub(super) secret: u32,
    settled: bool,
}

impl World {
    pub(in super::super) fn new(
        declared: &[Declared],
        models: &[Option<&'static str>],
        wall: Timestamp,
    ) -> Self {
        let lane = |model: &Option<&'static str>| Lane { model: *model, line: Vec::new() };
        let mut world = Self {
            wall,
            accounts: Vec::new(),
            keys: Vec::new(),
            lanes: models.iter().map(lane).collect(),
            places: BTreeMap::new(),
            grants: BTreeMap::new(),
            refusals: Vec::new(),
            served: Vec::new(),
        };
        for (name, account) in declared.iter().enumerate() {
            let account_ix = world.insert_account(0, name, &account.limits);
            for key in &account.keys {
                let id = world.keys.len();
                world.insert_key(0, account_ix, id, &key.limits, None);
            }
        }
        world
    }

    /// The keys that a request may ever be sent with.
    pub(in super::super) fn permitted(&self, want: &Want) -> impl Iterator<Item = usize> {
        self.usable().filter(|key| !want.excluded.contains(key))
    }

    fn usable(&self) -> impl Iterator<Item = usize> {
        self.declared_keys().filter(|key| self.keys[*key].alive)
    }

    /// The places of a request with a key, from the narrowest on.
    pub(in super::super) fn spots(&self, lane: usize, operation: usize, key: usize) -> [Spot; 7] {
        let account = self.keys[key].account;
        [
            Spot::Operation { lane, key, operation },
            Spot::KeyModel { lane, key },
            Spot::Key(key),
            Spot::Model { lane, account },
            Spot::Account(account),
            Spot::ProviderModel(lane),
            Spot::Provider,
        ]
    }

    fn standings(&self, want: &Want, key: usize) -> impl Iterator<Item = &Standing> {
        let spots = self.spots(want.lane, want.operation, key);
        spots.into_iter().filter_map(|spot| self.places.get(&spot))
    }

    pub(in super::super) fn place(&self, spot: Spot) -> Standing {
        self.places.get(&spot).cloned().unwrap_or_default()
    }

    /// Whether the provider and a model are trusted with any number at once.
    pub(in super::super) fn is_trusted(&self, lane: usize) -> bool {
        self.place(Spot::Provider).is_whole() && self.place(Spot::ProviderModel(lane)).is_whole()
    }

    fn meters(&self, lane: usize, key: usize) -> impl Iterator<Item = &Meter> {
        let (key, model) = (&self.keys[key], self.lanes[lane].model);
        let account = self.accounts[key.account].meters.iter();
        account.filter(move |meter| meter.counts(model)).chain(&key.meters)
    }

    /// The meters that count a request that was sent then.
    fn meters_mut(
        &mut self,
        lane: usize,
        key: usize,
        sent: u64,
    ) -> impl Iterator<Item = &mut Meter> {
        let (key, model) = (&mut self.keys[key], self.lanes[lane].model);
        let account = self.accounts[key.account].meters.iter_mut();
        let all = account.filter(move |meter| meter.counts(model)).chain(&mut key.meters);
        all.filter(move |meter| meter.since <= sent)
    }

    /// When a key has room for a request.
    pub(in super::super) fn when(&self, now: u64, want: &Want, key: usize, view: View) -> When {
        let standings = self.standings(want, key).map(|standing| standing.when(now));
        let meters = self.meters(want.lane, key).map(|meter| meter.when(now, &want.cost, view));
        let others = self.after_others(now, want);
        standings.chain(meters).chain(others).max().unwrap_or(When::At(now))
    }

    /// When overloaded models may probe the provider: last.
    fn after_others(&self, now: u64, want: &Want) -> Option<When> {
        let of_model = self.places.get(&Spot::ProviderModel(want.lane))?;
        let provider = self.places.get(&Spot::Provider)?;
        of_model.is_marked().then(|| provider.when_after_others(now))
    }

    /// Whether a request may have no other place than a key whose trouble is only suspected or
    /// inferred.
    pub(in super::super) fn is_in_need(&self, now: u64, want: &Want, key: usize) -> bool {
        let in_need = |key: usize, view: View| {
            let standings = self.standings(want, key).map(|standing| standing.when_in_need(now));
            let meters = self.meters(want.lane, key).map(|meter| meter.when(now, &want.cost, view));
            standings.chain(meters).max().unwrap_or(When::At(now))
        };
        let is_open = |key: usize| {
            let when = self.when(now, want, key, View::Sure);
            let mut views = [View::Sure, View::Maybe].into_iter();
            let is_in_doubt =
                views.any(|view| in_need(key, view) < self.when(now, want, key, view));
            !is_in_doubt && (when == When::OnChange || when <= When::At(want.deadline))
        };
        in_need(key, View::Maybe) == When::At(now) && !self.permitted(want).any(is_open)
    }

    /// When some key that a request may be sent with has room.
    pub(in super::super) fn earliest(&self, now: u64, want: &Want, view: View) -> When {
        let whens = self.permitted(want).map(|key| self.when(now, want, key, view));
        whens.min().unwrap_or(When::Never)
    }

    /// The same as if all requests under way ended now without proving anything, for a request that
    /// has no other place.
    pub(in super::super) fn earliest_alone(&self, now: u64, want: &Want, view: View) -> When {
        let whens = self.permitted(want).map(|key| {
            let alone = self.standings(want, key).map(|standing| standing.when_alone(now));
            let in_need =
                self.standings(want, key).map(|standing| standing.when_in_need_alone(now));
            let alone = alone.chain(self.after_others(now, want));
            let in_need = in_need.chain(self.after_others(now, want));
            let cooled = alone.max().min(in_need.max()).unwrap_or(When::At(now));
            let meters = self.meters(want.lane, key).map(|meter| meter.when(now, &want.cost, view));
            meters.filter(|when| *when != When::OnChange).fold(cooled, When::max)
        });
        whens.min().unwrap_or(When::Never)
    }

    pub(in super::super) fn fits(&self, now: u64, want: &Want, view: View) -> bool {
        self.earliest(now, want, view) == When::At(now)
    }

    /// Whether a key that a request excludes would have room for it.
    pub(in super::super) fn fits_excluded(&self, now: u64, want: &Want, view: View) -> bool {
        let excluded = self.usable().filter(|key| want.excluded.contains(key));
        excluded.into_iter().any(|key| self.when(now, want, key, view) == When::At(now))
    }

    /// Joins behind all requests with the same or a lower rank; a step of priority counts as ten
    /// seconds.
    pub(in super::super) fn join(&mut self, id: usize, want: Want) {
        let rank =
            |want: &Want| i128::from(want.since) - i128::from(want.priority) * 10_000_000_000;
        let line = &mut self.lanes[want.lane].line;
        let place = line.iter().take_while(|(_, other)| rank(other) <= rank(&want)).count();
        line.insert(place, (id, want));
    }

    pub(in super::super) fn of_tenant(&self, tenant: Option<&str>) -> usize {
        let waiting = self.lanes.iter().flat_map(|lane| &lane.line);
        waiting.filter(|(_, want)| want.tenant == tenant).count()
    }

    pub(in super::super) fn waiting(&self) -> usize {
        self.lanes.iter().map(|lane| lane.line.len()).sum()
    }

    pub(in super::super) fn take(&mut self, now: u64, id: usize, want: &Want, key: usize) -> Check {
        let account = self.keys[key].account;
        self.meters_mut(want.lane, key, now).for_each(|meter| meter.take(now, id, &want.cost));
        let (lane, cost) = (want.lane, want.cost);
        let (secret, operation) = (self.keys[key].secret, want.operation);
        let mut probes = BTreeSet::new();
        for spot in self.spots(lane, operation, key) {
            let Some(standing) = self.places.get_mut(&spot) else { continue };
            if standing.sending(now, id)? {
                probes.insert(spot);
            }
        }
        let (sent, settled) = (now, false);
        let grant = Grant { account, key, lane, operation, probes, sent, cost, secret, settled };
        self.grants.insert(id, grant);
        Ok(())
    }

    pub(in super::super) fn settle(&mut self, now: u64, id: usize, usage: &Usage) {
        let Some(grant) = self.grants.get_mut(&id) else { return };
        if std::mem::replace(&mut grant.settled, true) {
            return;
        }
        let (lane, key, cost, sent) = (grant.lane, grant.key, grant.cost, grant.sent);
        let used = Cost {
            input: usage.all_input(),
            output: usage.all_output(),
            spend: usage.nano_dollars.unwrap_or(cost.spend),
        };
        self.meters_mut(lane, key, sent).for_each(|meter| meter.settle(now, id, &cost, &used));
    }

    pub(in super::super) fn end(&mut self, now: u64, id: usize, refund: bool) {
        let Some(grant) = self.grants.remove(&id) else { return };
        let Grant { key, lane, operation, cost, sent, settled, .. } = grant;
        for meter in self.meters_mut(lane, key, sent) {
            if refund && !settled {
                meter.refund(now, id, &cost);
            }
            meter.release();
        }
        for spot in self.spots(lane, operation, key) {
            self.places.get_mut(&spot).into_iter().for_each(|standing| standing.ended(id));
        }
        self.forget();
    }

    /// A header is about all limits of this kind and amount that count the request.
    pub(in super::super) fn read(&mut self, now: u64, id: usize, told: Told) {
        let Some(grant) = self.grants.get(&id) else { return };
        let (lane, key, sent) = (grant.lane, grant.key, grant.sent);
        let round_trip = self.accounts[grant.account].way.shortest();
        let told = Told { cost: grant.cost, round_trip, ..told };
        self.meters_mut(lane, key, sent)
            .filter(|meter| meter.limit.metered == told.metered)
            .filter(|meter| meter.limit.amount() == told.amount)
            .for_each(|meter| meter.lower(now, told));
    }

    /// An answer has come, which measures the round trip.
    pub(in super::super) fn answered(&mut self, now: u64, id: usize) {
        let Some(grant) = self.grants.get(&id) else { return };
        let account = &mut self.accounts[grant.account];
        account.way.note(now - grant.sent);
        let margin = account.way.margin();
        account.meters.iter_mut().for_each(|meter| meter.set_margin(margin));
        let keys = self.keys.iter_mut().filter(|key| key.account == grant.account);
        keys.flat_map(|key| &mut key.meters).for_each(|meter| meter.set_margin(margin));
    }

    pub(in super::super) fn audit(&self) -> Check {
        let of_keys = self.keys.iter().flat_map(|key| &key.meters);
        self.accounts
            .iter()
            .flat_map(|account| &account.meters)
            .chain(of_keys)
            .try_for_each(Meter::audit)
    }
}
