//! Reading one table of the configuration, setting by setting.
//!
//! A read that goes wrong notes the mistake and gives nothing, and the reading
//! goes on: so all mistakes of a file are found in one pass. Any mistake makes
//! the whole configuration fail, whatever else was read. What nobody asked for
//! when a table has been read is an unknown setting, which is a mistake too.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::files::Files;
use super::mistakes::{Mistake, Place};
use super::setting::{Bounded, Setting};
use super::tree::{Entries, Node, Value};

/// What all tables of one configuration share while they are read.
pub(super) struct Reading {
    directory: PathBuf,
    mistakes: RefCell<Vec<Mistake>>,
    taken: RefCell<BTreeSet<(String, String)>>,
    facts: RefCell<BTreeSet<String>>,
    files: RefCell<Files>,
}

impl Reading {
    /// Relative paths in the configuration start at `directory`.
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            mistakes: RefCell::default(),
            taken: RefCell::default(),
            facts: RefCell::default(),
            files: RefCell::default(),
        }
    }

    pub(super) fn root<T: Table>(&self, entries: Entries) -> Option<T> {
        Section::new(self, String::new(), Place::File, entries).read()
    }

    /// Reads the file at a path of the configuration.
    pub(super) fn file(&self, path: &Path) -> io::Result<Zeroizing<String>> {
        self.files.borrow_mut().read(&self.directory.join(path))
    }

    /// What was wrong, and the files that were read.
    pub(super) fn finish(self) -> (Vec<Mistake>, Files) {
        (self.mistakes.into_inner(), self.files.into_inner())
    }

    fn note(&self, place: &Place, key: &str, problem: impl Display) {
        let mistake = Mistake { place: place.clone(), key: key.to_owned(), problem: problem.to_string() };
        self.mistakes.borrow_mut().push(mistake);
    }
}

/// Something that is written as one table.
pub(super) trait Table: Sized {
    /// Asks `section` for every setting of the table before it gives up.
    fn read(section: &mut Section<'_>) -> Option<Self>;
}

/// One table while it is read.
pub(super) struct Section<'r> {
    reading: &'r Reading,
    path: String,
    place: Place,
    entries: Entries,
    asked: BTreeMap<String, Place>,
}

impl<'r> Section<'r> {
    fn new(reading: &'r Reading, path: String, place: Place, entries: Entries) -> Self {
        Self { reading, path, place, entries, asked: BTreeMap::new() }
    }

    fn read<T: Table>(mut self) -> Option<T> {
        let table = T::read(&mut self);
        let known = self.asked.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        for (key, node) in &self.entries {
            let problem = format!("is not a setting; known here: {known}");
            self.reading.note(&node.place, &self.path_of(key), problem);
        }
        table
    }

    /// Of a name that no setting can have nothing is shown: it may be a secret
    /// that changed places with its name.
    fn path_of(&self, key: &str) -> String {
        let is_name =
            key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte));
        let key = if is_name && key.len() <= 40 { key } else { "…" };
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn take(&mut self, key: &str) -> Option<Node> {
        let node = self.entries.remove(key);
        let place = node.as_ref().map_or(&self.place, |node| &node.place);
        self.asked.insert(key.to_owned(), place.clone());
        node
    }

    /// Whether the setting is given and has not been read yet.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Whether the setting, not read yet, comes from the environment.
    pub(super) fn is_from_environment(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|node| matches!(node.place, Place::Variable(_)))
    }

    /// Whether the setting, not read yet, is a table.
    pub(super) fn is_table(&self, key: &str) -> bool {
        self.entries.get(key).is_some_and(|node| matches!(node.value, Value::Table(_)))
    }

    /// Drops a setting that another one overrides.
    pub(super) fn overrule(&mut self, key: &str) {
        self.take(key);
    }

    /// The names that are given and have not been read.
    pub(super) fn names(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    /// Where relative paths start.
    pub(super) fn directory(&self) -> &'r Path {
        &self.reading.directory
    }

    /// What it shares with the other tables.
    pub(super) const fn reading(&self) -> &'r Reading {
        self.reading
    }

    /// Notes what is wrong with a setting that was asked for.
    pub(super) fn wrong(&self, key: &str, problem: impl Display) {
        let place = self.asked.get(key).unwrap_or(&self.place);
        self.reading.note(place, &self.path_of(key), problem);
    }

    /// Notes what is wrong with a setting unless it is left out or `holds`.
    pub(super) fn check<T>(&self, key: &str, value: Option<&T>, holds: impl FnOnce(&T) -> bool, problem: &str) {
        if !value.is_none_or(holds) {
            self.wrong(key, problem);
        }
    }

    /// Notes a mistake when the setting is not given; `reason` says why it is needed.
    pub(super) fn need(&mut self, key: &str, reason: impl Display) {
        if !self.has(key) {
            self.take(key);
            self.wrong(key, format_args!("is missing; {reason}"));
        }
    }

    /// A setting that may be left out.
    pub(super) fn optional<T: Setting>(&mut self, key: &str) -> Option<T> {
        let node = self.take(key)?;
        T::read(&node.value).map_err(|problem| self.wrong(key, problem)).ok()
    }

    /// A setting that must be there.
    pub(super) fn required<T: Setting>(&mut self, key: &str) -> Option<T> {
        self.need(key, format_args!("it {}", T::EXPECTED));
        self.optional(key)
    }

    /// A setting with a default.
    pub(super) fn or<T: Setting>(&mut self, key: &str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// A setting with a default and bounds.
    pub(super) fn within<T: Bounded>(&mut self, key: &str, default: T, bounds: RangeInclusive<T>) -> T {
        let value = self.or(key, default);
        self.check_bounds(key, &value, &bounds);
        value
    }

    fn check_bounds<T: Bounded>(&self, key: &str, value: &T, bounds: &RangeInclusive<T>) {
        if !bounds.contains(value) {
            let (least, most) = (bounds.start().written(), bounds.end().written());
            self.wrong(key, format_args!("must be between {least} and {most}"));
        }
    }

    /// A setting with bounds that may be left out.
    pub(super) fn within_if_given<T: Bounded>(&mut self, key: &str, bounds: RangeInclusive<T>) -> Option<T> {
        let value: T = self.optional(key)?;
        self.check_bounds(key, &value, &bounds);
        Some(value)
    }

    /// A list of plain values; `None` when it is left out.
    pub(super) fn list<T: Setting>(&mut self, key: &str) -> Option<Vec<T>> {
        let nodes = self.items(key)?;
        Some(self.read_items(key, &nodes))
    }

    /// As [`Section::list`], with one item at least; `reason` says why.
    pub(super) fn list_of_some<T: Setting>(&mut self, key: &str, reason: &str) -> Option<Vec<T>> {
        let nodes = self.some_items(key, reason)?;
        Some(self.read_items(key, &nodes))
    }

    fn read_items<T: Setting>(&self, key: &str, nodes: &[Node]) -> Vec<T> {
        let path = self.path_of(key);
        let item = |(index, node): (usize, &Node)| {
            let problem = |problem| self.reading.note(&node.place, &format!("{path}[{index}]"), problem);
            T::read(&node.value).map_err(problem).ok()
        };
        nodes.iter().enumerate().filter_map(item).collect()
    }

    /// A table that may be left out.
    pub(super) fn table<T: Table>(&mut self, key: &str) -> Option<T> {
        let node = self.take(key)?;
        self.reading.table(self.path_of(key), node)
    }

    /// A table whose settings all have defaults when the table is left out.
    pub(super) fn table_or_defaults<T: Table>(&mut self, key: &str) -> Option<T> {
        let node = self.take(key);
        let empty = || Node { place: self.place.clone(), value: Value::Table(Entries::new()) };
        self.reading.table(self.path_of(key), node.unwrap_or_else(empty))
    }

    /// A table that must be there; `reason` says why.
    pub(super) fn required_table<T: Table>(&mut self, key: &str, reason: &str) -> Option<T> {
        self.need(key, reason);
        self.table(key)
    }

    /// A list of tables that has at least one; `reason` says why.
    pub(super) fn tables<T: Table>(&mut self, key: &str, reason: &str) -> Vec<T> {
        self.need(key, reason);
        let nodes = self.some_items(key, reason).unwrap_or_default();
        let path = self.path_of(key);
        let table = |(index, node)| self.reading.table(format!("{path}[{index}]"), node);
        nodes.into_iter().enumerate().filter_map(table).collect()
    }

    /// As [`Section::tables`], of a list that may be left out.
    pub(super) fn tables_if_any<T: Table>(&mut self, key: &str, reason: &str) -> Vec<T> {
        if self.has(key) {
            return self.tables(key, reason);
        }
        self.take(key);
        Vec::new()
    }

    fn some_items(&mut self, key: &str, reason: &str) -> Option<Vec<Node>> {
        let nodes = self.items(key)?;
        if nodes.is_empty() {
            self.wrong(key, format_args!("is empty; {reason}"));
        }
        Some(nodes)
    }

    fn items(&mut self, key: &str) -> Option<Vec<Node>> {
        let node = self.take(key)?;
        match node.value {
            Value::List(nodes) => Some(nodes),
            Value::Untyped(text) => Some(split(&text, &node.place)),
            Value::Text(_) | Value::Integer(_) | Value::Flag(_) | Value::Table(_) | Value::Foreign => {
                self.wrong(key, "must be a list, in square brackets");
                None
            }
        }
    }

    /// Notes a mistake when the value occurs twice within `scope`.
    pub(super) fn unique(&self, key: &str, scope: &str, value: &str) {
        if !self.reading.taken.borrow_mut().insert((scope.to_owned(), value.to_owned())) {
            self.wrong(key, "is taken already; each must be different");
        }
    }

    /// Lets tables that are read later know of something.
    pub(super) fn establish(&self, fact: impl Into<String>) {
        self.reading.facts.borrow_mut().insert(fact.into());
    }

    /// Whether a table that was read earlier has established it.
    pub(super) fn is_established(&self, fact: &str) -> bool {
        self.reading.facts.borrow().contains(fact)
    }

    /// The path of this table.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path of the list that this table is an item of.
    pub(super) fn list_path(&self) -> &str {
        self.path.rsplit_once('[').map_or(&self.path, |(list, _)| list)
    }
}

impl Reading {
    fn table<T: Table>(&self, path: String, node: Node) -> Option<T> {
        let Value::Table(entries) = node.value else {
            self.note(&node.place, &path, "must be a table of settings");
            return None;
        };
        Section::new(self, path, node.place, entries).read()
    }
}

fn split(text: &str, place: &Place) -> Vec<Node> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| Node { place: place.clone(), value: Value::Untyped(item.to_owned()) }).collect()
}
