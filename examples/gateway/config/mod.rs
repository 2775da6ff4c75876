//! The configuration of the gateway: read from a file or the environment, and checked as a whole.

mod account;
mod dialect;
mod document;
mod environment;
mod file;
mod rule;
mod secret;
#[cfg(test)]
mod tests;
mod value;

use std::{fmt, net::SocketAddr, time::Duration};

use secrecy::SecretString;
use tower_key_rotation::{Account, Limit, provider::Rule};

pub(crate) use dialect::{Dialect, Served};
pub(crate) use environment::Surroundings;
#[cfg(test)]
pub(crate) use file::read as read_file;
pub(crate) use value::{Base, is_loopback};

use super::{args::Args, usage::UsageConfig};

const DEFAULT_LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 8080);
pub(crate) const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(30);
pub(crate) const DEFAULT_QUEUE: usize = 1_000;

/// The configuration of the gateway.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    /// The tokens of callers; empty only if the gateway listens on loopback.
    pub(crate) client_tokens: Vec<SecretString>,
    /// Further callers, each with its own share of waiting requests.
    pub(crate) tenants: Vec<Tenant>,
    pub(crate) admin_token: Option<SecretString>,
    pub(crate) usage: UsageConfig,
    /// Without pools, the gateway serves the sandbox.
    pub(crate) pools: Vec<PoolConfig>,
}

/// A tenant: its requests are recognised by their tokens.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) name: String,
    pub(crate) weight: u32,
    pub(crate) tokens: Vec<SecretString>,
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
    /// The maximum length of the queue.
    pub(crate) queue: usize,
    pub(crate) admission: Admission,
    pub(crate) streams: Streams,
    /// Whether streams are asked for their usage where their caller has not; by default as `[usage]` says.
    pub(crate) ask_usage: Option<bool>,
    pub(crate) budgets: Vec<Budget>,
    /// The rules of the operator, which are checked before those of the dialect.
    pub(crate) rules: Vec<Rule>,
    pub(crate) accounts: Vec<Account>,
}

/// How accounts are chosen, and how limits that were not declared are learnt. Fields that are left out have
/// the defaults of the crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Admission {
    pub(crate) strategy: Option<Strategy>,
    pub(crate) learn: Option<bool>,
    /// The number of requests at once that an account without known limits gets at first.
    pub(crate) start: Option<u64>,
    pub(crate) shadow: bool,
    /// Whether requests for models without a known price are refused if spending is limited.
    pub(crate) refuse_unpriced: bool,
    pub(crate) affinity: Option<Kinship>,
    /// How long a request waits for its preferred account while others have room.
    pub(crate) patience: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    Headroom,
    Sequential,
    RoundRobin,
}

impl Strategy {
    fn read(name: &str) -> Result<Self, String> {
        match name {
            "headroom" => Ok(Self::Headroom),
            "sequential" => Ok(Self::Sequential),
            "round_robin" => Ok(Self::RoundRobin),
            _ => Err("must be headroom, sequential or round_robin".to_owned()),
        }
    }
}

/// The budget of a tag, or of each tag without its own.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    pub(crate) tag: Option<String>,
    pub(crate) limits: Vec<Limit>,
}

/// What keeps requests on one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kinship {
    /// Names that callers send, and prompts.
    Prompts,
    /// Only names that callers send.
    Names,
    Off,
}

impl Kinship {
    fn read(name: &str) -> Result<Self, String> {
        match name {
            "prompts" => Ok(Self::Prompts),
            "names" => Ok(Self::Names),
            "off" => Ok(Self::Off),
            _ => Err("must be prompts, names or off".to_owned()),
        }
    }
}

/// The timeouts of streams. Fields that are left out have the defaults of the crate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Streams {
    /// How long the head of a stream is held back, so that an error before the first content is hidden from
    /// the caller.
    pub(crate) hold_back: Option<Duration>,
    /// How long the first content may take, before another key is tried.
    pub(crate) first_token: Option<Duration>,
    /// The time between two pieces of a stream.
    pub(crate) idle: Option<Duration>,
}

/// All problems, one line for each, without any secret.
#[derive(Debug)]
pub(crate) struct Problems(pub(crate) Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|problem| writeln!(f, "{problem}"))
    }
}

impl Config {
    /// Reads the file that `args` names, or otherwise the environment.
    pub(crate) fn load(args: &Args, around: &Surroundings<'_>) -> Result<Self, Problems> {
        let listen = Listen { address: args.listen, port: around.port()? };
        match &args.config {
            Some(path) => file::load(path, listen, around),
            None => environment::load(listen, around),
        }
    }

    /// Whether other machines could call without a token.
    pub(crate) fn check_reach(&self) -> Option<String> {
        let has_tokens = !self.client_tokens.is_empty() || !self.tenants.is_empty();
        check_reach(self.listen, has_tokens, "set client_tokens")
    }
}

/// The address that takes precedence over that of the configuration: `--listen`, or otherwise the port in
/// `PORT`.
#[derive(Clone, Copy, Default)]
pub(crate) struct Listen {
    address: Option<SocketAddr>,
    port: Option<u16>,
}

impl Listen {
    fn or(self, configured: SocketAddr) -> SocketAddr {
        let mut address = self.address.unwrap_or(configured);
        if let (None, Some(port)) = (self.address, self.port) {
            address.set_port(port);
        }
        address
    }
}

/// Without client tokens, only this machine may be able to call.
fn check_reach(listen: SocketAddr, has_tokens: bool, remedy: &str) -> Option<String> {
    (!listen.ip().is_loopback() && !has_tokens).then(|| {
        format!(
            "other machines can reach {listen} and would spend your quota; {remedy}, or listen on 127.0.0.1"
        )
    })
}
