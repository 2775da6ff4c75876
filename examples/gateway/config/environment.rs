//! Configuration without a file: keys in environment variables, or none at all.

use std::path::Path;

use tower_key_rotation::{Account, ApiKey};

use super::{
    Admission, Base, Config, DEFAULT_LISTEN, DEFAULT_MAX_WAIT, DEFAULT_QUEUE, Dialect, Listen,
    PoolConfig, Problems, Served, Streams, UsageConfig, check_reach, secret,
};

const KEY_VARIABLES: [(&str, Dialect); 3] = [
    ("OPENAI_API_KEYS", Dialect::OpenAi),
    ("ANTHROPIC_API_KEYS", Dialect::Anthropic),
    ("GEMINI_API_KEYS", Dialect::Gemini),
];

/// The sources of secrets.
pub(crate) struct Surroundings<'a> {
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// The folder for relative `file:` paths.
    pub(crate) folder: &'a Path,
}

impl Surroundings<'_> {
    pub(super) fn port(&self) -> Result<Option<u16>, Problems> {
        let port = (self.env)("PORT").filter(|port| !port.is_empty());
        port.map(|port| port.parse())
            .transpose()
            .map_err(|_| Problems(vec!["PORT is not a port number".to_owned()]))
    }

    /// The values of a variable, separated by commas, and checked.
    fn list(&self, name: &str, problems: &mut Vec<String>) -> Vec<String> {
        let text = (self.env)(name).unwrap_or_default();
        let values: Vec<_> =
            text.split(',').map(str::trim).filter(|value| !value.is_empty()).collect();
        for (index, value) in values.iter().enumerate() {
            if let Err(problem) = secret::check((*value).to_owned(), "it") {
                problems.push(format!("{name}, number {}: {problem}", index + 1));
            }
        }
        values.into_iter().map(str::to_owned).collect()
    }
}

/// One pool for each variable that is set; each key is an account of its own, without limits.
pub(super) fn load(listen: Listen, around: &Surroundings<'_>) -> Result<Config, Problems> {
    let mut problems = Vec::new();
    let mut pools = Vec::new();
    for (name, dialect) in KEY_VARIABLES {
        let keys = around.list(name, &mut problems);
        let base = dialect.default_base().and_then(|base| Base::read(&base).ok());
        if let Some(base) = base.filter(|_| !keys.is_empty()) {
            pools.push(pool(dialect, base, keys));
        }
    }
    let client_tokens = around.list("GATEWAY_TOKENS", &mut problems);
    let admin_token = around.list("GATEWAY_ADMIN_TOKEN", &mut problems).pop();
    let listen = listen.or(DEFAULT_LISTEN.into());
    problems.extend(check_reach(listen, !client_tokens.is_empty(), "set GATEWAY_TOKENS"));
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    Ok(Config {
        listen,
        client_tokens: client_tokens.into_iter().map(Into::into).collect(),
        tenants: Vec::new(),
        admin_token: admin_token.map(Into::into),
        usage: UsageConfig::default(),
        pools,
    })
}

fn pool(dialect: Dialect, base: Base, keys: Vec<String>) -> PoolConfig {
    let account = |(index, key): (usize, String)| {
        let name = format!("{}-{}", dialect.name(), index + 1);
        Account::new(&name).key(ApiKey::new(key).id(&name))
    };
    PoolConfig {
        name: dialect.name().to_owned(),
        dialect,
        base,
        models: dialect.default_models().iter().map(ToString::to_string).collect(),
        max_wait: DEFAULT_MAX_WAIT,
        queue: DEFAULT_QUEUE,
        admission: Admission::default(),
        streams: Streams::default(),
        ask_usage: None,
        budgets: Vec::new(),
        rules: Vec::new(),
        accounts: keys.into_iter().enumerate().map(account).collect(),
    }
}
