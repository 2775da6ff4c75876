//! The usage and its cost: the ledger of all pools, its page, and its prices.

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

/// The longest tag, in bytes.
const LONGEST_TAG: usize = 128;

/// The settings of the ledger.
#[derive(Debug)]
pub(crate) struct UsageConfig {
    /// A price file in LiteLLM's format, over the built-in prices.
    pub(crate) prices: Option<PathBuf>,
    /// The database file of the ledger. Without it, the ledger is only in memory.
    pub(crate) database: Option<PathBuf>,
    /// The header in which callers send the tag of a request.
    pub(crate) tag_header: HeaderName,
    /// Whether streams are asked to report their usage, even if the caller did not ask.
    pub(crate) ask: bool,
}

impl Default for UsageConfig {
    fn default() -> Self {
        let tag_header = HeaderName::from_static("x-usage-tag");
        Self { prices: None, database: None, tag_header, ask: true }
    }
}

/// The ledger during the start, before the pools are built with their saved state.
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

/// The state of the ledger, for `/-/status`.
#[derive(Serialize)]
pub(crate) struct UsageStatus {
    /// The database; none if the ledger is lost when the process ends.
    database: Option<String>,
    /// What would be lost if the process was killed.
    at_risk: &'static str,
    /// Whether some usage is not written yet.
    is_behind: bool,
    /// Why usage is not kept now, if it is not.
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

    /// Connects a pool to the ledger, and restores its saved state.
    pub(crate) fn furnish(&mut self, name: &str, pool: KeyPoolBuilder) -> KeyPoolBuilder {
        let pool = pool.prices(&self.prices).usage_sink(Arc::clone(&self.ledger));
        match self.database.as_mut().and_then(|database| database.saved(name)) {
            Some(saved) => pool.restore(saved),
            None => pool,
        }
    }

    /// Whether streams are asked to report their usage.
    pub(crate) fn asks(&self) -> bool {
        self.config.ask
    }

    /// Starts to write the ledger to the database.
    pub(crate) fn start(self, pools: Vec<KeyPool>) -> Usage {
        let Self { config, ledger, prices, database } = self;
        let store = database.map(|database| Store::start(database, Arc::clone(&ledger), pools));
        Usage { config, ledger, prices, store }
    }
}

impl Usage {
    /// Removes the tag from a request, because the provider must not see it.
    pub(crate) fn take_tag(&self, headers: &mut HeaderMap) -> Option<String> {
        let value = headers.remove(&self.config.tag_header)?;
        let text = String::from_utf8_lossy(value.as_bytes());
        let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let end = ends.take_while(|end| *end <= LONGEST_TAG).last().unwrap_or(0);
        Some(text[..end].to_owned()).filter(|tag| !tag.is_empty())
    }

    /// The prices and their file, if there is one.
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

    /// Where the ledger is kept, and what may be lost.
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
