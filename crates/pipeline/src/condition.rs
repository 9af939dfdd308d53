//! Which rows a processor is for: `{"field","op","value"}`, `{"all":[…]}`, `{"any":[…]}`, `{"not":…}`.
//!
//! A test of a field that a row does not have is false, and its negation is true. `level` is the severity by
//! its word: `{"field":"level","op":"gte","value":"warn"}`.

use model::record::log;
use model::{Records, Signal, Value};
use regex::Regex;
use serde_json::Value as Json;

use crate::config::{ConfigError, Members};
use crate::field::{Field, number_of, text_of};
use crate::level::{level_of_number, number_of_word};
use crate::patterns;

/// Nested `all`, `any` and `not`.
const DEPTH_MAX: usize = 8;
/// Parts of one `all`, `any` or `in`.
const PARTS_MAX: usize = 64;

const OPS: &str = "eq, ne, gt, gte, lt, lte, in, contains, starts_with, ends_with, matches, exists, missing";

/// A compiled condition.
#[derive(Clone, Debug)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Exists(Field),
    Compare(Field, Order, Constant),
    Level(Order, i64),
    In(Field, Vec<Constant>),
    Contains(Field, String),
    StartsWith(Field, String),
    EndsWith(Field, String),
    Matches(Field, Regex),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
    fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

/// What is compared with: numbers as numbers, everything else by its text.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Constant {
    Number(f64),
    Text(String),
}

impl Condition {
    /// Reads a condition.
    pub(crate) fn new(path: &str, value: &Json) -> Result<Self, ConfigError> {
        Self::nested(path, value, 0)
    }

    fn nested(path: &str, value: &Json, depth: usize) -> Result<Self, ConfigError> {
        if depth > DEPTH_MAX {
            return Err(ConfigError::new(path, value, format!("is nested deeper than {DEPTH_MAX}")));
        }
        let mut members = Members::new(path, value)?;
        let parts = |members: &mut Members<'_>, name| -> Result<Vec<Self>, ConfigError> {
            let parts = members.list(name, PARTS_MAX)?;
            parts.into_iter().map(|(path, part)| Self::nested(&path, part, depth + 1)).collect()
        };
        let condition = if members.get("all").is_some() {
            Self::All(parts(&mut members, "all")?)
        } else if members.get("any").is_some() {
            Self::Any(parts(&mut members, "any")?)
        } else if let Some(inner) = members.get("not") {
            Self::Not(Box::new(Self::nested(&members.path("not"), inner, depth + 1)?))
        } else {
            test(&mut members)?
        };
        members.end()?;
        Ok(condition)
    }

    /// Whether a row fulfils it.
    pub(crate) fn holds(&self, records: &Records, row: usize) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(records, row)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(records, row)),
            Self::Not(part) => !part.holds(records, row),
            Self::Exists(field) => field.get(records, row) != Value::Null,
            Self::Compare(field, order, constant) => {
                compare(records, field.get(records, row), *order, constant)
            }
            Self::Level(order, level) => {
                level_of(records, row).is_some_and(|own| order.holds(own.cmp(level)))
            }
            Self::In(field, constants) => {
                let value = field.get(records, row);
                constants.iter().any(|constant| compare(records, value, Order::Equal, constant))
            }
            Self::Contains(field, text) => field.text(records, row).is_some_and(|own| own.contains(text)),
            Self::StartsWith(field, text) => {
                field.text(records, row).is_some_and(|own| own.starts_with(text))
            }
            Self::EndsWith(field, text) => field.text(records, row).is_some_and(|own| own.ends_with(text)),
            Self::Matches(field, regex) => field.text(records, row).is_some_and(|own| regex.is_match(&own)),
        }
    }
}

/// A test of one field.
fn test(members: &mut Members<'_>) -> Result<Condition, ConfigError> {
    let name = members.need_text("field")?;
    let op = members.text("op")?.unwrap_or("eq");
    let field = Field::new(name);
    let order = match op {
        "exists" => return Ok(Condition::Exists(field)),
        "missing" => return Ok(Condition::Not(Box::new(Condition::Exists(field)))),
        "contains" => return Ok(Condition::Contains(field, members.need_long("value")?.to_owned())),
        "starts_with" => return Ok(Condition::StartsWith(field, members.need_long("value")?.to_owned())),
        "ends_with" => return Ok(Condition::EndsWith(field, members.need_long("value")?.to_owned())),
        "matches" => {
            let pattern = members.need_long("value")?;
            let regex = patterns::compile(pattern).map_err(|remedy| members.error("value", remedy))?;
            return Ok(Condition::Matches(field, regex));
        }
        "in" => {
            let constants = members.list("value", PARTS_MAX)?.into_iter();
            let constants = constants.map(|(path, value)| {
                constant(value)
                    .ok_or_else(|| ConfigError::new(&path, value, "is not a text, number or boolean"))
            });
            return Ok(Condition::In(field, constants.collect::<Result<_, _>>()?));
        }
        "eq" | "ne" => Order::Equal,
        "gt" => Order::Greater,
        "gte" => Order::GreaterOrEqual,
        "lt" => Order::Less,
        "lte" => Order::LessOrEqual,
        _ => return Err(members.error("op", format!("is not known; operators are {OPS}"))),
    };
    let value = members.get("value").unwrap_or(&Json::Null);
    let condition = if name == "level" {
        let level = value.as_str().and_then(number_of_word).and_then(level_of_number);
        let remedy = "is no level; give trace, debug, info, warn, error or fatal";
        Condition::Level(order, level.ok_or_else(|| members.error("value", remedy))?)
    } else {
        let constant = constant(value);
        let remedy = "is not a text, number or boolean";
        Condition::Compare(field, order, constant.ok_or_else(|| members.error("value", remedy))?)
    };
    Ok(if op == "ne" { Condition::Not(Box::new(condition)) } else { condition })
}

fn constant(value: &Json) -> Option<Constant> {
    match value {
        Json::Number(number) => number.as_f64().map(Constant::Number),
        Json::String(text) => Some(Constant::Text(text.clone())),
        Json::Bool(flag) => Some(Constant::Text(flag.to_string())),
        _ => None,
    }
}

fn compare(records: &Records, value: Value, order: Order, constant: &Constant) -> bool {
    match constant {
        Constant::Number(constant) => {
            let number = number_of(records, value);
            number.and_then(|number| number.partial_cmp(constant)).is_some_and(|o| order.holds(o))
        }
        Constant::Text(constant) => {
            let text = text_of(records, value);
            text.is_some_and(|text| order.holds(text.as_bytes().cmp(constant.as_bytes())))
        }
    }
}

/// The level of a log; of other rows an attribute `level`.
fn level_of(records: &Records, row: usize) -> Option<i64> {
    if records.signal == Signal::Logs {
        return match records.fields_of(row)[log::SEVERITY_NUMBER] {
            Value::Int(number) => level_of_number(number),
            _ => None,
        };
    }
    let level = records.find(records.attrs_of(row), "level")?;
    number_of_word(records.text_of(level)?).and_then(level_of_number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::logs;

    #[test]
    fn tests_of_fields() {
        let records =
            logs(&[r#"WARN "disk full" status=503 took="12.5" path="/a/b" ok=true | service.name="api""#]);
        for (condition, want) in [
            (json!({"field":"body","op":"eq","value":"disk full"}), true),
            (json!({"field":"message","value":"disk full"}), true),
            (json!({"field":"body","op":"ne","value":"disk full"}), false),
            (json!({"field":"absent","op":"ne","value":"x"}), true),
            (json!({"field":"absent","op":"eq","value":"x"}), false),
            (json!({"field":"absent","op":"lt","value":5}), false),
            (json!({"field":"absent","op":"missing"}), true),
            (json!({"field":"status","op":"exists"}), true),
            (json!({"field":"status","op":"gte","value":500}), true),
            (json!({"field":"status","op":"gt","value":503}), false),
            (json!({"field":"status","op":"eq","value":"503"}), true),
            (json!({"field":"took","op":"lt","value":100}), true),
            (json!({"field":"ok","op":"eq","value":true}), true),
            (json!({"field":"status","op":"in","value":[500, 503]}), true),
            (json!({"field":"path","op":"in","value":["/a"]}), false),
            (json!({"field":"path","op":"starts_with","value":"/a"}), true),
            (json!({"field":"path","op":"ends_with","value":"/a"}), false),
            (json!({"field":"body","op":"contains","value":"full"}), true),
            (json!({"field":"body","op":"matches","value":"^disk\\s\\w+$"}), true),
            (json!({"field":"level","op":"gte","value":"warn"}), true),
            (json!({"field":"level","op":"gt","value":"warning"}), false),
            (json!({"field":"level","op":"eq","value":"WARN"}), true),
            (json!({"field":"service","op":"eq","value":"api"}), true),
            (json!({"field":"resource.service.name","op":"eq","value":"api"}), true),
            (json!({"field":"attributes.service.name","op":"exists"}), false),
            (json!({"all":[]}), true),
            (json!({"any":[]}), false),
            (json!({"all":[{"field":"status","value":503},{"field":"status","value":500}]}), false),
            (json!({"any":[{"field":"status","value":503},{"field":"status","value":500}]}), true),
            (json!({"not":{"field":"status","value":503}}), false),
        ] {
            let compiled = Condition::new("if", &condition).expect("a condition");
            assert_eq!(compiled.holds(&records, 0), want, "{condition}");
        }
    }

    #[test]
    fn complaints_name_path_value_and_remedy() {
        let deep = (0..10).fold(json!({"field":"a","op":"exists"}), |inner, _| json!({ "not": inner }));
        for (condition, path, remedy) in [
            (json!(3), "if", "is not an object"),
            (json!({"op":"eq"}), "if.field", "is missing"),
            (json!({"field":"a","op":"is"}), "if.op", "operators are eq"),
            (json!({"field":"a","op":"eq","value":[1]}), "if.value", "is not a text, number"),
            (json!({"field":"level","value":"loud"}), "if.value", "is no level"),
            (json!({"field":"a","op":"matches","value":"("}), "if.value", "unclosed group"),
            (json!({"all":[{"field":"a","op":"exists"},{"field":1}]}), "if.all[1].field", "is not a text"),
            (json!({"field":"a","op":"exists","vlaue":1}), "if", "is not known here"),
            (json!({"any":vec![json!({"field":"a"}); 100]}), "if.any", "the most is 64"),
            (deep, "if.not.not.not.not.not.not.not.not.not", "deeper than"),
        ] {
            let error = Condition::new("if", &condition).expect_err("a complaint");
            assert_eq!(error.path, path, "{condition}");
            assert!(error.remedy.contains(remedy), "{condition}: {error}");
        }
    }
}
