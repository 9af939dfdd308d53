//! Shifts as a calendar (RFC 5545) that phones and calendars subscribe to.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::schedule::Shift;

/// Octets of a line without its end (RFC 5545, section 3.1).
const LINE_OCTETS_MAX: usize = 75;
/// Events of one calendar: the earliest stay.
const EVENTS_MAX: usize = 10_000;

/// What a calendar is made of.
#[derive(Clone, Copy, Debug)]
pub struct Calendar<'a> {
    /// What it is called.
    pub name: &'a str,
    /// Names of schedules with their shifts.
    pub schedules: &'a [(&'a str, &'a [Shift])],
    /// Only this person's shifts; everybody's without one.
    pub person: Option<&'a str>,
    /// When it is asked for, milliseconds since the epoch.
    pub at: i64,
}

/// Writes a calendar. The same shift has the same UID every time, so that who subscribes updates it.
pub fn calendar(of: Calendar<'_>) -> String {
    let mut out = String::new();
    for fixed in ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Bellwether//On-call//EN", "CALSCALE:GREGORIAN"]
    {
        line(&mut out, fixed);
    }
    line(&mut out, "METHOD:PUBLISH");
    // RFC 7986 has NAME and REFRESH-INTERVAL; most calendars still read X-WR-CALNAME.
    line(&mut out, &format!("NAME:{}", text(of.name)));
    line(&mut out, &format!("X-WR-CALNAME:{}", text(of.name)));
    line(&mut out, "REFRESH-INTERVAL;VALUE=DURATION:PT1H");
    let each = of.schedules.iter().flat_map(|(name, shifts)| shifts.iter().map(move |shift| (*name, shift)));
    let wanted = each.filter(|(_, shift)| of.person.is_none_or(|person| person == shift.person));
    let stamp = utc(of.at);
    for (schedule, shift) in wanted.take(EVENTS_MAX) {
        line(&mut out, "BEGIN:VEVENT");
        line(&mut out, &format!("UID:{}", uid(schedule, shift)));
        line(&mut out, &format!("DTSTAMP:{stamp}"));
        line(&mut out, &format!("DTSTART:{}", utc(shift.from)));
        line(&mut out, &format!("DTEND:{}", utc(shift.until)));
        line(&mut out, &format!("SUMMARY:{}", text(&format!("{}: {}", schedule, shift.person))));
        line(&mut out, &format!("CATEGORIES:{}", text(schedule)));
        line(&mut out, "TRANSP:TRANSPARENT");
        line(&mut out, "END:VEVENT");
    }
    line(&mut out, "END:VCALENDAR");
    out
}

/// Who, where and from when make a shift; its end may move.
fn uid(schedule: &str, shift: &Shift) -> String {
    let what = format!("{schedule}\n{}\n{}", shift.person, shift.from);
    let hash = digest(&SHA256, what.as_bytes());
    let hex: String = hash.as_ref().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}@bellwether")
}

/// A UTC date with time (section 3.3.5, form 2).
fn utc(at: i64) -> String {
    let at = Timestamp::from_millisecond(at).unwrap_or_default().to_zoned(TimeZone::UTC);
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A TEXT value (section 3.3.11); control characters have no place in one.
fn text(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' | ';' | ',' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

/// A content line, folded between characters (section 3.1).
fn line(out: &mut String, content: &str) {
    let mut used = 0;
    for c in content.chars() {
        if used + c.len_utf8() > LINE_OCTETS_MAX {
            *out += "\r\n ";
            used = 1;
        }
        out.push(c);
        used += c.len_utf8();
    }
    *out += "\r\n";
}
