//! What one source file defines, imports and names.

use std::collections::BTreeSet;

use crate::tokens::{Token, is_word, tokens};

#[derive(Default)]
pub(crate) struct SourceFile {
    /// From the root of the project: `src/engine/lane/mod.rs`.
    pub(crate) path: String,
    /// Its place in the tree of modules: `engine`, `lane`.
    pub(crate) module: Vec<String>,
    /// The names of its items, without those inside functions and `impl` blocks.
    pub(crate) items: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// Paths of two or more segments outside imports: `super::lane::Lane`.
    pub(crate) paths: Vec<Path>,
    /// The names and types of fields, each with the name of its struct. Structs with parameters are left out.
    pub(crate) fields: Vec<(String, Path)>,
    /// The types with an `impl Type` block.
    pub(crate) implemented: BTreeSet<String>,
}

/// One name of a `use`.
pub(crate) struct Import {
    /// What it is called in this file; `*` stands for all names of a module.
    pub(crate) name: String,
    pub(crate) path: Path,
    /// Whether it is a `pub use`, with any visibility.
    pub(crate) is_reexport: bool,
}

#[derive(Clone, Default)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

impl SourceFile {
    /// Reads a file. What stands under `#[cfg(test)]` is left out.
    pub(crate) fn read(path: &str, source: &str) -> Self {
        let below_src = path.trim_start_matches("src/").trim_end_matches(".rs");
        let mut module: Vec<_> = below_src.split('/').map(str::to_owned).collect();
        module.pop_if(|name| name == "mod" || name == "lib");
        let mut file = Self { path: path.to_owned(), module, ..Self::default() };
        file.parse(&without_tests(&tokens(source)));
        file
    }

    fn parse(&mut self, tokens: &[Token<'_>]) {
        let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
        let (mut at, mut depth) = (0, 0);
        while at < tokens.len() {
            let name = text(at + 1);
            match text(at) {
                "{" => depth += 1,
                "}" => depth -= 1,
                // `pub(in crate::engine)` names no item.
                "pub" if name == "(" && text(at + 2) == "in" => at = matching(tokens, at + 1),
                // `use<'a>` is no import.
                "use" if name != "<" => {
                    let is_reexport = at > 0 && matches!(text(at - 1), "pub" | ")");
                    let mut names = Imports { tokens, at: at + 1, is_reexport, found: Vec::new() };
                    names.branch(&Path::default());
                    at = names.at - 1;
                    self.imports.extend(names.found);
                }
                "macro_rules" => {
                    self.items.insert(text(at + 2).to_owned());
                }
                "impl" if text(at + 2) == "{" => {
                    self.implemented.insert(name.to_owned());
                }
                keyword @ ("struct" | "enum" | "trait" | "type" | "fn" | "const" | "static")
                    if depth == 0 =>
                {
                    self.items.insert(name.to_owned());
                    if keyword == "struct" && text(at + 2) == "{" {
                        let body = &tokens[at + 3..matching(tokens, at + 2)];
                        let paths = (0..body.len()).filter_map(|at| path(body, at));
                        self.fields.extend(paths.map(|path| (name.to_owned(), path)));
                    }
                }
                _ => self.paths.extend(path(tokens, at).filter(|path| path.segments.len() > 1)),
            }
            at += 1;
        }
    }
}

/// The path that starts at a token, if one does.
fn path(tokens: &[Token<'_>], at: usize) -> Option<Path> {
    let is_word = |token: &&Token<'_>| token.text.starts_with(is_word);
    let is_joint = |token: &Token<'_>| token.text == "::";
    if at > 0 && is_joint(&tokens[at - 1]) {
        return None;
    }
    let first = tokens.get(at).filter(is_word)?;
    let mut segments = vec![first.text.to_owned()];
    for pair in tokens[at + 1..].chunks_exact(2) {
        let Some(next) = pair.get(1).filter(is_word).filter(|_| is_joint(&pair[0])) else { break };
        segments.push(next.text.to_owned());
    }
    Some(Path { segments, line: first.line })
}

/// Reads the tree of one `use`.
struct Imports<'a> {
    tokens: &'a [Token<'a>],
    /// The next token.
    at: usize,
    is_reexport: bool,
    found: Vec<Import>,
}

impl<'a> Imports<'a> {
    /// Reads one branch, and stops behind it.
    fn branch(&mut self, stem: &Path) {
        let mut path = stem.clone();
        loop {
            path.line = self.tokens.get(self.at).map_or(0, |token| token.line);
            match self.next() {
                "" => return,
                "::" => continue,
                "{" => {
                    while !matches!(self.peek(), "}" | "") {
                        self.branch(&path);
                        if self.peek() == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                // `lane::{self}` names the module.
                "self" if !path.segments.is_empty() => {}
                segment => path.segments.push(segment.to_owned()),
            }
            if self.peek() != "::" {
                break;
            }
        }
        let mut name = path.segments.last().cloned().unwrap_or_default();
        if self.peek() == "as" {
            self.at += 1;
            name = self.next().to_owned();
        }
        self.found.push(Import { name, path, is_reexport: self.is_reexport });
    }

    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).map_or("", |token| token.text)
    }

    fn next(&mut self) -> &'a str {
        let text = self.peek();
        self.at += 1;
        text
    }
}

/// The tokens without the items under `#[cfg(test)]`.
fn without_tests<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    const MARK: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let (mut kept, mut at) = (Vec::new(), 0);
    while let Some(&token) = tokens.get(at) {
        if tokens[at..].iter().map(|token| token.text).take(MARK.len()).eq(MARK) {
            at = end_of_item(tokens, at + MARK.len());
        } else {
            kept.push(token);
            at += 1;
        }
    }
    kept
}

/// The place behind an item, which ends with `;` or a block.
fn end_of_item(tokens: &[Token<'_>], mut at: usize) -> usize {
    while let Some(token) = tokens.get(at) {
        at = match token.text {
            ";" => return at + 1,
            "{" => return matching(tokens, at) + 1,
            "(" | "[" => matching(tokens, at) + 1,
            _ => at + 1,
        };
    }
    at
}

/// The place of the bracket that closes the one at `open`.
fn matching(tokens: &[Token<'_>], open: usize) -> usize {
    let mut depth = 0;
    let closes = |token: &Token<'_>| {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        depth == 0
    };
    let length = tokens[open..].iter().position(closes);
    length.map_or(tokens.len(), |length| open + length)
}
