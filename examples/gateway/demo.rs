//! The sandbox that the gateway serves without a configuration: a simulated provider in this process, with
//! limits that are easy to reach.

use std::{net::SocketAddr, time::Duration};

use tower_key_rotation::{
    Account, ApiKey, Limit,
    sandbox::{self, Sandbox, Script},
};

use super::{
    config::{
        Admission, Base, DEFAULT_MAX_WAIT, DEFAULT_QUEUE, Dialect, PoolConfig, Problems, Streams,
    },
    upstream::Upstream,
};

/// Requests per minute of each account, and its keys.
const ACCOUNTS: [(&str, u64, &[&str]); 3] =
    [("org-a", 60, &["a1", "a2"]), ("org-b", 40, &["b1"]), ("org-c", 20, &["c1"])];

/// The simulated provider, and the pool of its keys.
pub(crate) fn furnish() -> Result<(PoolConfig, Upstream), Problems> {
    let script =
        Script::new().tokens(24).latency(Duration::from_millis(200)).gap(Duration::from_millis(25));
    let mut provider = Sandbox::builder(sandbox::Dialect::OpenAi).answer(script);
    let mut accounts = Vec::new();
    for (name, per_minute, ids) in ACCOUNTS {
        let limit = Limit::requests(per_minute).per_minute();
        let secret = |id: &&str| format!("sk-sandbox-{id}");
        provider = provider.account(name, [limit.clone()], ids.iter().map(secret));
        let account = Account::new(name).limit(limit);
        let key = |id: &&str| ApiKey::new(secret(id)).id(id);
        accounts.push(ids.iter().map(key).fold(account, Account::key));
    }
    let base = Base::read("https://sandbox.invalid").map_err(|problem| Problems(vec![problem]))?;
    let pool = PoolConfig {
        name: "openai".to_owned(),
        dialect: Dialect::OpenAi,
        base,
        models: vec!["gpt-*".to_owned(), "o*".to_owned()],
        max_wait: DEFAULT_MAX_WAIT,
        queue: DEFAULT_QUEUE,
        admission: Admission::default(),
        streams: Streams::default(),
        ask_usage: None,
        budgets: Vec::new(),
        rules: Vec::new(),
        accounts,
    };
    Ok((pool, Upstream::Sandbox(provider.build())))
}

/// What to try.
pub(crate) fn introduction(address: SocketAddr) -> String {
    let accounts = ACCOUNTS.map(|(name, per_minute, _)| format!("{name} {per_minute}"));
    let accounts = accounts.join(", ");
    format!(
        r#"
This is a sandbox: a fake provider with three accounts (requests/min: {accounts}). Try

  curl http://{address}/v1/chat/completions -H 'content-type: application/json' \
    -d '{{"model":"gpt-4o","messages":[{{"role":"user","content":"Hello"}}]}}'

  and with "stream":true for events. Any OpenAI SDK works with OPENAI_BASE_URL=http://{address}/v1
  Send 30 at once: no account takes that many, yet none is refused; those without quota wait for it.

Look at http://{address}/-/status while they wait. Real keys: see --help
"#
    )
}
