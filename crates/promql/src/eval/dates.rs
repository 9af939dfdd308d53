//! Calendar fields of instants, in UTC.

/// Seconds of a day.
const DAY: i64 = 86_400;

/// A date and a time of day in the proleptic Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Civil {
    pub(crate) year: i64,
    /// 1 to 12.
    pub(crate) month: i64,
    /// 1 to 31.
    pub(crate) day: i64,
    /// 0 is Sunday.
    pub(crate) weekday: i64,
    /// 1 to 366.
    pub(crate) day_of_year: i64,
    /// 0 to 86399.
    pub(crate) second_of_day: i64,
}

impl Civil {
    /// The fields of a number of seconds since the Unix epoch.
    pub(crate) fn from_unix(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY);
        // Years begin on 1 March here, so that the leap day is a year's last; eras have 400 years.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_march_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_march_year + 2) / 153;
        let day = day_of_march_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        let year = era * 400 + year_of_era + i64::from(month <= 2);
        let before: i64 = (1..month).map(|m| days_in_month(year, m)).sum();
        Self {
            year,
            month,
            day,
            weekday: (days + 4).rem_euclid(7),
            day_of_year: before + day,
            second_of_day: seconds.rem_euclid(DAY),
        }
    }

    pub(crate) fn days_in_month(&self) -> i64 {
        days_in_month(self.year, self.month)
    }
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_have_the_fields_of_the_calendar() {
        for (seconds, want) in [
            (0, (1970, 1, 1, 4, 1, 0)),
            (-1, (1969, 12, 31, 3, 365, 86_399)),
            (951_782_400, (2000, 2, 29, 2, 60, 0)),
            (1_456_790_399, (2016, 2, 29, 1, 60, 86_399)),
            (4_107_542_399, (2100, 2, 28, 0, 59, 86_399)),
            (4_107_542_400, (2100, 3, 1, 1, 60, 0)),
        ] {
            let c = Civil::from_unix(seconds);
            assert_eq!(
                (c.year, c.month, c.day, c.weekday, c.day_of_year, c.second_of_day),
                want,
                "{seconds}"
            );
        }
        for extreme in [i64::MIN, i64::MAX] {
            let c = Civil::from_unix(extreme);
            assert!((1..=12).contains(&c.month) && (1..=31).contains(&c.day));
        }
        assert_eq!(Civil::from_unix(951_782_400).days_in_month(), 29);
    }
}
