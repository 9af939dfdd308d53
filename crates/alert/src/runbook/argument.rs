//! What a command or webhook is given, by name.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Labels;
use crate::fault::{Fault, check_count, check_text, shown};

const ARGUMENTS_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 64;
const VALUE_BYTES_MAX: usize = 1_024;
/// Bytes of a value that comes from a label.
const LABEL_BYTES_MAX: usize = 256;

/// The value of an argument: a text, or that of a label of the incident.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a text, or {label: NAME}")]
pub enum ArgumentSpec {
    /// As it stands.
    Text(String),
    /// The value of a label.
    Label(LabelArgument),
}

/// The value of a label.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelArgument {
    /// Its name.
    pub label: String,
}

/// Checks names, and values as far as they are known.
pub(super) fn check(at: &str, arguments: &BTreeMap<String, ArgumentSpec>) -> Result<(), Fault> {
    check_count(at, arguments.len(), 0, ARGUMENTS_MAX)?;
    for (name, value) in arguments {
        let at = format!("{at}.{}", shown(name));
        let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !(letters && first && name.len() <= NAME_BYTES_MAX) {
            let message = "is no name of an argument; write a letter, then letters, digits and _";
            return Err(Fault::new(at, message));
        }
        match value {
            ArgumentSpec::Text(text) => check_text(&at, text, VALUE_BYTES_MAX)?,
            ArgumentSpec::Label(from) if from.label.is_empty() => {
                return Err(Fault::new(format!("{at}.label"), "is empty; name a label"));
            }
            ArgumentSpec::Label(from) => check_text(&format!("{at}.label"), &from.label, VALUE_BYTES_MAX)?,
        }
    }
    Ok(())
}

/// The values for an incident. Whoever sends telemetry chooses labels, so a value from one is a plain word: an
/// option, a path upwards or something for an interpreter is refused.
pub(super) fn resolve(
    arguments: &BTreeMap<String, ArgumentSpec>,
    labels: &Labels,
) -> Result<BTreeMap<String, String>, Fault> {
    let value = |(name, value): (&String, &ArgumentSpec)| {
        let value = match value {
            ArgumentSpec::Text(text) => text.clone(),
            ArgumentSpec::Label(from) => {
                let at = format!("arguments.{name}");
                let value = labels.get(&from.label).ok_or_else(|| {
                    Fault::new(&at, format!("there is no label {:?} to take it from", shown(&from.label)))
                })?;
                if !is_plain(value) {
                    let message = format!(
                        "label {:?} is {:?}; only a word of letters, digits and . _ : @ - that begins with a letter or digit is handed on",
                        shown(&from.label),
                        shown(value)
                    );
                    return Err(Fault::new(&at, message));
                }
                value.clone()
            }
        };
        Ok((name.clone(), value))
    };
    arguments.iter().map(value).collect()
}

fn is_plain(value: &str) -> bool {
    let letters =
        value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'@' | b'-'));
    letters
        && value.len() <= LABEL_BYTES_MAX
        && value.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
}
