//! `.Name` of a value: a field, a key of a map, or a method with its arguments.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use super::alertmanager;
use super::error::Fault;
use super::format::{TIME, duration, time};
use super::functions::Arguments;
use super::value::{List, ListKind, Map, MapKind, Object, Value};

/// Whether `receiver.name` calls something.
pub(super) fn is_method(receiver: &Value, name: &str) -> bool {
    method(receiver, name).is_some()
}

/// The value of `receiver.name arguments`.
pub(super) fn get(receiver: &Value, name: &str, arguments: &[Value]) -> Result<Value, Fault> {
    if let Some(method) = method(receiver, name) {
        if arguments.len() != method.count {
            let (want, got) = (method.count, arguments.len());
            return Err(format!("wrong number of args for {name}: want {want} got {got}").into());
        }
        return (method.run)(receiver, Arguments(arguments));
    }
    match receiver {
        Value::Nil => Ok(Value::Nil),
        Value::Object(object) => match object.get(name) {
            Some(_) if !arguments.is_empty() => {
                Err(format!("{name} has arguments but cannot be invoked as function").into())
            }
            Some(value) => Ok(value.clone()),
            None => Err(missing(receiver, name)),
        },
        Value::Map(_) if !arguments.is_empty() => {
            Err(format!("{name} is not a method but has arguments").into())
        }
        Value::Map(map) => Ok(map.get(name)),
        other => Err(missing(other, name)),
    }
}

fn missing(receiver: &Value, name: &str) -> Fault {
    format!("can't evaluate field {name} in type {}", receiver.type_name()).into()
}

/// A method, with how many arguments it takes.
struct Method {
    count: usize,
    run: fn(&Value, Arguments<'_>) -> Result<Value, Fault>,
}

const fn plain(run: fn(&Value, Arguments<'_>) -> Result<Value, Fault>) -> Option<Method> {
    Some(Method { count: 0, run })
}

const fn taking(count: usize, run: fn(&Value, Arguments<'_>) -> Result<Value, Fault>) -> Option<Method> {
    Some(Method { count, run })
}

fn method(receiver: &Value, name: &str) -> Option<Method> {
    match receiver {
        Value::Map(map) if map.kind == MapKind::Kv => match name {
            "SortedPairs" => plain(|kv, _| Ok(Value::list(ListKind::Pairs, pairs(kv)))),
            "Names" => plain(|kv, _| Ok(members(&pairs(kv), "Name"))),
            "Values" => plain(|kv, _| Ok(members(&pairs(kv), "Value"))),
            "Remove" => taking(1, remove),
            "String" => plain(own_text),
            _ => None,
        },
        Value::List(list) => match (list.kind, name) {
            (ListKind::Pairs, "Names") => plain(|list, _| Ok(members(items(list), "Name"))),
            (ListKind::Pairs, "Values") => plain(|list, _| Ok(members(items(list), "Value"))),
            (ListKind::Pairs, "String") => plain(own_text),
            (ListKind::Alerts, "Firing") => plain(|list, _| Ok(chosen(items(list), "firing"))),
            (ListKind::Alerts, "Resolved") => plain(|list, _| Ok(chosen(items(list), "resolved"))),
            _ => None,
        },
        Value::Time(_) => time_method(name),
        Value::Duration(_) => duration_method(name),
        _ => None,
    }
}

fn own_text(value: &Value, _: Arguments<'_>) -> Result<Value, Fault> {
    super::format::show(value, super::OUTPUT_BYTES_MAX)
        .map(Value::from)
        .map_err(|_| Fault::Limit { what: "bytes in one text", limit: super::OUTPUT_BYTES_MAX })
}

fn items(value: &Value) -> &[Value] {
    if let Value::List(list) = value { &list.items } else { &[] }
}

/// By name, the alert's own name first.
fn pairs(kv: &Value) -> Vec<Value> {
    let Value::Map(map) = kv else {
        return Vec::new();
    };
    let pair = |(name, value): (&Arc<str>, &Value)| {
        let fields = vec![("Name", Value::Str(Arc::clone(name))), ("Value", value.clone())];
        Value::Object(Arc::new(Object::new(alertmanager::PAIR, false, fields)))
    };
    let (first, others): (Vec<_>, Vec<_>) = map.entries.iter().partition(|(name, _)| &***name == "alertname");
    first.into_iter().chain(others).map(pair).collect()
}

fn members(items: &[Value], field: &str) -> Value {
    Value::strings(items.iter().filter_map(|item| match item {
        Value::Object(object) => object.get(field).cloned(),
        _ => None,
    }))
}

fn chosen(items: &[Value], status: &str) -> Value {
    let has_status = |item: &&Value| match item {
        Value::Object(alert) => matches!(alert.get("Status"), Some(Value::Str(own)) if &**own == status),
        _ => false,
    };
    Value::List(Arc::new(List::new(
        ListKind::ChosenAlerts,
        items.iter().filter(has_status).cloned().collect(),
    )))
}

fn remove(kv: &Value, arguments: Arguments<'_>) -> Result<Value, Fault> {
    let names = arguments.strings(0)?;
    let Value::Map(map) = kv else {
        return Ok(Value::Nil);
    };
    let names: std::collections::BTreeSet<&str> = names.into_iter().collect();
    let kept: BTreeMap<Arc<str>, Value> = map
        .entries
        .iter()
        .filter(|(name, _)| !names.contains(&***name))
        .map(|(name, value)| (Arc::clone(name), value.clone()))
        .collect();
    Ok(Value::Map(Arc::new(Map::new(MapKind::Kv, kept))))
}

fn moment(value: &Value) -> Result<&Zoned, Fault> {
    if let Value::Time(at) = value { Ok(at) } else { Err("not a time".into()) }
}

fn whole(value: impl Into<i64>) -> Result<Value, Fault> {
    Ok(Value::Int(value.into()))
}

fn time_method(name: &str) -> Option<Method> {
    match name {
        "Format" => taking(1, |at, a| Ok(time(moment(at)?, a.text(0)?).into())),
        "String" => plain(|at, _| Ok(time(moment(at)?, TIME).into())),
        "Unix" => plain(|at, _| whole(moment(at)?.timestamp().as_second())),
        "UnixMilli" => plain(|at, _| whole(moment(at)?.timestamp().as_millisecond())),
        "UnixNano" => plain(|at, _| {
            let nanoseconds = moment(at)?.timestamp().as_nanosecond();
            whole(i64::try_from(nanoseconds).map_err(|_| "time beyond the nanoseconds of a whole number")?)
        }),
        "Year" => plain(|at, _| whole(moment(at)?.year())),
        "Month" => plain(|at, _| Ok(time(moment(at)?, "January").into())),
        "Day" => plain(|at, _| whole(moment(at)?.day())),
        "YearDay" => plain(|at, _| whole(moment(at)?.day_of_year())),
        "Weekday" => plain(|at, _| Ok(time(moment(at)?, "Monday").into())),
        "Hour" => plain(|at, _| whole(moment(at)?.hour())),
        "Minute" => plain(|at, _| whole(moment(at)?.minute())),
        "Second" => plain(|at, _| whole(moment(at)?.second())),
        "Nanosecond" => plain(|at, _| whole(moment(at)?.subsec_nanosecond())),
        // The server's own zone is UTC.
        "UTC" | "Local" => {
            plain(|at, _| Ok(Value::Time(Arc::new(moment(at)?.with_time_zone(TimeZone::UTC)))))
        }
        "IsZero" => plain(|at, _| Ok(Value::Bool(moment(at)?.timestamp() == zero_time()))),
        "Before" => taking(1, |at, a| Ok(Value::Bool(moment(at)?.timestamp() < a.time(0)?.timestamp()))),
        "After" => taking(1, |at, a| Ok(Value::Bool(moment(at)?.timestamp() > a.time(0)?.timestamp()))),
        "Equal" => taking(1, |at, a| Ok(Value::Bool(moment(at)?.timestamp() == a.time(0)?.timestamp()))),
        "Sub" => taking(1, |at, a| {
            let difference = moment(at)?.timestamp().as_nanosecond() - a.time(0)?.timestamp().as_nanosecond();
            let extreme = if difference < 0 { i64::MIN } else { i64::MAX };
            Ok(Value::Duration(i64::try_from(difference).unwrap_or(extreme)))
        }),
        "Add" => taking(1, |at, a| {
            let moved = moment(at)?.checked_add(Span::new().nanoseconds(a.duration(0)?));
            moved.map(|at| Value::Time(Arc::new(at))).map_err(|e| e.to_string().into())
        }),
        "AddDate" => taking(3, |at, a| {
            let (years, months, days) = (a.int(0)?, a.int(1)?, a.int(2)?);
            let span = Span::new()
                .try_years(years)
                .and_then(|s| s.try_months(months))
                .and_then(|s| s.try_days(days));
            let at = moment(at)?;
            let moved = span.and_then(|span| at.checked_add(span));
            moved.map(|at| Value::Time(Arc::new(at))).map_err(|e| e.to_string().into())
        }),
        _ => None,
    }
}

/// Go's zero time, the beginning of year 1.
pub(super) fn zero_time() -> Timestamp {
    Timestamp::from_second(-62_135_596_800).expect("year 1 is in range")
}

fn span(value: &Value) -> i64 {
    if let Value::Duration(nanoseconds) = value { *nanoseconds } else { 0 }
}

fn duration_method(name: &str) -> Option<Method> {
    match name {
        "String" => plain(|d, _| Ok(duration(span(d)).into())),
        "Nanoseconds" => plain(|d, _| whole(span(d))),
        "Microseconds" => plain(|d, _| whole(span(d) / 1_000)),
        "Milliseconds" => plain(|d, _| whole(span(d) / 1_000_000)),
        "Seconds" => plain(|d, _| Ok(Value::Float(span(d) as f64 / 1e9))),
        "Minutes" => plain(|d, _| Ok(Value::Float(span(d) as f64 / 60e9))),
        "Hours" => plain(|d, _| Ok(Value::Float(span(d) as f64 / 3600e9))),
        "Abs" => plain(|d, _| Ok(Value::Duration(span(d).saturating_abs()))),
        "Truncate" => taking(1, |d, a| {
            let unit = a.duration(0)?;
            Ok(Value::Duration(if unit <= 0 { span(d) } else { span(d) - span(d) % unit }))
        }),
        "Round" => taking(1, |d, a| {
            let (own, unit) = (span(d), a.duration(0)?);
            if unit <= 0 {
                return Ok(Value::Duration(own));
            }
            let rest = own % unit;
            let away = if rest.unsigned_abs() * 2 >= unit.unsigned_abs() { unit * own.signum() } else { 0 };
            Ok(Value::Duration((own - rest).saturating_add(away)))
        }),
        _ => None,
    }
}
