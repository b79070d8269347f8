//! The configuration as a tree of values that know where they stand.
//!
//! Only shape is known here; what a setting means is read by
//! [`super::section`].

use std::collections::BTreeMap;

use toml::de::{DeArray, DeTable, DeValue};

use super::mistakes::{Mistake, Place};

/// A table's settings by name.
pub(super) type Entries = BTreeMap<String, Node>;

/// One value and its place.
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A value before anybody knows what it should be.
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Flag(bool),
    List(Vec<Node>),
    Table(Entries),
    /// From the environment, where everything is text: whoever reads it decides
    /// whether it is a number, a flag or a list.
    Untyped(String),
    /// A kind of value that no setting has.
    Foreign,
}

/// Reads the text of a TOML file.
pub(super) fn parse(text: &str) -> Result<Entries, Vec<Mistake>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(entries(text, table.into_inner()));
    }
    // A broken file has lost settings on the way: what else would be found in
    // it follows from the breakage.
    Err(errors.iter().map(|error| syntax_mistake(text, error)).collect())
}

/// Only the message: the error's own display shows the line, secrets included.
fn syntax_mistake(text: &str, error: &toml::de::Error) -> Mistake {
    let place = error.span().map_or(Place::File, |span| line_at(text, span.start));
    Mistake { place, key: String::new(), problem: format!("cannot be read as TOML: {}", error.message()) }
}

fn entries(text: &str, table: DeTable<'_>) -> Entries {
    let entry = |(key, value): (toml::Spanned<_>, toml::Spanned<_>)| {
        let place = line_at(text, key.span().start);
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        (key.into_owned(), Node { place, value: value_of(text, value.into_inner()) })
    };
    table.into_iter().map(entry).collect()
}

fn items(text: &str, array: DeArray<'_>) -> Vec<Node> {
    let item = |value: toml::Spanned<_>| {
        let place = line_at(text, value.span().start);
        Node { place, value: value_of(text, value.into_inner()) }
    };
    array.into_iter().map(item).collect()
}

fn value_of(text: &str, value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(string) => Value::Text(string.into_owned()),
        DeValue::Integer(integer) => {
            i64::from_str_radix(integer.as_str(), integer.radix()).map_or(Value::Foreign, Value::Integer)
        }
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Array(array) => Value::List(items(text, array)),
        DeValue::Table(table) => Value::Table(entries(text, table)),
        DeValue::Float(_) | DeValue::Datetime(_) => Value::Foreign,
    }
}

fn line_at(text: &str, offset: usize) -> Place {
    let before = text.as_bytes().iter().take(offset);
    Place::Line(1 + before.filter(|byte| **byte == b'\n').count())
}
