//! Whose turn it is in one layer.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};

use super::spec::{LayerSpec, RotationSpec};
use crate::fault::{Fault, check_count, check_line, check_person, shown};
use crate::routing::{TimeInterval, is_active};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const WEEK: i64 = 7 * DAY;

/// Times that schedules know, 1970 to 2500: sums of two stay within what dates can be.
const TIMES: std::ops::RangeInclusive<i64> = 0..=16_725_225_600_000;

const PEOPLE_MAX: usize = 100;
const DAYS_MAX: u32 = 366;
const HOURS_MAX: u32 = 366 * 24;
const RESTRICTIONS_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 200;

/// A layer, checked.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    people: Vec<String>,
    pub(super) start: i64,
    pub(super) until: i64,
    /// The last handover at or before the start, on the clock on the wall.
    anchor: i64,
    /// Length of a turn on that clock.
    step: i64,
    pub(super) restrictions: Vec<TimeInterval>,
}

/// A turn, from and until when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) number: i64,
    pub(super) from: i64,
    pub(super) until: i64,
}

impl Layer {
    pub(super) fn new(spec: &LayerSpec, zone: &TimeZone, at: &str) -> Result<Self, Fault> {
        if let Some(name) = &spec.name {
            check_line(&format!("{at}.name"), name, NAME_BYTES_MAX)?;
        }
        check_count(&format!("{at}.people"), spec.people.len(), 1, PEOPLE_MAX)?;
        for (n, person) in spec.people.iter().enumerate() {
            check_person(&format!("{at}.people[{n}]"), person)?;
        }
        let start = moment(&format!("{at}.start"), &spec.start, zone)?;
        let until = match &spec.until {
            None => i64::MAX,
            Some(text) => moment(&format!("{at}.until"), text, zone)?,
        };
        if until <= start {
            return Err(Fault::new(format!("{at}.until"), "is not after the start; write a later time"));
        }
        let step = length(spec.rotation, &format!("{at}.rotation"))?;
        let anchor = anchor(spec, zone, start, step, &format!("{at}.handover"))?;
        check_count(&format!("{at}.restrictions"), spec.restrictions.len(), 0, RESTRICTIONS_MAX)?;
        let restriction = |(n, given): (usize, &crate::routing::TimeIntervalSpec)| {
            let mut given = given.clone();
            if given.location.is_none() {
                given.location = zone.iana_name().map(str::to_owned);
            }
            TimeInterval::new(&given)
                .map_err(|wrong| Fault::new(format!("{at}.restrictions[{n}].{}", wrong.field), wrong.reason))
        };
        let restrictions = spec.restrictions.iter().enumerate().map(restriction).collect::<Result<_, _>>()?;
        Ok(Self { people: spec.people.clone(), start, until, anchor, step, restrictions })
    }

    /// Whether it has somebody on duty.
    pub(super) fn holds(&self, at: i64) -> bool {
        let restricted = || self.restrictions.is_empty() || is_active(&self.restrictions, at);
        (self.start..self.until).contains(&at) && restricted()
    }

    /// The turn at a time from the start on.
    pub(super) fn turn(&self, zone: &TimeZone, at: i64) -> Turn {
        let boundary = |number: i64| instant(zone, self.anchor + number * self.step);
        // Clocks that were set may have put the first guess wrong by as much as they were set.
        let mut number = (wall(zone, at) - self.anchor).div_euclid(self.step);
        while boundary(number + 1) <= at {
            number += 1;
        }
        while number > 0 && boundary(number) > at {
            number -= 1;
        }
        Turn { number, from: boundary(number).max(self.start), until: boundary(number + 1).min(self.until) }
    }

    pub(super) fn person(&self, turn: i64) -> &str {
        // A list of people is never empty; a number of people is never more than an i64 holds.
        let count = self.people.len().max(1) as i64;
        self.people.get(turn.rem_euclid(count) as usize).map_or("", String::as_str)
    }
}

fn length(rotation: RotationSpec, at: &str) -> Result<i64, Fault> {
    let within = |count: u32, max: u32, unit: i64| match (1..=max).contains(&count) {
        true => Ok(i64::from(count) * unit),
        false => Err(Fault::new(at, format!("a turn of {count} is none; write 1 to {max}"))),
    };
    match rotation {
        RotationSpec::Daily => Ok(DAY),
        RotationSpec::Weekly => Ok(WEEK),
        RotationSpec::Days(days) => within(days, DAYS_MAX, DAY),
        RotationSpec::Hours(hours) => within(hours, HOURS_MAX, HOUR),
    }
}

/// The last handover at or before the start, on the clock on the wall.
fn anchor(spec: &LayerSpec, zone: &TimeZone, start: i64, step: i64, at: &str) -> Result<i64, Fault> {
    let begin = wall(zone, start);
    let handover = spec.handover.clone().unwrap_or_default();
    let time = match &handover.time {
        None => begin.rem_euclid(DAY),
        Some(text) => time_of_day(text).ok_or_else(|| {
            let message = format!("{:?} is not a time of day; write it as HH:MM", shown(text));
            Fault::new(format!("{at}.time"), message)
        })?,
    };
    let mut anchor = begin - begin.rem_euclid(DAY) + time;
    if let Some(text) = &handover.weekday {
        let wrong = |message: String| Fault::new(format!("{at}.weekday"), message);
        let day = weekday(text)
            .ok_or_else(|| wrong(format!("{:?} is not a day; write one such as monday", shown(text))))?;
        if step % WEEK != 0 {
            return Err(wrong("turns are not whole weeks; leave it out, or rotate weekly".to_owned()));
        }
        // 1970-01-01 was a Thursday, the fourth day from Monday.
        let today = (anchor.div_euclid(DAY) + 3).rem_euclid(7);
        anchor -= (today - i64::from(day.to_monday_zero_offset())).rem_euclid(7) * DAY;
        if anchor > begin {
            anchor -= WEEK;
        }
    } else if anchor > begin {
        anchor -= DAY;
    }
    // Turns of hours fit several times between a time of day and the start.
    Ok(anchor + (begin - anchor).div_euclid(step) * step)
}

fn time_of_day(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str, max: i64| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<i64>().ok().filter(|n| digits && *n <= max)
    };
    Some(number(hour, 23)? * HOUR + number(minute, 59)? * 60_000)
}

fn weekday(text: &str) -> Option<Weekday> {
    let names = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let place = names.iter().position(|name| name.eq_ignore_ascii_case(text))?;
    Weekday::from_monday_zero_offset(i8::try_from(place).ok()?).ok()
}

/// Reads a moment: with an offset, or a local time or day.
pub(super) fn moment(field: &str, text: &str, zone: &TimeZone) -> Result<i64, Fault> {
    let read = || {
        if let Ok(moment) = text.parse::<Timestamp>() {
            return Some(moment.as_millisecond());
        }
        let day = || text.parse::<Date>().ok().map(|day| day.to_datetime(Time::midnight()));
        let local = if text.len() <= 10 { day() } else { text.parse::<DateTime>().ok() };
        Some(instant(zone, wall_of(local?)))
    };
    read().filter(|at| TIMES.contains(at)).ok_or_else(|| {
        let message = format!(
            "{:?} is no time from 1970 to 2500; write 2030-01-07, 2030-01-07T09:00 or 2030-01-07T09:00:00Z",
            shown(text)
        );
        Fault::new(field, message)
    })
}

/// What the clock on the wall shows, as milliseconds of a day's count that knows no zones.
fn wall(zone: &TimeZone, at: i64) -> i64 {
    let at = at.clamp(*TIMES.start(), *TIMES.end());
    Timestamp::from_millisecond(at).map_or(at, |at| wall_of(zone.to_datetime(at)))
}

fn wall_of(local: DateTime) -> i64 {
    TimeZone::UTC.to_timestamp(local).map_or(0, Timestamp::as_millisecond)
}

/// When the clock on the wall shows this. Where it shows it twice, the first time; where clocks are set over it, the
/// moment at which they are set. So a later reading is never an earlier moment, which `compatible` of RFC 5545 does
/// not hold where a whole day is left out.
fn instant(zone: &TimeZone, wall: i64) -> i64 {
    let Ok(utc) = Timestamp::from_millisecond(wall) else { return wall };
    let local = TimeZone::UTC.to_datetime(utc);
    let ambiguous = zone.to_ambiguous_timestamp(local);
    let skipped = matches!(ambiguous.offset(), AmbiguousOffset::Gap { .. });
    let Ok(earlier) = ambiguous.earlier() else { return wall };
    let set = || zone.following(earlier).next().map(|set| set.timestamp());
    let at = if skipped { set().unwrap_or(earlier) } else { earlier };
    at.as_millisecond()
}

/// A time that calendars can hold.
pub(super) fn clamp(at: i64) -> i64 {
    at.clamp(*TIMES.start(), *TIMES.end())
}
