//! Accounts and keys that are added, changed and removed during traffic.

use fastrand::Rng;

use crate::{Account, KeyId, Limit, Verdict, engine::NewKey};

use super::{
    super::{
        super::{Time, roster::account::Life},
        insert_account,
        model::{Check, Meter, Said, ensure, is_like},
    },
    play::Play,
};

const SECOND: u64 = 1_000_000_000;
/// More would only repeat the same cases.
const MAX_ACCOUNTS: usize = 8;
const MAX_KEYS: usize = 4;

impl Play {
    /// Keys and accounts change. Nothing else happens at that moment.
    pub(super) fn change(&mut self, rng: &mut Rng) -> Check {
        self.now += 1;
        self.look_at_the_clock();
        match rng.u8(0..13) {
            0 | 1 => self.insert_account(rng),
            2 | 3 => self.insert_key(rng),
            4 => self.remove_account(rng),
            5 | 6 => self.remove_key(rng),
            7 | 8 => return self.renew(rng),
            9..12 => self.set_limits(rng),
            _ => self.set_weights(rng),
        }
        Ok(())
    }

    /// Whether a key's time is over.
    pub(super) fn look_at_the_clock(&mut self) -> bool {
        self.engine.expire_keys(self.time());
        self.world.pass(self.now)
    }

    fn insert_account(&mut self, rng: &mut Rng) {
        if self.world.declared_accounts().count() >= MAX_ACCOUNTS {
            return;
        }
        // A key that existed before, or another one.
        let names = self.world.accounts.iter().map(|account| account.name);
        let next = names.clone().max().map_or(0, |last| last + 1);
        let gone = (0..next).filter(|name| {
            !self.world.accounts.iter().any(|other| other.name == *name && other.declared)
        });
        let name = rng.choice(gone.collect::<Vec<_>>()).filter(|_| rng.bool()).unwrap_or(next);
        let leaving = self.world.accounts.iter().rev().find(|account| account.name == name);
        let old = leaving.map_or(&[][..], |account| &account.meters);
        let limits = clear(old, self.setting.limits(rng));
        self.tell(|| format!("account {name} comes: {limits:?}"));
        let account =
            limits.iter().cloned().fold(Account::new(format!("org-{name}")), Account::limit);
        let now = self.time();
        let ix = insert_account(&mut self.engine, &mut self.counts, now, &account);
        let account = self.world.insert_account(self.now, name, &limits);
        self.accounts.resize(self.world.accounts.len(), ix);
        self.accounts[account] = ix;
        for _ in 0..rng.usize(0..3) {
            self.insert_key_of(rng, account);
        }
    }

    fn insert_key(&mut self, rng: &mut Rng) {
        if let Some(account) = self.an_account(rng) {
            self.insert_key_of(rng, account);
        }
    }

    fn insert_key_of(&mut self, rng: &mut Rng, account: usize) {
        let keys = &self.world.keys;
        let of_it = keys.iter().filter(|key| key.declared && key.account == account).count();
        if of_it >= MAX_KEYS {
            return;
        }
        let next = keys.iter().map(|key| key.id).max().map_or(0, |last| last + 1);
        let gone = (0..next).filter(|id| !keys.iter().any(|key| key.id == *id && key.declared));
        let id = rng.choice(gone.collect::<Vec<_>>()).filter(|_| rng.bool()).unwrap_or(next);
        let limits = if rng.u8(0..4) == 0 { vec![self.setting.limit(rng)] } else { Vec::new() };
        let leaving = keys.iter().rev().find(|key| key.id == id);
        let limits = clear(leaving.map_or(&[][..], |key| &key.meters), limits);
        let expires = self.expiry(rng);
        self.tell(|| format!("key {id} comes to account {account}: {limits:?} until {expires:?}"));
        let new = NewKey {
            id: KeyId::new(format!("k{id}")),
            weight: rng.u32(1..4),
            meters: self.counts.of(&limits),
            expires: expires.map(Time::from_nanos),
        };
        let ix = self.engine.insert_key(self.time(), self.accounts[account], new);
        let key = self.world.insert_key(self.now, account, id, &limits, expires);
        self.keys.resize(self.world.keys.len(), ix);
        self.keys[key] = ix;
    }

    fn expiry(&self, rng: &mut Rng) -> Option<u64> {
        (rng.u8(0..6) == 0).then(|| self.now + rng.u64(1..400) * SECOND)
    }

    fn remove_account(&mut self, rng: &mut Rng) {
        let Some(account) = self.an_account(rng) else { return };
        let keys: Vec<_> =
            self.world.declared_keys().filter(|k| self.world.keys[*k].account == account).collect();
        keys.into_iter().for_each(|key| self.remove(key));
        self.tell(|| format!("account {account} goes"));
        self.engine.remove_accounts(&[self.accounts[account]]);
        self.world.remove_account(account);
    }

    fn remove_key(&mut self, rng: &mut Rng) {
        if let Some(key) = self.a_key(rng) {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: usize) {
        self.tell(|| format!("key {key} goes"));
        self.engine.remove_key(self.keys[key]);
        self.world.remove_key(key);
    }

    /// A new secret, and perhaps a late verdict on the old one.
    fn renew(&mut self, rng: &mut Rng) -> Check {
        let in_use: Vec<_> = self.world.grants.values().map(|grant| grant.key).collect();
        let in_use = in_use.into_iter().filter(|key| self.world.keys[*key].declared);
        let in_use = rng.choice(in_use.collect::<Vec<_>>()).filter(|_| rng.u8(0..4) > 0);
        let Some(key) = in_use.or_else(|| self.a_key(rng)) else { return Ok(()) };
        let expires = self.expiry(rng);
        self.tell(|| format!("key {key} has a new secret until {expires:?}"));
        self.engine.renew_key(self.time(), self.keys[key], expires.map(Time::from_nanos));
        self.world.renew(key, expires);
        let sent_before = |id: &usize| self.world.grants[id].key == key;
        let late = self.held.iter().position(|(id, _)| sent_before(id));
        match late.filter(|_| rng.bool()) {
            Some(late) if rng.bool() => self.judge_one(late, said(Verdict::KeyRejected)),
            Some(late) => self.judge_one(late, said(Verdict::PermissionRefused)),
            None => Ok(()),
        }
    }

    fn set_limits(&mut self, rng: &mut Rng) {
        if rng.u8(0..4) == 0 {
            let Some(key) = self.a_key(rng) else { return };
            let limits = (0..rng.usize(0..3)).map(|_| self.setting.limit(rng)).collect();
            let limits = clear(&self.world.keys[key].meters, limits);
            self.tell(|| format!("key {key} has other limits: {limits:?}"));
            let meters = self.counts.of(&limits);
            self.engine.set_key_limits(self.time(), self.keys[key], meters);
            self.world.set_key_limits(self.now, key, &limits);
            return;
        }
        let Some(account) = self.an_account(rng) else { return };
        let mut limits = self.setting.limits(rng);
        // Most limits stay the same, perhaps with another amount.
        for meter in &self.world.accounts[account].meters {
            let mut limit = meter.limit.clone();
            match rng.u8(0..4) {
                0 => continue,
                1 => {
                    limit.amount = (limit.amount * rng.u64(1..40) / 10).max(1);
                    limit.burst = limit.burst.map(|burst| burst.min(limit.amount));
                }
                _ => {}
            }
            limits.push(limit);
        }
        limits.truncate(5);
        let limits = clear(&self.world.accounts[account].meters, limits);
        self.tell(|| format!("account {account} has other limits: {limits:?}"));
        let meters = self.counts.of(&limits);
        self.engine.set_account_limits(self.time(), self.accounts[account], meters);
        self.world.set_account_limits(self.now, account, &limits);
    }

    fn set_weights(&mut self, rng: &mut Rng) {
        let (account, key) = (self.an_account(rng), self.a_key(rng));
        if let Some(account) = account {
            self.engine.set_account_weight(self.accounts[account], rng.u32(1..4));
        }
        if let Some(key) = key {
            self.engine.set_key_weight(self.keys[key], rng.u32(1..4));
        }
    }

    fn an_account(&self, rng: &mut Rng) -> Option<usize> {
        rng.choice(self.world.declared_accounts().collect::<Vec<_>>())
    }

    fn a_key(&self, rng: &mut Rng) -> Option<usize> {
        rng.choice(self.world.declared_keys().collect::<Vec<_>>())
    }

    /// Compares what exists.
    pub(super) fn check_declared(&self) -> Check {
        let (engine, world) = (&self.engine, &self.world);
        let accounts = world.declared_accounts().count();
        ensure!(engine.order.len() == accounts, "{} accounts", engine.order.len());
        let keys = world.declared_keys().count();
        ensure!(engine.total_keys == keys, "{} keys, not {keys}", engine.total_keys);
        let live = world
            .declared_keys()
            .filter(|key| world.keys[*key].alive && !world.keys[*key].rejected)
            .count();
        ensure!(engine.live_keys == live, "{} live keys, not {live}", engine.live_keys);
        for key in (0..world.keys.len()).filter(|key| !world.is_key_gone(*key)) {
            let (ix, ours) = (self.keys[key], &world.keys[key]);
            let theirs = &engine.keys[ix.index()];
            ensure!(theirs.ix == ix, "the slot of key {key} belongs to another");
            let is_good = theirs.life == Life::Good;
            ensure!(is_good == (ours.declared && ours.alive), "key {key}: {:?}", theirs.life);
        }
        // A removed one has left its slot to another.
        let (kept, free) = (engine.keys.len(), engine.free_keys.len());
        let ours = (0..world.keys.len()).filter(|key| !world.is_key_gone(*key)).count();
        ensure!(kept - free == ours, "{kept} slots less {free} for {ours} keys");
        let (kept, free) = (engine.accounts.len(), engine.free_accounts.len());
        let ours = (0..world.accounts.len()).filter(|account| !world.is_gone(*account)).count();
        ensure!(kept - free == ours, "{kept} slots less {free} for {ours} accounts");
        Ok(())
    }
}

/// As it is usually said.
fn said(verdict: Verdict) -> Said {
    Said { verdict, place: verdict.usual_place(), is_told: true }
}

/// Leaves out limits that cannot be matched, because several others may be their predecessor.
fn clear(old: &[Meter], new: Vec<Limit>) -> Vec<Limit> {
    let mut clear: Vec<Limit> = Vec::new();
    for limit in new {
        let was = old.iter().any(|meter| meter.limit == limit);
        let alike = old.iter().filter(|meter| is_like(&meter.limit, &limit)).count();
        if (was || alike < 2) && !clear.iter().any(|other| is_like(other, &limit)) {
            clear.push(limit);
        }
    }
    clear
}
