//! Times of day, week, month and year, in a place's own time: Alertmanager's `time_intervals`.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far ahead a change is looked for: four years hold every day of the month and week, and one 29 February.
const DAYS_AHEAD_MAX: usize = 4 * 366 + 1;

/// Most entries in one list of an interval.
const ENTRIES_MAX: usize = 256;

/// An interval as files and objects write it. Fields that are there must all hold; a field that is not holds
/// always.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeIntervalSpec {
    /// Times of day; any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<Vec<TimeRangeSpec>>,
    /// Days such as `monday` or `monday:friday`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weekdays: Option<Vec<String>>,
    /// Days such as `1`, `1:5` or `-3:-1`, where -1 is the last day of the month.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_of_month: Option<Vec<String>>,
    /// Months such as `january`, `3` or `may:august`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub months: Option<Vec<String>>,
    /// Years such as `2030` or `2030:2032`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub years: Option<Vec<String>>,
    /// A time zone such as `Europe/Berlin`; UTC without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
}

/// A time of day from start to just before end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TimeRangeSpec {
    /// `HH:MM`.
    pub start_time: String,
    /// `HH:MM`, up to `24:00`.
    pub end_time: String,
}

/// What is wrong with an interval, at which key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct InvalidInterval {
    /// The key, such as `weekdays`.
    pub field: &'static str,
    /// What was given and what would do.
    pub reason: String,
}

/// Both ends inside.
type Range = (i16, i16);

/// An interval, checked.
#[derive(Clone, Debug)]
pub struct TimeInterval {
    /// Minutes of the day; the end is not inside.
    times: Option<Vec<(u16, u16)>>,
    weekdays: Option<Vec<Range>>,
    days_of_month: Option<Vec<Range>>,
    months: Option<Vec<Range>>,
    years: Option<Vec<Range>>,
    zone: TimeZone,
}

const WEEKDAYS: [&str; 7] = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

impl TimeInterval {
    /// Checks an interval.
    pub fn new(spec: &TimeIntervalSpec) -> Result<Self, InvalidInterval> {
        let times = spec.times.as_ref().map(|times| {
            bounded("times", times.len())?;
            times.iter().map(time_range).collect()
        });
        let weekday = |text: &str| WEEKDAYS.iter().position(|day| *day == text).map(|n| n as i16);
        let month = |text: &str| match MONTHS.iter().position(|name| *name == text) {
            Some(n) => Some(n as i16 + 1),
            None => text.parse().ok().filter(|n| (1..=12).contains(n)),
        };
        let day = |text: &str| text.parse().ok().filter(|n: &i16| *n != 0 && (-31..=31).contains(n));
        let year = |text: &str| text.parse().ok().filter(|n| (1..=9999).contains(n));
        let days_of_month = ranges("days_of_month", &spec.days_of_month, day, "1 to 31 or -1 to -31")?;
        for (begin, end) in days_of_month.iter().flatten().copied() {
            let wrong = |reason: String| InvalidInterval { field: "days_of_month", reason };
            if begin < 0 && end > 0 {
                return Err(wrong(format!("{begin}:{end}: the end must be negative where the start is")));
            }
            // Read in the shortest month, as Alertmanager reads it.
            let place = |n: i16| if n < 0 { 28 + n } else { n };
            if place(begin) > place(end) {
                return Err(wrong(format!("{begin}:{end}: the end is always before the start; swap them")));
            }
        }
        let ascending = |field, ranges: Option<Vec<Range>>| match ranges.iter().flatten().find(|r| r.0 > r.1)
        {
            Some(_) => Err(InvalidInterval {
                field,
                reason: "the end of a range is before its start; swap them or write two ranges".into(),
            }),
            None => Ok(ranges),
        };
        let zone = match spec.location.as_deref() {
            None | Some("" | "UTC") => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| InvalidInterval {
                field: "location",
                reason: format!("{name:?} is not a time zone; write one such as Europe/Berlin"),
            })?,
        };
        Ok(Self {
            times: times.transpose()?,
            weekdays: ascending(
                "weekdays",
                ranges("weekdays", &spec.weekdays, weekday, "sunday to saturday")?,
            )?,
            days_of_month,
            months: ascending(
                "months",
                ranges("months", &spec.months, month, "january to december or 1 to 12")?,
            )?,
            years: ascending("years", ranges("years", &spec.years, year, "a year such as 2030")?)?,
            zone,
        })
    }

    /// True where the moment lies inside.
    pub fn is_active(&self, at: i64) -> bool {
        let Ok(at) = Timestamp::from_millisecond(at) else { return false };
        let at = at.to_zoned(self.zone.clone());
        let minute = at.hour() as u16 * 60 + at.minute() as u16;
        let timely =
            |times: &Vec<(u16, u16)>| times.iter().any(|(start, end)| (*start..*end).contains(&minute));
        let within = |ranges: &Option<Vec<Range>>, n: i16| {
            ranges
                .as_ref()
                .is_none_or(|ranges| ranges.iter().any(|(begin, end)| (*begin..=*end).contains(&n)))
        };
        self.times.as_ref().is_none_or(timely)
            && self.has_day(&at)
            && within(&self.months, at.month().into())
            && within(&self.weekdays, at.weekday().to_sunday_zero_offset().into())
            && within(&self.years, at.year())
    }

    fn has_day(&self, at: &Zoned) -> bool {
        let days: i16 = at.days_in_month().into();
        let place = |n: i16| if n < 0 { days + n + 1 } else { n };
        self.days_of_month.as_ref().is_none_or(|ranges| {
            // A range that begins behind the end of this month does not reach into the next one.
            let mut here = ranges.iter().map(|(begin, end)| (place(*begin), place(*end).min(days)));
            here.any(|(begin, end)| begin <= days && (begin..=end).contains(&i16::from(at.day())))
        })
    }

    /// The moments of one local day at which this interval may begin or end.
    fn boundaries(&self, day: Date) -> impl Iterator<Item = i64> + '_ {
        let minutes = self.times.iter().flatten().flat_map(|(start, end)| [*start, *end]).chain([0, 1440]);
        minutes.flat_map(move |minute| {
            let at = match minute {
                1440 => day.tomorrow().ok().map(|day| day.at(0, 0, 0, 0)),
                minute => Some(day.at((minute / 60) as i8, (minute % 60) as i8, 0, 0)),
            };
            // An hour that comes twice has each boundary twice.
            let ambiguous = at.map(|at| self.zone.to_ambiguous_timestamp(at));
            let both = ambiguous.into_iter().flat_map(|at| [at.earlier(), at.later()]);
            both.filter_map(|at| at.ok().map(Timestamp::as_millisecond)).collect::<Vec<_>>()
        })
    }
}

/// True where any of the intervals holds the moment.
pub fn is_active(intervals: &[TimeInterval], at: i64) -> bool {
    intervals.iter().any(|interval| interval.is_active(at))
}

/// The next moment after `at` when [`is_active`] changes; `None` where it does not within four years.
pub fn next_change(intervals: &[TimeInterval], at: i64) -> Option<i64> {
    const DAY: i64 = 86_400_000;
    let now = is_active(intervals, at);
    let start = Timestamp::from_millisecond(at).ok()?;
    let mut moments = Vec::new();
    for ahead in 0..DAYS_AHEAD_MAX {
        for interval in intervals {
            let Ok(day) = start.to_zoned(interval.zone.clone()).date().checked_add((ahead as i64).days())
            else {
                continue;
            };
            moments.extend(interval.boundaries(day));
            // Clocks that are set change the time of day without passing a boundary.
            let midnight = interval.zone.to_ambiguous_timestamp(day.at(0, 0, 0, 0)).compatible().ok();
            let set = midnight.and_then(|midnight| interval.zone.following(midnight).next());
            let set = set.map(|set| set.timestamp().as_millisecond());
            moments.extend(set.filter(|set| *set <= at.saturating_add((ahead as i64 + 2) * DAY)));
        }
        // Days of two zones end at different times. What lies a day back is complete in all of them.
        let complete = at.saturating_add((ahead as i64 - 1) * DAY);
        moments.sort_unstable();
        let later = moments.split_off(moments.partition_point(|moment| *moment <= complete));
        let mut passed = moments.into_iter().filter(|moment| *moment > at);
        if let Some(change) = passed.find(|moment| is_active(intervals, *moment) != now) {
            return Some(change);
        }
        moments = later;
    }
    None
}

fn bounded(field: &'static str, entries: usize) -> Result<(), InvalidInterval> {
    if entries > ENTRIES_MAX {
        return Err(InvalidInterval {
            field,
            reason: format!("{entries} entries; at most {ENTRIES_MAX} are read"),
        });
    }
    Ok(())
}

fn ranges(
    field: &'static str,
    texts: &Option<Vec<String>>,
    read: impl Fn(&str) -> Option<i16>,
    known: &str,
) -> Result<Option<Vec<Range>>, InvalidInterval> {
    let Some(texts) = texts else { return Ok(None) };
    bounded(field, texts.len())?;
    let one = |text: &String| {
        let lower = text.to_lowercase();
        let (begin, end) = lower.split_once(':').unwrap_or((&lower, &lower));
        let wrong = || {
            let shown: String = text.chars().take(40).collect();
            InvalidInterval {
                field,
                reason: format!("{shown:?} is not one of {known}, or two of them with : between"),
            }
        };
        Ok((read(begin.trim()).ok_or_else(wrong)?, read(end.trim()).ok_or_else(wrong)?))
    };
    texts.iter().map(one).collect::<Result<_, _>>().map(Some)
}

fn time_range(spec: &TimeRangeSpec) -> Result<(u16, u16), InvalidInterval> {
    let wrong = |reason: String| InvalidInterval { field: "times", reason };
    let (start, end) = (&spec.start_time, &spec.end_time);
    if start.is_empty() || end.is_empty() {
        return Err(wrong("start_time and end_time must both be there".into()));
    }
    let read = |text: &String| {
        minute_of_day(text).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            wrong(format!("{shown:?} is not a time of day; write it as HH:MM, from 00:00 to 24:00"))
        })
    };
    let (from, to) = (read(start)?, read(end)?);
    if from >= to {
        return Err(wrong(format!(
            "{start} is not before {end}; a range over midnight is written as two, up to 24:00 and from 00:00"
        )));
    }
    Ok((from, to))
}

fn minute_of_day(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits)
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    let whole = hour * 60 + minute;
    (minute < 60 && whole <= 1440).then_some(whole)
}

#[cfg(test)]
mod tests;
