//! `name:value[:value…]|type[|@rate][|#tag:value,…][|Ttime][|c:container]`.

use model::{Reason, Refusal, Refusals};

use crate::decoded::shown;

/// Values of one line; a longer list is cut into packets by every client.
const VALUES_MAX: usize = 1024;
/// Tags of one line.
const TAGS_MAX: usize = 128;

/// One value of one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Op<'a> {
    /// As sent.
    pub name: &'a str,
    /// Tag and value as sent; a tag without value has the value `true`.
    pub tags: Vec<(&'a str, &'a str)>,
    /// What to do.
    pub kind: OpKind<'a>,
    /// How many events it stands for: one over the sample rate.
    pub weight: f64,
    /// When it was taken, milliseconds, where the line says so.
    pub t_ms: Option<i64>,
}

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OpKind<'a> {
    /// `c`: add to a counter (already multiplied by the weight).
    Count(f64),
    /// `g`: set a gauge.
    Gauge(f64),
    /// `g` with a sign: change a gauge.
    GaugeAdd(f64),
    /// `ms` in seconds, `h` and `d` as sent: observe a value.
    Observe(f64),
    /// `s`: add a member to a set.
    Member(&'a str),
}

/// Reads a packet of lines and hands every operation on. A refusal's index is the line, from 0; events and
/// service checks of DogStatsD are refused as unsupported.
pub fn parse<'a>(packet: &'a [u8], mut each: impl FnMut(usize, Op<'a>)) -> Refusals {
    let mut refusals = Refusals::default();
    for (index, line) in packet.split(|b| *b == b'\n').enumerate() {
        let line = line.trim_ascii();
        if line.is_empty() {
            continue;
        }
        if let Err((reason, text)) = parse_line(line, |op| each(index, op)) {
            let message = format!("{text}: {}", shown(line));
            refusals.push(Refusal { index, field: "line".into(), reason, message, items: 1 });
        }
    }
    refusals
}

type Fault = (Reason, &'static str);

fn malformed(text: &'static str) -> Fault {
    (Reason::Malformed, text)
}

fn parse_line<'a>(line: &'a [u8], mut each: impl FnMut(Op<'a>)) -> Result<(), Fault> {
    if line.starts_with(b"_e{") || line.starts_with(b"_sc|") {
        return Err((Reason::Unsupported, "events and service checks are not supported"));
    }
    let line = std::str::from_utf8(line).map_err(|_| malformed("the line is not UTF-8"))?;
    let mut sections = line.split('|');
    let head = sections.next().unwrap_or_default();
    let (name, values) = head.split_once(':').ok_or(malformed("expected name:value"))?;
    if name.is_empty() {
        return Err(malformed("the metric has no name"));
    }
    let kind = sections.next().ok_or(malformed("the metric has no type"))?;
    let (mut weight, mut tags, mut t_ms) = (1.0, Vec::new(), None);
    for section in sections {
        match section.as_bytes().first() {
            Some(b'@') => weight = 1.0 / rate(&section[1..])?,
            Some(b'#') => tags = parse_tags(&section[1..])?,
            Some(b'T') => t_ms = Some(time_ms(&section[1..])?),
            // The container, and whatever else later versions add, changes nothing.
            _ => {}
        }
    }
    // A set's member is any text; every other type may have several values.
    let values: Vec<&str> = if kind == "s" { vec![values] } else { values.split(':').collect() };
    if values.len() > VALUES_MAX {
        return Err(malformed("too many values in one line"));
    }
    let kinds: Vec<OpKind<'a>> = values.into_iter().map(|v| op(kind, v, weight)).collect::<Result<_, _>>()?;
    for kind in kinds {
        each(Op { name, tags: tags.clone(), kind, weight, t_ms });
    }
    Ok(())
}

fn op<'a>(kind: &str, value: &'a str, weight: f64) -> Result<OpKind<'a>, Fault> {
    let number = || {
        let number: f64 = value.parse().map_err(|_| malformed("a value is not a number"))?;
        if number.is_finite() { Ok(number) } else { Err((Reason::InvalidValue, "a value is not finite")) }
    };
    Ok(match kind {
        "c" => {
            let count = number()?;
            if count < 0.0 {
                return Err((Reason::InvalidValue, "a counter cannot go down; use a gauge"));
            }
            let counted = count * weight;
            if !counted.is_finite() {
                return Err((Reason::InvalidValue, "a count over its sample rate is not finite"));
            }
            OpKind::Count(counted)
        }
        "g" if value.starts_with(['+', '-']) => OpKind::GaugeAdd(number()?),
        "g" => OpKind::Gauge(number()?),
        "ms" => OpKind::Observe(number()? / 1000.0),
        "h" | "d" => OpKind::Observe(number()?),
        "s" => OpKind::Member(value),
        _ => return Err((Reason::Unsupported, "the type is none of c, g, ms, h, d, s")),
    })
}

fn rate(text: &str) -> Result<f64, Fault> {
    let rate: f64 = text.parse().map_err(|_| malformed("the sample rate is not a number"))?;
    // Below one in a billion a single line could forge any count.
    if (1e-9..=1.0).contains(&rate) {
        Ok(rate)
    } else {
        Err(malformed("the sample rate is not above 0 and up to 1"))
    }
}

fn time_ms(text: &str) -> Result<i64, Fault> {
    let seconds: i64 = text.parse().map_err(|_| malformed("the time is not a number of seconds"))?;
    seconds.checked_mul(1000).ok_or(malformed("the time is out of range"))
}

fn parse_tags(text: &str) -> Result<Vec<(&str, &str)>, Fault> {
    let tags: Vec<_> = text
        .split(',')
        .filter(|tag| !tag.is_empty())
        .map(|tag| tag.split_once(':').unwrap_or((tag, "true")))
        .collect();
    if tags.len() > TAGS_MAX {
        return Err((Reason::TooManyLabels, "too many tags"));
    }
    Ok(tags)
}
