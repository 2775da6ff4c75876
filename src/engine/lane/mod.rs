//! The admission state of one model: which accounts have room, which sleep until when, and which
//! requests wait.
//!
//! [`Lane`] holds a seat for each account ([`seat`]), the set of ready seats ([`ready`]), the line
//! of waiting requests, and what requests of the model usually need ([`needs`]). [`table`] finds a
//! lane by model name.
//!
//! A seat is in one of three places. *Ready*: the account may have room; the next look at it finds
//! out. *Asleep*: it has no room before a known time. *Blocked*: it waits for something to end or
//! change. Seats move only when they are looked at or woken, so no step walks over all accounts.

pub(crate) mod average;
pub(crate) mod needs;
pub(crate) mod ready;
pub(crate) mod seat;
pub(crate) mod size;
pub(crate) mod table;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use crate::engine::{
    ids::{AccountIx, KeyIx, Meters, OpIx},
    lane::{
        average::Average,
        needs::Needs,
        ready::Ready,
        seat::{MAX_ROUNDS_KEPT, Place, Seat, turns_of},
    },
    latch::Latch,
    line::Line,
    standing::Standing,
    time::Time,
};

/// An account that was taken out of turn repays its turns for at most this many rounds.
const MAX_ROUNDS_OWED: i32 = 1_024;

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) model: Option<Arc<str>>,
    pub(crate) line: Line,
    /// How long answers take, in nanoseconds.
    pub(crate) answer_time: Average,
    pub(crate) needs: Needs,
    /// Leases that have not ended.
    pub(crate) in_flight: u64,
    pub(crate) last_used: Time,
    /// Whether an event has announced that its price is unknown.
    pub(crate) unpriced: Latch,
    /// The standing of the model at the provider, for all accounts.
    pub(crate) standing: Standing,
    /// The standings of keys for this model, for one operation or for all. Most are always open and
    /// not stored.
    pub(crate) keys: BTreeMap<(KeyIx, Option<OpIx>), Standing>,
    /// Set while no waiting request can be served: until when, where known.
    pub(crate) stalled: Option<Stall>,
    seats: Vec<Seat>,
    ready: Ready,
    /// The account that is looked at first.
    turn: AccountIx,
    sleepers: BinaryHeap<Reverse<(Time, AccountIx)>>,
    /// The kinds of cost that some sleeping seats have no room for, one bit each.
    short_of: u8,
}

/// Why no waiting request can be served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stall {
    /// When to look again; `None` if only a change makes room.
    pub(crate) until: Option<Time>,
    /// The last place in line that was looked at. A request that joins at or before it may be
    /// served.
    pub(crate) place: usize,
}

/// The state of an iteration over the ready seats.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    began: AccountIx,
    at: AccountIx,
    is_round: bool,
}

impl Lane {
    /// A lane in which every account is ready. `accounts` gives the meters that count the model,
    /// and the weight.
    pub(crate) fn new(
        model: Option<Arc<str>>,
        accounts: impl Iterator<Item = (Meters, u32)>,
        turn: AccountIx,
    ) -> Self {
        let seats: Vec<_> = accounts.map(|(meters, weight)| Seat::new(meters, weight)).collect();
        let mut lane = Self {
            model,
            line: Line::default(),
            answer_time: Average::default(),
            needs: Needs::default(),
            in_flight: 0,
            last_used: Time::ZERO,
            unpriced: Latch::default(),
            standing: Standing::default(),
            keys: BTreeMap::new(),
            stalled: None,
            ready: Ready::all(seats.len()),
            turn,
            seats,
            sleepers: BinaryHeap::new(),
            short_of: 0,
        };
        lane.begin_with(turn);
        lane
    }

    /// Makes an account the first in turn.
    pub(crate) fn begin_with(&mut self, turn: AccountIx) {
        self.turn = turn;
        if let Some(seat) = self.seats.get_mut(turn.index()) {
            seat.turns = turns_of(seat.weight);
        }
    }

    /// Whether it may be forgotten: it holds nothing except a few rests and learned figures.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.line.is_empty()
    }

    /// The standings of a key that are not open, by operation.
    pub(crate) fn keys_of(&self, key: KeyIx) -> impl Iterator<Item = (Option<OpIx>, &Standing)> {
        let of_key = self.keys.range((key, None)..=(key, Some(OpIx::LAST)));
        of_key.map(|((_, operation), standing)| (*operation, standing))
    }

    pub(crate) fn seat(&self, account: AccountIx) -> &Seat {
        &self.seats[account.index()]
    }

    pub(crate) fn seat_mut(&mut self, account: AccountIx) -> &mut Seat {
        &mut self.seats[account.index()]
    }

    /// Allocates seats for so many more accounts.
    pub(crate) fn reserve(&mut self, accounts: usize) {
        self.seats.reserve_exact(accounts);
    }

    /// Adds an account, in the slot of a removed one or after all others.
    pub(crate) fn seat_new(&mut self, account: AccountIx, meters: Meters, weight: u32) {
        let seat = Seat::new(meters, weight);
        match self.seats.get_mut(account.index()) {
            Some(free) => *free = seat,
            None => self.seats.push(seat),
        }
        self.ready.make_place(self.seats.len());
        self.revive(account);
    }

    /// Removes an account.
    pub(crate) fn unseat(&mut self, account: AccountIx) {
        self.block(account);
        let seat = &mut self.seats[account.index()];
        *seat = Seat::new(Meters::default(), 1);
        seat.place = Place::Blocked;
    }

    /// Starts an iteration over the ready seats, in turn or in the order of their slots.
    pub(crate) fn look(&self, in_turn: bool) -> Look {
        let began = if in_turn { self.turn } else { AccountIx::new(0) };
        Look { began, at: began, is_round: false }
    }

    /// The next ready seat. Seats may leave the set during the iteration.
    pub(crate) fn next(&self, look: &mut Look) -> Option<AccountIx> {
        let mut found = self.ready.next(look.at);
        if found.is_none() && !look.is_round {
            look.is_round = true;
            found = self.ready.next(AccountIx::new(0));
        }
        let found = found.filter(|found| !look.is_round || *found < look.began)?;
        look.at = found.after();
        Some(found)
    }

    /// Notes that an account was chosen. The first in turn stays first while it has turns left. If
    /// another account was preferred, the first keeps its turns for later.
    pub(crate) fn took(&mut self, account: AccountIx) {
        let first = self.next(&mut self.look(true));
        if let Some(first) = first {
            self.turn = first;
        }
        let seat = self.seat_mut(account);
        let max_owed = turns_of(seat.weight).saturating_mul(MAX_ROUNDS_OWED);
        seat.turns = (seat.turns - 1).max(-max_owed);
        if first != Some(account) || seat.turns <= 0 {
            self.move_on();
        }
    }

    /// Moves the turn to the next account that has turns left. Each account that it comes to gets
    /// as many turns as its weight.
    fn move_on(&mut self) {
        for _ in 0..self.ready.number() {
            let mut look = self.look(true);
            look.at = self.turn.after();
            look.began = look.at;
            let Some(next) = self.next(&mut look) else { return };
            self.turn = next;
            let seat = &mut self.seats[next.index()];
            let turns = turns_of(seat.weight);
            seat.turns = (seat.turns + turns).min(turns * MAX_ROUNDS_KEPT);
            if seat.turns > 0 {
                return;
            }
        }
    }

    /// Puts a seat to sleep that has no room before `until` for demands with these kinds of cost.
    pub(crate) fn sleep(&mut self, account: AccountIx, until: Time, kinds: u8) {
        self.ready.remove(account);
        self.short_of |= kinds;
        self.seats[account.index()].place = Place::Asleep(until);
        self.sleepers.push(Reverse((until, account)));
    }

    pub(crate) fn block(&mut self, account: AccountIx) {
        self.ready.remove(account);
        self.seats[account.index()].place = Place::Blocked;
    }

    /// Makes all seats ready whose time has come.
    pub(crate) fn wake(&mut self, now: Time) {
        while let Some(&Reverse((until, account))) = self.sleepers.peek()
            && until <= now
        {
            self.sleepers.pop();
            if self.seats[account.index()].place == Place::Asleep(until) {
                self.make_ready(account);
            }
        }
    }

    /// Wakes all sleeping seats early if one may sleep because of a kind of cost that this demand
    /// does not have.
    pub(crate) fn wake_early(&mut self, kinds: u8) {
        if self.short_of & !kinds == 0 {
            return;
        }
        self.short_of = 0;
        while let Some(Reverse((until, account))) = self.sleepers.pop() {
            if self.seats[account.index()].place == Place::Asleep(until) {
                self.make_ready(account);
            }
        }
    }

    pub(crate) fn is_ready(&self, account: AccountIx) -> bool {
        self.ready.contains(account)
    }

    /// Whether no seat is ready.
    pub(crate) fn is_asleep(&self) -> bool {
        self.ready.number() == 0
    }

    /// When the next sleeping seat wakes.
    pub(crate) fn next_wake(&mut self) -> Option<Time> {
        while let Some(&Reverse((until, account))) = self.sleepers.peek() {
            if self.seats[account.index()].place == Place::Asleep(until) {
                return Some(until);
            }
            // An old entry of a seat that was woken early.
            self.sleepers.pop();
        }
        None
    }

    /// Makes an account ready after a change for the better.
    pub(crate) fn revive(&mut self, account: AccountIx) {
        self.stalled = None;
        self.make_ready(account);
    }

    fn make_ready(&mut self, account: AccountIx) {
        self.ready.insert(account);
        self.seats[account.index()].place = Place::Ready;
    }
}
