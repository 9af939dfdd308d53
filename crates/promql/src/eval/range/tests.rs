//! Functions over ranges against the plainest way to compute them: each window on its own.

use model::{Labels, STALE_NAN, SampleColumns, is_stale};

use crate::testing::{Load, LoadedSeries, MemorySource};
use crate::{Engine, EngineOptions, QueryContext, Value};

/// Numbers that look random and are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

/// A series with gaps, resets, stale markers and NaN, of integers or broken numbers.
fn samples(seed: u64) -> Vec<(i64, f64)> {
    let mut numbers = Numbers(seed);
    let integers = seed.is_multiple_of(2);
    let (mut t_ms, mut value) = (0, 0.0);
    (0..300)
        .map(|_| {
            t_ms += 1 + numbers.below(20_000) as i64;
            let step = numbers.below(1000) as f64;
            value = if numbers.below(12) == 0 { step } else { value + step };
            let shown = if integers { value } else { value / 7.0 };
            let special = numbers.below(40);
            (t_ms, [STALE_NAN, f64::NAN].get(special as usize).copied().unwrap_or(shown))
        })
        .collect()
}

fn neumaier(values: &[f64], first: f64) -> (f64, f64) {
    values.iter().fold((first, 0.0), |(sum, c), x| {
        let t: f64 = sum + x;
        (t, c + if sum.abs() >= x.abs() { (sum - t) + x } else { (x - t) + sum })
    })
}

fn compare(values: &[f64], better: fn(f64, f64) -> bool) -> f64 {
    values.iter().fold(values[0], |best, v| if better(*v, best) || best.is_nan() { *v } else { best })
}

fn pairs(values: &[f64], differs: fn(f64, f64) -> bool) -> f64 {
    values.windows(2).filter(|two| differs(two[0], two[1])).count() as f64
}

fn increase(window: &[(i64, f64)], open: i64, close: i64) -> Option<f64> {
    let (first, last) = (window.first()?, window.last()?);
    if window.len() < 2 {
        return None;
    }
    let mut rise = last.1 - first.1;
    for two in window.windows(2).filter(|two| two[1].1 < two[0].1) {
        rise += two[0].1;
    }
    let sampled = (last.0 - first.0) as f64 / 1000.0;
    let distance = sampled / (window.len() - 1) as f64;
    let mut before = (first.0 - open) as f64 / 1000.0;
    let mut after = (close - last.0) as f64 / 1000.0;
    if before >= distance * 1.1 {
        before = distance / 2.0;
    }
    if rise > 0.0 && first.1 >= 0.0 {
        before = before.min(sampled * (first.1 / rise));
    }
    if after >= distance * 1.1 {
        after = distance / 2.0;
    }
    Some(rise * ((sampled + before + after) / sampled))
}

fn plainly(function: &str, window: &[(i64, f64)], open: i64, close: i64) -> Option<f64> {
    let values: Vec<f64> = window.iter().map(|(_, v)| *v).collect();
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    Some(match function {
        "sum_over_time" => {
            let (sum, c) = neumaier(&values, 0.0);
            sum + c
        }
        "avg_over_time" => {
            let (sum, c) = neumaier(&values[1..], values[0]);
            sum / count + c / count
        }
        "min_over_time" => compare(&values, |a, b| a < b),
        "max_over_time" => compare(&values, |a, b| a > b),
        "count_over_time" => count,
        "changes" => pairs(&values, |a, b| a != b && !(a.is_nan() && b.is_nan())),
        "resets" => pairs(&values, |a, b| b < a),
        "increase" => return increase(window, open, close),
        _ => {
            let mut sorted = values;
            sorted.sort_by(crate::eval::quantile::total);
            let rank = 0.3 * (count - 1.0);
            let (lower, weight) = (rank.floor(), rank - rank.floor());
            let upper = sorted[(lower as usize + 1).min(sorted.len() - 1)];
            sorted[lower as usize] * (1.0 - weight) + upper * weight
        }
    })
}

#[test]
fn sliding_windows_give_what_each_window_gives_on_its_own() {
    let engine = Engine::new(EngineOptions::default());
    for seed in 0..8 {
        let all = samples(seed);
        let labels = Labels::from_pairs([("__name__", "m_total")]).expect("valid");
        let columns = SampleColumns {
            t_ms: all.iter().map(|s| s.0).collect(),
            values: all.iter().map(|s| s.1).collect(),
            ..SampleColumns::default()
        };
        let mut source = MemorySource::new();
        source.load(&Load { series: vec![LoadedSeries { labels, samples: columns }] });
        let end = all[all.len() - 1].0;
        for (range_ms, step_ms) in [(60_000, 15_000), (300_000, 7_001), (10_000, 60_000)] {
            for function in [
                "sum_over_time",
                "avg_over_time",
                "min_over_time",
                "max_over_time",
                "count_over_time",
                "changes",
                "resets",
                "increase",
                "quantile_over_time",
            ] {
                let q = if function == "quantile_over_time" { "0.3, " } else { "" };
                let query = format!("{function}({q}m_total[{range_ms}ms])");
                let context = QueryContext::default();
                let result = engine.range(&source, &query, (0, end), step_ms, &context).expect("a value");
                let Value::Matrix(series) = result.value else { panic!("{query} is no matrix") };
                let mut got = series.iter().flat_map(|s| &s.floats);
                for close in (0..=end).step_by(step_ms as usize) {
                    let open = close - range_ms;
                    let window: Vec<(i64, f64)> = all
                        .iter()
                        .copied()
                        .filter(|(t, v)| open < *t && *t <= close && !is_stale(*v))
                        .collect();
                    let Some(want) = plainly(function, &window, open, close) else { continue };
                    let point = got.next().expect("a point for every window");
                    let same =
                        point.value.to_bits() == want.to_bits() || (point.value.is_nan() && want.is_nan());
                    assert!(point.t_ms == close && same, "{query} at {close}: {point:?}, not {want}");
                }
                assert_eq!(got.next(), None, "{query}");
            }
        }
    }
}
