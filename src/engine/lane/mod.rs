//! The admission state of one model: which accounts have room, which sleep until when, who waits.
//!
//! An account's seat in a lane is in one of three places. *Ready*: it may have room, which is found
//! out when it is looked at. *Asleep*: it was found to have none before a known time. *Blocked*: it
//! waits for something to end or change. Seats are moved only when they are looked at or woken, so
//! that no step ever walks over all accounts.

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
        seat::{MOST_ROUNDS, Place, Seat, turns_of},
    },
    latch::Latch,
    line::Line,
    standing::Standing,
    time::Time,
};

/// For so many rounds an account that was taken out of turn lacks these.
const MOST_OWED: i32 = 1_024;

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
    /// Whether it has been told that nobody knows its price.
    pub(crate) unpriced: Latch,
    /// Of the model at the provider, whatever the account.
    pub(crate) standing: Standing,
    /// Of keys for this model, for one operation or for all. Most are always open and not in here.
    pub(crate) keys: BTreeMap<(KeyIx, Option<OpIx>), Standing>,
    /// Set while the head of the line cannot be served: until when, as far as known.
    pub(crate) stalled: Option<Stall>,
    seats: Vec<Seat>,
    ready: Ready,
    /// Whose turn it is.
    turn: AccountIx,
    sleepers: BinaryHeap<Reverse<(Time, AccountIx)>>,
    /// The kinds of cost that some of them have no room for.
    short_of: u8,
}

/// Why nobody can be served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stall {
    /// When to look again; `None` if no clock tells.
    pub(crate) until: Option<Time>,
    /// The last place that was looked at; whoever joins there or before it may be served.
    pub(crate) place: usize,
}

/// Where a look at those who are ready has got to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    began: AccountIx,
    at: AccountIx,
    is_round: bool,
}

impl Lane {
    /// A lane in which every account is ready: which of its meters count, and its weight.
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

    /// It is an account's turn first.
    pub(crate) fn begin_with(&mut self, turn: AccountIx) {
        self.turn = turn;
        if let Some(seat) = self.seats.get_mut(turn.index()) {
            seat.turns = turns_of(seat.weight);
        }
    }

    /// Whether nothing would be lost with it but a few cooldowns and guesses.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.line.is_empty()
    }

    /// What is held against a key, by operation.
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

    /// Makes place for so many more accounts.
    pub(crate) fn reserve(&mut self, accounts: usize) {
        self.seats.reserve_exact(accounts);
    }

    /// An account has come, at the place of one that is gone or behind all others.
    pub(crate) fn seat_new(&mut self, account: AccountIx, meters: Meters, weight: u32) {
        let seat = Seat::new(meters, weight);
        match self.seats.get_mut(account.index()) {
            Some(free) => *free = seat,
            None => self.seats.push(seat),
        }
        self.ready.make_place(self.seats.len());
        self.revive(account);
    }

    /// An account is gone.
    pub(crate) fn unseat(&mut self, account: AccountIx) {
        self.block(account);
        let seat = &mut self.seats[account.index()];
        *seat = Seat::new(Meters::default(), 1);
        seat.place = Place::Blocked;
    }

    /// A look at those who are ready, in turn or in the order of their slots.
    pub(crate) fn look(&self, in_turn: bool) -> Look {
        let began = if in_turn { self.turn } else { AccountIx::new(0) };
        Look { began, at: began, is_round: false }
    }

    /// The next one that is ready. Those that are taken out meanwhile do not disturb it.
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

    /// An account was taken. The first to be looked at stays so while it has turns left; if another was
    /// preferred to it, it keeps them for its next time.
    pub(crate) fn took(&mut self, account: AccountIx) {
        let first = self.next(&mut self.look(true));
        if let Some(first) = first {
            self.turn = first;
        }
        let seat = self.seat_mut(account);
        let most_owed = turns_of(seat.weight).saturating_mul(MOST_OWED);
        seat.turns = (seat.turns - 1).max(-most_owed);
        if first != Some(account) || seat.turns <= 0 {
            self.move_on();
        }
    }

    /// Looks at the next account first that has turns left, after giving each as many as it has
    /// weight.
    fn move_on(&mut self) {
        for _ in 0..self.ready.number() {
            let mut look = self.look(true);
            look.at = self.turn.after();
            look.began = look.at;
            let Some(next) = self.next(&mut look) else { return };
            self.turn = next;
            let seat = &mut self.seats[next.index()];
            let turns = turns_of(seat.weight);
            seat.turns = (seat.turns + turns).min(turns * MOST_ROUNDS);
            if seat.turns > 0 {
                return;
            }
        }
    }

    /// Puts a seat to sleep that has no room until then for demands with these kinds of cost.
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

    /// Makes all seats ready if one may sleep for want of something that a demand with these kinds of
    /// cost does not take.
    pub(crate) fn rouse(&mut self, kinds: u8) {
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

    /// Whether nobody is ready.
    pub(crate) fn is_asleep(&self) -> bool {
        self.ready.number() == 0
    }

    /// When the next sleeper wakes.
    pub(crate) fn next_wake(&mut self) -> Option<Time> {
        while let Some(&Reverse((until, account))) = self.sleepers.peek() {
            if self.seats[account.index()].place == Place::Asleep(until) {
                return Some(until);
            }
            // Woken early, and its old entry left behind.
            self.sleepers.pop();
        }
        None
    }

    /// Something about an account changed for the better.
    pub(crate) fn revive(&mut self, account: AccountIx) {
        self.stalled = None;
        self.make_ready(account);
    }

    fn make_ready(&mut self, account: AccountIx) {
        self.ready.insert(account);
        self.seats[account.index()].place = Place::Ready;
    }
}
