//! Functions that only Alertmanager has, up to release 0.30.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::super::error::Fault;
use super::super::eval::Context;
use super::super::format::time;
use super::super::json;
use super::super::value::{ListKind, MapKind, Safe, Value};
use super::builtin::text;
use super::{Arguments, Function};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::exactly("title", 1, |_, a| Ok(title(Arguments(a).text(0)?).into())),
    Function::exactly("trimSpace", 1, |_, a| Ok(Arguments(a).text(0)?.trim().into())),
    Function::exactly("join", 2, |_, a| {
        let arguments = Arguments(a);
        let (separator, items) = (arguments.text(0)?, arguments.strings(1)?);
        text(|out| {
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push_str(separator);
                }
                out.push_str(item);
            }
        })
    }),
    Function::exactly("safeUrl", 1, |_, a| Ok(Value::Safe(Safe::Url, Arguments(a).text(0)?.clone()))),
    Function::exactly("urlUnescape", 1, |_, a| unescape(Arguments(a).text(0)?)),
    Function::at_least("stringSlice", 0, |_, a| {
        for i in 0..a.len() {
            Arguments(a).text(i)?;
        }
        Ok(Value::strings(a.iter().cloned()))
    }),
    Function::exactly("date", 2, |_, a| {
        let arguments = Arguments(a);
        Ok(time(arguments.time(1)?, arguments.text(0)?).into())
    }),
    Function::exactly("tz", 2, |_, a| {
        let arguments = Arguments(a);
        let (name, at) = (arguments.text(0)?, arguments.time(1)?);
        let zone = match &**name {
            "" | "UTC" | "Local" => TimeZone::UTC,
            name => {
                TimeZone::get(name).map_err(|_| Fault::Evaluation(format!("unknown time zone {name}")))?
            }
        };
        Ok(Value::Time(Arc::new(at.with_time_zone(zone))))
    }),
    Function::exactly("now", 0, |context, _| {
        Ok(Value::Time(Arc::new(now(context)?.to_zoned(TimeZone::UTC))))
    }),
    Function::exactly("since", 1, |context, a| {
        let then = Arguments(a).time(0)?.timestamp();
        let nanoseconds = now(context)?.as_nanosecond() - then.as_nanosecond();
        let extreme = if nanoseconds < 0 { i64::MIN } else { i64::MAX };
        Ok(Value::Duration(i64::try_from(nanoseconds).unwrap_or(extreme)))
    }),
    Function::exactly("toJson", 1, |_, a| {
        let mut failed = None;
        let shown = text(|out| failed = json::write(out, &a[0]).err())?;
        match failed {
            Some(message) => Err(message.into()),
            None => Ok(shown),
        }
    }),
    Function::at_least("list", 0, |_, a| Ok(Value::list(ListKind::Any, a.to_vec()))),
    Function::at_least("append", 1, |_, a| {
        let list = Arguments(a).list(0, ListKind::Any, "[]interface {}")?;
        let items = list.items.iter().chain(&a[1..]).cloned().collect();
        Ok(Value::list(ListKind::Any, items))
    }),
    Function::at_least("dict", 0, |_, a| {
        if a.len() % 2 != 0 {
            return Err("dict requires an even number of arguments".into());
        }
        let mut entries = BTreeMap::new();
        for pair in a.chunks_exact(2) {
            let Value::Str(key) = &pair[0] else {
                return Err("dict keys must be strings".into());
            };
            entries.insert(Arc::clone(key), pair[1].clone());
        }
        Ok(Value::map(MapKind::Any, entries))
    }),
];

fn now(context: &Context<'_>) -> Result<Timestamp, Fault> {
    Timestamp::from_millisecond(context.env.now_ms).map_err(|e| e.to_string().into())
}

/// Each word with a capital and otherwise small letters. Digits, apostrophes and underscores do not end a word.
fn title(given: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(given.len());
    for c in given.chars() {
        if c.is_alphabetic() {
            if inside {
                out.extend(c.to_lowercase());
            } else {
                out.extend(c.to_uppercase());
            }
            inside = true;
        } else {
            out.push(c);
            inside &= c.is_numeric() || matches!(c, '_' | '\'' | '’' | ':' | '·');
        }
    }
    out
}

/// A value of an address' query, read.
fn unescape(given: &str) -> Result<Value, Fault> {
    let mut bytes = Vec::with_capacity(given.len());
    let mut rest = given.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = behind.get(..2).and_then(|d| std::str::from_utf8(d).ok());
                let byte = digits
                    .filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))
                    .and_then(|d| u8::from_str_radix(d, 16).ok())
                    .ok_or_else(|| Fault::Evaluation(format!("invalid URL escape in {given:?}")))?;
                bytes.push(byte);
                rest = &behind[2..];
            }
            byte => bytes.push(*byte),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned().into())
}
