//! What a row has beyond the columns: the overflow, written as JSON.

use serde_json::Value as Json;

use super::chunk::Scope;

/// The overflow of one row: the members of its two objects, as JSON. Kept as text, so that what is already there
/// stays as it is, down to the digits of a number.
#[derive(Clone, Debug, Default)]
pub(super) struct Overflow {
    attributes: String,
    resource: String,
}

impl Overflow {
    /// Reads what [`Self::text`] wrote.
    pub(super) fn from_json(text: Option<&str>) -> Self {
        let mut rest = text.unwrap_or("");
        let mut members = |name: &str| {
            let found = rest.get(1..)?.strip_prefix(name)?;
            let end = object_len(found)?;
            rest = &found[end..];
            found.get(1..end - 1).map(str::to_owned)
        };
        let attributes = members("\"attributes\":").unwrap_or_default();
        Self { attributes, resource: members("\"resource\":").unwrap_or_default() }
    }

    /// Adds a member; the value is JSON.
    pub(super) fn put(&mut self, scope: Scope, key: &str, value: &str) {
        let members = match scope {
            Scope::Record => &mut self.attributes,
            Scope::Resource => &mut self.resource,
        };
        if !members.is_empty() {
            members.push(',');
        }
        members.push_str(&json_string(key));
        members.push(':');
        members.push_str(value);
    }

    /// JSON; `None` when empty.
    pub(super) fn text(&self) -> Option<String> {
        match (self.attributes.is_empty(), self.resource.is_empty()) {
            (true, true) => None,
            (false, true) => Some(format!("{{\"attributes\":{{{}}}}}", self.attributes)),
            (true, false) => Some(format!("{{\"resource\":{{{}}}}}", self.resource)),
            (false, false) => {
                Some(format!("{{\"attributes\":{{{}}},\"resource\":{{{}}}}}", self.attributes, self.resource))
            }
        }
    }
}

/// Length of the object that a text begins with; `None` where it does not end.
fn object_len(text: &str) -> Option<usize> {
    let (mut depth, mut in_string, mut is_escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if in_string => is_escaped = true,
            b'"' => in_string = !in_string,
            b'{' if !in_string => depth += 1,
            b'}' if !in_string => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// A text as JSON.
pub(super) fn json_string(text: &str) -> String {
    Json::from(text).to_string()
}

/// A number, with the fewest digits that read back as the same; as text where JSON has no such number.
pub(super) fn json_double(value: f64) -> String {
    serde_json::Number::from_f64(value).map_or_else(|| json_string(&value.to_string()), |n| n.to_string())
}

/// An array or object as it is; as text where it is neither.
pub(super) fn json_text(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(Json::Array(_) | Json::Object(_)) => text.trim().into(),
        _ => json_string(text),
    }
}
