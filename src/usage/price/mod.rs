//! What tokens cost.

mod amount;
mod builtin;
mod rates;
mod table;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use crate::Usage;
pub(crate) use amount::dollars;
use table::Table;

/// What tokens cost, by model. Clones share one table, which can be replaced while it is in use.
///
/// A file goes before the built-in table, which has the main models of some providers as of
/// [`Prices::BUILTIN_DATE`], each with its source. The format is that of LiteLLM's
/// [`model_prices_and_context_window.json`](https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json):
/// US dollars per token, by the names of models.
///
/// | field | price of |
/// | --- | --- |
/// | `input_cost_per_token` | a token of the prompt that is in no cache |
/// | `cache_read_input_token_cost` | one that came from a cache |
/// | `cache_creation_input_token_cost` | one that was put into a cache |
/// | `cache_creation_input_token_cost_above_1hr` | one that was put into a cache for an hour |
/// | `output_cost_per_token` | one of the answer |
/// | `output_cost_per_reasoning_token` | one of reasoning; as of the answer, if it is left out |
/// | any of them with `_above_200k_tokens` (or another number) | the same, where the prompt has more |
/// | any of them with `_batches` | the same in a batch ([`Tariff::Batch`]) |
///
/// Other fields are not looked at: what is priced by the image, second or search is not in it, and
/// neither are priority services.
///
/// A model is looked for behind its provider's name (`groq/llama-3.1-8b-instant`), then as it is; there
/// it must be of the same provider (`litellm_provider`), unless the pool's dialect is one that such
/// files have no name for. Names must be the same to the letter: the price of `gpt-4o` is not that of
/// `gpt-4o-2024-05-13`. What is not found is unpriced: it is counted, and nothing is guessed.
///
/// ```
/// use tower_key_rotation::{Usage, usage::{Prices, Tariff}};
///
/// let prices = Prices::builtin();
/// let file = r#"{"my-model": {"input_cost_per_token": 2.5e-07, "output_cost_per_token": 1e-06}}"#;
/// assert!(prices.load(file).unwrap().is_empty());
/// // 1,000 x $0.25 and 10 x $1 a million.
/// let charge = prices.charge("generic", "my-model", &Usage::tokens(1_000, 10), Tariff::Standard);
/// assert_eq!((charge.nano_dollars, charge.unpriced_tokens), (250_000 + 10_000, 0));
/// let charge = prices.charge("generic", "their-model", &Usage::tokens(1_000, 10), Tariff::Standard);
/// assert_eq!((charge.nano_dollars, charge.unpriced_tokens), (0, 1_010));
/// ```
#[derive(Clone)]
pub struct Prices {
    file: Arc<RwLock<Arc<Table>>>,
    has_builtin: bool,
}

/// What some usage costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Charge {
    /// Billionths of a US dollar, to the nearest.
    pub nano_dollars: u64,
    /// Tokens that nobody knows the price of. They are not in the sum.
    pub unpriced_tokens: u64,
}

/// Which of a model's prices hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tariff {
    /// Those of a request that is answered at once.
    #[default]
    Standard,
    /// Those of a batch. Its results come in a file, which whoever fetches it can price.
    Batch,
}

impl Prices {
    /// As of when the built-in table is.
    pub const BUILTIN_DATE: &str = builtin::DATE;

    /// The built-in table alone, until a file is loaded.
    #[must_use]
    pub fn builtin() -> Self {
        Self { has_builtin: true, ..Self::none() }
    }

    /// No prices at all, until a file is loaded.
    #[must_use]
    pub fn none() -> Self {
        Self { file: Arc::default(), has_builtin: false }
    }

    /// Takes the prices of a file's text in place of those that were loaded before, for all clones at
    /// once. Returns what is wrong with the entries that it has left out: the model, the field and why.
    ///
    /// # Errors
    /// [`PriceError`] if the text is not JSON, or no object. Then all stays as it was.
    pub fn load(&self, text: &str) -> Result<Vec<String>, PriceError> {
        let (table, problems) = Table::parse(text)?;
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        Ok(problems)
    }

    /// What some usage of a model costs. What the provider itself says goes before every price.
    ///
    /// `dialect` is the name of the pool's dialect ([`Facts::name`](crate::provider::Facts::name)).
    #[must_use]
    pub fn charge(&self, dialect: &str, model: &str, usage: &Usage, tariff: Tariff) -> Charge {
        if let Some(nano_dollars) = usage.nano_dollars {
            return Charge { nano_dollars, unpriced_tokens: 0 };
        }
        let file = Arc::clone(&self.file.read().unwrap_or_else(PoisonError::into_inner));
        let in_builtin = || builtin::table().rates(dialect, model).filter(|_| self.has_builtin);
        match file.rates(dialect, model).or_else(in_builtin) {
            Some(rates) => rates.charge(usage, tariff),
            None => Charge { nano_dollars: 0, unpriced_tokens: usage.total() },
        }
    }
}

impl fmt::Debug for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prices").field("has_builtin", &self.has_builtin).finish_non_exhaustive()
    }
}

/// A price file that cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceError(String);

impl PriceError {
    fn new(error: &serde_json::Error) -> Self {
        Self(format!("the prices must be a JSON object of models: {error}"))
    }
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PriceError {}
