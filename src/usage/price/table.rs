//! Prices by model, read from a file, and the rule by which a model is found in it.

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;

use super::{
    PriceError,
    amount::Price,
    rates::{Place, Rates},
};

/// The entry that explains the others.
const SAMPLE: &str = "sample_spec";

/// What price files call the provider of a dialect, by the dialect's name.
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

#[derive(Debug, Default)]
pub(super) struct Table {
    /// By what stands before the first slash of a name (nothing, mostly) and what stands behind it.
    models: HashMap<Box<str>, HashMap<Box<str>, Entry>>,
}

#[derive(Debug)]
struct Entry {
    provider: Option<Box<str>>,
    rates: Rates,
}

impl Table {
    /// Reads a file, and tells what is wrong with the entries that it leaves out.
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

    /// The rates of a model of a dialect, by this rule: the model's name behind the provider's
    /// (`groq/llama-3.1-8b-instant`); else the same name as it is, if its entry is of that provider, or
    /// of none, or if the dialect is one that price files have no name for. Names are compared to the
    /// letter. A date at a name's end is a part of it, for versions differ in price.
    pub(super) fn rates(&self, dialect: &str, model: &str) -> Option<&Rates> {
        let known = PROVIDERS.iter().find(|(name, _)| *name == dialect).map(|(_, names)| *names);
        let own = [dialect];
        let names = known.unwrap_or(&own);
        if let Some(entry) = names.iter().find_map(|name| self.models.get(*name)?.get(model)) {
            return Some(&entry.rates);
        }
        let (prefix, rest) = split(model);
        let entry = self.models.get(prefix)?.get(rest)?;
        let is_its = entry.provider.as_deref().is_none_or(|provider| names.contains(&provider));
        (is_its || known.is_none()).then_some(&entry.rates)
    }
}

impl Entry {
    fn parse(text: &str) -> Result<Self, String> {
        let fields: HashMap<String, &RawValue> =
            serde_json::from_str(text).map_err(|_| "is no object".to_owned())?;
        let mut entry = Self { provider: None, rates: Rates::default() };
        if let Some(provider) = fields.get("litellm_provider") {
            let provider = serde_json::from_str(provider.get());
            entry.provider = Some(provider.map_err(|_| "litellm_provider: is no text".to_owned())?);
        }
        for (field, value) in &fields {
            // Some write down that there is none.
            if let Some(place) = Place::named(field).filter(|_| value.get() != "null") {
                let price = Price::parse(value.get());
                entry.rates.set(place, price.map_err(|problem| format!("{field}: {problem}"))?);
            }
        }
        Ok(entry)
    }
}

fn split(name: &str) -> (&str, &str) {
    name.split_once('/').unwrap_or(("", name))
}
