//! One step of a pipeline: what it is called in a configuration, which rows it is for, and what it does to
//! them.

use std::collections::HashMap;

use model::record::log;
use model::{Attr, Records, Signal, Value};
use serde_json::Value as Json;

use crate::TEXT_BYTES_MAX;
use crate::condition::Condition;
use crate::config::{ConfigError, Members};
use crate::counts::ProcessorCounts;
use crate::field::{Field, text_of};
use crate::level::{level_of_number, number_of_word};
use crate::parse::Parser;
use crate::patterns::Extractor;
use crate::redact::Redactor;
use crate::sampling::Sample;
use crate::time::Format;

/// Fields of one `remove`, names of one `grok`.
const FIELDS_MAX: usize = 64;

pub(crate) const TYPES: &str = "parse_json, parse_logfmt, parse_regex, parse_grok, rename, set, remove, drop, \
                                keep, sample, redact, severity, timestamp, truncate";

/// A compiled processor.
#[derive(Clone, Debug)]
pub(crate) struct Processor {
    pub(crate) name: String,
    condition: Option<Condition>,
    action: Action,
}

#[derive(Clone, Debug)]
enum Action {
    Parse { parser: Parser, source: Field, prefix: String, remove_source: bool },
    Rename { from: Field, to: Field, overwrite: bool },
    SetConstant { field: Field, value: Json, overwrite: bool },
    SetFrom { field: Field, from: Field, overwrite: bool },
    Remove(Vec<Field>),
    Drop,
    Keep,
    Sample(Sample),
    Redact(Redactor),
    Severity(Field),
    Timestamp { field: Field, format: Format },
    Truncate { field: Field, bytes: usize },
}

impl Processor {
    /// Reads a processor.
    pub(crate) fn new(path: &str, value: &Json) -> Result<Self, ConfigError> {
        let mut members = Members::new(path, value)?;
        let kind = members.need_text("type")?;
        let condition =
            members.get("if").map(|value| Condition::new(&members.path("if"), value)).transpose()?;
        let action = action(kind, &mut members)?;
        if condition.is_none() && matches!(action, Action::Drop | Action::Keep) {
            return Err(members.error("if", format!("is missing; say which rows to {kind}")));
        }
        let name = members.text("name")?.unwrap_or(kind).to_owned();
        members.end()?;
        Ok(Self { name, condition, action })
    }

    /// True when it takes rows away rather than change them.
    pub(crate) fn drops(&self) -> bool {
        matches!(self.action, Action::Drop | Action::Keep | Action::Sample(_))
    }

    /// Does its work on all rows and counts it.
    pub(crate) fn run(&self, records: &mut Records, counts: &mut ProcessorCounts) {
        let meant = |records: &Records, row| self.condition.as_ref().is_none_or(|c| c.holds(records, row));
        let before = records.len();
        match &self.action {
            Action::Drop => {
                records.retain(|records, row| !meant(records, row));
                counts.dropped += before - records.len();
                counts.rows += before - records.len();
                return;
            }
            Action::Keep => {
                records.retain(meant);
                counts.dropped += before - records.len();
                counts.rows += records.len();
                return;
            }
            Action::Sample(sample) => {
                let mut asked = 0;
                records.retain(|records, row| {
                    let meant = meant(records, row);
                    asked += usize::from(meant);
                    !meant || sample.keeps(records, row)
                });
                counts.rows += asked;
                counts.sampled += before - records.len();
                return;
            }
            _ => {}
        }
        let mut resources = Resources::default();
        for row in 0..records.len() {
            if meant(records, row) {
                counts.rows += 1;
                // What adds texts ends where there is no more room; what takes them away goes on.
                let fits = records.text.len() <= TEXT_BYTES_MAX || !self.adds_text();
                counts.failed += usize::from(!fits || !self.change(records, row, &mut resources));
            }
        }
    }

    fn adds_text(&self) -> bool {
        match self.action {
            Action::Parse { .. }
            | Action::Rename { .. }
            | Action::SetConstant { .. }
            | Action::SetFrom { .. } => true,
            Action::Severity(_) | Action::Truncate { .. } => true,
            Action::Remove(_) | Action::Drop | Action::Keep | Action::Sample(_) | Action::Redact(_) => false,
            Action::Timestamp { .. } => false,
        }
    }

    /// Changes one row; false where it could not.
    fn change(&self, records: &mut Records, row: usize, resources: &mut Resources) -> bool {
        match &self.action {
            Action::Parse { parser, source, prefix, remove_source } => {
                let Some(text) = source.text(records, row).map(|text| text.into_owned()) else {
                    return false;
                };
                let parsed = parser.run(records, row, &text, prefix);
                if parsed && *remove_source {
                    source.remove(records, row);
                }
                parsed
            }
            Action::Rename { from, to, overwrite } => {
                let value = from.get(records, row);
                if value == Value::Null || (!overwrite && to.get(records, row) != Value::Null) {
                    return true;
                }
                // The old one goes first, since both names may mean one field; it comes back where the new one
                // cannot hold the value.
                let removed = from.remove(records, row);
                let done = to.set(records, row, value);
                if removed && !done {
                    from.set(records, row, value);
                }
                done
            }
            Action::SetConstant { field, value, overwrite } => {
                if !overwrite && field.get(records, row) != Value::Null {
                    return true;
                }
                if field.is_resource() {
                    resources.change(records, row, field, Some(value));
                    return true;
                }
                let value = constant(records, value);
                field.set(records, row, value)
            }
            Action::SetFrom { field, from, overwrite } => {
                let value = from.get(records, row);
                if value == Value::Null || (!overwrite && field.get(records, row) != Value::Null) {
                    return true;
                }
                field.set(records, row, value)
            }
            Action::Remove(fields) => {
                for field in fields {
                    if field.is_resource() {
                        resources.change(records, row, field, None);
                    } else {
                        field.remove(records, row);
                    }
                }
                true
            }
            Action::Redact(redactor) => {
                redactor.row(records, row);
                let resource = records.rows[row].resource;
                if (resource as usize) < records.resources.len() && resources.first_seen(resource) {
                    redactor.resource(records, resource as usize);
                }
                true
            }
            Action::Severity(field) => severity(records, row, field),
            Action::Timestamp { field, format } => {
                let value = field.get(records, row);
                if value == Value::Null {
                    return true;
                }
                let time_ns = text_of(records, value).and_then(|text| format.read(&text));
                if let Some(time_ns) = time_ns {
                    records.fields_of_mut(row)[0] = Value::Int(time_ns);
                }
                time_ns.is_some()
            }
            Action::Truncate { field, bytes } => {
                let value = field.get(records, row);
                let Some(text) = records.text_of(value).filter(|text| text.len() > *bytes) else {
                    return true;
                };
                let mut end = *bytes;
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                let short = format!("{}…", &text[..end]);
                let short = Value::Text(records.push_text(short));
                field.set(records, row, short)
            }
            // Done for all rows at once.
            Action::Drop | Action::Keep | Action::Sample(_) => true,
        }
    }
}

fn action(kind: &str, members: &mut Members<'_>) -> Result<Action, ConfigError> {
    let field = |members: &mut Members<'_>, name| members.need_text(name).map(Field::new);
    let row_field = |members: &mut Members<'_>, name| -> Result<Field, ConfigError> {
        let found = field(members, name)?;
        if found.is_resource() {
            return Err(
                members.error(name, "belongs to a resource, which many rows share; set it to a constant")
            );
        }
        Ok(found)
    };
    Ok(match kind {
        "parse_json" | "parse_logfmt" | "parse_regex" | "parse_grok" => {
            let source = Field::new(members.text("field")?.unwrap_or("body"));
            let parser = match kind {
                "parse_json" => Parser::Json,
                "parse_logfmt" => Parser::Logfmt,
                "parse_regex" => {
                    let extractor = Extractor::regex(members.need_long("pattern")?);
                    Parser::Pattern(Box::new(extractor.map_err(|remedy| members.error("pattern", remedy))?))
                }
                _ => {
                    let own = own_patterns(members)?;
                    let extractor = Extractor::grok(members.need_long("pattern")?, &own);
                    Parser::Pattern(Box::new(extractor.map_err(|remedy| members.error("pattern", remedy))?))
                }
            };
            let prefix = members.short("prefix")?.unwrap_or_default().to_owned();
            Action::Parse { parser, source, prefix, remove_source: members.flag("remove_source", false)? }
        }
        "rename" => Action::Rename {
            from: row_field(members, "from")?,
            to: row_field(members, "to")?,
            overwrite: members.flag("overwrite", true)?,
        },
        "set" => {
            let overwrite = members.flag("overwrite", true)?;
            match members.text("from")? {
                Some(from) => {
                    let from = Field::new(from);
                    Action::SetFrom { field: row_field(members, "field")?, from, overwrite }
                }
                None => {
                    let value = members.get("value").cloned();
                    let value =
                        value.ok_or_else(|| members.error("value", "is missing; give a value or from"))?;
                    Action::SetConstant { field: field(members, "field")?, value, overwrite }
                }
            }
        }
        "remove" => {
            let mut fields: Vec<_> =
                members.texts("fields", FIELDS_MAX)?.iter().map(|(_, f)| Field::new(f)).collect();
            fields.extend(members.text("field")?.map(Field::new));
            if fields.is_empty() {
                return Err(members.error("fields", "is missing; name at least one field"));
            }
            Action::Remove(fields)
        }
        "drop" => Action::Drop,
        "keep" => Action::Keep,
        "sample" => Action::Sample(Sample::new(members)?),
        "redact" => Action::Redact(Redactor::new(members)?),
        "severity" => Action::Severity(field(members, "field")?),
        "timestamp" => {
            let format = Format::new(members.text("format")?.unwrap_or("auto"));
            let format = format.map_err(|remedy| members.error("format", remedy))?;
            Action::Timestamp { field: field(members, "field")?, format }
        }
        "truncate" => {
            let bytes = members.number("bytes")?.filter(|bytes| (1.0..=1e9).contains(bytes));
            let bytes =
                bytes.ok_or_else(|| members.error("bytes", "is no number of bytes above 0"))? as usize;
            Action::Truncate { field: row_field(members, "field")?, bytes }
        }
        _ => return Err(members.error("type", format!("is not known; types are {TYPES}"))),
    })
}

/// Names of a grok processor's own.
fn own_patterns(members: &mut Members<'_>) -> Result<Vec<(String, String)>, ConfigError> {
    let Some(given) = members.get("patterns") else { return Ok(Vec::new()) };
    let remedy = format!("is no object of at most {FIELDS_MAX} names and expressions");
    let own = given.as_object().filter(|own| own.len() <= FIELDS_MAX);
    let own = own.ok_or_else(|| members.error("patterns", remedy.as_str()))?;
    let pair = |(name, pattern): (&String, &Json)| Some((name.clone(), pattern.as_str()?.to_owned()));
    own.iter().map(pair).collect::<Option<_>>().ok_or_else(|| members.error("patterns", remedy))
}

fn constant(records: &mut Records, value: &Json) -> Value {
    match value {
        Json::Null => Value::Null,
        Json::Bool(flag) => Value::Bool(*flag),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Value::Int(whole),
            None => Value::Double(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => Value::Text(records.push_text(text)),
        nested => Value::Json(records.push_text(nested.to_string())),
    }
}

/// Takes a field as the severity of a log; false where it says none.
fn severity(records: &mut Records, row: usize, field: &Field) -> bool {
    let value = field.get(records, row);
    if records.signal != Signal::Logs {
        return false;
    }
    let number = match value {
        Value::Null => return true,
        // Node's loggers count from 10 for trace to 60 for fatal.
        Value::Int(tens @ (10 | 20 | 30 | 40 | 50 | 60)) => Some(4 * (tens / 10) - 3),
        Value::Int(number) => Some(number),
        _ => records.text_of(value).and_then(number_of_word),
    };
    let Some((number, level)) = number.and_then(|number| Some((number, level_of_number(number)?))) else {
        return false;
    };
    let text = match value {
        Value::Text(_) => value,
        _ => {
            let words = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
            Value::Text(records.push_text(words[level as usize]))
        }
    };
    let fields = records.fields_of_mut(row);
    fields[log::SEVERITY_NUMBER] = Value::Int(number);
    fields[log::SEVERITY_TEXT] = text;
    true
}

/// Resources changed by one run of one processor. Rows share them, so a changed one is a new one, made once
/// for each that it is made of.
#[derive(Default)]
struct Resources {
    changed: HashMap<(u32, String), u32>,
    seen: Vec<bool>,
}

impl Resources {
    fn change(&mut self, records: &mut Records, row: usize, field: &Field, value: Option<&Json>) {
        let Some(key) = field.resource_key() else { return };
        let old = records.rows[row].resource;
        let new = match self.changed.get(&(old, key.to_owned())) {
            Some(new) => *new,
            None => {
                let mut attrs = records.resource_of(row).to_vec();
                let attr =
                    value.map(|value| Attr { value: constant(records, value), key: records.push_text(key) });
                if !field.change_resource(records, &mut attrs, attr) {
                    return;
                }
                let first = records.attrs.len() as u32;
                records.attrs.extend(attrs);
                let new = records.end_resource(first);
                self.changed.insert((old, key.to_owned()), new);
                new
            }
        };
        records.rows[row].resource = new;
    }

    fn first_seen(&mut self, resource: u32) -> bool {
        let at = resource as usize;
        if self.seen.len() <= at {
            self.seen.resize(at + 1, false);
        }
        !std::mem::replace(&mut self.seen[at], true)
    }
}
