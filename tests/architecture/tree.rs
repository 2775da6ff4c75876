//! The tree of modules: which file uses items of which other file.

use std::collections::{BTreeMap, BTreeSet, VecDeque, btree_map::Entry};

use crate::file::{Path, SourceFile};

/// How many re-exports may follow one another, so that a mistake in the source ends the search.
const MOST_HOPS: usize = 16;

pub(crate) struct Tree {
    pub(crate) files: Vec<SourceFile>,
    by_module: BTreeMap<Vec<String>, usize>,
}

/// A file names an item that another file defines.
pub(crate) struct Use {
    pub(crate) by: usize,
    pub(crate) of: usize,
    pub(crate) item: String,
    pub(crate) line: usize,
}

/// What a path leads to.
enum Target {
    Module(usize),
    Item(usize, String),
}

impl Tree {
    /// A tree of files, given by their paths and texts.
    pub(crate) fn new<'a>(sources: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let files: Vec<_> =
            sources.into_iter().map(|(path, text)| SourceFile::read(path, text)).collect();
        let by_module = files.iter().enumerate().map(|(ix, file)| (file.module.clone(), ix));
        Self { by_module: by_module.collect(), files }
    }

    /// All uses of one file by another. `mod x;` and `pub use` are none: they say where something is.
    pub(crate) fn uses(&self) -> Vec<Use> {
        let mut uses = Vec::new();
        for (by, file) in self.files.iter().enumerate() {
            let imports = file.imports.iter().filter(|import| !import.is_reexport);
            let imports = imports.map(|import| &import.path);
            // `Lane::new` is a use where `Lane` is imported.
            let is_of_type = |path: &&Path| path.segments[0].starts_with(char::is_uppercase);
            let paths = file.paths.iter().filter(|path| !is_of_type(path));
            for path in imports.chain(paths) {
                if let Some((of, item)) = self.item(by, path).filter(|(of, _)| *of != by) {
                    uses.push(Use { by, of, item, line: path.line });
                }
            }
        }
        uses.sort_by_key(|used| (used.by, used.line));
        uses
    }

    /// The file that defines what a path leads to, and the item's name; `*` for all of a module.
    pub(crate) fn item(&self, file: usize, path: &Path) -> Option<(usize, String)> {
        let (last, before) = path.segments.split_last()?;
        let segments = if last == "*" { before } else { &path.segments };
        match self.resolve(file, segments, MOST_HOPS)? {
            Target::Item(file, item) => Some((file, item)),
            Target::Module(file) => (last == "*").then(|| (file, String::from("*"))),
        }
    }

    /// Follows a path as it is written in a file. None for other crates' items and the prelude's.
    fn resolve(&self, file: usize, path: &[String], hops: usize) -> Option<Target> {
        let (first, rest) = path.split_first()?;
        let module = &self.files[file].module;
        let start = match first.as_str() {
            "crate" => *self.by_module.get(&[][..])?,
            "super" => *self.by_module.get(&module[..module.len().checked_sub(1)?])?,
            "self" => file,
            _ => return self.find(file, path, hops),
        };
        self.descend(start, rest, hops)
    }

    /// Follows the rest of a path from a module. Items that a macro makes are taken to be there.
    fn descend(&self, file: usize, path: &[String], hops: usize) -> Option<Target> {
        match path.first().map(String::as_str) {
            None => Some(Target::Module(file)),
            Some("super") => self.resolve(file, path, hops),
            Some(name) => {
                self.find(file, path, hops).or_else(|| Some(Target::Item(file, name.to_owned())))
            }
        }
    }

    /// Looks a name up in a module: its items, what it imports, and its children. A path that ends with a
    /// name of both an item and a module is one of the item.
    fn find(&self, file: usize, path: &[String], hops: usize) -> Option<Target> {
        let hops = hops.checked_sub(1)?;
        let (name, rest) = path.split_first()?;
        let source = &self.files[file];
        let child = self.by_module.get(&[&source.module[..], &path[..1]].concat());
        if let Some(child) = child.filter(|_| !rest.is_empty()) {
            return self.descend(*child, rest, hops);
        }
        if source.items.contains(name) {
            return Some(Target::Item(file, name.clone()));
        }
        match source.imports.iter().find(|import| import.name == *name) {
            Some(import) => self.resolve(file, &[&import.path.segments, rest].concat(), hops),
            None => child.map(|child| Target::Module(*child)),
        }
    }
}

/// The shortest circles. One that shares a file with a shorter one is left out: opening the shorter one
/// mostly opens both.
pub(crate) fn circles(files: usize, uses: &[Use]) -> Vec<Vec<usize>> {
    let mut used_by = vec![BTreeSet::new(); files];
    for used in uses {
        used_by[used.by].insert(used.of);
    }
    let mut circles: Vec<_> =
        (0..files).filter_map(|start| shortest_circle(start, &used_by)).collect();
    circles.sort_by_key(Vec::len);
    let mut in_circle = BTreeSet::new();
    circles.retain(|circle| {
        let is_new = circle.iter().all(|file| !in_circle.contains(file));
        in_circle.extend(circle.iter().copied().filter(|_| is_new));
        is_new
    });
    circles
}

fn shortest_circle(start: usize, used_by: &[BTreeSet<usize>]) -> Option<Vec<usize>> {
    let mut came_from = BTreeMap::new();
    let mut to_visit = VecDeque::from([start]);
    while let Some(file) = to_visit.pop_front() {
        for &used in &used_by[file] {
            if used == start {
                let mut circle = vec![file];
                while let Some(&before) = circle.last().and_then(|file| came_from.get(file)) {
                    circle.push(before);
                }
                circle.reverse();
                return Some(circle);
            }
            if let Entry::Vacant(entry) = came_from.entry(used) {
                entry.insert(file);
                to_visit.push_back(used);
            }
        }
    }
    None
}
