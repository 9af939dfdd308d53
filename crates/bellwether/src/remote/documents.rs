//! YAML files as documents: bounded in every way, since whoever applies files may not have written them.

use std::cell::Cell;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value, json};

use crate::compose::Failure;

/// Largest file, bytes.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// Bytes of all files.
const ALL_BYTES_MAX: u64 = 16 << 20;

/// Files of one set.
const FILES_MAX: usize = 2_000;

/// Folders within folders.
const DEPTH_MAX: usize = 10;

/// What all documents may hold once aliases are followed: a value counts as sixteen bytes, a text as its length, too.
const CONTENT_BYTES_MAX: usize = 64 << 20;

/// Reads files and folders of files as the documents that the server takes. The error tells everything that is
/// wrong.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<Value>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        let is_folder = std::fs::metadata(path).map_err(|error| cannot(path, &error))?.is_dir();
        match path.file_name() {
            _ if is_folder => walk(path, "", 0, &mut files)?,
            Some(name) => files.push((path.clone(), name.to_string_lossy().into_owned())),
            None => return Err(format!("{} is no file", path.display()).into()),
        }
    }
    let (mut documents, mut wrong) = (Vec::new(), Vec::new());
    let (mut bytes, left) = (0, Cell::new(CONTENT_BYTES_MAX));
    for (path, name) in &files {
        let length = std::fs::metadata(path).map_err(|error| cannot(path, &error))?.len();
        bytes += length;
        if length > FILE_BYTES_MAX || bytes > ALL_BYTES_MAX {
            wrong.push(format!(
                "{name} has {length} bytes; at most {FILE_BYTES_MAX} are read of a file and {ALL_BYTES_MAX} of all"
            ));
            break;
        }
        let text = std::fs::read_to_string(path).map_err(|error| cannot(path, &error))?;
        for (at, content) in parse(&text, &left).into_iter().enumerate() {
            match content {
                Ok(Value::Null) => {}
                Ok(content) => {
                    documents.push(json!({ "file": name, "document": at + 1, "content": content }));
                }
                Err(message) => wrong.push(format!("{name}, document {}: {message}", at + 1)),
            }
        }
    }
    if wrong.is_empty() {
        return Ok(documents);
    }
    Err(format!("the files cannot be read; nothing was changed\n  {}", wrong.join("\n  ")).into())
}

fn cannot(path: &Path, error: &std::io::Error) -> Failure {
    format!("cannot read {}: {error}", path.display()).into()
}

/// Every YAML file below a folder, in order of name, with its name within the folder.
fn walk(
    folder: &Path,
    within: &str,
    depth: usize,
    files: &mut Vec<(PathBuf, String)>,
) -> Result<(), Failure> {
    if depth > DEPTH_MAX {
        return Err(format!("{} is more than {DEPTH_MAX} folders deep", folder.display()).into());
    }
    let entries = std::fs::read_dir(folder).map_err(|error| cannot(folder, &error))?;
    let mut paths: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(|error| cannot(folder, &error))?;
    paths.sort();
    for path in paths {
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().into_owned()) else { continue };
        if name.starts_with('.') {
            continue;
        }
        let full = if within.is_empty() { name.clone() } else { format!("{within}/{name}") };
        if path.is_dir() {
            walk(&path, &full, depth + 1, files)?;
        } else if [".yaml", ".yml"].iter().any(|end| name.ends_with(end)) {
            if files.len() >= FILES_MAX {
                return Err(format!("{} holds more than {FILES_MAX} files", folder.display()).into());
            }
            files.push((path, full));
        }
    }
    Ok(())
}

/// The documents of a text; one that cannot be read is the last, since nobody knows where the next one begins.
fn parse(text: &str, left: &Cell<usize>) -> Vec<Result<Value, String>> {
    let mut found = Vec::new();
    for document in serde_yaml_ng::Deserializer::from_str(text) {
        let content = Plain { left }.deserialize(document).map_err(|error| error.to_string());
        let is_wrong = content.is_err();
        found.push(content);
        if is_wrong {
            break;
        }
    }
    found
}

/// A value as JSON has it. Keys are texts and stand once; tags and numbers that JSON lacks are refused.
#[derive(Clone, Copy)]
struct Plain<'a> {
    /// How much more may be read.
    left: &'a Cell<usize>,
}

impl Plain<'_> {
    fn spend<E: Error>(self, bytes: usize) -> Result<(), E> {
        match self.left.get().checked_sub(bytes.saturating_add(16)) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => Err(E::custom(format!(
                "the documents hold more than {CONTENT_BYTES_MAX} bytes once aliases are followed: write fewer, without \
                 aliases"
            ))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Plain<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number, true, false, null, a list or a mapping")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        self.spend(0)?;
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        self.spend(0)?;
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        self.spend(0)?;
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        self.spend(0)?;
        let number = Number::from_f64(value);
        number.map(Value::Number).ok_or_else(|| E::custom(format!("{value} is no number that can be stored")))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        self.spend(value.len())?;
        Ok(value.into())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        self.spend(0)?;
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        self.spend(0)?;
        let mut map = Map::new();
        while let Some(key) = members.next_key_seed(self)? {
            let Value::String(key) = key else {
                return Err(A::Error::custom(format!("the key {key} is no text: write \"{key}\"")));
            };
            let value = members.next_value_seed(self)?;
            if map.insert(key.clone(), value).is_some() {
                return Err(A::Error::custom(format!("the key {key:?} is there twice: keep one of them")));
            }
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> Vec<Result<Value, String>> {
        parse(text, &Cell::new(1 << 20))
    }

    #[test]
    fn documents_are_read_as_json_has_them() {
        let text = "kind: role\nspec: {a: [1, 2.5, true, ~], \"yes\": 'no'}\n---\n---\nname: x\n";
        let want = [
            Ok(json!({"kind": "role", "spec": {"a": [1, 2.5, true, null], "yes": "no"}})),
            Ok(Value::Null),
            Ok(json!({"name": "x"})),
        ];
        assert_eq!(check(text), want);
        assert_eq!(check("a: &x {b: 1}\nc: *x\n"), [Ok(json!({"a": {"b": 1}, "c": {"b": 1}}))]);
    }

    #[test]
    fn what_json_lacks_is_refused_by_name() {
        for (text, want) in [
            ("a: 1\na: 2\n", "the key \"a\" is there twice"),
            ("1: a\n", "the key 1 is no text"),
            ("a: .nan\n", "NaN is no number"),
            ("a: !secret x\n", "invalid type: enum"),
            ("a: [\n", "did not find expected"),
            ("a: *b\n", "unknown anchor"),
        ] {
            let found = check(text);
            let error = found.last().and_then(|last| last.as_ref().err());
            assert!(error.is_some_and(|error| error.contains(want)), "{text}: {found:?}");
        }
    }

    #[test]
    fn aliases_cannot_make_much_of_little() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..12 {
            let aliases = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("a{n}: &a{n} [{aliases}]\n"));
        }
        assert!(check(&text)[0].is_err());
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(10_000), vec!["*a"; 200].join(", "));
        let error = check(&long)[0].clone().expect_err("too much");
        assert!(error.contains("once aliases are followed"), "{error}");
        let deep = "[".repeat(10_000);
        assert!(check(&deep)[0].is_err());
    }
}
