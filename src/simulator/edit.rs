//! Changes to a JSON object before it is sent: the lever behind every
//! "field missing", "field of another type" and "field twice" case.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What to change in one JSON object. Removals come first, then `set`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edit {
    /// Fields that get this value, whether they were there or not.
    pub set: Map<String, Value>,
    /// Fields that are left out.
    pub remove: Vec<String>,
    /// Fields that are written once more at the end of the object. JSON leaves
    /// open which of two equal names counts. Not for JWT claims.
    pub twice: Map<String, Value>,
}

impl Edit {
    /// An edit that sets one field.
    pub fn setting(field: &str, value: impl Into<Value>) -> Self {
        Self::default().and_set(field, value)
    }

    /// An edit that leaves out these fields.
    pub fn removing<const N: usize>(fields: [&str; N]) -> Self {
        Self { remove: fields.map(str::to_owned).to_vec(), ..Self::default() }
    }

    /// The same edit, which also sets `field`.
    #[must_use]
    pub fn and_set(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.set.insert(field.to_owned(), value.into());
        self
    }

    /// The object with removals and settings applied.
    pub(super) fn apply(&self, mut object: Map<String, Value>) -> Map<String, Value> {
        for field in &self.remove {
            object.remove(field);
        }
        object.extend(self.set.clone());
        object
    }

    /// The edited object as JSON text, with the repeated fields at its end.
    pub(super) fn render(&self, object: Map<String, Value>) -> String {
        let mut text = Value::Object(self.apply(object)).to_string();
        for (field, value) in &self.twice {
            text.pop();
            let separator = if text.len() > 1 { "," } else { "" };
            text.push_str(&format!("{separator}{}:{value}}}", Value::from(field.as_str())));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn removes_then_sets() {
        let edit = Edit { remove: vec!["a".to_owned(), "b".to_owned()], ..Edit::setting("b", 2) };
        assert_eq!(edit.render(object(r#"{"a":1,"b":1}"#)), r#"{"b":2}"#);
    }

    #[test]
    fn writes_a_field_twice() {
        let edit = Edit { twice: object(r#"{"a":2}"#), ..Edit::default() };
        assert_eq!(edit.render(object(r#"{"a":1}"#)), r#"{"a":1,"a":2}"#);
        assert_eq!(edit.render(Map::new()), r#"{"a":2}"#);
    }

    #[test]
    fn refuses_unknown_knobs() {
        assert!(serde_json::from_str::<Edit>(r#"{"drop":["a"]}"#).is_err());
    }
}
