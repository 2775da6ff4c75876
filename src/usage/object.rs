//! Reading the usage that a response reports, by the shapes of its dialect.

use http::HeaderMap;
use serde_json::Value;

use super::{
    reported::{Overlap, ReportedUsage},
    shape::{Cost, UsageHeaders, UsageShape},
};
use crate::money::{Dollars, NANOS_PER_DOLLAR};

/// Whether an object has what only this shape has.
pub(super) fn is_marked(object: &Value, shape: &UsageShape) -> bool {
    shape.mark.is_none_or(|mark| follow(object, mark).is_some())
}

/// An object in a shape; `None` if it reports no tokens.
pub(super) fn read(object: &Value, shape: &UsageShape) -> Option<ReportedUsage> {
    let figure = |places: &[&str]| places.iter().find_map(|place| count(follow(object, place)?));
    let told = ReportedUsage {
        input: figure(shape.input),
        other_input: figure(shape.other_input),
        cache_read: figure(shape.cache_read),
        cache_write: figure(shape.cache_write),
        cache_write_1h: figure(shape.cache_write_hour),
        output: figure(shape.output),
        reasoning: figure(shape.reasoning),
        total: figure(shape.total),
        nano_dollars: shape.cost.iter().find_map(|cost| nano_dollars(object, *cost)),
        overlap: Overlap {
            input_has_cache: shape.input_has_cache,
            output_has_reasoning: shape.output_has_reasoning,
        },
    };
    (told.input.is_some() || told.output.is_some()).then_some(told)
}

/// What headers report; `None` if they report no tokens.
pub(super) fn in_headers(headers: &HeaderMap, names: &UsageHeaders) -> Option<ReportedUsage> {
    let figure = |name: &str| headers.get(name)?.to_str().ok()?.parse().ok();
    let told = ReportedUsage {
        input: figure(names.input),
        cache_read: figure(names.cache_read),
        cache_write: figure(names.cache_write),
        output: figure(names.output),
        overlap: Overlap { input_has_cache: false, output_has_reasoning: true },
        ..ReportedUsage::default()
    };
    (told.input.is_some() || told.output.is_some()).then_some(told)
}

fn nano_dollars(object: &Value, cost: Cost) -> Option<u64> {
    match cost {
        Cost::Dollars(place) => {
            let Value::Number(dollars) = follow(object, place)? else { return None };
            let Dollars(nanos) = Dollars::parse(&dollars.to_string()).ok()?;
            (nanos < MOST_NANO_DOLLARS).then_some(nanos)
        }
        Cost::Ticks(place) => count(follow(object, place)?).map(|ticks| ticks.div_ceil(10)),
    }
}

/// A billion dollars: no request costs that.
const MOST_NANO_DOLLARS: u64 = 1_000_000_000 * NANOS_PER_DOLLAR;

/// The value at a path. (`Value::pointer` allocates for each step.)
fn follow<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('/').skip(1).try_fold(object, |value, name| value.get(name))
}

/// A count, also where it is written as `3.0`. More than 2^53 is none.
fn count(value: &Value) -> Option<u64> {
    const MOST: u64 = 1 << 53;
    let whole = |number: f64| (number >= 0.0 && number.fract() == 0.0).then_some(number as u64);
    value.as_u64().or_else(|| whole(value.as_f64()?)).filter(|count| *count <= MOST)
}
