//! What changes between two contents: paths of fields with what they were and what they become.

use schemars::JsonSchema;
use serde::{Serialize, Serializer};
use serde_json::Value;

/// Fields named of one object.
const FIELDS_MAX: usize = 100;

/// Bytes of a value that is shown whole.
const VALUE_BYTES_MAX: usize = 500;

/// One field that changes.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "FieldChange")]
pub(super) struct Change {
    /// Such as `spec.widgets[0].title`.
    pub(super) field: String,
    /// What it is; left out where it is not there. Of long values the beginning.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_shown")]
    pub(super) old: Option<Value>,
    /// What it becomes; left out where it goes. Of long values the beginning.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "write_shown")]
    pub(super) new: Option<Value>,
}

fn write_shown<S: Serializer>(value: &Option<Value>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(shown).serialize(serializer)
}

/// The value, or as much of its text as is worth showing.
fn shown(value: &Value) -> Value {
    let text = value.to_string();
    if text.len() <= VALUE_BYTES_MAX {
        return value.clone();
    }
    Value::from(format!("{}…", &text[..text.floor_char_boundary(VALUE_BYTES_MAX)]))
}

/// A content with what may be shown of it.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) real: &'a Value,
    /// The same with markers for secrets.
    pub(super) masked: &'a Value,
}

/// The fields in which two contents differ, a bounded number of them, and how many more there are.
pub(super) fn diff(old: Side<'_>, new: Side<'_>) -> (Vec<Change>, usize) {
    let mut found = Found::default();
    found.walk("spec", Some(old), Some(new));
    (found.changes, found.more)
}

#[derive(Default)]
struct Found {
    changes: Vec<Change>,
    more: usize,
}

impl Found {
    fn walk(&mut self, path: &str, old: Option<Side<'_>>, new: Option<Side<'_>>) {
        let pair = old.zip(new);
        if pair.is_some_and(|(old, new)| old.real == new.real) {
            return;
        }
        match pair.map(|(old, new)| (old, new, old.real, new.real)) {
            Some((old, new, Value::Object(a), Value::Object(b))) => {
                let added = b.keys().filter(|name| !a.contains_key(*name));
                for name in a.keys().chain(added) {
                    self.walk(&format!("{path}.{name}"), old.member(name), new.member(name));
                }
            }
            Some((old, new, Value::Array(a), Value::Array(b))) => {
                for at in 0..a.len().max(b.len()) {
                    self.walk(&format!("{path}[{at}]"), old.item(at), new.item(at));
                }
            }
            _ if self.changes.len() >= FIELDS_MAX => self.more += 1,
            _ => {
                let value = |side: Option<Side<'_>>| side.map(|side| side.masked.clone());
                self.changes.push(Change { field: path.to_owned(), old: value(old), new: value(new) });
            }
        }
    }
}

impl<'a> Side<'a> {
    fn member(self, name: &str) -> Option<Self> {
        let real = self.real.get(name)?;
        Some(Self { real, masked: self.masked.get(name).unwrap_or(&Value::Null) })
    }

    fn item(self, at: usize) -> Option<Self> {
        let real = self.real.get(at)?;
        Some(Self { real, masked: self.masked.get(at).unwrap_or(&Value::Null) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(old: Value, new: Value, want: Value) {
        let side = |value| Side { real: value, masked: value };
        let (changes, more) = diff(side(&old), side(&new));
        assert_eq!(json!(changes), want);
        assert_eq!(more, 0);
    }

    #[test]
    fn fields_are_named_with_what_they_were_and_become() {
        check(json!({"a": 1}), json!({"a": 1}), json!([]));
        check(
            json!({"a": 1, "b": {"c": [1, 2]}, "d": null}),
            json!({"a": "1", "b": {"c": [1, 3, 4]}, "e": null}),
            json!([
                {"field": "spec.a", "old": 1, "new": "1"},
                {"field": "spec.b.c[1]", "old": 2, "new": 3},
                {"field": "spec.b.c[2]", "new": 4},
                {"field": "spec.d", "old": null},
                {"field": "spec.e", "new": null},
            ]),
        );
        check(json!([]), json!({}), json!([{"field": "spec", "old": [], "new": {}}]));
    }

    #[test]
    fn secrets_are_compared_and_not_shown() {
        let (old, new, masked) = (json!({"k": "one"}), json!({"k": "two"}), json!({"k": "***"}));
        let (changes, _) = diff(Side { real: &old, masked: &masked }, Side { real: &new, masked: &masked });
        assert_eq!(json!(changes[0]), json!({"field": "spec.k", "old": "***", "new": "***"}));
    }

    #[test]
    fn what_is_shown_is_bounded() {
        let many = |n: u64| Value::from((0..n).collect::<Vec<_>>());
        let (old, new) = (many(0), many(250));
        let (changes, more) = diff(Side { real: &old, masked: &old }, Side { real: &new, masked: &new });
        assert_eq!((changes.len(), more), (100, 150));
        let long = Value::from("é".repeat(1_000));
        let text = shown(&long);
        assert!(text.as_str().is_some_and(|text| text.len() < 510 && text.ends_with('…')));
    }
}
