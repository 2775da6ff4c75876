//! A price file, and the rule by which a model is found in it.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::Arc,
};

use serde_json::value::RawValue;

use super::{
    amount::Price,
    rates::{PriceField, Rates},
};

/// The entry that documents the others.
const SAMPLE: &str = "sample_spec";

/// The names of providers in price files, by the name of the dialect.
const PROVIDERS: &[(&str, &[&str])] = &[
    ("anthropic", &["anthropic"]),
    ("azure", &["azure", "azure_ai"]),
    ("bedrock", &["bedrock", "bedrock_converse"]),
    ("cerebras", &["cerebras"]),
    ("cohere", &["cohere", "cohere_chat"]),
    ("deepseek", &["deepseek"]),
    ("fireworks", &["fireworks_ai"]),
    ("gemini", &["gemini"]),
    ("groq", &["groq"]),
    ("mistral", &["mistral"]),
    ("openai", &["openai", "text-completion-openai"]),
    ("openrouter", &["openrouter"]),
    ("perplexity", &["perplexity"]),
    ("together", &["together_ai"]),
    ("xai", &["xai"]),
];

/// The prices of a file, by model.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// By the part of a name before its first slash (usually empty) and the part after it.
    models: HashMap<Box<str>, HashMap<Box<str>, Entry>>,
}

#[derive(Debug)]
struct Entry {
    provider: Option<Box<str>>,
    rates: Arc<Rates>,
}

impl Table {
    /// Reads a file. Returns the table, and a description of each invalid entry, which the table leaves out.
    pub(super) fn parse(text: &str) -> Result<(Self, Vec<String>), PriceError> {
        let entries: BTreeMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|error| PriceError::new(&error))?;
        let (mut table, mut problems) = (Self::default(), Vec::new());
        for (name, entry) in entries.iter().filter(|(name, _)| *name != SAMPLE) {
            match Entry::parse(entry.get()) {
                Ok(entry) if entry.rates.is_empty() => {}
                Ok(entry) => {
                    let (prefix, model) = split(name);
                    let models = table.models.entry(prefix.into()).or_default();
                    models.insert(model.into(), entry);
                }
                Err(problem) => problems.push(format!("model {name:?}: {problem}")),
            }
        }
        Ok((table, problems))
    }

    /// The rates of a model of a dialect. The rule: first the model's name with the provider's prefix
    /// (`groq/llama-3.1-8b-instant`). Otherwise the plain name, if its entry is of that provider or of
    /// none, or if price files have no name for the dialect. Names must match exactly. A date at the end
    /// of a name is part of it, because versions differ in price.
    pub(super) fn rates(&self, dialect: &str, model: &str) -> Option<&Arc<Rates>> {
        let known = PROVIDERS.iter().find(|(name, _)| *name == dialect).map(|(_, names)| *names);
        let own = [dialect];
        let names = known.unwrap_or(&own);
        if let Some(entry) = names.iter().find_map(|name| self.models.get(*name)?.get(model)) {
            return Some(&entry.rates);
        }
        let (prefix, rest) = split(model);
        let entry = self.models.get(prefix)?.get(rest)?;
        let is_of_provider =
            entry.provider.as_deref().is_none_or(|provider| names.contains(&provider));
        (is_of_provider || known.is_none()).then_some(&entry.rates)
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, String> {
        let fields: HashMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|_| "is not an object".to_owned())?;
        let (mut provider, mut rates) = (None, Rates::default());
        if let Some(name) = fields.get("litellm_provider") {
            let name = serde_json::from_str(name.get());
            provider = Some(name.map_err(|_| "litellm_provider: is not a string".to_owned())?);
        }
        for (field, value) in &fields {
            // Some files write null for a price that does not exist.
            if let Some(known) = PriceField::parse(field).filter(|_| value.get() != "null") {
                let price = Price::parse(value.get());
                rates.set(known, price.map_err(|problem| format!("{field}: {problem}"))?);
            }
        }
        Ok(Self { provider, rates: Arc::new(rates) })
    }
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or(("", name))
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
