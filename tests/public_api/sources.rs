//! Reads the public names out of the sources. It relies on their format, which is rustfmt's: what stands
//! at the beginning of a line is an item of its module, four spaces further are its members.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Where an item is defined: the path of its module, and its name.
pub(crate) type Definition = (Vec<String>, String);

/// The lines of each module, without its unit tests.
pub(crate) struct Sources {
    modules: BTreeMap<Vec<String>, Vec<String>>,
    definitions: BTreeMap<String, Vec<Vec<String>>>,
}

const KINDS: [&str; 8] = ["struct", "enum", "trait", "type", "fn", "const fn", "async fn", "const"];

impl Sources {
    pub(crate) fn read() -> Self {
        let mut modules = BTreeMap::new();
        read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut modules);
        let mut definitions: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for (module, lines) in &modules {
            for name in lines.iter().filter_map(|line| defined(line.trim_start())) {
                definitions.entry(name.to_owned()).or_default().push(module.clone());
            }
        }
        Self { modules, definitions }
    }

    /// All public paths, with what each leads to.
    pub(crate) fn public_items(&self) -> BTreeMap<String, Definition> {
        let mut items = BTreeMap::new();
        self.add_public_items(&[], &self.modules[&[][..]], &mut items);
        items
    }

    fn add_public_items(
        &self,
        module: &[String],
        all: &[String],
        items: &mut BTreeMap<String, Definition>,
    ) {
        let mut lines = all.iter().enumerate();
        let path = |name: &str| [module, &[name.to_owned()]].concat().join("::");
        while let Some((at, line)) = lines.next() {
            if let Some(child) = line.strip_prefix("pub mod ") {
                let name = child.trim_end_matches([';', ' ', '{', '}']);
                let path = [module, &[name.to_owned()]].concat();
                if child.ends_with(';') {
                    self.add_public_items(&path, &self.modules[&path], items);
                } else {
                    let body = block(&all[at..], 0).into_iter().skip(1);
                    let body = body.filter_map(|line| line.strip_prefix("    ").map(str::to_owned));
                    self.add_public_items(&path, &body.collect::<Vec<_>>(), items);
                }
            } else if let Some(first) = line.strip_prefix("pub use ") {
                let mut text = first.to_owned();
                while !text.ends_with(';') {
                    text.push_str(lines.next().unwrap().1.trim());
                }
                for leaf in leaves(text.trim_end_matches(';')) {
                    let segments: Vec<_> = leaf.split("::").map(str::to_owned).collect();
                    let (name, from) = segments.split_last().unwrap();
                    assert!(name != "*" && !name.contains(' '), "write out the names of {leaf}");
                    let from = match from.first().map(String::as_str) {
                        Some("crate") => from[1..].to_vec(),
                        Some("self") => [module, &from[1..]].concat(),
                        _ => [module, from].concat(),
                    };
                    items.insert(path(name), (self.nearest(name, &from), name.clone()));
                }
            } else if let Some(name) = line.strip_prefix("pub ").and_then(defined) {
                items.insert(path(name), (module.to_vec(), name.to_owned()));
            }
        }
    }

    /// The members of an item (`::name`) and the traits that it has (`: Name`).
    pub(crate) fn members(&self, (home, name): &Definition) -> BTreeSet<String> {
        let mut members = BTreeSet::new();
        for (module, lines) in &self.modules {
            let is_home = module == home;
            for (at, line) in lines.iter().enumerate() {
                let indent = line.len() - line.trim_start().len();
                let item = line.trim_start();
                let block = || block(&lines[at..], indent);
                if is_home && item.strip_prefix("pub ").and_then(defined) == Some(name) {
                    let derives = lines[..at].iter().rev().map(|line| line.trim());
                    let derives = derives.take_while(|line| !line.is_empty() && *line != "}");
                    for derived in derives.filter_map(|line| line.strip_prefix("#[derive(")) {
                        let traits = derived.trim_end_matches(")]").split(", ");
                        members.extend(traits.map(|derived| format!(": {}", last(derived))));
                    }
                    add_body(item, &block(), indent, &mut members);
                } else if item.starts_with("impl") && indent == 0 {
                    let (header, body) = split_header(&block());
                    let (of, trait_) = implemented(&header);
                    if of != *name || self.nearest(name, module) != *home {
                        continue;
                    }
                    match trait_ {
                        Some(trait_) => _ = members.insert(format!(": {trait_}")),
                        None => self.add_methods(&body, &mut members),
                    }
                }
            }
        }
        members
    }

    fn add_methods(&self, body: &[String], members: &mut BTreeSet<String>) {
        for line in body {
            let Some(item) = line.strip_prefix("    ") else { continue };
            if let Some(name) = item.strip_prefix("pub ").and_then(defined) {
                members.insert(format!("::{name}"));
            } else if let Some(name) = item.strip_suffix("!();") {
                let start = format!("macro_rules! {name} {{");
                let mut modules = self.modules.values();
                let (lines, at) = modules
                    .find_map(|lines| Some((lines, lines.iter().position(|line| *line == start)?)))
                    .unwrap_or_else(|| panic!("{name} is not found"));
                let lines = lines[at..].iter().take_while(|line| *line != "}");
                let names = lines.filter_map(|line| defined(line.trim().strip_prefix("pub ")?));
                members.extend(names.map(|name| format!("::{name}")));
            }
        }
    }

    /// The module that defines a name, and has the most in common with another module.
    fn nearest(&self, name: &str, module: &[String]) -> Vec<String> {
        let common = |other: &&Vec<String>| {
            let common = other.iter().zip(module).take_while(|(a, b)| a == b).count();
            (common, usize::MAX - other.len())
        };
        let homes = self.definitions.get(name).unwrap_or_else(|| panic!("{name} is not defined"));
        homes.iter().max_by_key(common).unwrap().clone()
    }
}

fn read_folder(folder: &Path, module: &[String], modules: &mut BTreeMap<Vec<String>, Vec<String>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let child = match &*name {
            "tests" => continue,
            "lib" | "mod" => module.to_vec(),
            _ => [module, &[name]].concat(),
        };
        if path.is_dir() {
            read_folder(&path, &child, modules);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().take_while(|line| *line != "mod tests {");
            let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
            modules.insert(child, lines.map(str::to_owned).collect());
        }
    }
}

/// The name that an item gives, after its visibility.
fn defined(item: &str) -> Option<&str> {
    let visible = item.strip_prefix("pub ").unwrap_or(item);
    let visible = match visible.strip_prefix("pub(") {
        Some(rest) => rest.split_once(") ")?.1,
        None => visible,
    };
    let rest = KINDS.iter().find_map(|kind| visible.strip_prefix(kind)?.strip_prefix(' '))?;
    let end = rest.find(|char: char| !char.is_alphanumeric() && char != '_');
    Some(&rest[..end.unwrap_or(rest.len())]).filter(|name| !name.is_empty())
}

/// The lines of an item, to the one that closes it.
fn block(lines: &[String], indent: usize) -> Vec<String> {
    let is_end = |line: &String| {
        let trimmed = line.trim_start();
        line.len() - trimmed.len() == indent
            && (trimmed.starts_with('}') || trimmed.ends_with(';') || trimmed.ends_with("{}"))
    };
    let end = lines.iter().position(is_end).map_or(lines.len(), |end| end + 1);
    lines[..end].to_vec()
}

/// The lines before the body, as one, and the body.
fn split_header(block: &[String]) -> (String, Vec<String>) {
    let end = block.iter().position(|line| line.ends_with('{') || line.ends_with("{}")).unwrap();
    (block[..=end].join(" "), block[end + 1..].to_vec())
}

/// The fields, variants or functions in the body of a type or a trait.
fn add_body(item: &str, block: &[String], indent: usize, members: &mut BTreeSet<String>) {
    let (is_enum, is_trait) = (item.contains("enum "), item.contains("trait "));
    let mut variant = String::new();
    for line in block.iter().skip(1) {
        let Some(line) = line.get(indent + 4..) else { continue };
        let name_of = |line: &str| {
            let end = line.find(|char: char| !char.is_alphanumeric() && char != '_');
            line[..end.unwrap_or(line.len())].to_owned()
        };
        if is_enum {
            if line.starts_with(char::is_uppercase) {
                variant = name_of(line);
                members.insert(format!("::{variant}"));
            } else if let Some(field) = line.strip_prefix("    ")
                && field.starts_with(char::is_lowercase)
                && field.contains(": ")
            {
                members.insert(format!("::{variant}::{}", name_of(field)));
            }
        } else if is_trait {
            if let Some(name) = defined(line) {
                members.insert(format!("::{name}"));
            }
        } else if let Some(field) = line.strip_prefix("pub ") {
            members.insert(format!("::{}", name_of(field)));
        }
    }
}

/// The type of an `impl`, and the trait if it is of one, by their last names.
fn implemented(header: &str) -> (String, Option<String>) {
    let rest = header.strip_prefix("impl").unwrap();
    let rest = if rest.starts_with('<') { &rest[end_of_generics(rest)..] } else { rest };
    let rest = rest.split(" where ").next().unwrap().trim_end_matches(['{', '}', ' ']).trim();
    match rest.split_once(" for ") {
        Some((trait_, of)) => (last(of), Some(last(trait_))),
        None => (last(rest), None),
    }
}

fn end_of_generics(text: &str) -> usize {
    let mut depth = 0_usize;
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'>' if bytes[at - 1] != b'-' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    panic!("{text} has no end")
}

/// `Service` of `tower::Service<Request<A>>`.
fn last(path: &str) -> String {
    let path = path.split('<').next().unwrap_or(path);
    path.rsplit("::").next().unwrap_or(path).trim_start_matches('&').to_owned()
}

/// The paths of a `use` with braces.
fn leaves(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, rest)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inside = rest.strip_suffix('}').unwrap();
    let (mut depth, mut start, mut all) = (0_usize, 0, Vec::new());
    for (at, char) in inside.char_indices().chain([(inside.len(), ',')]) {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let part = inside[start..at].trim();
                if !part.is_empty() {
                    all.extend(leaves(part).iter().map(|leaf| format!("{before}{leaf}")));
                }
                start = at + 1;
            }
            _ => {}
        }
    }
    all
}
