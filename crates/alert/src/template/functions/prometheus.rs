//! Functions that only Prometheus has.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use url::Url;

use super::super::error::Fault;
use super::super::eval::Context;
use super::super::format::{Sink, TIME, general, time};
use super::super::value::{ListKind, MapKind, Value};
use super::super::{OUTPUT_BYTES_MAX, QUERIES_MAX, prometheus};
use super::builtin::{text, too_long};
use super::{Arguments, Function, escape, humanize};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::exactly("query", 1, query),
    Function::exactly("first", 1, |_, a| {
        let samples = samples(Arguments(a), 0)?;
        samples.items.first().cloned().ok_or_else(|| "first() called on vector with no elements".into())
    }),
    Function::exactly("label", 2, |_, a| {
        let arguments = Arguments(a);
        label(sample_labels(arguments.any(1))?, arguments.text(0)?)
    }),
    Function::exactly("value", 1, |_, a| sample(&a[0], "Value").cloned()),
    Function::exactly("strvalue", 1, |_, a| label(sample_labels(&a[0])?, "__value__")),
    Function::exactly("sortByLabel", 2, |_, a| sort(Arguments(a))),
    Function::at_least("args", 0, |_, a| {
        let entries =
            a.iter().enumerate().map(|(i, value)| (format!("arg{i}").into(), value.clone())).collect();
        Ok(Value::map(MapKind::Any, entries))
    }),
    Function::exactly("title", 1, |_, a| Ok(title(Arguments(a).text(0)?).into())),
    Function::exactly("graphLink", 1, |_, a| link(Arguments(a).text(0)?, '0')),
    Function::exactly("tableLink", 1, |_, a| link(Arguments(a).text(0)?, '1')),
    Function::exactly("stripPort", 1, |_, a| {
        let host = Arguments(a).text(0)?;
        Ok(host_and_port(host).map_or_else(|| Value::Str(host.clone()), |(host, _)| Value::from(host)))
    }),
    Function::exactly("stripDomain", 1, |_, a| Ok(strip_domain(Arguments(a).text(0)?).into())),
    Function::exactly("humanize", 1, |_, a| Ok(humanize::metric(Arguments(a).number(0)?).into())),
    Function::exactly("humanize1024", 1, |_, a| Ok(humanize::binary(Arguments(a).number(0)?).into())),
    Function::exactly("humanizePercentage", 1, |_, a| {
        Ok(humanize::percentage(Arguments(a).number(0)?).into())
    }),
    Function::exactly("humanizeTimestamp", 1, |_, a| {
        let seconds = Arguments(a).number(0)?;
        if !seconds.is_finite() {
            return Ok(general(seconds, Some(4)).into());
        }
        Ok(time(&point(seconds)?.to_zoned(TimeZone::UTC), TIME).into())
    }),
    Function::exactly("toTime", 1, |_, a| {
        Ok(Value::Time(Arc::new(point(Arguments(a).number(0)?)?.to_zoned(TimeZone::UTC))))
    }),
    Function::exactly("toDuration", 1, |_, a| {
        let nanoseconds = Arguments(a).number(0)? * 1e9;
        if nanoseconds.is_nan() || nanoseconds.abs() >= i64::MAX as f64 {
            return Err(format!("{} cannot be represented as a duration", general(nanoseconds, None)).into());
        }
        Ok(Value::Duration(nanoseconds as i64))
    }),
    Function::exactly("now", 0, |context, _| Ok(Value::Float(context.env.now_ms as f64 / 1e3))),
    Function::exactly("parseDuration", 1, |_, a| {
        Ok(Value::Float(humanize::parse_duration(Arguments(a).text(0)?)?))
    }),
    Function::exactly("urlQueryEscape", 1, |_, a| {
        let given = Arguments(a).text(0)?;
        text(|out| escape::query_into(out, given))
    }),
    Function::exactly("pathPrefix", 0, |context, _| {
        // Go keeps an absent path empty where this parser writes a slash.
        let url = context.env.external_url;
        let path = Url::parse(url).map(|url| url.path().to_owned()).unwrap_or_default();
        Ok(if path == "/" && !url.ends_with('/') { "" } else { &path }.into())
    }),
    Function::exactly("externalURL", 0, |context, _| Ok(context.env.external_url.into())),
];

fn query(context: &Context<'_>, arguments: &[Value]) -> Result<Value, Fault> {
    let expression = Arguments(arguments).text(0)?;
    let made = context.queries.get() + 1;
    if made > QUERIES_MAX {
        return Err(Fault::Limit { what: "queries", limit: QUERIES_MAX });
    }
    context.queries.set(made);
    let samples = context.env.queries.query(expression).map_err(Fault::Evaluation)?;
    Ok(Value::list(ListKind::Samples, samples.iter().map(prometheus::Sample::value).collect()))
}

fn samples(arguments: Arguments<'_>, i: usize) -> Result<&super::super::value::List, Fault> {
    arguments.list(i, ListKind::Samples, "template.queryResult").map(|list| &**list)
}

fn sample<'a>(value: &'a Value, field: &str) -> Result<&'a Value, Fault> {
    match value {
        Value::Object(object) if object.type_name == prometheus::SAMPLE => {
            object.get(field).ok_or_else(|| format!("a sample has no {field}").into())
        }
        other => {
            Err(format!("wrong type for value; expected *template.sample; got {}", other.type_name()).into())
        }
    }
}

fn sample_labels(value: &Value) -> Result<&Value, Fault> {
    sample(value, "Labels")
}

fn label(labels: &Value, name: &str) -> Result<Value, Fault> {
    match labels {
        Value::Map(map) => Ok(map.get(name)),
        _ => Ok("".into()),
    }
}

fn sort(arguments: Arguments<'_>) -> Result<Value, Fault> {
    let name = arguments.text(0)?;
    let list = samples(arguments, 1)?;
    let mut keyed: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for item in &list.items {
        let key = match label(sample_labels(item)?, name)? {
            Value::Str(key) => key.to_string(),
            _ => String::new(),
        };
        keyed.entry(key).or_default().push(item.clone());
    }
    Ok(Value::list(ListKind::Samples, keyed.into_values().flatten().collect()))
}

/// The first letter of each word as a capital; the others stay.
fn title(given: &str) -> String {
    let mut previous = ' ';
    let mut out = String::with_capacity(given.len());
    for c in given.chars() {
        if separates(previous) {
            out.extend(c.to_uppercase());
        } else {
            out.push(c);
        }
        previous = c;
    }
    out
}

fn separates(c: char) -> bool {
    if c.is_ascii() {
        return !(c.is_ascii_alphanumeric() || c == '_');
    }
    !c.is_alphanumeric() && c.is_whitespace()
}

/// The expression browser of this server, with the expression escaped.
fn link(expression: &str, tab: char) -> Result<Value, Fault> {
    let mut out = Sink::new(OUTPUT_BYTES_MAX);
    out.push_str("/graph?g0.expr=");
    escape::query_into(&mut out, expression);
    out.push_str("&g0.tab=");
    out.push(tab);
    out.finish().map(Value::from).map_err(too_long)
}

/// `host:port` or `[address]:port`; without brackets in the host.
fn host_and_port(text: &str) -> Option<(&str, &str)> {
    let (host, port) = text.rsplit_once(':')?;
    if let Some(bracketed) = host.strip_prefix('[') {
        let inner = bracketed.strip_suffix(']')?;
        return (!inner.contains(['[', ']']) && !port.contains(['[', ']'])).then_some((inner, port));
    }
    (!host.contains([':', '[', ']']) && !port.contains(['[', ']'])).then_some((host, port))
}

/// Without the domain, with the port; an address stays.
fn strip_domain(text: &str) -> String {
    let (host, port) = match host_and_port(text) {
        Some((host, port)) => (host, Some(port)),
        None => (text, None),
    };
    if host.parse::<std::net::IpAddr>().is_ok() {
        return text.to_owned();
    }
    let short = host.split('.').next().unwrap_or(host);
    match port {
        Some(port) => format!("{short}:{port}"),
        None => short.to_owned(),
    }
}

/// Seconds since the epoch as a point in time, to the millisecond, as Prometheus keeps times.
fn point(seconds: f64) -> Result<Timestamp, Fault> {
    let nanoseconds = seconds * 1e9;
    let out_of_range =
        || format!("{} cannot be represented as a nanoseconds timestamp", general(seconds, None)).into();
    if nanoseconds.is_nan() || nanoseconds.abs() >= i64::MAX as f64 {
        return Err(out_of_range());
    }
    Timestamp::from_millisecond((nanoseconds as i64).div_euclid(1_000_000)).map_err(|_| out_of_range())
}
