//! Usage as the dialect's shapes find it, and as a search through all of the body does.

use serde_json::{Map, Value};
use tower_key_rotation::provider::{Provider, UsageShape};

use crate::{coverage::Found, recording::Recording};

/// Input, output, read from the cache, reasoning.
type Figures = [Option<u64>; 4];

pub(crate) fn check(provider: &dyn Provider, recording: &Recording) -> Found {
    let facts = provider.facts();
    if recording.is_refusal() || facts.usage.is_empty() {
        return Ok(0);
    }
    let mut by_shape = Figures::default();
    let mut by_search = Figures::default();
    for document in recording.documents() {
        if let Some(figures) = facts.usage.iter().find_map(|shape| read(shape, &document)) {
            keep_last(&mut by_shape, figures);
        }
        search(&document, &mut by_search);
    }
    if by_shape != by_search {
        return Err(format!("usage is {by_search:?}, and {by_shape:?} was read"));
    }
    if let Some(names) = facts.usage_headers {
        let header = |name| recording.headers.get(name)?.to_str().ok()?.parse().ok();
        for (told, read) in
            [(header(names.input), by_shape[0]), (header(names.output), by_shape[1])]
        {
            if let (Some(told), Some(read)) = (told, read.or(told))
                && told != read
            {
                return Err(format!("a header tells {told} tokens, the body {read}"));
            }
        }
    }
    Ok(usize::from(by_shape.iter().any(Option::is_some)))
}

fn read(shape: &UsageShape, document: &Value) -> Option<Figures> {
    let usage = shape.at.iter().find_map(|at| document.pointer(at).filter(|u| u.is_object()))?;
    let number = |places: &[&str]| places.iter().find_map(|at| usage.pointer(at)?.as_u64());
    let marked = shape.mark.is_none_or(|mark| usage.pointer(mark).is_some());
    let (input, output) = (number(shape.input), number(shape.output));
    (marked && (input.is_some() || output.is_some()))
        .then(|| [input, output, number(shape.cache_read), number(shape.reasoning)])
}

fn keep_last(figures: &mut Figures, news: Figures) {
    for (figure, new) in figures.iter_mut().zip(news) {
        *figure = new.or(*figure);
    }
}

const NAMES: [&[&str]; 4] = [
    &[
        "prompt_tokens",
        "input_tokens",
        "promptTokenCount",
        "total_input_tokens",
        "inputTokens",
        "inputTokenCount",
    ],
    &[
        "completion_tokens",
        "output_tokens",
        "candidatesTokenCount",
        "total_output_tokens",
        "outputTokens",
        "outputTokenCount",
    ],
    &[
        "prompt_cache_hit_tokens",
        "cached_tokens",
        "num_cached_tokens",
        "cache_read_input_tokens",
        "cachedContentTokenCount",
        "total_cached_tokens",
        "cacheReadInputTokens",
        "cacheReadInputTokenCount",
    ],
    &["reasoning_tokens", "thinking_tokens", "thoughtsTokenCount", "total_thought_tokens"],
];

/// Parts of usage that say the same again in other ways, or of what is not the whole answer.
const AGAIN: &[&str] =
    &["iterations", "context_details", "billed_units", "cost_details", "usage_breakdown"];

/// Any object that counts input or output, wherever it is; what it holds besides counts too.
fn search(value: &Value, found: &mut Figures) {
    match value {
        Value::Object(members) => {
            let counts = NAMES[..2].iter().copied().flatten();
            if counts.clone().any(|name| members.get(*name).is_some_and(Value::is_u64)) {
                let figures = NAMES.map(|names| deep(members, names));
                keep_last(found, figures);
                return;
            }
            // Cohere counts one level further in, and the cache beside it.
            let billed = || members.get("billed_units");
            let cohere = members.get("tokens").or_else(billed).and_then(Value::as_object);
            if let Some(tokens) = cohere {
                let mut figures = NAMES.map(|names| deep(tokens, names));
                figures[2] = deep(members, NAMES[2]);
                keep_last(found, figures);
                return;
            }
            let others = members.iter().filter(|(name, _)| !AGAIN.contains(&name.as_str()));
            others.for_each(|(_, member)| search(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| search(item, found)),
        _ => {}
    }
}

/// The number of the first of these names, in an object or in one of its objects.
fn deep(members: &Map<String, Value>, names: &[&str]) -> Option<u64> {
    let here = names.iter().find_map(|name| members.get(*name)?.as_u64());
    here.or_else(|| {
        let mut others = members.iter().filter(|(name, _)| !AGAIN.contains(&name.as_str()));
        others.find_map(|(_, member)| deep(member.as_object()?, names))
    })
}
