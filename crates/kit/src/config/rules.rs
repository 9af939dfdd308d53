//! Rules of retention: rows that fulfil a search are kept for a time of their own.

use std::time::Duration;

use serde_json::{Value, json};

use super::value::{Setting, quote};

/// Rules at most.
const RULES_MAX: usize = 32;

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// Whose rows: `logs`, `traces` or `events`.
    pub signal: String,
    /// Which: a search, as people type it. What it means is known to whoever searches.
    pub matches: String,
    /// How long.
    pub keep: Duration,
}

/// Rules in their order; the first that fits a row counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetentionRules(pub Vec<RetentionRule>);

impl Setting for RetentionRules {
    fn read(raw: &Value) -> Result<Self, String> {
        let items = match Value::read(raw)? {
            Value::Array(items) => items,
            Value::String(text) if text.trim().is_empty() => Vec::new(),
            other => return Err(format!("{} is not a list of rules", quote(&other))),
        };
        if items.len() > RULES_MAX {
            return Err(format!("has {} rules; at most {RULES_MAX} are allowed", items.len()));
        }
        let rules = items.iter().enumerate();
        let rules = rules.map(|(at, item)| rule(item).map_err(|why| format!("rule {}: {why}", at + 1)));
        rules.collect::<Result<_, _>>().map(Self)
    }

    fn show(&self) -> String {
        let rules = self
            .0
            .iter()
            .map(|rule| json!({ "signal": rule.signal, "match": rule.matches, "keep": rule.keep.show() }));
        Value::Array(rules.collect()).to_string()
    }
}

fn rule(item: &Value) -> Result<RetentionRule, String> {
    let members = item.as_object().ok_or_else(|| format!("{} is not a table", quote(item)))?;
    if let Some(odd) = members.keys().find(|name| !matches!(name.as_str(), "signal" | "match" | "keep")) {
        return Err(format!("{odd:?} is none of signal, match, keep"));
    }
    let text = |name: &str| {
        let text = members.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        text.map(str::to_owned).ok_or_else(|| format!("{name} is missing"))
    };
    let signal = text("signal")?;
    if !matches!(signal.as_str(), "logs" | "traces" | "events") {
        return Err(format!("signal {signal:?} is none of logs, traces, events"));
    }
    let keep = Duration::read(&Value::from(text("keep")?))?;
    if keep < Duration::from_secs(60) {
        return Err(format!("keep {} is less than a minute", keep.show()));
    }
    Ok(RetentionRule { signal, matches: text("match")?, keep })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_from_tables_and_from_text() {
        let one = json!({"signal": "logs", "match": "level:debug", "keep": "1d"});
        for (raw, want) in [
            (json!([]), Some("[]".to_owned())),
            (json!(""), Some("[]".to_owned())),
            (json!([one]), Some(json!([one]).to_string())),
            (json!(json!([one]).to_string()), Some(json!([one]).to_string())),
            (json!("x"), None),
            (json!([1]), None),
            (json!([{"signal": "metrics", "match": "x", "keep": "1d"}]), None),
            (json!([{"signal": "logs", "match": " ", "keep": "1d"}]), None),
            (json!([{"signal": "logs", "match": "x", "keep": "1s"}]), None),
            (json!([{"signal": "logs", "match": "x", "keep": "1d", "k": 1}]), None),
            (json!(vec![one.clone(); RULES_MAX + 1]), None),
        ] {
            assert_eq!(RetentionRules::read(&raw).map(|rules| rules.show()).ok(), want, "{raw}");
        }
    }
}
