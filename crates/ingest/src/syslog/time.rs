//! Times of syslog. RFC 3164 sends neither year nor zone, so both are guessed from the time of arrival.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::message::{number, word};
use crate::records::ns_of_rfc3339;

const MINUTE_NS: i64 = 60_000_000_000;
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// RFC 3339.
pub(super) fn rfc3339(text: &[u8]) -> Option<i64> {
    ns_of_rfc3339(std::str::from_utf8(text).ok()?)
}

/// The time that a message begins with, and what follows it: RFC 3339, or `Mmm dd [yyyy] hh:mm:ss[.fraction]`.
pub(super) fn leading(message: &[u8], received_at_ns: i64) -> Option<(i64, &[u8])> {
    if let Some((first, rest)) = word(message)
        && let Some(time_ns) = rfc3339(first)
    {
        return Some((time_ns, rest));
    }
    let (month, rest) = word(message)?;
    let month = MONTHS.iter().position(|name| month.eq_ignore_ascii_case(*name))? as i8 + 1;
    let (day, rest) = word(rest.trim_ascii_start())?;
    let day = number(day, 31)? as i8;
    let (year, rest) = match word(rest) {
        Some((year, after)) if year.len() == 4 && number(year, 9999).is_some() => (number(year, 9999), after),
        _ => (None, rest),
    };
    // A message may end with its time.
    let (clock, rest) = word(rest).unwrap_or((rest, b""));
    let (clock, nanosecond) = clock_of(clock.strip_suffix(b":").unwrap_or(clock))?;
    let [hour, minute, second] = clock;
    let in_year = |year: i16| {
        let time = DateTime::new(year, month, day, hour, minute, second, nanosecond).ok()?;
        let time = time.to_zoned(TimeZone::UTC).ok()?.timestamp();
        i64::try_from(time.as_nanosecond()).ok()
    };
    let local_ns = match year {
        Some(year) => in_year(year as i16)?,
        None => {
            let received = jiff::Timestamp::from_nanosecond(received_at_ns.into()).ok()?;
            let year = received.to_zoned(TimeZone::UTC).year();
            let candidates = (year - 1..=year + 1).filter_map(in_year);
            candidates.min_by_key(|time_ns| time_ns.abs_diff(received_at_ns))?
        }
    };
    Some((local_ns.saturating_sub(offset_ns(local_ns, received_at_ns)), rest))
}

/// `hh:mm:ss` with an optional fraction.
fn clock_of(text: &[u8]) -> Option<([i8; 3], i32)> {
    let (clock, fraction) = match text.iter().position(|b| matches!(b, b'.' | b',')) {
        Some(dot) => (&text[..dot], &text[dot + 1..]),
        None => (text, &b""[..]),
    };
    let mut parts = clock.split(|b| *b == b':');
    let mut part = |max| parts.next().filter(|p| p.len() <= 2).and_then(|p| number(p, max)).map(|n| n as i8);
    // A leap second is the last second of its minute.
    let clock = [part(23)?, part(59)?, part(60)?.min(59)];
    if parts.next().is_some() || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let nanosecond =
        (0..9).fold(0, |n, i| 10 * n + i32::from(fraction.get(i).map_or(0, |digit| digit - b'0')));
    Some((clock, nanosecond))
}

/// How far a sender's clock is from UTC. Messages come within seconds, so a time that differs from the arrival
/// by whole half hours, as zones do, is a local one; any other is taken as UTC.
fn offset_ns(local_ns: i64, received_at_ns: i64) -> i64 {
    const STEP_NS: i64 = 30 * MINUTE_NS;
    let difference = local_ns.saturating_sub(received_at_ns);
    if difference.unsigned_abs() > 15 * 60 * MINUTE_NS as u64 {
        return 0;
    }
    let offset = (difference + difference.signum() * STEP_NS / 2) / STEP_NS * STEP_NS;
    let is_zone = (-12 * 60 * MINUTE_NS..=14 * 60 * MINUTE_NS).contains(&offset);
    if is_zone && (difference - offset).abs() <= MINUTE_NS { offset } else { 0 }
}
