//! Splits Rust source text into tokens, each with its line.
//!
//! Comments, white space, lifetimes, and string and character literals are left out: no name in them is a use.

#[derive(Clone, Copy)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    pub(crate) line: usize,
}

/// The tokens of a source text. `::` is one token.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let (mut tokens, mut rest, mut line) = (Vec::new(), source, 1);
    while !rest.is_empty() {
        let (length, is_token) = next(rest);
        let (text, after) = rest.split_at(length);
        tokens.extend(is_token.then_some(Token { text, line }));
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The length in bytes of what a text starts with, and whether that is a token.
fn next(text: &str) -> (usize, bool) {
    let up_to = |end: &str, from: usize| {
        text[from..].find(end).map_or(text.len(), |at| from + at + end.len())
    };
    if text.starts_with("//") {
        return (up_to("\n", 0), false);
    }
    if text.starts_with("/*") {
        return (up_to("*/", 2), false);
    }
    if let Some((opening, end)) = raw_string(text) {
        return (up_to(&end, opening), false);
    }
    match text.chars().next() {
        Some('"') => (quoted(text, '"'), false),
        Some('\'') => (literal_or_lifetime(text), false),
        Some(':') if text.starts_with("::") => (2, true),
        Some(first) if is_word(first) => (word(text), true),
        first => first.map_or((0, false), |first| (first.len_utf8(), !first.is_whitespace())),
    }
}

/// The length of the opening of a raw string, and its end.
fn raw_string(text: &str) -> Option<(usize, String)> {
    let after = ["r", "br", "cr"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let is_raw = after[hashes..].starts_with('"');
    let opening = text.len() - after.len() + hashes + 1;
    is_raw.then(|| (opening, format!("\"{}", "#".repeat(hashes))))
}

/// The length of a literal in quotes, with its escapes.
fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let is_end = |&(_, char): &(usize, char)| {
        let ends = char == quote && !is_escaped;
        is_escaped = char == '\\' && !is_escaped;
        ends
    };
    text.char_indices().skip(1).find(is_end).map_or(text.len(), |(at, _)| at + quote.len_utf8())
}

/// `'a'` is a character, `'a` is a lifetime.
fn literal_or_lifetime(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    match (chars.next(), chars.next()) {
        (Some('\\'), _) | (_, Some('\'')) => quoted(text, '\''),
        _ => 1 + word(&text[1..]),
    }
}

fn word(text: &str) -> usize {
    text.find(|char| !is_word(char)).unwrap_or(text.len())
}

pub(crate) fn is_word(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}
