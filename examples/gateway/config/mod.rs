//! What the gateway serves: read from a file or the environment, checked as a whole.

mod document;
mod environment;
mod file;
mod secret;
#[cfg(test)]
mod tests;
mod value;

use std::{fmt, net::SocketAddr, path::Path, time::Duration};

use secrecy::SecretString;
use tower_key_rotation::Account;

pub(crate) use environment::Surroundings;
#[cfg(test)]
pub(crate) use file::read as read_file;
pub(crate) use value::{Base, Dialect, is_loopback};

use super::args::Args;

const DEFAULT_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);
pub(crate) const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(30);
pub(crate) const DEFAULT_QUEUE: usize = 1_000;

/// Everything the gateway is told.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    /// Who may call; empty on loopback only.
    pub(crate) client_tokens: Vec<SecretString>,
    pub(crate) admin_token: Option<SecretString>,
    /// No pools: the sandbox is wanted.
    pub(crate) pools: Vec<PoolConfig>,
}

/// One provider with its accounts.
#[derive(Debug)]
pub(crate) struct PoolConfig {
    pub(crate) name: String,
    pub(crate) dialect: Dialect,
    pub(crate) base: Base,
    /// Patterns of the models that the unified endpoint sends here.
    pub(crate) models: Vec<String>,
    pub(crate) max_wait: Duration,
    /// The longest line of waiting requests.
    pub(crate) queue: usize,
    pub(crate) accounts: Vec<Account>,
}

/// All that is wrong, a line each, and never a secret.
#[derive(Debug)]
pub(crate) struct Problems(pub(crate) Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

impl Config {
    /// Reads the file that `args` names, or else the environment.
    pub(crate) fn load(args: &Args, around: &Surroundings<'_>) -> Result<Self, Problems> {
        let mut config = match &args.config {
            Some(path) => file::load(path, around)?,
            None => environment::load(around)?,
        };
        if let Some(listen) = args.listen {
            config.listen = listen;
        } else if let Some(port) = around.port()? {
            config.listen.set_port(port);
        }
        config.check_reach(args.config.as_deref())?;
        Ok(config)
    }

    /// Without client tokens only this machine may be able to call.
    fn check_reach(&self, file: Option<&Path>) -> Result<(), Problems> {
        if self.listen.ip().is_loopback() || !self.client_tokens.is_empty() {
            return Ok(());
        }
        let remedy = match file {
            Some(path) => format!("{}: set client_tokens", path.display()),
            None => "set GATEWAY_TOKENS".to_owned(),
        };
        let listen = self.listen;
        Err(Problems(vec![format!(
            "{remedy}, or listen on 127.0.0.1: others can reach {listen} and would spend your quota"
        )]))
    }
}
