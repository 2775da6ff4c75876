//! Settles the usage of a request: charges limits, computes the cost, and reports both to the usage sink.

use tokio::time::Instant;

use crate::{
    engine::Cost,
    pool::{
        credentials::Credential,
        lease::{Heard, Lease},
    },
    provider::Billing,
    usage::{Charge, Tariff, Usage, UsageRecord},
};

/// More tokens than any request has: ten times the largest context of 2026, which is ten million tokens.
const MOST_TOKENS: u64 = 100_000_000;

impl Lease {
    /// Tells what was really used. The first call counts. Without one, what was reserved stays charged and is
    /// recorded as an estimate. So it does with more than 100 million tokens, which no request has: that is
    /// reported as [`Event::UsageIgnored`](crate::event::Event::UsageIgnored).
    pub fn settle(&mut self, usage: Usage) {
        self.settle_as(usage, usage, !usage.is_estimated);
    }

    /// The same for the usage of a whole answer, read from it or estimated from all of its text: of it counts
    /// towards limits what the dialect says. What was guessed is put right by it; what the provider counts
    /// when a request arrives, its cap, is given back only if the provider gives it back too.
    pub(crate) fn settle_whole(&mut self, usage: Usage) {
        let Some(grant) = &self.grant else { return };
        let cap = if grant.prior.cap_counts { grant.reserved.output } else { 0 };
        self.settle_at_least(usage, Cost { output: cap, ..Cost::default() }, true);
    }

    /// The same for an answer that was cut off. The provider may have generated more than came, so that
    /// nothing is given back.
    pub(crate) fn settle_cut(&mut self, usage: Usage) {
        let Some(grant) = &self.grant else { return };
        let reserved = grant.reserved;
        self.settle_at_least(usage, reserved, false);
    }

    /// The same for a whole answer that reports no usage, in which about so many tokens came.
    ///
    /// Where tokens are charged, the prompt was read and the text of the answer generated: that is an
    /// estimate, for limits and records alike. Pictures, sound and videos are charged in other units: what
    /// was reserved for them in tokens and money is given back, and the record has no usage.
    pub(crate) fn settle_unreported(&mut self, output: u64) {
        match self.billing() {
            Billing::Tokens => self.settle_whole(self.estimated(output)),
            Billing::Units => {
                let Some(grant) = self.grant.as_mut().filter(|_| !self.settled) else { return };
                self.settled = true;
                let output = if grant.prior.cap_counts { grant.reserved.output } else { 0 };
                let counted = Usage::tokens(0, output).nano_dollars(0);
                self.shared.with(|core, now| core.engine.settle(now, grant, &counted));
                self.book(None, Charge::default());
            }
            Billing::Nothing => {}
        }
    }

    /// The prompt by its estimate, and so many tokens of the answer.
    pub(crate) fn estimated(&self, output: u64) -> Usage {
        let input = self.grant.as_ref().map_or(0, |grant| grant.reserved.input);
        Usage { is_estimated: true, ..Usage::tokens(input, output) }
    }

    /// Whether nothing is charged for its request, so that its answer has no usage.
    pub(crate) fn is_free(&self) -> bool {
        self.billing() == Billing::Nothing
    }

    fn billing(&self) -> Billing {
        self.grant.as_ref().map_or(Billing::Nothing, |grant| grant.prior.billing)
    }

    fn settle_at_least(&mut self, usage: Usage, least: Cost, gives_back: bool) {
        let input = self.provider().counted_input(&usage).max(least.input);
        let output = usage.all_output().max(least.output);
        self.settle_as(Usage::tokens(input, output), usage, gives_back);
    }

    /// `gives_back`: whether money that was reserved and not used is given back.
    fn settle_as(&mut self, counted: Usage, usage: Usage, gives_back: bool) {
        if self.settled {
            return;
        }
        let (counted, usage, gives_back) = match self.ignored(&usage) {
            Some(guessed) => (guessed, guessed, false),
            None => (counted, usage, gives_back),
        };
        let charge = self.charge(&usage);
        let counted = Usage { nano_dollars: self.counted_spend(charge, gives_back), ..counted };
        let Some(grant) = &mut self.grant else { return };
        self.settled = true;
        self.shared.with(|core, now| {
            core.engine.settle(now, grant, &counted);
            if !usage.is_estimated {
                core.engine.learn_needs(grant, &usage);
            }
        });
        self.book(Some(usage), charge);
    }

    /// The reservation as a usage, in place of figures that no request can have; none if the figures are
    /// possible.
    fn ignored(&self, usage: &Usage) -> Option<Usage> {
        let grant = self.grant.as_ref()?;
        let reported = usage.all_input().max(usage.all_output());
        if reported <= MOST_TOKENS {
            return None;
        }
        self.shared.with(|core, _| core.engine.usage_ignored(grant, reported));
        let guessed = Usage::tokens(grant.reserved.input, grant.reserved.output);
        Some(Usage { is_estimated: true, ..guessed })
    }

    /// The cost of a usage, if a limit or the usage sink needs it.
    fn charge(&self, usage: &Usage) -> Charge {
        let is_charged = self.grant.as_ref().is_some_and(|grant| grant.is_charged);
        if !is_charged && self.shared.sink.is_none() {
            return Charge::default();
        }
        let model = self.grant.as_ref().and_then(|grant| grant.model.as_deref());
        let dialect = &self.provider().spec().name;
        self.shared.prices.charge(dialect, model.unwrap_or_default(), usage, Tariff::Standard)
    }

    /// What limits on spending count. Less than was reserved only if the price is known.
    fn counted_spend(&self, charge: Charge, gives_back: bool) -> Option<u64> {
        let reserved = self.grant.as_ref().map_or(0, |grant| grant.reserved.spend);
        let is_known = charge.unpriced_tokens == 0 && gives_back;
        Some(if is_known { charge.nano_dollars } else { charge.nano_dollars.max(reserved) })
    }

    fn book(&self, usage: Option<Usage>, charge: Charge) {
        let (Some(sink), Some(grant)) = (&self.shared.sink, &self.grant) else { return };
        let Credential { id: key, account, .. } = self.credential();
        let at = self.shared.clock.wall(Instant::now());
        let (model, tag) = (grant.model.as_ref(), grant.tag.as_ref());
        let pool = &self.shared.name;
        sink.record(&UsageRecord { pool, account, key, model, tag, at, usage, charge });
    }

    /// The request has ended without anything that says what it used. One that is free leaves no record.
    pub(in crate::pool) fn settle_unsettled(&mut self) {
        if !self.applied || self.settled || self.is_free() {
            return;
        }
        match self.heard {
            Heard::Accepted if self.billing() == Billing::Units => self.settle_unreported(0),
            // What was reserved stays charged, and is recorded.
            Heard::Accepted => {
                let reserved = self.grant.as_ref().map(|grant| grant.reserved).unwrap_or_default();
                match reserved.tokens() {
                    0 => self.book(None, Charge::default()),
                    _ => self.settle_whole(self.estimated(reserved.output)),
                }
            }
            Heard::Refused => {}
            // It was given up, or broke off. The provider has read it, for all that is known.
            Heard::Nothing | Heard::Head => self.settle_cut(self.estimated(0)),
        }
    }
}
