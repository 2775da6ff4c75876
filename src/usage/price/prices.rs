//! The prices of a pool: a file over a built-in table.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use super::{
    builtin,
    charge::{Charge, Tariff},
    rates::Rates,
    table::{PriceError, Table},
};
use crate::usage::tokens::Usage;

/// What tokens cost, by model. Clones share one table, which can be replaced while it is in use.
///
/// The prices of a file take precedence over the built-in table. That table has the main models of some
/// providers, each with its source, as of [`Prices::BUILTIN_DATE`]. A file has the format of LiteLLM's
/// [`model_prices_and_context_window.json`](https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json):
/// US dollars per token, by the names of models.
///
/// | field | price of |
/// | --- | --- |
/// | `input_cost_per_token` | an uncached token of the prompt |
/// | `cache_read_input_token_cost` | a token read from a cache |
/// | `cache_creation_input_token_cost` | a token written to a cache |
/// | `cache_creation_input_token_cost_above_1hr` | a token written to a cache for an hour |
/// | `output_cost_per_token` | a token of the answer |
/// | `output_cost_per_reasoning_token` | a token of reasoning; as a token of the answer if left out |
/// | any of them with `_above_200k_tokens` (or another number) | the same if the prompt has more tokens |
/// | any of them with `_batches` | the same in a batch ([`Tariff::Batch`]) |
///
/// Other fields are ignored: prices by image, second or search, and prices of priority services.
///
/// A model is first looked up with its provider's prefix (`groq/llama-3.1-8b-instant`), then by its plain
/// name. An entry with a plain name must be of the same provider (`litellm_provider`), unless price files
/// have no name for the pool's dialect. Names must match exactly: the price of `gpt-4o` is not that of
/// `gpt-4o-2024-05-13`. The tokens of a model that is not found are counted as unpriced; no price is
/// guessed.
///
/// ```
/// use tower_key_rotation::usage::{Prices, Tariff, Usage};
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

impl Prices {
    /// The date of the built-in table.
    pub const BUILTIN_DATE: &str = builtin::DATE;

    /// The built-in table; a file can be loaded over it.
    #[must_use]
    pub fn builtin() -> Self {
        Self { has_builtin: true, ..Self::none() }
    }

    /// No prices at all, until a file is loaded.
    #[must_use]
    pub fn none() -> Self {
        Self { file: Arc::default(), has_builtin: false }
    }

    /// Replaces the prices that were loaded before by those in the text of a file, for all clones at once.
    /// Invalid entries are left out. Returns one description of each: the model, the field and the problem.
    ///
    /// # Errors
    /// [`PriceError`] if the text is not a JSON object. Then the prices do not change.
    pub fn load(&self, text: &str) -> Result<Vec<String>, PriceError> {
        let (table, problems) = Table::parse(text)?;
        *self.file.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(table);
        Ok(problems)
    }

    /// What some usage of a model costs. A cost that the provider reported takes precedence over prices.
    ///
    /// `dialect` is the name of the pool's dialect ([`ProviderSpec::name`](crate::provider::ProviderSpec::name)).
    #[must_use]
    pub fn charge(&self, dialect: &str, model: &str, usage: &Usage, tariff: Tariff) -> Charge {
        if let Some(nano_dollars) = usage.nano_dollars {
            return Charge::nano_dollars(nano_dollars);
        }
        self.of(dialect, model).charge(usage, tariff)
    }

    /// The prices of a model now.
    pub(crate) fn of(&self, dialect: &str, model: &str) -> ModelPrices {
        let file = Arc::clone(&self.file.read().unwrap_or_else(PoisonError::into_inner));
        let in_builtin = || builtin::table().rates(dialect, model).filter(|_| self.has_builtin);
        ModelPrices(file.rates(dialect, model).or_else(in_builtin).cloned())
    }
}

/// The prices of one model, if they are known, as they were when they were looked up.
#[derive(Clone, Debug)]
pub(crate) struct ModelPrices(Option<Arc<Rates>>);

impl ModelPrices {
    pub(crate) fn charge(&self, usage: &Usage, tariff: Tariff) -> Charge {
        match &self.0 {
            Some(rates) => rates.charge(usage, tariff),
            None => Charge::unpriced(usage.total()),
        }
    }
}

impl fmt::Debug for Prices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prices").field("has_builtin", &self.has_builtin).finish_non_exhaustive()
    }
}
