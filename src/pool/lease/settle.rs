//! What a request used: counted by limits, priced, and told to whoever keeps books.

use tokio::time::Instant;

use crate::{
    engine::Cost,
    pool::{
        credentials::Credential,
        lease::{Heard, Lease},
    },
    usage::{Charge, Tariff, Usage, UsageRecord},
};

/// More tokens than any request has: ten times the largest context of 2026, ten million.
const ABSURD: u64 = 100_000_000;

impl Lease {
    /// Tells what was really used. The first call counts. Without one, what was reserved stays
    /// charged. So it does with more than 100 million tokens, which no request has: that is reported as
    /// [`Event::UsageIgnored`](crate::event::Event::UsageIgnored).
    pub fn settle(&mut self, usage: Usage) {
        self.settle_as(usage, usage);
    }

    /// The same for what was read from an answer: of it counts towards limits what the dialect says.
    /// What was guessed is put right by what was told; what the provider counts when a request arrives, its
    /// cap, is given back only if the provider gives it back too.
    pub(crate) fn settle_read(&mut self, usage: Usage) {
        let Some(grant) = &self.grant else { return };
        let (reserved, prior) = (grant.reserved, grant.prior);
        let provider = self.provider();
        let least = match usage.is_estimated {
            true => reserved,
            false => Cost {
                output: if prior.cap_counts { reserved.output } else { 0 },
                ..Cost::default()
            },
        };
        let input = provider.counted_input(&usage).max(least.input);
        let output = usage.all_output().max(least.output);
        self.settle_as(Usage::tokens(input, output), usage);
    }

    /// How many tokens of prompt were reserved.
    pub(crate) fn reserved_input(&self) -> u64 {
        self.grant.as_ref().map_or(0, |grant| grant.reserved.input)
    }

    fn settle_as(&mut self, counted: Usage, usage: Usage) {
        if self.settled {
            return;
        }
        let (counted, usage) = match self.ignored(&usage) {
            Some(guessed) => (guessed, guessed),
            None => (counted, usage),
        };
        let charge = self.charge(&usage);
        let counted = Usage { nano_dollars: self.counted_spend(&usage, charge), ..counted };
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

    /// What counts instead of figures that no request can reach: what was reserved.
    fn ignored(&self, usage: &Usage) -> Option<Usage> {
        let grant = self.grant.as_ref()?;
        let told = usage.all_input().max(usage.all_output());
        if told <= ABSURD {
            return None;
        }
        self.shared.with(|core, _| core.engine.usage_ignored(grant, told));
        let guessed = Usage::tokens(grant.reserved.input, grant.reserved.output);
        Some(Usage { is_estimated: true, ..guessed })
    }

    /// What it costs, if anybody wants to know.
    fn charge(&self, usage: &Usage) -> Charge {
        let is_charged = self.grant.as_ref().is_some_and(|grant| grant.is_charged);
        if !is_charged && self.shared.sink.is_none() {
            return Charge::default();
        }
        let model = self.grant.as_ref().and_then(|grant| grant.model.as_deref());
        let dialect = &self.provider().spec().name;
        self.shared.prices.charge(dialect, model.unwrap_or_default(), usage, Tariff::Standard)
    }

    /// What limits on spending count. Less than was reserved only if it is known.
    fn counted_spend(&self, usage: &Usage, charge: Charge) -> Option<u64> {
        let reserved = self.grant.as_ref().map_or(0, |grant| grant.reserved.spend);
        let is_known = charge.unpriced_tokens == 0 && !usage.is_estimated;
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

    /// Books a request that ended without having told what it used.
    pub(in crate::pool) fn book_unsettled(&self) {
        let Some(grant) = self.grant.as_ref().filter(|_| self.applied && !self.settled) else {
            return;
        };
        match self.heard {
            Heard::Accepted => self.book(None, Charge::default()),
            Heard::Refused => {}
            // It was given up, or broke off. The provider has read it, for all that is known.
            Heard::Nothing | Heard::Head => {
                let input = grant.reserved.input;
                let usage = Usage { is_estimated: true, ..Usage::tokens(input, 0) };
                self.book(Some(usage), self.charge(&usage));
            }
        }
    }
}
