//! Performs a step on the engine and on the model, and compares.

use std::{sync::Arc, time::Duration};

use fastrand::Rng;

use crate::{
    KeyId,
    affinity::{Affinity, Kin},
    provider::{LimitReading, Refill},
    usage::Usage,
    verdict::Scope,
};

use super::{
    super::{
        super::{
            AccountIx, Among, Ask, Before, Cost, Counts, Engine, Grant, KeyIx, Setup, Time,
            WaiterId, rank,
        },
        build,
        model::{Check, SKEW, Told, View, Want, When, World, ensure},
    },
    news::{Open, operation},
    setting::Setting,
    step::{Step, What},
};

const SECOND: u64 = 1_000_000_000;

pub(super) struct Play {
    pub(super) setting: Setting,
    pub(super) engine: Engine,
    pub(super) world: World,
    pub(super) now: u64,
    pub(super) counts: Counts,
    /// The engine's ids for the model's accounts and keys.
    pub(super) accounts: Vec<AccountIx>,
    pub(super) keys: Vec<KeyIx>,
    pub(super) held: Vec<(usize, Grant)>,
    pub(super) open: Vec<Open>,
    next: usize,
    aloud: bool,
}

impl Play {
    pub(super) fn new(setting: Setting, seed: u64, aloud: bool) -> Self {
        let Setting { accounts, models, wall, max_queued, .. } = &setting;
        let keys: usize = accounts.iter().map(|account| account.keys.len()).sum();
        let ids: Vec<_> = (0..keys).map(|i| KeyId::new(format!("k{i}"))).collect();
        let setup = Setup {
            max_queued: *max_queued,
            strategy: Arc::clone(&setting.strategy),
            // Learning has tests of its own.
            learns: false,
            affinity: Affinity::new().lifetime(Duration::from_secs(60)).capacity(8),
            ..Setup::new(seed, *wall)
        };
        let (counts, numbers) = (Counts::new(*wall), accounts.len());
        let engine = build(accounts, &ids, setup);
        let world = World::new(accounts, models, *wall);
        if aloud {
            println!("{setting}");
        }
        Self {
            setting,
            engine,
            world,
            now: 1,
            counts,
            accounts: (0..numbers).map(AccountIx::new).collect(),
            keys: (0..keys).map(KeyIx::new).collect(),
            held: Vec::new(),
            open: Vec::new(),
            next: 0,
            aloud,
        }
    }

    pub(super) fn time(&self) -> Time {
        Time::from_nanos(self.now)
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if self.aloud {
            println!("{:>16.9} {}", self.now as f64 / 1e9, what());
        }
    }

    pub(super) fn step(&mut self, step: &Step) -> Check {
        let rng = &mut Rng::with_seed(step.seed);
        self.look_at_the_clock();
        match step.what {
            What::Ask => self.ask(rng)?,
            What::Leave => self.leave(rng),
            What::Settle => self.settle(rng),
            What::End => self.end(rng, false),
            What::Refund => self.end(rng, true),
            What::Judge => self.judge(rng)?,
            What::Brake => self.brake(rng)?,
            What::Blame => self.settle_blame(rng)?,
            What::Read => self.read(rng),
            What::Wait => self.wait(rng),
            What::WakeUp => self.wake_up(),
            What::Edge => self.edge(rng),
            What::Change => self.change(rng)?,
            What::Quiet => self.quiet(rng)?,
        }
        self.look_at_the_clock();
        self.serve()?;
        self.expire()?;
        self.serve()?;
        self.check()
    }

    pub(super) fn finish(&mut self) -> Check {
        self.quiet(&mut Rng::with_seed(0))?;
        self.world.audit()
    }

    fn want(&self, rng: &mut Rng) -> Want {
        let Setting { tokens, alike, patience, .. } = self.setting;
        let mut some = |most: u64| match rng.u8(0..8) {
            0 if !alike => 0,
            0..5 => rng.u64(1..=most.div_ceil(10)),
            5 | 6 => rng.u64(1..=most),
            _ => rng.u64(1..=most * 30),
        };
        let cost =
            Cost { input: some(tokens), output: some(tokens), spend: some(1_000_000 * tokens) };
        let excluded = (0..self.world.keys.len()).filter(|_| rng.u8(0..8) == 0).collect();
        Want {
            lane: rng.usize(0..self.world.lanes.len()),
            operation: rng.usize(0..2),
            tenant: self.setting.tenants[rng.usize(0..self.setting.tenants.len())],
            cost,
            since: self.now - if rng.u8(0..4) == 0 { rng.u64(0..self.now.min(SECOND)) } else { 0 },
            priority: if rng.u8(0..8) == 0 { rng.i8(-1..=1) } else { 0 },
            deadline: self.now + rng.u64(0..=patience),
            excluded: if rng.u8(0..3) == 0 { excluded } else { Vec::new() },
        }
    }

    fn asked(&mut self, want: &Want) -> Ask {
        // A few requests have an affinity, which must not change what they may have.
        let mut kin = Kin::new();
        kin.longer(want.deadline % 16);
        let bond = self.engine.bond(self.time(), &kin).filter(|_| want.deadline % 32 < 16);
        Ask {
            tag: None,
            bond,
            budget: None,
            is_unpriced: false,
            lane: self.engine.lane(self.time(), self.world.lanes[want.lane].model),
            operation: operation(want.operation),
            generates: true,
            refused_by: Vec::new(),
            before: Before::default(),
            tenant: self.engine.tenant(want.tenant),
            cost: want.cost,
            prior: crate::engine::Prior::default(),
            rank: rank(Time::from_nanos(want.since), want.priority),
            deadline: Time::from_nanos(want.deadline),
            answer_by: None,
            excluded: want.excluded.iter().map(|key| self.keys[*key]).collect(),
            among: Among::All,
        }
    }

    fn ask(&mut self, rng: &mut Rng) -> Check {
        let want = self.want(rng);
        let id = self.next;
        self.next += 1;
        self.tell(|| format!("{id} asks: {want:?}"));
        if !self.admit(id, &want)? {
            self.line_up(id, want)?;
        }
        Ok(())
    }

    /// Whether it is admitted at once.
    fn admit(&mut self, id: usize, want: &Want) -> Result<bool, String> {
        let (now, ask) = (self.time(), self.asked(want));
        if let Some(grant) = self.engine.admit(now, &ask) {
            self.granted(id, want, grant)?;
            return Ok(true);
        }
        let fits = self.world.fits(self.now, want, View::Sure);
        let alone = self.world.lanes[want.lane].line.is_empty();
        ensure!(!(fits && alone), "not admitted, though there is room");
        Ok(false)
    }

    fn line_up(&mut self, id: usize, want: Want) -> Check {
        let (now, ask) = (self.time(), self.asked(&want));
        match self.engine.line_up(now, ask, WaiterId(id)) {
            Ok(()) => {
                self.check_entry(&want)?;
                self.world.join(id, want);
            }
            Err(refusal) => {
                self.tell(|| format!("{id} is refused: {refusal:?}"));
                self.check_refusal(&want, &refusal)?;
            }
        }
        Ok(())
    }

    pub(super) fn granted(&mut self, id: usize, want: &Want, grant: Grant) -> Check {
        // The last key with this id in the engine.
        let key =
            self.keys.iter().rposition(|ix| *ix == grant.key).ok_or("a key that does not exist")?;
        let account = self.world.keys[key].account;
        self.tell(|| format!("{id} gets key {key} of account {account}"));
        ensure!(self.accounts[account] == grant.account, "a key of another account");
        ensure!(self.world.permitted(want).any(|other| other == key), "key {key} is not permitted");
        let when = self.world.when(self.now, want, key, View::Maybe);
        let may = when == When::At(self.now) || self.world.is_in_need(self.now, want, key);
        ensure!(may, "over a limit, or out of its time: room {when:?}");
        self.world.take(self.now, id, want, key)?;
        self.held.push((id, grant));
        Ok(())
    }

    fn leave(&mut self, rng: &mut Rng) {
        let lines = self.world.lanes.iter().enumerate();
        let all: Vec<_> =
            lines.flat_map(|(lane, l)| (0..l.line.len()).map(move |place| (lane, place))).collect();
        if let Some((lane, place)) = rng.choice(all) {
            let (id, want) = self.world.lanes[lane].line.remove(place);
            self.tell(|| format!("{id} leaves"));
            let ask = self.asked(&want);
            self.engine.leave(&ask, WaiterId(id));
        }
    }

    /// Requests leave the line at their deadlines; each watches its own.
    fn expire(&mut self) -> Check {
        for lane in 0..self.world.lanes.len() {
            while let Some(place) =
                self.world.lanes[lane].line.iter().position(|(_, want)| want.deadline <= self.now)
            {
                let (id, want) = self.world.lanes[lane].line[place].clone();
                self.tell(|| format!("{id} has waited too long"));
                let ask = self.asked(&want);
                self.engine.leave(&ask, WaiterId(id));
                self.world.lanes[lane].line.remove(place);
                let refusal = self.engine.busy(self.time(), &ask);
                self.check_forecast(&want, &refusal)?;
            }
        }
        Ok(())
    }

    pub(super) fn draw(&self, rng: &mut Rng) -> Option<usize> {
        rng.choice(0..self.held.len())
    }

    fn settle(&mut self, rng: &mut Rng) {
        let Some(place) = self.draw(rng) else { return };
        let now = self.time();
        let (id, grant) = &mut self.held[place];
        let reserved = grant.reserved;
        let mut used = |reserved: u64| match rng.u8(0..8) {
            0 => 0,
            1 => reserved,
            2 => reserved + rng.u64(0..=self.setting.tokens * 3),
            _ => rng.u64(0..=reserved),
        };
        let mut usage = Usage::tokens(used(reserved.input), used(reserved.output));
        if rng.bool() {
            usage = usage.nano_dollars(rng.u64(0..=reserved.spend * 5 / 4));
        }
        self.engine.settle(now, grant, &usage);
        self.world.settle(self.now, *id, &usage);
        let id = *id;
        self.tell(|| format!("{id} used {usage:?}"));
    }

    fn end(&mut self, rng: &mut Rng, refund: bool) {
        if let Some(place) = self.draw(rng) {
            self.end_one(place, refund);
        }
    }

    fn end_one(&mut self, place: usize, refund: bool) {
        let now = self.time();
        let (id, grant) = self.held.swap_remove(place);
        self.tell(|| format!("{id} {}", if refund { "was never sent" } else { "ends" }));
        match refund {
            true => self.engine.refund(now, grant),
            false => self.engine.end(now, grant),
        }
        self.world.end(self.now, id, refund);
    }

    fn read(&mut self, rng: &mut Rng) {
        let Some(place) = self.draw(rng) else { return };
        // Nothing is sent at the moment of a header.
        self.now += 1;
        self.look_at_the_clock();
        let id = &self.held[place].0;
        let account = self.world.grants[id].account;
        let meters = &self.world.accounts[account].meters;
        let Some(meter) = rng.choice(meters) else { return };
        let (metered, amount) = (meter.limit.metered(), meter.limit.amount());
        let remaining = rng.u64(0..=amount);
        let reset = [0, SECOND / 10, 3 * SECOND, 50 * SECOND, 5_000 * SECOND][rng.usize(0..5)];
        let reading = LimitReading {
            limit: Some(amount),
            remaining: Some(remaining),
            reset: Some(Duration::from_nanos(reset)),
            ..LimitReading::new(metered, Scope::Model, Refill::Rolling)
        };
        let now = self.time();
        let (id, grant) = &mut self.held[place];
        self.engine.read(now, grant, &reading);
        self.world.read(self.now, *id, Told::new(metered, amount, remaining, reset));
        let id = self.held[place].0;
        self.tell(|| format!("the provider reports to {id}: {reading:?}"));
    }

    fn wait(&mut self, rng: &mut Rng) {
        self.now += match rng.u8(0..12) {
            0..3 => rng.u64(1..SECOND / 100),
            3..8 => rng.u64(1..2 * SECOND),
            8..11 => rng.u64(1..90 * SECOND),
            _ => rng.u64(1..30 * 3_600 * SECOND),
        };
    }

    fn wake_up(&mut self) {
        let wake_at = self.engine.wake_at().map_or(self.now, Time::nanos);
        self.now = self.now.max(wake_at);
    }

    fn edge(&mut self, rng: &mut Rng) {
        let meters = self.world.accounts.iter().flat_map(|account| &account.meters);
        let edges = meters.filter_map(|meter| Some((meter.edge()?, meter.limit.period())));
        if let Some((edge, period)) = rng.choice(edges.collect::<Vec<_>>()) {
            let later =
                if rng.u8(0..3) == 0 { period.as_nanos() as u64 * rng.u64(1..3) } else { 0 };
            let about = (edge + later + 2 * SKEW).saturating_sub(rng.u64(0..4 * SKEW));
            self.now = self.now.max(about);
        }
    }

    /// Ends everything, and checks that nothing is left and that a single request gets the right
    /// answer.
    fn quiet(&mut self, rng: &mut Rng) -> Check {
        self.tell(|| "all is quiet".into());
        for lane in 0..self.world.lanes.len() {
            while let Some((id, want)) = self.world.lanes[lane].line.pop() {
                let ask = self.asked(&want);
                self.engine.leave(&ask, WaiterId(id));
            }
        }
        self.settle_all()?;
        while !self.held.is_empty() {
            self.end_one(self.held.len() - 1, rng.u8(0..4) == 0);
        }
        self.check_rest()?;
        for _ in 0..3 {
            let want = self.want(rng);
            let id = self.next;
            self.next += 1;
            self.tell(|| format!("{id} comes alone: {want:?}"));
            if self.admit(id, &want)? {
                continue;
            }
            let ask = self.asked(&want);
            let refusal = self.engine.turned_away(self.time(), &ask);
            let at_once = Want { deadline: self.now, ..want.clone() };
            self.check_refusal(&at_once, &refusal)?;
            if let Some(after) = refusal.retry_after() {
                self.now += after.as_nanos() as u64;
                // The forecast does not count keys that expire before that.
                if self.look_at_the_clock() {
                    return self.serve();
                }
                self.tell(|| format!("{id} asks again after its Retry-After"));
                // Others may have been admitted meanwhile, and be under way.
                while !self.held.is_empty() {
                    self.end_one(0, false);
                }
                // It does not wait now either: it goes to a key in doubt, if there is no other.
                let at_once = Want { deadline: self.now, ..want.clone() };
                ensure!(self.admit(id, &at_once)?, "not admitted after its Retry-After");
            }
        }
        Ok(())
    }
}
