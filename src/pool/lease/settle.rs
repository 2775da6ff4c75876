//! Settles the usage of a request: charges limits, computes the cost, and reports both to the usage sink.

use tokio::time::Instant;

use crate::{
    engine::Cost,
    pool::{
        credentials::Credential,
        lease::{Heard, Lease},
    },
    usage::{Charge, Tariff, Usage, UsageRecord},
};

/// More tokens than any request has: ten times the largest context of 2026, which is ten million tokens.
const MOST_TOKENS: u64 = 100_000_000;

impl Lease {
    /// Reports the real usage of the request, in tokens. Only the first call counts. Without a call, the
    /// reservation stays charged. It also stays charged if the usage has more than 100 million tokens, which
    /// no request has. That is reported as [`Event::UsageIgnored`](crate::event::Event::UsageIgnored).
    pub fn settle(&mut self, usage: Usage) {
        self.settle_as(usage, usage);
    }

    /// Settles with the usage that was read from an answer. The dialect decides which tokens count for
    /// limits. The reported usage replaces the estimate. Some providers count the maximum answer when a
    /// request arrives; the unused rest is given back only if the provider gives it back too.
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

    /// The number of tokens of prompt that were reserved.
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

    /// The cost that limits on spending count. It is less than the reservation only if the real cost is
    /// known.
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

    /// Records a request whose answer ended without a usage.
    pub(in crate::pool) fn book_unsettled(&self) {
        let Some(grant) = self.grant.as_ref().filter(|_| self.applied && !self.settled) else {
            return;
        };
        match self.heard {
            Heard::Accepted => self.book(None, Charge::default()),
            Heard::Refused => {}
            // The caller gave up, or the answer broke off. The provider may have read the prompt.
            Heard::Nothing | Heard::Head => {
                let input = grant.reserved.input;
                let usage = Usage { is_estimated: true, ..Usage::tokens(input, 0) };
                self.book(Some(usage), self.charge(&usage));
            }
        }
    }
}
