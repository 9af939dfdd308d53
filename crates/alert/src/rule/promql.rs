//! Texts of PromQL, made of parts that people named. They are parsed again by whoever asks.

use std::collections::BTreeMap;

use super::condition::{Aggregate, Compare, CompareAs};
use crate::span::Span;

/// How far back `last` looks without a window: as far as an instant selector does.
const SUBQUERY_STEP: &str = "1m";

/// A selector of a metric's name with labels that must be equal.
pub(super) fn selector(name: &str, filter: &BTreeMap<String, String>) -> String {
    let mut parts: Vec<String> = Vec::new();
    let classic = is_classic(name, true);
    if !classic {
        parts.push(quoted(name));
    }
    for (label, value) in filter {
        let label = if is_classic(label, false) { label.clone() } else { quoted(label) };
        parts.push(format!("{label}={}", quoted(value)));
    }
    let name = if classic { name } else { "" };
    if parts.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", parts.join(",")) }
}

/// The figure of a window, for each series or for each group.
pub(super) fn figure(
    selector: &str,
    aggregate: Option<Aggregate>,
    window: Option<Span>,
    groups: &[String],
) -> String {
    let aggregate = aggregate.unwrap_or(if window.is_some() { Aggregate::Avg } else { Aggregate::Last });
    let over = |function: &str| {
        let window = window.unwrap_or(Span::seconds(300)).promql();
        format!("{function}({selector}[{window}])")
    };
    let quantile = |q: &str| {
        let window = window.unwrap_or(Span::seconds(300)).promql();
        format!("quantile_over_time({q}, {selector}[{window}])")
    };
    let (series, across) = match aggregate {
        Aggregate::Last if window.is_none() => (selector.to_owned(), "max".to_owned()),
        Aggregate::Last => (over("last_over_time"), "max".to_owned()),
        Aggregate::Avg => (over("avg_over_time"), "avg".to_owned()),
        Aggregate::Min => (over("min_over_time"), "min".to_owned()),
        Aggregate::Max => (over("max_over_time"), "max".to_owned()),
        Aggregate::Sum => (over("sum_over_time"), "sum".to_owned()),
        Aggregate::Count => (over("count_over_time"), "sum".to_owned()),
        Aggregate::Rate => (over("rate"), "sum".to_owned()),
        Aggregate::Increase => (over("increase"), "sum".to_owned()),
        Aggregate::P50 => (quantile("0.5"), "max".to_owned()),
        Aggregate::P90 => (quantile("0.9"), "max".to_owned()),
        Aggregate::P95 => (quantile("0.95"), "max".to_owned()),
        Aggregate::P99 => (quantile("0.99"), "max".to_owned()),
    };
    if groups.is_empty() { series } else { format!("{across} by ({}) ({series})", names(groups)) }
}

/// How an expression changed against an earlier time.
pub(super) fn compared(expression: &str, compare: &Compare) -> String {
    let offset = compare.offset.promql();
    let then = format!("last_over_time(({expression})[5m:{SUBQUERY_STEP}] offset {offset})");
    match compare.how {
        CompareAs::Difference => format!("({expression}) - {then}"),
        CompareAs::Ratio => format!("({expression}) / {then}"),
        CompareAs::Percent => format!("100 * (({expression}) - {then}) / {then}"),
    }
}

/// Names of labels in a list.
pub(super) fn names(labels: &[String]) -> String {
    let each = labels.iter().map(|l| if is_classic(l, false) { l.clone() } else { quoted(l) });
    each.collect::<Vec<_>>().join(", ")
}

/// A text in quotes, whatever it holds.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out += "\\\"",
            '\\' => out += "\\\\",
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            other => out.push(other),
        }
    }
    out.push('"');
    out
}

/// Whether a name needs no quotes.
fn is_classic(name: &str, colons: bool) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || (colons && c == ':');
    name.chars().all(fits) && name.chars().next().is_some_and(|c| !c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_quote_what_needs_it() {
        let none = BTreeMap::new();
        let host = BTreeMap::from([("host".to_owned(), "a\"b".to_owned())]);
        let dotted = BTreeMap::from([("host.name".to_owned(), "a".to_owned())]);
        for (name, filter, want) in [
            ("cpu", &none, "cpu"),
            ("job:cpu:avg", &none, "job:cpu:avg"),
            ("cpu.usage", &none, r#"{"cpu.usage"}"#),
            ("cpu", &host, r#"cpu{host="a\"b"}"#),
            ("cpu.usage", &dotted, r#"{"cpu.usage","host.name"="a"}"#),
            ("1m", &none, r#"{"1m"}"#),
        ] {
            assert_eq!(selector(name, filter), want);
        }
    }

    #[test]
    fn figures_of_a_window_are_the_functions_of_promql() {
        let groups = ["service".to_owned(), "host.name".to_owned()];
        let minute = Some(Span::seconds(60));
        for (aggregate, window, groups, want) in [
            (None, None, &groups[..0], "cpu"),
            (None, minute, &groups[..0], "avg_over_time(cpu[1m])"),
            (Some(Aggregate::Last), None, &groups[..1], "max by (service) (cpu)"),
            (Some(Aggregate::Rate), minute, &groups[..1], "sum by (service) (rate(cpu[1m]))"),
            (Some(Aggregate::P95), None, &groups[..0], "quantile_over_time(0.95, cpu[5m])"),
            (
                Some(Aggregate::Max),
                minute,
                &groups[..],
                r#"max by (service, "host.name") (max_over_time(cpu[1m]))"#,
            ),
        ] {
            assert_eq!(figure("cpu", aggregate, window, groups), want);
        }
    }

    #[test]
    fn a_comparison_looks_at_the_same_expression_earlier() {
        let day = Compare { offset: Span::seconds(86_400), how: CompareAs::Ratio };
        assert_eq!(compared("a", &day), "(a) / last_over_time((a)[5m:1m] offset 1d)");
    }
}
