//! The admission state of one model: which accounts have room, which sleep until when, who waits.
//!
//! An account's seat in a lane is in one of three places. *Ready*: it may have room, which is found
//! out when it is looked at. *Asleep*: it was found to have none before a known time. *Blocked*: it
//! waits for something to end or change. Seats are moved only when they are looked at or woken, so
//! that no step ever walks over all accounts.

use std::{cmp::Reverse, collections::BinaryHeap, sync::Arc};

use super::{
    answer_time::AnswerTime,
    index::{AccountIx, KeyIx, Meters},
    line::Line,
    standing::Standing,
    time::Time,
};

/// For so many rounds an account that was passed over keeps its turns.
const MOST_ROUNDS: i64 = 8;

#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) model: Option<Arc<str>>,
    pub(crate) line: Line,
    pub(crate) answer_time: AnswerTime,
    /// Leases that have not ended.
    pub(crate) in_flight: u64,
    pub(crate) last_used: Time,
    /// Good keys that this model was refused to.
    pub(crate) refused: Vec<KeyIx>,
    /// Set while the head of the line cannot be served: until when, as far as known.
    pub(crate) stalled: Option<Stall>,
    seats: Vec<Seat>,
    ready: Vec<AccountIx>,
    /// Where in `ready` to look first.
    first: usize,
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

#[derive(Clone, Copy, Debug)]
pub(crate) struct Seat {
    place: Place,
    pub(crate) meters: Meters,
    pub(crate) standing: Standing,
    weight: u32,
    /// How often it may be the first to be taken before others are; less than none if others were
    /// passed over for it.
    turns: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Ready(u32),
    Asleep(Time),
    Blocked,
}

impl Lane {
    /// A lane in which every account is ready: which of its meters count, and its weight.
    pub(crate) fn new(
        model: Option<Arc<str>>,
        accounts: impl Iterator<Item = (Meters, u32)>,
        first: usize,
    ) -> Self {
        let seats: Vec<_> = (0..)
            .zip(accounts)
            .map(|(place, (meters, weight))| Seat {
                place: Place::Ready(place),
                meters,
                standing: Standing::default(),
                weight,
                turns: i64::from(weight),
            })
            .collect();
        Self {
            model,
            line: Line::default(),
            answer_time: AnswerTime::default(),
            in_flight: 0,
            last_used: Time::ZERO,
            refused: Vec::new(),
            stalled: None,
            ready: (0..seats.len()).map(AccountIx::new).collect(),
            first,
            seats,
            sleepers: BinaryHeap::new(),
            short_of: 0,
        }
    }

    /// Whether nothing would be lost with it but a few cooldowns.
    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0 && self.line.is_empty()
    }

    pub(crate) fn seat(&self, account: AccountIx) -> &Seat {
        &self.seats[account.index()]
    }

    pub(crate) fn seat_mut(&mut self, account: AccountIx) -> &mut Seat {
        &mut self.seats[account.index()]
    }

    /// The ready account that is so many places from where it is to be looked first.
    ///
    /// An account that is taken out on the way changes places with one that was not looked at yet, or
    /// has been already; counting on from there meets each of the others once.
    pub(crate) fn candidate(&self, place: usize) -> Option<AccountIx> {
        let number = self.ready.len();
        if place >= number {
            return None;
        }
        let place = self.first.min(number) + place;
        self.ready.get(if place < number { place } else { place - number }).copied()
    }

    /// An account was taken. The first to be looked at stays so while it has turns left; if another was
    /// preferred to it, it keeps them for its next time.
    pub(crate) fn took(&mut self, account: AccountIx) {
        let is_first = self.candidate(0) == Some(account);
        let seat = self.seat_mut(account);
        seat.turns -= 1;
        if !is_first || seat.turns <= 0 {
            self.move_on();
        }
    }

    /// Looks at the next account first that has turns left, after giving each as many as it has
    /// weight.
    fn move_on(&mut self) {
        for _ in 0..self.ready.len() {
            self.first = if self.first + 1 < self.ready.len() { self.first + 1 } else { 0 };
            let seat = &mut self.seats[self.ready[self.first].index()];
            let weight = i64::from(seat.weight);
            seat.turns = (seat.turns + weight).min(weight * MOST_ROUNDS);
            if seat.turns > 0 {
                return;
            }
        }
    }

    /// Puts a seat to sleep that has no room until then for demands with these kinds of cost.
    pub(crate) fn sleep(&mut self, account: AccountIx, until: Time, kinds: u8) {
        self.unready(account);
        self.short_of |= kinds;
        self.seats[account.index()].place = Place::Asleep(until);
        self.sleepers.push(Reverse((until, account)));
    }

    pub(crate) fn block(&mut self, account: AccountIx) {
        self.unready(account);
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
        if !matches!(self.seats[account.index()].place, Place::Ready(_)) {
            self.make_ready(account);
        }
    }

    fn make_ready(&mut self, account: AccountIx) {
        let place = self.ready.len();
        self.ready.push(account);
        self.note_place(place);
    }

    fn unready(&mut self, account: AccountIx) {
        if let Place::Ready(place) = self.seats[account.index()].place {
            let place = place as usize;
            self.ready.swap_remove(place);
            if place < self.ready.len() {
                self.note_place(place);
            }
        }
    }

    fn note_place(&mut self, place: usize) {
        self.seats[self.ready[place].index()].place = Place::Ready(place as u32);
    }
}
