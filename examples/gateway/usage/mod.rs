//! What was used and what it cost: the ledger of all pools, its page, and its prices.

mod csv;
pub(crate) mod prices;
mod query;
mod store;

use std::{path::PathBuf, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header},
};
use serde::Serialize;
use tower_key_rotation::{
    KeyPool, KeyPoolBuilder,
    usage::{Ledger, Prices},
};

use super::{config::Problems, reply};
use query::{Format, UsageQuery};
use store::{Database, Store};

/// Longer than anybody's name for a team or a feature, in bytes.
const LONGEST_TAG: usize = 128;

/// What the gateway is told of it.
#[derive(Debug)]
pub(crate) struct UsageConfig {
    /// A file in LiteLLM's format, over the built-in prices.
    pub(crate) prices: Option<PathBuf>,
    /// Where the ledger is kept; in memory only without it.
    pub(crate) database: Option<PathBuf>,
    /// The header in which callers say what a request is booked under.
    pub(crate) tag_header: HeaderName,
    /// Whether streams are asked to tell what they used, where their caller has not.
    pub(crate) ask: bool,
}

impl Default for UsageConfig {
    fn default() -> Self {
        let tag_header = HeaderName::from_static("x-usage-tag");
        Self { prices: None, database: None, tag_header, ask: true }
    }
}

/// The ledger in the making: pools are still to be built with what was saved of them.
pub(crate) struct Opened {
    config: UsageConfig,
    ledger: Arc<Ledger>,
    prices: Prices,
    database: Option<Database>,
}

/// The ledger of a running gateway.
pub(crate) struct Usage {
    config: UsageConfig,
    ledger: Arc<Ledger>,
    prices: Prices,
    store: Option<Store>,
}

/// What `/-/status` says of it.
#[derive(Serialize)]
pub(crate) struct UsageStatus {
    /// The database; none if the ledger is lost when the process ends.
    database: Option<String>,
    /// What is lost if the process is killed.
    at_risk: &'static str,
    /// Whether something is not written yet.
    is_behind: bool,
    /// Why it is not kept at the moment.
    problem: Option<String>,
    prices: Option<String>,
    builtin_prices: &'static str,
}

impl Opened {
    /// Reads the prices and the database.
    pub(crate) fn open(config: UsageConfig) -> Result<Self, Problems> {
        let prices = Prices::builtin();
        if let Some(file) = &config.prices {
            prices::load(&prices, file).map_err(|problem| Problems(vec![problem]))?;
        }
        let ledger = Arc::new(Ledger::new());
        let database = config.database.as_deref().map(|path| Database::open(path, &ledger));
        let database = database.transpose().map_err(|problem| Problems(vec![problem]))?;
        Ok(Self { config, ledger, prices, database })
    }

    /// Makes a pool book what it uses, and take up what was saved of it.
    pub(crate) fn furnish(&mut self, name: &str, pool: KeyPoolBuilder) -> KeyPoolBuilder {
        let pool = pool.prices(&self.prices).usage_sink(Arc::clone(&self.ledger));
        match self.database.as_mut().and_then(|database| database.saved(name)) {
            Some(saved) => pool.restore(saved),
            None => pool,
        }
    }

    /// Whether streams are asked to tell what they used.
    pub(crate) fn asks(&self) -> bool {
        self.config.ask
    }

    /// From here on it is kept.
    pub(crate) fn start(self, pools: Vec<KeyPool>) -> Usage {
        let Self { config, ledger, prices, database } = self;
        let store = database.map(|database| Store::start(database, Arc::clone(&ledger), pools));
        Usage { config, ledger, prices, store }
    }
}

impl Usage {
    /// Takes the tag out of a request: it is not the provider's business.
    pub(crate) fn take_tag(&self, headers: &mut HeaderMap) -> Option<String> {
        let value = headers.remove(&self.config.tag_header)?;
        let text = String::from_utf8_lossy(value.as_bytes());
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let end = ends.take_while(|end| *end <= LONGEST_TAG).last().unwrap_or(0);
        Some(text[..end].to_owned()).filter(|tag| !tag.is_empty())
    }

    /// The prices, and the file that they come from, if there is one.
    pub(crate) fn prices(&self) -> Option<(PathBuf, Prices)> {
        Some((self.config.prices.clone()?, self.prices.clone()))
    }

    /// `/-/usage?by=key,model&from=2026-11-25&format=csv`.
    pub(crate) fn page(&self, query: &str) -> Response<Body> {
        let UsageQuery { query, format } = match UsageQuery::parse(query) {
            Ok(query) => query,
            Err(problem) => {
                return reply::error(StatusCode::BAD_REQUEST, "invalid_query", &problem);
            }
        };
        let report = self.ledger.query(&query);
        match format {
            Format::Json => match serde_json::to_string_pretty(&report) {
                Ok(text) => reply::json(StatusCode::OK, text),
                Err(_) => {
                    reply::error(StatusCode::INTERNAL_SERVER_ERROR, "usage", "there is no report")
                }
            },
            Format::Csv => {
                let mut response = Response::new(Body::from(csv::to_csv(&report)));
                let csv = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
                response.headers_mut().insert(header::CONTENT_TYPE, csv);
                response
            }
        }
    }

    /// Where it is kept, and what may be lost of it.
    pub(crate) fn kept(&self) -> Option<String> {
        let UsageStatus { database, at_risk, .. } = self.status();
        database.map(|database| format!("usage is kept in {database}; at risk: {at_risk}"))
    }

    pub(crate) fn status(&self) -> UsageStatus {
        let shown = |path: &PathBuf| path.display().to_string();
        let at_risk = match self.store {
            Some(_) => "the last second, if the process is killed",
            None => "everything, when the process ends",
        };
        UsageStatus {
            database: self.config.database.as_ref().map(shown),
            at_risk,
            is_behind: self.store.as_ref().is_some_and(Store::is_behind),
            problem: self.store.as_ref().and_then(Store::problem),
            prices: self.config.prices.as_ref().map(shown),
            builtin_prices: Prices::BUILTIN_DATE,
        }
    }
}
