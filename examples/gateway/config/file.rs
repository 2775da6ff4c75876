//! The fields of `keys.toml`.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use secrecy::SecretString;

use super::{
    super::args::address,
    Admission, Base, Budget, Config, DEFAULT_LISTEN, DEFAULT_MAX_WAIT, DEFAULT_QUEUE, Dialect,
    Kinship, Listen, PoolConfig, Problems, Served, Strategy, Streams, Surroundings, Tenant,
    UsageConfig,
    account::{limits, weight},
    check_reach,
    document::{Document, Table, Value},
    rule::rule,
    secret, value,
};

/// Reads and checks a file. Relative `file:` paths of secrets start at its folder.
pub(super) fn load(
    path: &Path,
    listen: Listen,
    around: &Surroundings<'_>,
) -> Result<Config, Problems> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Problems(vec![format!("cannot read {name}: {}", error.kind())]))?;
    let folder = around.folder.join(path.parent().unwrap_or(Path::new("")));
    read(name, &text, listen, &Surroundings { env: around.env, folder: &folder })
}

pub(crate) fn read(
    name: String,
    text: &str,
    listen: Listen,
    around: &Surroundings<'_>,
) -> Result<Config, Problems> {
    let document = Document::new(name, text);
    let config = document.parse(text).map(|table| Reader { around, listen }.config(table));
    document.finish()?;
    config.ok_or(Problems(Vec::new()))
}

/// Reads tables. Problems are reported to the document and left out of the result, which is not used then.
/// The rest is still checked.
pub(super) struct Reader<'a> {
    around: &'a Surroundings<'a>,
    listen: Listen,
}

impl Reader<'_> {
    fn config(&self, mut table: Table<'_, '_>) -> Config {
        let listen = table.take("listen").and_then(|listen| listen.text(address));
        let listen = self.listen.or(listen.unwrap_or(DEFAULT_LISTEN.into()));
        let tokens = table.list("client_tokens");
        let tenants = self.tenants(&mut table);
        let has_tokens = !tokens.is_empty() || !tenants.is_empty();
        if let Some(problem) = check_reach(listen, has_tokens, "set client_tokens") {
            table.report(problem);
        }
        let tokens = tokens.into_iter();
        let client_tokens = tokens.filter_map(|token| self.secret(token)).collect();
        let admin_token = table.take("admin_token").and_then(|token| self.secret(token));
        let usage = table.take("usage").and_then(Value::table);
        let usage = usage.map(|usage| self.usage(usage)).unwrap_or_default();
        let pools = self.pools(&mut table);
        table.finish();
        Config { listen, client_tokens, tenants, admin_token, usage, pools }
    }

    fn usage(&self, mut table: Table<'_, '_>) -> UsageConfig {
        let path = |path: PathBuf| self.around.folder.join(path);
        let default = UsageConfig::default();
        let prices = table.take("prices").and_then(|prices| prices.text(value::path)).map(path);
        let database = table.take("database").and_then(|file| file.text(value::path)).map(path);
        let tag_header = table.take("tag_header").and_then(|name| name.text(value::header));
        let ask = table.take("ask").and_then(Value::boolean);
        table.finish();
        let tag_header = tag_header.unwrap_or(default.tag_header);
        UsageConfig { prices, database, tag_header, ask: ask.unwrap_or(default.ask) }
    }

    fn tenants(&self, table: &mut Table<'_, '_>) -> Vec<Tenant> {
        let mut names = Names::default();
        let tenants = table.list("tenant").into_iter().filter_map(Value::table);
        tenants.filter_map(|tenant| self.tenant(tenant, &mut names)).collect()
    }

    fn tenant(&self, mut table: Table<'_, '_>, names: &mut Names) -> Option<Tenant> {
        let name = table.need("name").and_then(|name| names.add(name, value::label));
        if let Some(name) = &name {
            table.call(name);
        }
        let weight = table.take("weight").map_or(Some(1), weight);
        let tokens = table.need_list("tokens").into_iter();
        let tokens = tokens.filter_map(|token| self.secret(token)).collect();
        table.finish();
        Some(Tenant { name: name?, weight: weight?, tokens })
    }

    fn pools(&self, table: &mut Table<'_, '_>) -> Vec<PoolConfig> {
        let mut names = Names::default();
        let pools = table.need_list("pool").into_iter().filter_map(Value::table);
        pools.filter_map(|pool| self.pool(pool, &mut names)).collect()
    }

    fn pool(&self, mut table: Table<'_, '_>, names: &mut Names) -> Option<PoolConfig> {
        let name = table.need("name").and_then(|name| names.add(name, value::pool_name));
        if let Some(name) = &name {
            table.call(name);
        }
        let dialect = table.need("provider").and_then(|provider| provider.text(Dialect::read));
        let base = base(&mut table, dialect);
        let max_wait = table.take("max_wait").map(|wait| wait.text(value::duration));
        let queue = table.take("queue").map(|queue| queue.number(0, 1_000_000));
        let admission = admission(&mut table);
        let mut time = |name| match table.take(name) {
            Some(time) => time.text(value::duration).map(Some),
            None => Some(None),
        };
        let streams = (time("hold_back"), time("first_token"), time("idle"));
        let ask_usage = table.take("ask_usage").map(Value::boolean);
        let models = models(&mut table, dialect);
        let rules = table.list("rule").into_iter().filter_map(Value::table);
        let rules = rules.filter_map(rule).collect();
        let budgets = table.list("budget").into_iter().filter_map(Value::table);
        let budgets = budgets.map(budget).collect();
        let accounts = self.accounts(&mut table);
        table.finish();
        Some(PoolConfig {
            name: name?,
            dialect: dialect?,
            base: base?,
            models,
            max_wait: max_wait.unwrap_or(Some(DEFAULT_MAX_WAIT))?,
            queue: queue.map_or(Some(DEFAULT_QUEUE), |queue| queue?.try_into().ok())?,
            admission: admission?,
            streams: Streams { hold_back: streams.0?, first_token: streams.1?, idle: streams.2? },
            ask_usage: optional(ask_usage)?,
            budgets,
            rules,
            accounts,
        })
    }

    pub(super) fn secret(&self, value: Value<'_, '_>) -> Option<SecretString> {
        value.text(|text| secret::read(text, self.around))
    }
}

/// `[[pool.budget]]`; without a tag, the budget of each tag without its own.
fn budget(mut table: Table<'_, '_>) -> Budget {
    let tag = table.take("tag").and_then(|tag| tag.text(value::label));
    if let Some(tag) = &tag {
        table.call(tag);
    }
    let limits = limits(&mut table);
    if limits.is_empty() {
        table.report("limits is missing; list what may be spent");
    }
    table.finish();
    Budget { tag, limits }
}

fn admission(table: &mut Table<'_, '_>) -> Option<Admission> {
    let strategy = table.take("strategy").map(|strategy| strategy.text(Strategy::read));
    let learn = table.take("learn").map(Value::boolean);
    let start = table.take("start").map(|start| start.number(1, 1_000_000));
    let shadow = table.take("shadow").map(Value::boolean);
    let affinity = table.take("affinity").map(|kinship| kinship.text(Kinship::read));
    let patience = table.take("patience").map(|patience| patience.text(value::duration));
    let refuse_unpriced = table.take("refuse_unpriced").map(Value::boolean);
    Some(Admission {
        refuse_unpriced: refuse_unpriced.unwrap_or(Some(false))?,
        affinity: optional(affinity)?,
        patience: optional(patience)?,
        strategy: optional(strategy)?,
        learn: optional(learn)?,
        start: optional(start)?,
        shadow: shadow.unwrap_or(Some(false))?,
    })
}

/// An optional field: `Some(None)` if it is left out, none if it is invalid.
pub(super) fn optional<T>(field: Option<Option<T>>) -> Option<Option<T>> {
    field.map_or(Some(None), |value| value.map(Some))
}

fn base(table: &mut Table<'_, '_>, dialect: Option<Dialect>) -> Option<Base> {
    match (table.take("base_url"), dialect) {
        (Some(base), _) => base.text(Base::read),
        (None, Some(dialect)) => {
            let base = dialect.default_base().and_then(|base| Base::read(&base).ok());
            if base.is_none() {
                let name = dialect.name();
                table.report(format_args!("base_url is missing; provider {name:?} needs one"));
            }
            base
        }
        (None, None) => None,
    }
}

fn models(table: &mut Table<'_, '_>, dialect: Option<Dialect>) -> Vec<String> {
    let Some(models) = table.take("models") else {
        let defaults = dialect.map(Served::default_models).unwrap_or_default();
        return defaults.iter().map(ToString::to_string).collect();
    };
    let models = models.list().unwrap_or_default();
    models.into_iter().filter_map(|model| model.text(value::pattern)).collect()
}

/// Names that must differ.
#[derive(Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    pub(super) fn add(
        &mut self,
        value: Value<'_, '_>,
        read: fn(&str) -> Result<String, String>,
    ) -> Option<String> {
        value.text(|text| {
            let name = read(text)?;
            if self.0.insert(name.clone()) {
                Ok(name)
            } else {
                Err(format!("{name:?} is used already; give each its own"))
            }
        })
    }
}
