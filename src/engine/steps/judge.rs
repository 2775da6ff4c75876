//! What a verdict changes: only the place that it is about, and no more than it proves.

use std::{sync::Arc, time::Duration};

use crate::{
    Verdict,
    engine::{
        Engine,
        evidence::refusal::Refusal,
        grant::Grant,
        ids::{AccountIx, At, LaneIx},
        lane::size::Largest,
        learn::Observation,
        standing::{Cause, Kind, Role},
        steps::{
            blame::Accusation,
            learn::{Refused, Taught},
        },
        time::{SECOND, Time},
    },
    event::{Event, Whereabouts},
    verdict::{Blame, Place},
};

/// The state in which all accounts fail ends after this time without a failure that it excused.
const CALM: u64 = 10 * SECOND;

/// What the provider answered, as the engine needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply<'a> {
    pub(crate) verdict: Verdict,
    pub(crate) place: Place,
    pub(crate) blame: Blame,
    pub(crate) rule: &'a str,
}

/// What a verdict leaves open, until the same request was answered elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// The blamed place, if the request itself may be at fault.
    pub(crate) accusation: Option<Accusation>,
    /// What a refusal for rate without a hint taught about the account.
    pub(crate) taught: Option<Taught>,
    /// Whether the request itself is refused: another account refused it before, and this one
    /// serves other requests.
    pub(crate) is_about_request: bool,
}

impl Judged {
    pub(crate) fn is_open(&self) -> bool {
        self.accusation.is_some() || self.taught.is_some() || self.is_about_request
    }
}

impl Engine {
    /// Applies the verdict on a response. A later verdict replaces an earlier one, because a stream
    /// that was accepted may still fail.
    ///
    /// What one refusal does not prove is returned. The caller settles it once the same request was
    /// answered elsewhere.
    #[must_use = "an accusation is to be settled"]
    pub(crate) fn judge(&mut self, now: Time, grant: &mut Grant, reply: &Reply<'_>) -> Judged {
        let &Reply { verdict, place, blame, rule } = reply;
        self.counters.count(verdict, grant.judged.replace(verdict));
        if verdict == Verdict::Accepted {
            self.accepted(now, grant);
            return Judged::default();
        }
        let key = &mut self.keys[grant.key.index()];
        let rule = Refusal::note(&mut key.refusal, now, verdict, rule);
        let Some(kind) = kind_of(verdict) else { return Judged::default() };
        let cause = Cause { kind, rule, is_told: blame == Blame::Told };
        match verdict {
            Verdict::RateLimited { retry_after } => {
                return self.limited(now, grant, retry_after, place, &cause);
            }
            Verdict::QuotaExhausted { retry_after } => {
                self.cool(now, grant, place, retry_after, &cause);
            }
            Verdict::Overloaded { retry_after } => {
                self.cool(now, grant, place, retry_after, &cause);
                self.widen_overload(now, grant, &cause);
            }
            Verdict::TooLarge { limit } => self.too_large(now, grant, limit, &cause),
            Verdict::Transient if place >= Place::Account => self.failed(now, grant, &cause),
            Verdict::Transient => {}
            _ => {
                let accusation = self.accuse(now, grant, place, cause);
                return Judged { accusation, ..Judged::default() };
            }
        }
        Judged::default()
    }

    /// The head of an answer has arrived: measures the round trip.
    pub(crate) fn answered(&mut self, now: Time, grant: &Grant, processed: Option<Duration>) {
        let account = &mut self.accounts[grant.account.index()];
        if !account.round_trip.note(grant.sent, now, processed) {
            return;
        }
        let round_trip = account.round_trip;
        account.meters.iter_mut().for_each(|meter| meter.set_margin(&round_trip));
        for key in &account.keys {
            let meters = &mut self.keys[key.index()].meters;
            meters.iter_mut().for_each(|meter| meter.set_margin(&round_trip));
        }
        self.revive(grant.account);
    }

    fn accepted(&mut self, now: Time, grant: &Grant) {
        let lane = &mut self.lanes[grant.lane];
        let account = &mut self.accounts[grant.account.index()];
        account.failures.succeeded();
        if let Some(bond) = grant.bond {
            self.affinities.bind(now, bond, &account.name);
        }
        let seat = lane.seat_mut(grant.account);
        seat.accepted(now, grant.sent);
        if seat.largest.as_ref().is_some_and(|largest| largest.is_refuted_by(&grant.reserved)) {
            seat.largest = None;
        }
        self.observe(now, grant, Observation::Accepted);
        self.keys[grant.key.index()].accepted.note(now, grant.operation);
        self.serving.note(now, grant.lane);
        if !self.at_fault.is_empty() {
            let caller = self.caller(grant).cloned();
            self.at_fault.contradict(caller, grant.operation);
        }
        if self.all_failing.lower_after(now, CALM) {
            self.events.push(Event::AllFailingEnded);
        }
        let at = grant.at();
        if let Some(place) = self.succeeded(at, grant.sent) {
            let key = &self.keys[at.key.index()];
            if key.is_rejected && !key.standing.is_proven(now) {
                self.change_key(at.key, |key| key.is_rejected = false);
            }
            let place = self.whereabouts(place, at);
            self.events.push(Event::Recovered { place });
        }
    }

    /// An account refused a request for its rate.
    fn limited(
        &mut self,
        now: Time,
        grant: &mut Grant,
        retry_after: Option<Duration>,
        place: Place,
        cause: &Cause,
    ) -> Judged {
        // If others refused this request before while the account serves other requests, the
        // request itself may be at fault.
        let is_served = self.lanes[grant.lane].seat(grant.account).is_accepting(now);
        let is_doubtful = grant.is_suspect || grant.is_doubtful && is_served;
        if is_doubtful && retry_after.is_none() {
            let is_about_request = grant.is_doubtful && is_served;
            return Judged { is_about_request, ..Judged::default() };
        }
        let verdict = Verdict::RateLimited { retry_after };
        let refused = self.learn_from_refusal(now, grant, verdict, retry_after);
        let Refused { lesson, is_own, wait } = refused;
        // Where it is learnt that there is room for others, nothing rests.
        if retry_after.is_some() || wait != Some(Duration::ZERO) {
            self.cool(now, grant, place, retry_after.or(wait), cause);
        }
        // Refusals during the search for a pace are the account's own.
        if is_own || !verdict.may_be_wider() || place > Place::Account {
            let lesson = lesson.filter(|_| is_own && retry_after.is_none());
            let taught = lesson.map(|lesson| Taught {
                place,
                at: grant.at(),
                then: now,
                lesson: Box::new(lesson),
            });
            return Judged { taught, ..Judged::default() };
        }
        let lane = Some(grant.lane).filter(|_| place != Place::Account);
        // The probe shows that the wider limit still holds.
        let is_probe = |place: Place| grant.roles.of(place) == Role::Probe;
        let is_wider = if is_probe(Place::ProviderModel) || is_probe(Place::Provider) {
            self.brake(now, grant.sent, lane.filter(|_| !is_probe(Place::Provider)));
            true
        } else if self.alike.note(now, grant.account, lane, self.order.len()) {
            self.brake(now, grant.sent, lane);
            true
        } else {
            false
        };
        if let Some(lesson) = lesson.filter(|_| is_wider) {
            self.unlearn(grant.at(), &lesson);
        }
        Judged::default()
    }

    /// A request that taught an account's limit was refused again. Takes the lesson back if the
    /// account has accepted other requests since, or if `is_known`. Returns whether this is
    /// settled.
    pub(crate) fn take_back(&mut self, taught: &Taught, is_known: bool) -> bool {
        let &Taught { place, at, then, .. } = taught;
        let seat = self.lanes[at.lane].seat(at.account);
        if !is_known && !seat.has_accepted_since(then) {
            return false;
        }
        self.unlearn(at, &taught.lesson);
        if self.standing(place, at).is_some_and(|standing| standing.is_rest_since(then)) {
            self.standing_mut(place, at).revive();
            let place = self.whereabouts(place, at);
            self.events.push(Event::Recovered { place });
        }
        self.revive(at.account);
        true
    }

    /// A limit that is wider than an account was found, for one model or for all.
    #[cfg(feature = "retry")]
    pub(crate) fn brake_model(&mut self, now: Time, model: Option<&str>, place: Place) {
        let lane = self.lane(now, model);
        self.brake(now, now, Some(lane).filter(|_| place != Place::Account));
    }

    pub(in crate::engine) fn brake(&mut self, now: Time, sent: Time, lane: Option<LaneIx>) {
        let cause =
            Cause { kind: Kind::Overload, rule: Arc::from("refused-alike"), is_told: false };
        let (standing, place, model) = match lane.map(|lane| &mut self.lanes[lane]) {
            Some(lane) => (&mut lane.standing, Place::ProviderModel, lane.model.clone()),
            None => (&mut self.provider, Place::Provider, None),
        };
        if standing.cool(now, sent, None, &cause, &mut self.rng) {
            let wait = now.until(standing.until());
            let place = Whereabouts { model, ..Whereabouts::new(place) };
            let (kind, rule) = (cause.kind.name(), cause.rule);
            self.events.push(Event::Resting { place, kind, rule, wait });
        }
        self.unstall();
    }

    /// A place rests; a hint from the provider sets the end.
    pub(in crate::engine) fn cool(
        &mut self,
        now: Time,
        grant: &Grant,
        place: Place,
        hint: Option<Duration>,
        cause: &Cause,
    ) {
        let hint = hint.map(|hint| hint.min(self.max_cooldown));
        let (at, sent) = (grant.at(), grant.sent);
        let mut rng = self.rng.fork();
        let has_grown = self.standing_mut(place, at).cool(now, sent, hint, cause, &mut rng);
        if has_grown {
            self.rests(now, place, at, cause);
        }
        // Requests that waited for a probe now wait for a time.
        self.opened(place, at);
    }

    /// Announces that a place rests.
    pub(in crate::engine) fn rests(&mut self, now: Time, place: Place, at: At, cause: &Cause) {
        let wait = self.standing(place, at).map_or(Time::ZERO, |standing| standing.until());
        let wait = now.until(wait);
        let (kind, rule) = (cause.kind.name(), Arc::clone(&cause.rule));
        if place == Place::Key && cause.kind == Kind::Credential {
            self.change_key(at.key, |key| key.is_rejected = true);
            self.events.push(Event::KeyRejected {
                key: self.keys[at.key.index()].id.clone(),
                account: self.accounts[at.account.index()].name.clone(),
                rule,
                wait,
                live: self.live_keys,
                total: self.total_keys,
            });
            // Requests that wait for this key may have to be rejected.
            self.unstall();
            return;
        }
        let place = self.whereabouts(place, at);
        self.events.push(Event::Resting { place, kind, rule, wait });
    }

    /// If two models are overloaded and no other was served meanwhile, the provider is overloaded.
    fn widen_overload(&mut self, now: Time, grant: &Grant, cause: &Cause) {
        /// Overloads within this time agree.
        const TOGETHER: u64 = 10 * SECOND;
        let is_overloaded = |place: LaneIx| {
            let trouble = self.lanes[place].standing.trouble(now);
            trouble.is_some_and(|(cause, since)| {
                cause.kind == Kind::Overload && now.since(since) <= TOGETHER
            })
        };
        let others = self.lanes.all().filter(|lane| *lane != grant.lane);
        let agree = others.into_iter().any(is_overloaded);
        if agree && is_overloaded(grant.lane) && !self.serving.is_another(now, is_overloaded) {
            self.cool(now, grant, Place::Provider, None, cause);
        }
    }

    /// The account takes no request of this size.
    fn too_large(&mut self, now: Time, grant: &Grant, limit: Option<u64>, cause: &Cause) {
        let seat = self.lanes[grant.lane].seat_mut(grant.account);
        let request = (grant.sent, &grant.reserved);
        let largest = &mut seat.largest;
        if let Some(until) = Largest::refused(largest, now, request, limit, cause, &mut self.rng) {
            let tokens = seat.largest.as_ref().and_then(|largest| largest.tokens(now));
            self.in_doubt_until = self.in_doubt_until.max(until);
            self.events.push(Event::SizeLimited {
                account: self.accounts[grant.account.index()].name.clone(),
                model: self.lanes[grant.lane].model.clone(),
                tokens: tokens.unwrap_or(0),
                rule: Arc::clone(&cause.rule),
            });
        }
    }

    fn failed(&mut self, now: Time, grant: &Grant, cause: &Cause) {
        if !self.accounts[grant.account.index()].failures.failed() {
            return;
        }
        let (resting, total) = self.resting_beside(now, grant.account);
        if 2 * (resting + 1) <= total {
            self.cool(now, grant, Place::Account, None, cause);
        } else if self.all_failing.raise(now) {
            self.events.push(Event::AllFailing { resting, total: self.order.len() });
        }
    }

    /// How many other accounts are out of use, and of how many. At most half of all accounts rest
    /// for failures without a proven cause: if most accounts fail, the cause is not the accounts.
    fn resting_beside(&self, now: Time, account: AccountIx) -> (usize, usize) {
        let looked_at = || self.sample();
        let others = looked_at().filter(|other| *other != account);
        let resting =
            others.filter(|other| self.accounts[other.index()].standing.is_troubled(now)).count();
        (resting, looked_at().count())
    }
}

fn kind_of(verdict: Verdict) -> Option<Kind> {
    Some(match verdict {
        Verdict::Accepted | Verdict::CallerFault => return None,
        Verdict::RateLimited { .. } => Kind::Rate,
        Verdict::QuotaExhausted { .. } => Kind::Quota,
        Verdict::KeyRejected => Kind::Credential,
        Verdict::PermissionRefused => Kind::Permission,
        Verdict::TooLarge { .. } => Kind::Size,
        Verdict::Overloaded { .. } => Kind::Overload,
        Verdict::Transient => Kind::Fault,
    })
}
