//! Verdicts of the provider on requests under way, and how suspicions are settled.

use std::time::Duration;

use fastrand::Rng;

use crate::{
    Verdict,
    verdict::{Blame, Place},
};

use super::{
    super::{
        super::{Accusation, Engine, OpIx, Outcome, Reply},
        model::{Accused, Check, End, Said, Seen, Spot, ensure},
    },
    play::Play,
};

/// A suspicion, in the engine's terms and in the model's.
pub(super) struct Open(Accusation, Accused);

impl Play {
    pub(super) fn judge(&mut self, rng: &mut Rng) -> Check {
        let Some(place) = self.draw(rng) else { return Ok(()) };
        // Nothing is sent at the moment of a verdict.
        self.now += 1;
        self.look_at_the_clock();
        let said = self.said(rng);
        let now = self.time();
        let (id, grant) = &mut self.held[place];
        if rng.u8(0..4) > 0 {
            self.engine.answered(now, grant, None);
            self.world.answered(self.now, *id);
        }
        self.judge_one(place, said)
    }

    pub(super) fn judge_one(&mut self, place: usize, said: Said) -> Check {
        let now = self.time();
        let (id, grant) = &mut self.held[place];
        let blame = if said.is_told { Blame::Told } else { Blame::Inferred };
        let reply = Reply { verdict: said.verdict, place: said.place, blame, rule: "test" };
        let accusation = self.engine.judge(now, grant, &reply).accusation;
        let id = *id;
        self.tell(|| format!("{id}: {said:?}"));
        let ends = Ends::of(self);
        let accused = self.world.judge(self.now, id, said, &|spot| ends.at(spot))?;
        match (accusation, accused) {
            (Some(accusation), Some(accused)) => self.open.push(Open(accusation, accused)),
            (None, None) => {}
            (engine, model) => {
                return Err(format!("accused: {}, {}", engine.is_some(), model.is_some()));
            }
        }
        Ok(())
    }

    fn said(&self, rng: &mut Rng) -> Said {
        let is_told = rng.bool();
        let usual = |verdict: Verdict| Said { verdict, place: verdict.usual_place(), is_told };
        if rng.u8(0..100) >= self.setting.refusals {
            let is_at_fault = rng.u8(0..8) == 0;
            return usual(if is_at_fault { Verdict::CallerFault } else { Verdict::Accepted });
        }
        let seconds = [0.0, 0.3, 5.0, 60.0, 100_000.0][rng.usize(0..5)];
        let retry_after = rng.bool().then(|| Duration::from_secs_f64(seconds));
        if rng.u8(0..100) < self.setting.failures {
            return usual(Verdict::Transient);
        }
        let some = |rng: &mut Rng, places: &[Place]| places[rng.usize(0..places.len())];
        let limited = [Place::Model, Place::Account, Place::Model, Place::Key, Place::KeyModel];
        let overloaded = [Place::ProviderModel, Place::ProviderModel, Place::Provider];
        let accused = [Place::Operation, Place::KeyModel, Place::Key];
        let (verdict, place) = match rng.u8(0..18) {
            0..8 => (Verdict::RateLimited { retry_after }, some(rng, &limited)),
            8..11 => (Verdict::QuotaExhausted { retry_after }, some(rng, &limited)),
            11..13 => (Verdict::Overloaded { retry_after }, some(rng, &overloaded)),
            13..16 => (Verdict::KeyRejected, some(rng, &accused)),
            _ => (Verdict::PermissionRefused, some(rng, &accused)),
        };
        Said { verdict, place, is_told }
    }

    /// A suspicion is confirmed or withdrawn, or lapses.
    pub(super) fn settle_blame(&mut self, rng: &mut Rng) -> Check {
        if self.open.is_empty() {
            return Ok(());
        }
        self.now += 1;
        self.look_at_the_clock();
        let at = rng.usize(0..self.open.len());
        self.settle_open(at, rng.u8(0..3))
    }

    fn settle_open(&mut self, at: usize, drawn: u8) -> Check {
        let Open(accusation, accused) = self.open.swap_remove(at);
        let (outcome, end) = match drawn {
            0 => (Outcome::Confirmed, End::Confirmed),
            1 => (Outcome::Withdrawn, End::Withdrawn),
            _ => (Outcome::Lapsed, End::Lapsed),
        };
        self.tell(|| format!("{end:?}: {accused:?}"));
        self.engine.settle_accusation(self.time(), &accusation, outcome);
        let ends = Ends::of(self);
        self.world.settle_blame(self.now, &accused, end, &|spot| ends.at(spot))
    }

    pub(super) fn settle_all(&mut self) -> Check {
        while !self.open.is_empty() {
            self.settle_open(0, 2)?;
        }
        Ok(())
    }

    pub(super) fn brake(&mut self, rng: &mut Rng) -> Check {
        self.now += 1;
        self.look_at_the_clock();
        let now = self.time();
        let lane = rng.choice(0..self.world.lanes.len()).filter(|_| rng.bool());
        let ix = lane.map(|lane| self.engine.lane(now, self.world.lanes[lane].model));
        self.engine.brake(now, now, ix);
        self.tell(|| format!("braked for {lane:?}"));
        let ends = Ends::of(self);
        self.world.brake(self.now, self.now, lane, &|spot| ends.at(spot))
    }

    /// No place rests longer or shorter than the verdicts say.
    pub(super) fn check_standings(&mut self) -> Check {
        let ends = Ends::of(self);
        for (spot, standing) in &self.world.places {
            if self.is_gone(*spot) {
                continue;
            }
            let ours = Seen { until: standing.until, suspected: standing.suspected };
            let theirs = ends.at(*spot);
            ensure!(is_alike(ours, theirs, self.now), "{spot:?}: {theirs:?}, not {ours:?}");
        }
        // And nothing rests in the engine that does not rest in the model.
        for spot in ends.all() {
            let is_known = self.world.places.contains_key(&spot) || self.is_gone(spot);
            let theirs = ends.at(spot);
            let is_over = is_alike(Seen::default(), theirs, self.now);
            ensure!(is_known || is_over, "{spot:?} rests: {theirs:?}");
        }
        Ok(())
    }

    fn is_gone(&self, spot: Spot) -> bool {
        match spot {
            Spot::Operation { key, .. } | Spot::KeyModel { key, .. } | Spot::Key(key) => {
                self.world.is_key_gone(key)
            }
            Spot::Model { account, .. } | Spot::Account(account) => self.world.is_gone(account),
            Spot::ProviderModel(_) | Spot::Provider => false,
        }
    }
}

/// The end of a rest; zero once it is over, even if the engine still stores it.
fn is_alike(ours: Seen, theirs: Seen, now: u64) -> bool {
    let is = |ours: u64, theirs: u64| ours == theirs || ours.max(theirs) <= now;
    is(ours.until, theirs.until) && is(ours.suspected, theirs.suspected)
}

/// When each place in the engine rests until, by the model's numbers.
struct Ends(Vec<(Spot, Seen)>);

impl Ends {
    fn of(play: &mut Play) -> Self {
        let now = play.time();
        let lanes: Vec<_> = (0..play.world.lanes.len()).collect();
        let lane_ix: Vec<_> =
            lanes.iter().map(|l| play.engine.lane(now, play.world.lanes[*l].model)).collect();
        let engine: &Engine = &play.engine;
        let mut all = Vec::new();
        let mut add = |spot: Spot, standing: &super::super::super::standing::Standing| {
            let (until, suspected) = standing.ends();
            all.push((spot, Seen { until: until.nanos(), suspected: suspected.nanos() }));
        };
        add(Spot::Provider, &engine.provider);
        for (account, ix) in play.accounts.iter().enumerate() {
            if !play.world.is_gone(account) {
                add(Spot::Account(account), &engine.accounts[ix.index()].standing);
            }
        }
        let keys: Vec<_> =
            (0..play.keys.len()).filter(|key| !play.world.is_key_gone(*key)).collect();
        for key in &keys {
            add(Spot::Key(*key), &engine.keys[play.keys[*key].index()].standing);
        }
        for (lane, ix) in lanes.iter().zip(lane_ix) {
            add(Spot::ProviderModel(*lane), &engine.lanes[ix].standing);
            for (account, at) in play.accounts.iter().enumerate() {
                if !play.world.is_gone(account) {
                    let spot = Spot::Model { lane: *lane, account };
                    add(spot, &engine.lanes[ix].seat(*at).standing);
                }
            }
            for ((at, operation), standing) in &engine.lanes[ix].keys {
                let Some(key) = keys.iter().copied().find(|key| play.keys[*key] == *at) else {
                    continue;
                };
                let spot = match operation {
                    Some(operation) => {
                        let operation = operation.index();
                        Spot::Operation { lane: *lane, key, operation }
                    }
                    None => Spot::KeyModel { lane: *lane, key },
                };
                add(spot, standing);
            }
        }
        Self(all)
    }

    fn at(&self, spot: Spot) -> Seen {
        self.0.iter().find(|(at, _)| *at == spot).map_or_else(Seen::default, |(_, seen)| *seen)
    }

    fn all(&self) -> impl Iterator<Item = Spot> {
        self.0.iter().map(|(spot, _)| *spot)
    }
}

/// The engine's number of an operation of the model's.
pub(super) fn operation(number: usize) -> OpIx {
    OpIx::new(number)
}
