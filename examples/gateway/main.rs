//! One endpoint in front of many API keys: an axum server that spreads requests over accounts, hides failures
//! by trying other keys, and lets requests wait for quota instead of refusing them.
//!
//! ```text
//! cargo run --release --example gateway                            # a sandbox to try
//! cargo run --release --example gateway -- --config keys.toml      # real providers
//! cargo run --release --example gateway -- --classify groq 429 'retry-after: 7'
//! ```
//!
//! | path | goes to |
//! | --- | --- |
//! | `/v1/...` | the first pool whose `models` match the body's `model`, OpenAI-compatible |
//! | `/{pool}/...` | the API of that pool's provider, unchanged |
//! | `/-/health`, `/-/status`, `/-/usage` | the gateway itself: health, state and usage |
//! | `POST /-/keys/{pool}/{key}/disable` | the gateway itself; also `enable` and `revive` |
//!
//! The way of a request: [`access`] (its line in the log) -> [`guard`] (who may call) -> [`routes`] (which
//! pool) -> [`forward`] (headers) -> [`pool`] (the stack of this crate) -> [`upstream`] (the provider).

pub(crate) mod access;
mod act;
pub(crate) mod args;
mod classify;
pub(crate) mod config;
mod demo;
pub(crate) mod events;
mod forward;
mod guard;
mod headers;
mod joined;
mod last_event;
mod model;
mod pool;
pub(crate) mod reload;
mod reply;
pub(crate) mod routes;
pub(crate) mod serve;
mod times;
pub(crate) mod upstream;
pub(crate) mod usage;

use std::{fmt, io::Write, path::Path, process::ExitCode, sync::Arc};

use tokio::net::TcpListener;

use self::{
    args::{Args, HELP},
    config::{Config, Problems, Surroundings},
    reload::Followed,
    routes::Gateway,
    upstream::Upstream,
};

#[tokio::main]
async fn main() -> ExitCode {
    match run(std::env::args().skip(1)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Problems(problems)) => {
            problems.iter().for_each(|problem| access::log(format_args!("{problem}")));
            ExitCode::FAILURE
        }
    }
}

/// Runs the gateway with the arguments after the name of the program.
pub(crate) async fn run(args: impl IntoIterator<Item = String>) -> Result<(), Problems> {
    let args = Args::read(args).map_err(|problem| Problems(vec![problem]))?;
    if args.help {
        say(format_args!("{HELP}"));
        return Ok(());
    }
    let env = |name: &str| std::env::var(name).ok();
    let around = Surroundings { env: &env, folder: Path::new("") };
    if let Some(words) = &args.classify {
        let config = args.config.as_ref().map(|_| Config::load(&args, &around)).transpose()?;
        say(format_args!("{}", classify::classify(words, config)?));
        return Ok(());
    }
    let file = Followed::new(args.clone());
    let mut config = Config::load(&args, &around)?;
    let is_demo = config.pools.is_empty();
    let upstream = if is_demo {
        let (pool, upstream) = demo::furnish()?;
        config.pools.push(pool);
        upstream
    } else {
        Upstream::providers().map_err(problem("cannot read the certificates of this machine"))?
    };
    let listen = config.listen;
    let gateway = Arc::new(Gateway::new(config, &upstream)?);
    for pool in gateway.pools() {
        tokio::spawn(events::write(pool.keys.clone()));
    }
    if let Some((file, prices)) = gateway.usage().prices() {
        tokio::spawn(usage::prices::watch(file, prices));
    }
    tokio::spawn(file.follow(Arc::clone(&gateway)));
    let listener =
        TcpListener::bind(listen).await.map_err(problem(&format!("cannot listen on {listen}")))?;
    let address =
        listener.local_addr().map_err(problem("cannot read the address of the socket"))?;
    say(format_args!("listening on http://{address}\n"));
    if let Some(kept) = gateway.usage().kept() {
        say(format_args!("{kept}\n"));
    }
    if is_demo {
        say(format_args!("{}", demo::introduction(address)));
    }
    serve::serve(listener, gateway.router(), serve::asked_to_stop()).await;
    Ok(())
}

/// Writes to standard output. A closed output is no reason to stop.
fn say(text: fmt::Arguments<'_>) {
    let _ = std::io::stdout().write_fmt(text);
}

fn problem(doing: &str) -> impl FnOnce(std::io::Error) -> Problems {
    let doing = doing.to_owned();
    move |error| Problems(vec![format!("{doing}: {error}")])
}
