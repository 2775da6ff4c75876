//! The accounts of a pool: `[[pool.account]]`, with their limits and keys.

use secrecy::ExposeSecret;
use tower_key_rotation::{Account, ApiKey, Limit};

use super::{
    Base,
    document::{Table, Value},
    file::{Names, Reader, optional},
    value,
};

impl Reader<'_> {
    pub(super) fn accounts(&self, pool: &mut Table<'_, '_>) -> Vec<Account> {
        let (mut names, mut ids) = (Names::default(), Names::default());
        let accounts = pool.need_list("account").into_iter().filter_map(Value::table);
        accounts.filter_map(|account| self.account(account, &mut names, &mut ids)).collect()
    }

    fn account(
        &self,
        mut table: Table<'_, '_>,
        names: &mut Names,
        ids: &mut Names,
    ) -> Option<Account> {
        let name = table.need("name").and_then(|name| names.add(name, value::label));
        if let Some(name) = &name {
            table.call(name);
        }
        let weight = table.take("weight").and_then(weight);
        let limits = limits(&mut table);
        let keys = table.need_list("keys").into_iter();
        let keys: Vec<ApiKey> = keys.filter_map(|key| self.key(key, ids)).collect();
        table.finish();
        let account = Account::new(name?).weight(weight.unwrap_or(1));
        let account = limits.into_iter().fold(account, Account::limit);
        Some(keys.into_iter().fold(account, Account::key))
    }

    /// A table, or the secret alone.
    fn key(&self, item: Value<'_, '_>, ids: &mut Names) -> Option<ApiKey> {
        if !item.is_table() {
            return self.secret(item).map(|secret| ApiKey::new(secret.expose_secret()));
        }
        let mut table = item.table()?;
        let id = table.take("id").and_then(|id| ids.add(id, value::label));
        if let Some(id) = &id {
            table.call(id);
        }
        let secret = table.need("secret").and_then(|secret| self.secret(secret));
        let weight = table.take("weight").and_then(weight);
        let limits = limits(&mut table);
        let expires = table.take("expires").map(|expires| expires.text(value::time));
        let endpoint = table.take("endpoint").map(|endpoint| endpoint.text(Base::read));
        table.finish();
        let key = ApiKey::new(secret?.expose_secret()).weight(weight.unwrap_or(1));
        let key = optional(expires)?.into_iter().fold(key, ApiKey::expires);
        let endpoint = optional(endpoint)?.map(|endpoint| endpoint.to_string());
        let key = endpoint.into_iter().fold(key, ApiKey::endpoint);
        let key = limits.into_iter().fold(key, ApiKey::limit);
        Some(match id {
            Some(id) => key.id(id),
            None => key,
        })
    }
}

pub(super) fn limits(table: &mut Table<'_, '_>) -> Vec<Limit> {
    let items = table.list("limits").into_iter();
    items.filter_map(|item| limit(item, table.place())).collect()
}

/// `"500 requests/min"`, or a table with the models it is for.
fn limit(mut item: Value<'_, '_>, place: &str) -> Option<Limit> {
    place.clone_into(&mut item.place);
    if !item.is_table() {
        return item.text(str::parse);
    }
    let mut table = item.table()?;
    let limit = table.need("limit").and_then(|mut limit| {
        place.clone_into(&mut limit.place);
        limit.text(str::parse::<Limit>)
    });
    let models = table.take("models").map(|models| models.text(value::pattern));
    table.finish();
    Some(match models {
        Some(models) => limit?.models(models?),
        None => limit?,
    })
}

pub(super) fn weight(value: Value<'_, '_>) -> Option<u32> {
    value.number(1, 1_000).and_then(|weight| weight.try_into().ok())
}
