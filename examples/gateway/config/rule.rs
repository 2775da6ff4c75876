//! `[[pool.rule]]`: which refusals a rule matches, and their verdict.
//!
//! ```toml
//! [[pool.rule]]
//! name = "our-proxy/busy"
//! status = [403, "500-599"]
//! header = { name = "x-our-proxy", is = "busy" }
//! json = { at = "/reason", contains = ["later", "busy"] }
//! says = "try later"
//! verdict = "rate_limited"
//! place = "account"
//! blame = "told"
//! wait = ["json /seconds", "5s"]
//! ```

use std::ops::RangeInclusive;

use axum::http::HeaderName;
use tower_key_rotation::{
    provider::{Match, Rule, Statuses, Wait},
    verdict::{Blame, Place},
};

use super::{
    document::{Table, Value},
    value,
};

/// Makes an empty rule with a name.
type Begin = fn(String) -> Rule;

const TOO_LARGE: &str = "too_large";

/// Reads a rule. Problems are reported to the document.
pub(super) fn rule(mut table: Table<'_, '_>) -> Option<Rule> {
    let name = table.need("name").and_then(|name| name.text(value::label));
    if let Some(name) = &name {
        table.call(name);
    }
    let verdict = table.need("verdict").and_then(|verdict| verdict.text(verdict_of));
    let begin = name.zip(verdict).map(|(name, (_, begin))| begin(name));
    let rule = conditions(begin.unwrap_or_else(|| Rule::transient("")), &mut table);
    let place = table.take("place").and_then(|place| place.text(place_of));
    let rule = place.into_iter().fold(rule, Rule::place);
    let blame = table.take("blame").and_then(|blame| blame.text(blame_of));
    let rule = blame.into_iter().fold(rule, Rule::blame);
    let size = table.take("size_after");
    if let (Some(size), Some((verdict, _))) = (&size, verdict)
        && verdict != TOO_LARGE
    {
        size.report(format_args!("is for verdict = {TOO_LARGE:?} alone"));
    }
    let rule = size.and_then(|size| size.text(words)).into_iter().fold(rule, Rule::size_after);
    let waits = many(table.take("wait")).filter_map(|wait| wait.text(str::parse::<Wait>));
    let rule = waits.fold(rule, Rule::wait);
    table.finish();
    Some(rule).filter(|rule| !rule.name().is_empty())
}

fn conditions(mut rule: Rule, table: &mut Table<'_, '_>) -> Rule {
    if let Some(status) = table.take("status") {
        let ranges: Vec<_> = status.many().into_iter().map(statuses).collect();
        rule = rule.status(ranges.into_iter().flatten().collect::<Statuses>());
    }
    let headers = many(table.take("header")).filter_map(Value::table);
    for (name, what) in headers.filter_map(|header| matched(header, "name", header_name)) {
        rule = rule.header(&name, what);
    }
    let values = many(table.take("json")).filter_map(Value::table);
    for (at, what) in values.filter_map(|value| matched(value, "at", pointer)) {
        rule = rule.json(at, what);
    }
    if let Some(says) = table.take("says") {
        rule = rule.says(texts(says));
    }
    if let Some(begins) = table.take("begins") {
        rule = rule.begins(texts(begins));
    }
    if table.take("page").and_then(Value::boolean) == Some(true) {
        rule = rule.page();
    }
    if table.take("used_up").and_then(Value::boolean) == Some(true) {
        rule = rule.used_up();
    }
    rule
}

/// `{ name = "x-reason", is = ["a", "b"] }`. With a name only, the header must be present.
fn matched(
    mut table: Table<'_, '_>,
    place: &'static str,
    check: fn(&str) -> Result<String, String>,
) -> Option<(String, Match)> {
    let name = table.need(place).and_then(|name| name.text(check));
    let mut told = |way, of: fn(Vec<String>) -> Match| table.take(way).map(|v| of(texts(v)));
    let told = [
        told("is", Match::is),
        told("starts_with", Match::starts_with),
        told("contains", Match::contains),
    ];
    let absent = table.take("absent").and_then(Value::boolean);
    let absent = absent.map(|absent| if absent { Match::Absent } else { Match::Present });
    let mut told = told.into_iter().flatten().chain(absent);
    let what = told.next().unwrap_or(Match::Present);
    if told.next().is_some() {
        table.report("say one of is, starts_with, contains and absent, not several");
    }
    table.finish();
    Some((name?, what))
}

/// One value, or the elements of a list.
fn many<'d, 'i>(value: Option<Value<'d, 'i>>) -> impl Iterator<Item = Value<'d, 'i>> {
    value.map(Value::many).unwrap_or_default().into_iter()
}

fn texts(value: Value<'_, '_>) -> Vec<String> {
    value.many().into_iter().filter_map(|value| value.text(words)).collect()
}

fn words(text: &str) -> Result<String, &'static str> {
    match text {
        "" => Err("must not be empty"),
        text => Ok(text.to_owned()),
    }
}

/// `429`, or `"500-599"`.
fn statuses(value: Value<'_, '_>) -> Option<RangeInclusive<u16>> {
    if !value.is_text() {
        let status = value.number(400, 599)?.try_into().ok()?;
        return Some(status..=status);
    }
    value.text(|text| {
        let range = text.split_once('-').and_then(|(from, to)| {
            Some(from.trim().parse::<u16>().ok()?..=to.trim().parse::<u16>().ok()?)
        });
        let fits = |range: &RangeInclusive<u16>| *range.start() >= 400 && !range.is_empty();
        range.filter(fits).ok_or_else(|| {
            format!(
                "{text:?} is not a status or a range of statuses from 400 up, such as \"500-599\""
            )
        })
    })
}

fn verdict_of(text: &str) -> Result<(&'static str, Begin), String> {
    let known: [(&str, Begin); 8] = [
        ("rate_limited", Rule::rate_limited),
        ("quota_exhausted", Rule::quota_exhausted),
        ("key_rejected", Rule::key_rejected),
        ("permission_refused", Rule::permission_refused),
        (TOO_LARGE, Rule::too_large),
        ("overloaded", Rule::overloaded),
        ("transient", Rule::transient),
        ("caller_fault", Rule::caller_fault),
    ];
    let found = known.into_iter().find(|(name, _)| *name == text);
    found.ok_or_else(|| none_of(text, &known.map(|(name, _)| name)))
}

fn place_of(text: &str) -> Result<Place, String> {
    let found = Place::ALL.into_iter().find(|place| place.name() == text);
    found.ok_or_else(|| none_of(text, &Place::ALL.map(Place::name)))
}

fn blame_of(text: &str) -> Result<Blame, String> {
    let known = [Blame::Told, Blame::Inferred];
    let found = known.into_iter().find(|blame| blame.name() == text);
    found.ok_or_else(|| none_of(text, &known.map(Blame::name)))
}

fn none_of(text: &str, known: &[&str]) -> String {
    format!("{text:?} is none of {}", known.join(", "))
}

fn header_name(text: &str) -> Result<String, String> {
    let name = HeaderName::try_from(text);
    name.map(|name| name.to_string())
        .map_err(|_| format!("{text:?} is not a valid name of a header"))
}

fn pointer(text: &str) -> Result<String, String> {
    match text.starts_with('/') {
        true => Ok(text.to_owned()),
        false => Err(format!("{text:?} must begin with a slash, such as /error/code")),
    }
}
