//! A TOML document with its lines, which collects the problems found in it.
//!
//! Problems name the file, the line and the field, and never show a value that could be a secret. So the
//! messages of the parser are not printed, because they quote the line.

use std::{cell::RefCell, collections::BTreeMap, fmt};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::Problems;

/// The lines of a file and the problems found so far.
pub(super) struct Document {
    name: String,
    line_starts: Vec<usize>,
    problems: RefCell<Vec<(usize, String)>>,
}

impl Document {
    pub(super) fn new(name: String, text: &str) -> Self {
        let newlines = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(newlines).collect();
        Self { name, line_starts, problems: RefCell::default() }
    }

    /// Reads the text as TOML. A text that is not TOML is not read any further, because names and secrets
    /// cannot be distinguished in it.
    pub(super) fn parse<'d, 'i>(&'d self, text: &'i str) -> Option<Table<'d, 'i>> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let at = error.span().map_or(0, |span| span.start);
            let column =
                text[..at.min(text.len())].chars().rev().take_while(|&c| c != '\n').count();
            self.report(at, format_args!("column {}: {}", column + 1, error.message()));
        }
        errors.is_empty().then(|| Table::new(self, String::new(), 0, table.into_inner()))
    }

    fn report(&self, at: usize, problem: impl fmt::Display) {
        let line = self.line_starts.partition_point(|&start| start <= at);
        self.problems.borrow_mut().push((line, problem.to_string()));
    }

    /// The problems, in the order of the lines.
    pub(super) fn finish(self) -> Result<(), Problems> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|&(line, _)| line);
        if problems.is_empty() {
            return Ok(());
        }
        let name = &self.name;
        let lines = problems.into_iter().map(|(line, problem)| format!("{name}:{line}: {problem}"));
        Err(Problems(lines.collect()))
    }
}

/// A value and its place.
pub(super) struct Value<'d, 'i> {
    document: &'d Document,
    /// The start of each problem: `pool "openai": max_wait: `.
    pub(super) place: String,
    at: usize,
    value: DeValue<'i>,
}

impl<'d, 'i> Value<'d, 'i> {
    pub(super) fn report(&self, problem: impl fmt::Display) {
        self.document.report(self.at, format_args!("{}{problem}", self.place));
    }

    /// Parses the value, which must be text. Problems are reported.
    pub(super) fn text<T, E: fmt::Display>(
        self,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match &self.value {
            DeValue::String(text) => read(text).map_err(|problem| self.report(problem)).ok(),
            _ => self.wrong_type("text in quotes"),
        }
    }

    pub(super) fn number(self, least: u64, most: u64) -> Option<u64> {
        let DeValue::Integer(integer) = &self.value else {
            return self.wrong_type("a whole number");
        };
        let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
        let number = number.filter(|number| (least..=most).contains(number));
        if number.is_none() {
            self.report(format_args!("must be a whole number from {least} to {most}"));
        }
        number
    }

    pub(super) fn table(self) -> Option<Table<'d, 'i>> {
        match self.value {
            DeValue::Table(table) => Some(Table::new(self.document, self.place, self.at, table)),
            _ => self.wrong_type("a table"),
        }
    }

    pub(super) fn list(self) -> Option<Vec<Self>> {
        let DeValue::Array(items) = self.value else {
            return self.wrong_type("a list in brackets");
        };
        let item = |(index, item): (usize, Spanned<DeValue<'i>>)| Self {
            document: self.document,
            place: format!("{} {}: ", self.place.trim_end_matches(": "), index + 1),
            at: item.span().start,
            value: item.into_inner(),
        };
        Some(items.into_iter().enumerate().map(item).collect())
    }

    /// The elements of a list, or the one value.
    pub(super) fn many(self) -> Vec<Self> {
        if self.value.is_array() { self.list().unwrap_or_default() } else { vec![self] }
    }

    pub(super) fn boolean(self) -> Option<bool> {
        match self.value {
            DeValue::Boolean(value) => Some(value),
            _ => self.wrong_type("true or false"),
        }
    }

    pub(super) fn is_text(&self) -> bool {
        self.value.is_str()
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    fn wrong_type<T>(&self, wanted: &str) -> Option<T> {
        let found = match self.value {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.report(format_args!("must be {wanted}, not {found}"));
        None
    }
}

/// A table. Each field is taken once; fields that are left at the end are unknown.
pub(super) struct Table<'d, 'i> {
    document: &'d Document,
    place: String,
    at: usize,
    fields: BTreeMap<String, (usize, Spanned<DeValue<'i>>)>,
    known: Vec<&'static str>,
}

impl<'d, 'i> Table<'d, 'i> {
    fn new(document: &'d Document, place: String, at: usize, table: DeTable<'i>) -> Self {
        let field = |(name, value): (Spanned<_>, _)| {
            let at = name.span().start;
            (std::borrow::Cow::into_owned(name.into_inner()), (at, value))
        };
        let fields = table.into_iter().map(field).collect();
        Self { document, place, at, fields, known: Vec::new() }
    }

    /// Calls this table, an element of a list, by its name instead of its number: `pool 1` becomes
    /// `pool "openai"`.
    pub(super) fn call(&mut self, name: &str) {
        self.place.truncate(self.place.trim_end().rfind(' ').unwrap_or_default());
        self.place.push_str(&format!(" {name:?}: "));
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn report(&self, problem: impl fmt::Display) {
        self.document.report(self.at, format_args!("{}{problem}", self.place));
    }

    /// An optional field.
    pub(super) fn take(&mut self, name: &'static str) -> Option<Value<'d, 'i>> {
        self.known.push(name);
        let (at, value) = self.fields.remove(name)?;
        let place = format!("{}{name}: ", self.place);
        Some(Value { document: self.document, place, at, value: value.into_inner() })
    }

    /// A required field.
    pub(super) fn need(&mut self, name: &'static str) -> Option<Value<'d, 'i>> {
        let value = self.take(name);
        if value.is_none() {
            self.report(format_args!("{name} is missing"));
        }
        value
    }

    /// The elements of a list; none if it is left out.
    pub(super) fn list(&mut self, name: &'static str) -> Vec<Value<'d, 'i>> {
        self.take(name).and_then(Value::list).unwrap_or_default()
    }

    /// The elements of a list that must have at least one.
    pub(super) fn need_list(&mut self, name: &'static str) -> Vec<Value<'d, 'i>> {
        let list = self.need(name).map(Value::list);
        if list.as_ref().is_some_and(|list| list.as_ref().is_some_and(Vec::is_empty)) {
            self.report(format_args!("{name} is empty; give at least one"));
        }
        list.flatten().unwrap_or_default()
    }

    /// Reports the fields that were not taken.
    pub(super) fn finish(self) {
        for (name, (at, _)) in &self.fields {
            // A name that is not a plain word may be a secret without its quotes.
            let plain =
                name.len() <= 24 && name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let name = if plain { name.as_str() } else { "(not a plain word)" };
            let known = self.known.join(", ");
            self.document.report(
                *at,
                format_args!("{}{name} is not a field here; the fields are {known}", self.place),
            );
        }
    }
}
