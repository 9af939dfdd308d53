//! What a template works on.
//!
//! Go's templates see typed data: whether a missing key prints as nothing or as `<no value>`, which methods exist
//! and what may be compared depend on the type. The kinds here keep just that much of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Zoned;

use crate::Labels;

/// A value. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing; prints as `<no value>`.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Str(Arc<str>),
    /// Text that is safe where its kind says; a text like any other in text templates.
    Safe(Safe, Arc<str>),
    /// Values in order.
    List(Arc<List>),
    /// Values by name, in order of name.
    Map(Arc<Map>),
    /// Named fields, as a Go struct has them.
    Object(Arc<Object>),
    /// A point in time in its zone.
    Time(Arc<Zoned>),
    /// A span of time in nanoseconds.
    Duration(i64),
}

/// What a text is safe to be put into without escaping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Safe {
    /// Between tags.
    Html,
    /// Into an address.
    Url,
}

/// Values in order.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// What they are.
    pub(super) kind: ListKind,
    pub(super) items: Vec<Value>,
    /// Lists and maps within each other below this one, and itself.
    pub(super) depth: usize,
}

/// The type of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListKind {
    Any,
    Strings,
    /// Alertmanager's sorted pairs of a map.
    Pairs,
    /// Alertmanager's alerts, which know the firing and the resolved ones.
    Alerts,
    /// Those chosen of them, which do not.
    ChosenAlerts,
    /// The result of a query.
    Samples,
}

/// Values by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    pub(super) kind: MapKind,
    pub(super) entries: BTreeMap<Arc<str>, Value>,
    pub(super) depth: usize,
}

/// The type of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MapKind {
    Any,
    /// Text only: a missing key is an empty text.
    Strings,
    /// Alertmanager's labels and annotations: text, with methods.
    Kv,
}

/// Named fields in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Object {
    /// Its Go type, for `%T` and errors.
    pub(super) type_name: &'static str,
    /// Whether its fields begin with a small letter in JSON.
    pub(super) json_small: bool,
    pub(super) fields: Vec<(&'static str, Value)>,
    pub(super) depth: usize,
}

impl List {
    pub(super) fn new(kind: ListKind, items: Vec<Value>) -> Self {
        let depth = 1 + items.iter().map(Value::depth).max().unwrap_or(0);
        Self { kind, items, depth }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.kind {
            ListKind::Any => "[]interface {}",
            ListKind::Strings => "[]string",
            ListKind::Pairs => "template.Pairs",
            ListKind::Alerts => "template.Alerts",
            ListKind::ChosenAlerts => "[]template.Alert",
            ListKind::Samples => "template.queryResult",
        }
    }
}

impl Map {
    pub(super) fn new(kind: MapKind, entries: BTreeMap<Arc<str>, Value>) -> Self {
        let depth = 1 + entries.values().map(Value::depth).max().unwrap_or(0);
        Self { kind, entries, depth }
    }

    pub(super) fn of_labels(kind: MapKind, labels: &Labels) -> Self {
        Self::new(kind, labels.iter().map(|(k, v)| (k.as_str().into(), Value::from(v.as_str()))).collect())
    }

    /// What stands under a key; a missing one has its type's zero.
    pub(super) fn get(&self, key: &str) -> Value {
        match self.entries.get(key) {
            Some(value) => value.clone(),
            None if self.kind == MapKind::Any => Value::Nil,
            None => Value::from(""),
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.kind {
            MapKind::Any => "map[string]interface {}",
            MapKind::Strings => "map[string]string",
            MapKind::Kv => "template.KV",
        }
    }
}

impl Object {
    pub(super) fn new(type_name: &'static str, json_small: bool, fields: Vec<(&'static str, Value)>) -> Self {
        let depth = 1 + fields.iter().map(|(_, value)| value.depth()).max().unwrap_or(0);
        Self { type_name, json_small, fields, depth }
    }

    pub(super) fn get(&self, field: &str) -> Option<&Value> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, value)| value)
    }
}

impl Value {
    /// A list of texts.
    pub(super) fn strings(items: impl IntoIterator<Item = Self>) -> Self {
        Self::List(Arc::new(List::new(ListKind::Strings, items.into_iter().collect())))
    }

    pub(super) fn list(kind: ListKind, items: Vec<Self>) -> Self {
        Self::List(Arc::new(List::new(kind, items)))
    }

    pub(super) fn map(kind: MapKind, entries: BTreeMap<Arc<str>, Self>) -> Self {
        Self::Map(Arc::new(Map::new(kind, entries)))
    }

    pub(super) fn depth(&self) -> usize {
        match self {
            Self::List(list) => list.depth,
            Self::Map(map) => map.depth,
            Self::Object(object) => object.depth,
            _ => 0,
        }
    }

    /// About what it takes to build this value anew, in bytes; what it shares with others below it is not counted.
    pub(super) fn cost(&self) -> usize {
        const EACH: usize = 24;
        match self {
            Self::Str(text) | Self::Safe(_, text) => text.len() + EACH,
            Self::List(list) => (list.items.len() + 1) * EACH,
            Self::Map(map) => (map.entries.len() + 1) * 2 * EACH,
            _ => EACH,
        }
    }

    /// Length of a text; 0 for anything else.
    pub(super) fn text_bytes(&self) -> usize {
        match self {
            Self::Str(text) | Self::Safe(_, text) => text.len(),
            _ => 0,
        }
    }

    /// Go's rule: nothing, zero and empty are false, a struct is always true.
    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(value) | Self::Duration(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) | Self::Safe(_, text) => !text.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.entries.is_empty(),
            Self::Object(_) | Self::Time(_) => true,
        }
    }

    /// The Go type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::Safe(Safe::Html, _) => "template.HTML",
            Self::Safe(Safe::Url, _) => "template.URL",
            Self::List(list) => list.type_name(),
            Self::Map(map) => map.type_name(),
            Self::Object(object) => object.type_name,
            Self::Time(_) => "time.Time",
            Self::Duration(_) => "time.Duration",
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text.into())
    }
}

impl From<&Labels> for Value {
    fn from(labels: &Labels) -> Self {
        Self::Map(Arc::new(Map::of_labels(MapKind::Strings, labels)))
    }
}
