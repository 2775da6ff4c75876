//! The prices of one model, by kind of token and by the length of the prompt.

use super::{
    amount::{Price, nano_dollars},
    charge::{Charge, Tariff},
};
use crate::usage::tokens::Usage;

/// The kinds of tokens that have a price of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Input,
    CacheRead,
    CacheWrite,
    CacheWrite1h,
    Output,
    Reasoning,
}

const KINDS: usize = 6;

/// The prices of a model. A price that the file does not state is unknown.
#[derive(Clone, Debug, Default)]
pub(super) struct Rates {
    /// By the length of the prompt, shortest first.
    tiers: Vec<Tier>,
}

#[derive(Clone, Debug, Default)]
struct Tier {
    /// The tier applies to prompts with more tokens than this.
    above: u64,
    standard: [Option<Price>; KINDS],
    batch: [Option<Price>; KINDS],
}

/// Which price of a model a field of a price file states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PriceField {
    pub(super) kind: Kind,
    pub(super) above: u64,
    pub(super) tariff: Tariff,
}

impl Rates {
    pub(super) fn set(&mut self, field: PriceField, price: Price) {
        let at = match self.tiers.binary_search_by_key(&field.above, |tier| tier.above) {
            Ok(at) => at,
            Err(at) => {
                self.tiers.insert(at, Tier { above: field.above, ..Tier::default() });
                at
            }
        };
        self.tiers[at].of_mut(field.tariff)[field.kind as usize] = Some(price);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tiers.is_empty()
    }

    /// The length of the whole prompt, cached tokens included, decides the tier of all tokens of the prompt
    /// and the answer.
    pub(super) fn charge(&self, usage: &Usage, tariff: Tariff) -> Charge {
        let prompt = usage.all_input();
        let price = |kind: Kind| {
            let tiers =
                self.tiers.iter().rev().filter(|tier| tier.above == 0 || prompt > tier.above);
            tiers.into_iter().find_map(|tier| tier.of(tariff)[kind as usize])
        };
        // Without a price of its own, reasoning costs as much as the answer.
        let reasoning = price(Kind::Reasoning).or_else(|| price(Kind::Output));
        let parts = [
            (usage.input, price(Kind::Input)),
            (usage.cache_read, price(Kind::CacheRead)),
            (usage.cache_write, price(Kind::CacheWrite)),
            (usage.cache_write_1h, price(Kind::CacheWrite1h)),
            (usage.output, price(Kind::Output)),
            (usage.reasoning, reasoning),
        ];
        let (mut sum, mut unpriced_tokens) = (0_u128, 0_u64);
        for (tokens, price) in parts {
            match price {
                Some(price) => sum = sum.saturating_add(price.times(tokens)),
                None => unpriced_tokens = unpriced_tokens.saturating_add(tokens),
            }
        }
        Charge { nano_dollars: nano_dollars(sum), unpriced_tokens }
    }
}

impl Tier {
    fn of(&self, tariff: Tariff) -> &[Option<Price>; KINDS] {
        match tariff {
            Tariff::Standard => &self.standard,
            Tariff::Batch => &self.batch,
        }
    }

    fn of_mut(&mut self, tariff: Tariff) -> &mut [Option<Price>; KINDS] {
        match tariff {
            Tariff::Standard => &mut self.standard,
            Tariff::Batch => &mut self.batch,
        }
    }
}

impl PriceField {
    /// Parses the name of a field; none if it is no price per token, or the price of a service tier that
    /// answers do not report, such as priority.
    ///
    /// `input_cost_per_token`, `cache_creation_input_token_cost_above_1hr_above_200k_tokens_batches`.
    pub(super) fn parse(field: &str) -> Option<Self> {
        let (field, tariff) = match field.strip_suffix("_batches") {
            Some(field) => (field, Tariff::Batch),
            None => (field, Tariff::Standard),
        };
        let tier = field.strip_suffix("k_tokens").and_then(|field| field.rsplit_once("_above_"));
        let (field, above) = match tier {
            Some((field, above)) => (field, above.parse::<u64>().ok()?.checked_mul(1_000)?),
            None => (field, 0),
        };
        let kind = match field {
            "input_cost_per_token" => Kind::Input,
            "cache_read_input_token_cost" => Kind::CacheRead,
            "cache_creation_input_token_cost" => Kind::CacheWrite,
            "cache_creation_input_token_cost_above_1hr" => Kind::CacheWrite1h,
            "output_cost_per_token" => Kind::Output,
            "output_cost_per_reasoning_token" => Kind::Reasoning,
            _ => return None,
        };
        Some(Self { kind, above, tariff })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_their_parts() {
        let place = |kind, above, tariff| Some(PriceField { kind, above, tariff });
        for (field, expected) in [
            ("input_cost_per_token", place(Kind::Input, 0, Tariff::Standard)),
            (
                "output_cost_per_token_above_128k_tokens",
                place(Kind::Output, 128_000, Tariff::Standard),
            ),
            (
                "cache_creation_input_token_cost_above_1hr_above_200k_tokens_batches",
                place(Kind::CacheWrite1h, 200_000, Tariff::Batch),
            ),
            ("cache_read_input_token_cost_batches", place(Kind::CacheRead, 0, Tariff::Batch)),
            ("output_cost_per_reasoning_token", place(Kind::Reasoning, 0, Tariff::Standard)),
            ("input_cost_per_token_priority", None),
            ("input_cost_per_token_above_200k_tokens_flex", None),
            ("cache_creation_input_token_cost_above_12hr", None),
            ("input_cost_per_audio_token", None),
            ("input_cost_per_token_above_manyk_tokens", None),
            ("input_cost_per_token_above_99999999999999999999k_tokens", None),
            ("max_input_tokens", None),
        ] {
            assert_eq!(PriceField::parse(field), expected, "{field}");
        }
    }
}
