//! Files, environment and flags to entries: a key as written, its value, and where it stands.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::expand::expand;
use super::problem::{ConfigError, Origin, Problem};

/// Largest configuration file.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Environment variables that belong to us.
const ENV_PREFIX: &str = "BELLWETHER_";
/// Variables of commands that ask a running server; they are no settings of the server.
const OF_COMMANDS: [&str; 2] = ["BELLWETHER_URL", "BELLWETHER_KEY"];

/// A value at a place. Tables are kept as they are: where a key ends is decided by the options there are.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) line: usize,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Table(Vec<(String, Node)>),
    Leaf(Value),
}

/// One value of one layer.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Dotted, as written.
    pub(super) path: String,
    pub(super) node: Node,
    pub(super) origin: Origin,
}

impl Node {
    pub(super) fn leaf(value: Value) -> Self {
        Self { line: 0, content: Content::Leaf(value) }
    }

    /// The tree of a JSON value, without places.
    pub(super) fn from_json(value: Value) -> Self {
        match value {
            Value::Object(fields) => {
                let fields = fields.into_iter().map(|(key, value)| (key, Self::from_json(value))).collect();
                Self { line: 0, content: Content::Table(fields) }
            }
            other => Self::leaf(other),
        }
    }

    pub(super) fn into_json(self) -> Value {
        match self.content {
            Content::Leaf(value) => value,
            Content::Table(fields) => {
                Value::Object(fields.into_iter().map(|(key, node)| (key, node.into_json())).collect())
            }
        }
    }

    /// Applies `${VAR}` to every text below.
    fn expand(
        &mut self,
        path: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
        wrong: &mut dyn FnMut(&str, usize, String),
    ) {
        match &mut self.content {
            Content::Table(fields) => {
                for (key, node) in fields {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    node.expand(&path, lookup, wrong);
                }
            }
            Content::Leaf(value) => {
                let line = self.line;
                expand_value(value, lookup, &mut |message| wrong(path, line, message));
            }
        }
    }
}

fn expand_value(value: &mut Value, lookup: &dyn Fn(&str) -> Option<String>, wrong: &mut dyn FnMut(String)) {
    match value {
        Value::String(text) => match expand(text, lookup) {
            Ok(expanded) => *text = expanded,
            Err(message) => wrong(message),
        },
        Value::Array(items) => items.iter_mut().for_each(|item| expand_value(item, lookup, wrong)),
        Value::Object(fields) => fields.values_mut().for_each(|field| expand_value(field, lookup, wrong)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Reads a file by its extension: `.yaml` and `.yml` as YAML, `.json` as JSON, anything else as TOML.
pub(super) fn file(
    path: &Path,
    env: &HashMap<String, String>,
    problems: &mut Vec<Problem>,
) -> Result<Node, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(unreadable)?.len();
    if size > FILE_BYTES_MAX {
        let message = format!("the file has {size} bytes; at most {FILE_BYTES_MAX} are read");
        return Err(ConfigError::Syntax { path: path.to_owned(), line: 0, message });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let extension = path.extension().and_then(|ext| ext.to_str()).unwrap_or_default();
    let parsed = match extension {
        "yaml" | "yml" => yaml(&text),
        "json" => json(&text),
        _ => toml(&text),
    };
    let mut node =
        parsed.map_err(|(line, message)| ConfigError::Syntax { path: path.to_owned(), line, message })?;
    node.expand("", &|name| env.get(name).cloned(), &mut |key, line, message| {
        let origin = Origin::File { path: path.to_owned(), line };
        problems.push(Problem { origin, key: key.to_owned(), message });
    });
    Ok(node)
}

type Parsed = Result<Node, (usize, String)>;

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes()[..at.min(text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
}

fn toml(text: &str) -> Parsed {
    use toml::de::{DeTable, DeValue};

    fn node(text: &str, at: usize, value: DeValue<'_>) -> Node {
        let line = line_of(text, at);
        match value {
            DeValue::Table(fields) => table(text, line, fields),
            other => Node { line, content: Content::Leaf(leaf(other)) },
        }
    }

    fn table(text: &str, line: usize, fields: DeTable<'_>) -> Node {
        let fields = fields.into_iter().map(|(key, value)| {
            let at = key.span().start;
            (key.into_inner().into_owned(), node(text, at, value.into_inner()))
        });
        Node { line, content: Content::Table(fields.collect()) }
    }

    fn leaf(value: DeValue<'_>) -> Value {
        match value {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Boolean(value) => Value::Bool(value),
            // What fits no number type stays text, and the option says what it wants instead.
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::from(number),
                Err(_) => Value::from(number.as_str()),
            },
            DeValue::Float(number) => {
                match number.as_str().parse::<f64>().ok().and_then(|n| Value::from(n).as_f64()) {
                    Some(number) => Value::from(number),
                    None => Value::from(number.as_str()),
                }
            }
            DeValue::Datetime(time) => Value::from(time.to_string()),
            DeValue::Array(items) => items.into_iter().map(|item| leaf(item.into_inner())).collect(),
            DeValue::Table(fields) => Value::Object(
                fields
                    .into_iter()
                    .map(|(key, value)| (key.into_inner().into_owned(), leaf(value.into_inner())))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    match DeTable::parse(text) {
        Ok(fields) => Ok(table(text, 1, fields.into_inner())),
        Err(error) => {
            let line = error.span().map_or(0, |span| line_of(text, span.start));
            Err((line, error.message().to_owned()))
        }
    }
}

fn yaml(text: &str) -> Parsed {
    let parsed: Result<serde_yaml_ng::Value, _> = serde_yaml_ng::from_str(text);
    let value = parsed.map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        (line, error.to_string())
    })?;
    if value.is_null() {
        return Ok(Node::from_json(Value::Object(Map::new())));
    }
    let value = serde_json::to_value(value).map_err(|error| (0, format!("keys must be texts: {error}")))?;
    let mut node = Node::from_json(value);
    place(&mut node, "", &yaml_lines(text));
    Ok(node)
}

fn json(text: &str) -> Parsed {
    let value: Value = serde_json::from_str(text).map_err(|error| (error.line(), error.to_string()))?;
    Ok(Node::from_json(value))
}

/// Lines of keys in block style, which is how people write YAML; a key in flow style has its parent's line.
fn yaml_lines(text: &str) -> HashMap<String, usize> {
    let mut lines = HashMap::new();
    let mut open: Vec<(usize, String)> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        if content.is_empty() || content.starts_with(['#', '-']) {
            continue;
        }
        let Some((key, after)) = content.split_once(':') else { continue };
        if !after.is_empty() && !after.starts_with([' ', '\t']) {
            continue;
        }
        while open.last().is_some_and(|(depth, _)| *depth >= indent) {
            open.pop();
        }
        let key = key.trim().trim_matches(['"', '\'']);
        let path = open.last().map_or_else(|| key.to_owned(), |(_, parent)| format!("{parent}.{key}"));
        lines.entry(path.clone()).or_insert(number + 1);
        open.push((indent, path));
    }
    lines
}

fn place(node: &mut Node, path: &str, lines: &HashMap<String, usize>) {
    let line = node.line;
    if let Content::Table(fields) = &mut node.content {
        for (key, field) in fields {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            field.line = lines.get(&path).copied().unwrap_or(line);
            place(field, &path, lines);
        }
    }
}

/// Environment variables as entries: `BELLWETHER_DATABASE__POOL_SIZE` is `database.pool_size`.
pub(super) fn env(variables: &HashMap<String, String>) -> Vec<Entry> {
    let mut entries: Vec<_> = variables
        .iter()
        .filter(|(name, _)| !OF_COMMANDS.contains(&name.as_str()))
        .filter_map(|(name, value)| {
            let key = name.strip_prefix(ENV_PREFIX)?.to_ascii_lowercase();
            let path = key.split("__").collect::<Vec<_>>().join(".");
            let node = Node::leaf(Value::from(value.as_str()));
            Some(Entry { path, node, origin: Origin::Env(name.clone()) })
        })
        .collect();
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    entries
}

/// Flags as entries: each is `key=value`.
pub(super) fn flags(flags: &[String], problems: &mut Vec<Problem>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for flag in flags {
        match flag.split_once('=') {
            Some((key, value)) => entries.push(Entry {
                path: key.trim().to_owned(),
                node: Node::leaf(Value::from(value)),
                origin: Origin::Flag,
            }),
            None => problems.push(Problem {
                origin: Origin::Flag,
                key: flag.chars().take(80).collect(),
                message: "write key=value, such as retention.metrics=30d".to_owned(),
            }),
        }
    }
    entries
}
