//! What is unusual: how far a value is from the median of its past, in robust standard deviations (1.4826 times the
//! median absolute deviation, which equals the standard deviation for normal noise; Iglewicz and Hoaglin, 1993).
//! Robust, so that past outages do not become usual.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::condition::Season;
use super::judge::Point;
use crate::span::Span;

/// With fewer values of the past nothing is judged.
const POINTS_MIN: usize = 12;
/// With fewer earlier days (or weeks) the hour of the day (or week) is not told apart.
const ROUNDS_MIN: usize = 3;
/// Values this near to the same hour count as of the same hour.
const HOUR_MS: i64 = 45 * 60_000;
/// A series that never moved still may move by this share of its median.
const SPREAD_MIN: f64 = 0.01;
/// From the median absolute deviation to the standard deviation.
const NORMAL: f64 = 1.4826;

/// Which side of what is usual counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// More than usual.
    Above,
    /// Less than usual.
    Below,
    /// Either.
    #[default]
    Both,
}

/// The past that a question wants beside the present value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct History {
    /// How far back.
    pub span: Span,
    /// Distance of its values.
    pub step: Span,
}

/// What is usual at a time of the day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Usual {
    pub(super) center: f64,
    pub(super) spread: f64,
}

impl Usual {
    /// What is usual at `at`, learned from the past; `None` while there is too little of it.
    pub(super) fn learn(past: &[Point], at: i64, season: Season) -> Option<Self> {
        let round = match season {
            Season::None => None,
            Season::Daily => Some(86_400_000),
            Season::Weekly => Some(7 * 86_400_000),
        };
        let seasonal = round.and_then(|round| same_hour(past, at, round));
        let values = seasonal.unwrap_or_else(|| past.iter().map(|point| point.value).collect());
        let mut values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        if values.len() < POINTS_MIN {
            return None;
        }
        let center = median(&mut values);
        let mut distances: Vec<f64> = values.iter().map(|value| (value - center).abs()).collect();
        let spread = (median(&mut distances) * NORMAL).max(center.abs() * SPREAD_MIN).max(f64::MIN_POSITIVE);
        Some(Self { center, spread })
    }

    /// How many deviations a value is away on the side that counts; 0 on the other.
    pub(super) fn deviation(self, value: f64, direction: Direction) -> f64 {
        let deviation = (value - self.center) / self.spread;
        match direction {
            Direction::Above => deviation.max(0.0),
            Direction::Below => (-deviation).max(0.0),
            Direction::Both => deviation.abs(),
        }
    }
}

/// Values of earlier rounds near the same hour, if there are enough rounds.
fn same_hour(past: &[Point], at: i64, round: i64) -> Option<Vec<f64>> {
    let mut rounds = Vec::new();
    let mut values = Vec::new();
    for point in past {
        let ago = at - point.at;
        let nearest = (ago + round / 2).div_euclid(round);
        if nearest > 0 && (ago - nearest * round).abs() <= HOUR_MS {
            values.push(point.value);
            if !rounds.contains(&nearest) {
                rounds.push(nearest);
            }
        }
    }
    (rounds.len() >= ROUNDS_MIN && values.len() >= POINTS_MIN).then_some(values)
}

/// The middle value. The slice is not empty and holds only finite values.
fn median(values: &mut [f64]) -> f64 {
    let middle = values.len() / 2;
    let (_, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if values.len() % 2 == 1 {
        return upper;
    }
    let lower = values[..middle].iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(lower, upper)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    /// A value every ten minutes for some days before the time 0.
    fn past(days: i64, value: impl Fn(i64) -> f64) -> Vec<Point> {
        let steps = days * 144;
        (1..=steps).rev().map(|n| Point { at: -n * HOUR / 6, value: value(-n * HOUR / 6) }).collect()
    }

    /// Noise between -1 and 1 that is the same in every run.
    fn noise(at: i64) -> f64 {
        let mixed = (at / 1000).wrapping_mul(0x09E3_779B_97F4_A7C1).rotate_left(17).wrapping_mul(31);
        (mixed & 0xFFFF) as f64 / 32_767.5 - 1.0
    }

    fn deviation(past: &[Point], season: Season, value: f64) -> Option<f64> {
        Some(Usual::learn(past, 0, season)?.deviation(value, Direction::Both))
    }

    #[test]
    fn a_spike_is_far_and_noise_is_near() {
        let steady = past(1, |at| 100.0 + 5.0 * noise(at));
        for (value, far) in [(100.0, false), (104.9, false), (95.1, false), (150.0, true), (20.0, true)] {
            let away = deviation(&steady, Season::None, value).expect("a day is enough");
            assert_eq!(away > 4.0, far, "{value}: {away}");
        }
    }

    #[test]
    fn a_past_outage_does_not_become_usual() {
        let with_outage = past(1, |at| if at > -4 * HOUR { 0.0 } else { 100.0 + noise(at) });
        assert!(deviation(&with_outage, Season::None, 0.0).expect("a day is enough") > 4.0);
    }

    #[test]
    fn a_daily_peak_is_usual_at_its_hour_and_only_there() {
        // The time 0 is midnight, where each day has its batch run.
        let batch = |at: i64| if at.rem_euclid(24 * HOUR) < HOUR / 2 { 500.0 } else { 50.0 };
        let near =
            |at: i64| if (at + HOUR / 4).rem_euclid(24 * HOUR) < HOUR { 500.0 } else { 50.0 + noise(at) };
        assert!(deviation(&past(7, near), Season::None, 500.0).expect("enough") > 4.0);
        assert!(deviation(&past(7, near), Season::Daily, 500.0).expect("enough") < 4.0);
        assert!(deviation(&past(7, batch), Season::Weekly, 50.0).is_some(), "too few weeks fall back");
    }

    #[test]
    fn a_constant_series_may_move_by_one_percent() {
        let flat = past(1, |_| 10.0);
        assert!(deviation(&flat, Season::None, 10.3).expect("enough") < 4.0);
        assert!(deviation(&flat, Season::None, 11.0).expect("enough") > 4.0);
    }

    #[test]
    fn too_little_past_judges_nothing() {
        assert_eq!(deviation(&past(1, |_| 1.0)[..11], Season::None, 5.0), None);
        assert_eq!(deviation(&[], Season::Daily, 5.0), None);
        let unknown = past(1, |_| f64::NAN);
        assert_eq!(deviation(&unknown, Season::None, 5.0), None);
    }

    #[test]
    fn a_direction_looks_at_one_side() {
        let usual = Usual { center: 10.0, spread: 1.0 };
        for (direction, above, below) in
            [(Direction::Above, 5.0, 0.0), (Direction::Below, 0.0, 5.0), (Direction::Both, 5.0, 5.0)]
        {
            assert_eq!(usual.deviation(15.0, direction), above);
            assert_eq!(usual.deviation(5.0, direction), below);
        }
    }
}
