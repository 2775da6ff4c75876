//! Usage as the dialect's shapes find it, as a search through all of the body does, and as the library's
//! own reader reads it.

use serde_json::{Map, Value};
use tower_key_rotation::{
    provider::Provider,
    usage::{UsageReader, UsageShape},
};

use crate::{coverage::Found, recording::Recording};

/// Input, output, read from the cache, reasoning.
type Figures = [Option<u64>; 4];

/// What stands beside these: other input, written to the cache, the total.
type Others = [Option<u64>; 3];

pub(crate) fn check(provider: &dyn Provider, recording: &Recording) -> Found {
    let facts = provider.spec();
    if recording.is_refusal() || facts.usage.is_empty() {
        return Ok(0);
    }
    let mut shape = None;
    let (mut by_shape, mut others) = (Figures::default(), Others::default());
    let mut by_search = Figures::default();
    for document in recording.documents() {
        if let Some(read) = read(facts.usage, shape, &document) {
            shape = Some(read.0);
            keep_last(&mut by_shape, read.1);
            keep_last(&mut others, read.2);
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
    if let Some(shape) = shape {
        by_reader(provider, recording, shape, by_shape, others)?;
    }
    Ok(usize::from(by_shape.iter().any(Option::is_some)))
}

/// The library's own reader, however the body is cut, finds the same with each token in one kind.
fn by_reader(
    provider: &dyn Provider,
    recording: &Recording,
    shape: &UsageShape,
    figures: Figures,
    others: Others,
) -> Result<(), String> {
    let facts = provider.spec();
    let header = |name| recording.headers.get(name)?.to_str().ok()?.parse().ok();
    let headers = facts.usage_headers.map(|names| [header(names.input), header(names.output)]);
    let [in_header, out_header] = headers.unwrap_or_default();
    let [input, output, cache, reasoning] =
        [figures[0].or(in_header), figures[1].or(out_header), figures[2], figures[3]]
            .map(Option::unwrap_or_default);
    let [other_input, written, total] = others.map(Option::unwrap_or_default);
    let beside = if shape.input_has_cache { 0 } else { cache + written };
    let all_input = input + other_input + beside;
    // What is said to be inside is not, where there is too much of it, or the total has both.
    let apart = !shape.output_has_reasoning
        || total != all_input + output
            && (reasoning > output || total == all_input + output + reasoning);
    let reasoning = if apart { reasoning } else { reasoning.min(output) };
    let expected = [
        all_input,
        output + if apart { reasoning } else { 0 },
        if shape.input_has_cache { cache.min(input) } else { cache },
        reasoning,
    ];
    let reader = match recording.headers.contains_key("content-type") {
        true => provider.usage_reader(&recording.headers),
        // Left out by who recorded it.
        false => Some(UsageReader::new(facts.usage)),
    };
    let reader = reader.ok_or(format!("usage is {figures:?}, and is not looked for"))?;
    for size in [1_000_000, 7] {
        let mut reader = reader.clone();
        recording.body.chunks(size).for_each(|piece| reader.feed(piece));
        let usage = reader.usage().unwrap_or_default();
        let told = [usage.all_input(), usage.all_output(), usage.cache_read, usage.reasoning];
        if told != expected {
            return Err(format!("usage is {expected:?}, and {told:?} was told by the reader"));
        }
        if total > 0 && usage.total() != total {
            return Err(format!("the total is {total}, and {usage:?} was told by the reader"));
        }
    }
    Ok(())
}

/// The first of the shapes that fits any object that the document names as usage.
fn read(
    shapes: &'static [UsageShape],
    known: Option<&'static UsageShape>,
    document: &Value,
) -> Option<(&'static UsageShape, Figures, Others)> {
    let known_or_marked = |shape: &&'static UsageShape, usage: &Value| {
        known == Some(*shape) || shape.mark.is_none_or(|mark| usage.pointer(mark).is_some())
    };
    known.into_iter().chain(shapes).find_map(|shape| {
        let mut found = Vec::new();
        objects(document, shape.member, &mut found);
        let usage = found.into_iter().rfind(|usage| known_or_marked(&shape, usage))?;
        let number = |places: &[&str]| places.iter().find_map(|at| usage.pointer(at)?.as_u64());
        let (input, output) = (number(shape.input), number(shape.output));
        let figures = [input, output, number(shape.cache_read), number(shape.reasoning)];
        let others = [shape.other_input, shape.cache_write, shape.total].map(number);
        (input.is_some() || output.is_some()).then_some((shape, figures, others))
    })
}

/// The objects that are the value of a member of this name, wherever it is.
fn objects<'v>(value: &'v Value, name: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                match value {
                    Value::Object(_) if member == name => found.push(value),
                    _ => objects(value, name, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| objects(item, name, found)),
        _ => {}
    }
}

fn keep_last<const N: usize>(figures: &mut [Option<u64>; N], news: [Option<u64>; N]) {
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
