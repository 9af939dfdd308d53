//! Points in time by Go's layouts (`2006-01-02 15:04:05`), and spans of time.

use jiff::Zoned;
use jiff::civil::Weekday;

/// How Go prints a time without a layout.
pub(in super::super) const TIME: &str = "2006-01-02 15:04:05.999999999 -0700 MST";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The elements of a layout; longer ones before their beginnings.
const ELEMENTS: [&str; 38] = [
    "January",
    "Jan",
    "Monday",
    "Mon",
    "MST",
    "2006",
    "__2",
    "_2006",
    "_2",
    "002",
    "01",
    "02",
    "03",
    "04",
    "05",
    "06",
    "Z07:00:00",
    "Z070000",
    "Z07:00",
    "Z0700",
    "Z07",
    "-07:00:00",
    "-070000",
    "-07:00",
    "-0700",
    "-07",
    "15",
    "PM",
    "pm",
    "1",
    "2",
    "3",
    "4",
    "5",
    ".0",
    ",0",
    ".9",
    ",9",
];

/// A time by a layout.
pub(in super::super) fn time(at: &Zoned, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 16);
    let mut rest = layout;
    'next: while let Some(c) = rest.chars().next() {
        for element in ELEMENTS {
            if !rest.starts_with(element) {
                continue;
            }
            let behind = &rest[element.len()..];
            match element {
                // `_2006` is an underscore and a year, not a padded day.
                "_2006" => {
                    out.push('_');
                    rest = &rest[1..];
                    continue 'next;
                }
                // "Jan" and "Mon" within a longer word are text.
                "Jan" | "Mon" if behind.starts_with(|c: char| c.is_ascii_lowercase()) => {}
                ".0" | ",0" | ".9" | ",9" => {
                    let digit = &element[1..];
                    let count = rest[1..].len() - rest[1..].trim_start_matches(digit).len();
                    // A fraction ends where the digits end, else it is a text like "1.05".
                    if !rest[1 + count..].starts_with(|c: char| c.is_ascii_digit()) {
                        fraction(&mut out, at, &element[..1], count, digit == "9");
                        rest = &rest[1 + count..];
                        continue 'next;
                    }
                }
                _ => {
                    out.push_str(&value(at, element));
                    rest = behind;
                    continue 'next;
                }
            }
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    out
}

fn fraction(out: &mut String, at: &Zoned, separator: &str, count: usize, trims: bool) {
    let all = format!("{:09}", at.subsec_nanosecond());
    let kept = &all[..count.min(9)];
    let kept = if trims { kept.trim_end_matches('0') } else { kept };
    if !kept.is_empty() {
        out.push_str(separator);
        out.push_str(kept);
    }
}

fn value(at: &Zoned, element: &str) -> String {
    let twelve = match at.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match element {
        "January" => month(at).to_owned(),
        "Jan" => month(at)[..3].to_owned(),
        "Monday" => weekday(at).to_owned(),
        "Mon" => weekday(at)[..3].to_owned(),
        "MST" => zone(at),
        "2006" => format!("{:04}", at.year()),
        "06" => format!("{:02}", at.year().rem_euclid(100)),
        "__2" => format!("{:3}", at.day_of_year()),
        "002" => format!("{:03}", at.day_of_year()),
        "_2" => format!("{:2}", at.day()),
        "02" => format!("{:02}", at.day()),
        "2" => at.day().to_string(),
        "01" => format!("{:02}", at.month()),
        "1" => at.month().to_string(),
        "15" => format!("{:02}", at.hour()),
        "03" => format!("{twelve:02}"),
        "3" => twelve.to_string(),
        "04" => format!("{:02}", at.minute()),
        "4" => at.minute().to_string(),
        "05" => format!("{:02}", at.second()),
        "5" => at.second().to_string(),
        "PM" => if at.hour() >= 12 { "PM" } else { "AM" }.to_owned(),
        "pm" => if at.hour() >= 12 { "pm" } else { "am" }.to_owned(),
        offset => offset_of(at, offset),
    }
}

/// `-0700` and its relatives; with a Z, UTC is just that.
fn offset_of(at: &Zoned, form: &str) -> String {
    let seconds = at.offset().seconds();
    if form.starts_with('Z') && seconds == 0 {
        return "Z".to_owned();
    }
    let sign = if seconds < 0 { '-' } else { '+' };
    let (hours, minutes, rest) = (seconds.abs() / 3600, seconds.abs() / 60 % 60, seconds.abs() % 60);
    match &form[1..] {
        "07" => format!("{sign}{hours:02}"),
        "0700" => format!("{sign}{hours:02}{minutes:02}"),
        "07:00" => format!("{sign}{hours:02}:{minutes:02}"),
        "070000" => format!("{sign}{hours:02}{minutes:02}{rest:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{rest:02}"),
    }
}

/// A zone's short name; an offset where it has none.
fn zone(at: &Zoned) -> String {
    at.strftime("%Z").to_string()
}

pub(super) fn month(at: &Zoned) -> &'static str {
    MONTHS[at.month() as usize - 1]
}

pub(super) fn weekday(at: &Zoned) -> &'static str {
    match at.weekday() {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

/// A span of time as Go prints it: `1h30m0s`, `1.5s`, `20ms`.
pub(in super::super) fn duration(nanoseconds: i64) -> String {
    let magnitude = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    if magnitude == 0 {
        return "0s".to_owned();
    }
    if magnitude < 1_000_000_000 {
        let (unit, name) = match magnitude {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            _ => (1_000_000, "ms"),
        };
        return format!("{sign}{}{name}", decimal(magnitude, unit));
    }
    let minutes = magnitude / 60_000_000_000;
    let seconds = decimal(magnitude % 60_000_000_000, 1_000_000_000);
    match (minutes / 60, minutes % 60) {
        (0, 0) => format!("{sign}{seconds}s"),
        (0, minutes) => format!("{sign}{minutes}m{seconds}s"),
        (hours, minutes) => format!("{sign}{hours}h{minutes}m{seconds}s"),
    }
}

fn decimal(value: u64, unit: u64) -> String {
    let whole = value / unit;
    let digits = unit.ilog10() as usize;
    if value.is_multiple_of(unit) {
        return whole.to_string();
    }
    let fraction = format!("{:0digits$}", value % unit);
    format!("{whole}.{}", fraction.trim_end_matches('0'))
}
