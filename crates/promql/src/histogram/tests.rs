use model::{CounterResetHint, FloatHistogram, HistogramSpan};

use super::*;

fn exponential(
    schema: i8,
    zero: (f64, f64),
    positive: (i32, &[f64]),
    negative: (i32, &[f64]),
) -> FloatHistogram {
    let side = |(offset, counts): (i32, &[f64])| {
        let spans = match counts.len() {
            0 => vec![],
            n => vec![HistogramSpan { offset, length: n as u32 }],
        };
        (spans, counts.to_vec())
    };
    let (positive_spans, positive_buckets) = side(positive);
    let (negative_spans, negative_buckets) = side(negative);
    let count = zero.1 + positive.1.iter().sum::<f64>() + negative.1.iter().sum::<f64>();
    FloatHistogram {
        schema,
        zero_threshold: zero.0,
        zero_count: zero.1,
        count,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        ..Default::default()
    }
}

fn custom(bounds: &[f64], counts: &[f64], sum: f64) -> FloatHistogram {
    let mut h = exponential(0, (0.0, 0.0), (0, counts), (0, &[]));
    h.schema = model::CUSTOM_BUCKETS_SCHEMA;
    h.custom_bounds = bounds.into();
    h.sum = sum;
    h
}

#[track_caller]
fn shows(h: &FloatHistogram, want: &str) {
    let mut h = h.clone();
    compact(&mut h, 0);
    assert_eq!(test_expression(&h), want);
}

#[test]
fn sums_take_the_coarser_schema_and_the_wider_zero_bucket() {
    let mut h = exponential(1, (0.001, 1.0), (0, &[1.0, 2.0, 3.0]), (0, &[]));
    let other = exponential(0, (0.75, 4.0), (0, &[0.0, 8.0]), (1, &[16.0]));
    // A threshold of 0.75 cuts the bucket up to 1, which joins the zero bucket.
    assert_eq!(add(&mut h, &other), Ok(Combined::default()));
    shows(&h, "{{count:35 z_bucket:6 z_bucket_w:1 offset:1 buckets:[13] n_offset:1 n_buckets:[16]}}");
    assert!(sub(&mut h, &other).is_ok());
    shows(&h, "{{count:7 z_bucket:2 z_bucket_w:1 offset:1 buckets:[5]}}");
}

#[test]
fn custom_bounds_are_reconciled_to_the_shared_ones() {
    let mut h = custom(&[1.0, 2.0, 3.0], &[1.0, 2.0, 4.0, 8.0], 1.0);
    let other = custom(&[1.0, 3.0, 5.0], &[16.0, 32.0, 64.0, 128.0], 2.0);
    let combined = add(&mut h, &other).expect("compatible");
    assert!(combined.bounds_reconciled && !combined.reset_collision);
    shows(&h, "{{schema:-53 count:255 sum:3 custom_values:[1 3] buckets:[17 38 200]}}");
    let exponential = exponential(0, (0.0, 0.0), (0, &[1.0]), (0, &[]));
    assert_eq!(add(&mut h, &exponential), Err(IncompatibleSchemas));
}

#[test]
fn hints_combine_as_upstream_combines_them() {
    use CounterResetHint::{Gauge, NotReset, Reset, Unknown};
    for (own, theirs, want, collision) in [
        (Reset, Reset, Reset, false),
        (Gauge, Reset, Gauge, false),
        (Reset, Gauge, Gauge, false),
        (Unknown, NotReset, Unknown, false),
        (NotReset, Unknown, Unknown, false),
        (Reset, NotReset, Unknown, true),
    ] {
        let mut h = FloatHistogram { counter_reset_hint: own, ..Default::default() };
        let other = FloatHistogram { counter_reset_hint: theirs, ..Default::default() };
        let combined = add(&mut h, &other).expect("compatible");
        assert_eq!((h.counter_reset_hint, combined.reset_collision), (want, collision));
    }
}

#[test]
fn a_compensated_sum_keeps_what_a_plain_one_loses() {
    let with = |value: f64| exponential(0, (0.0, 0.0), (0, &[value]), (0, &[]));
    let mut sum = KahanHistogram::new(with(1.0));
    for value in [1e100, 1.0, -1e100] {
        sum.add(&with(value)).expect("compatible");
    }
    shows(&sum.finish(), "{{count:2 buckets:[2]}}");
    let mut sum = KahanHistogram::new(exponential(1, (0.0, 0.0), (-3, &[1.0, 2.0]), (0, &[4.0])));
    sum.add(&exponential(0, (0.5, 8.0), (3, &[16.0]), (5, &[32.0]))).expect("compatible");
    sum.div(2.0);
    shows(
        &sum.finish(),
        "{{count:31.5 z_bucket:5.5 z_bucket_w:0.5 offset:3 buckets:[8] n_buckets:[2 0 0 0 0 16]}}",
    );
}

#[test]
fn resets_are_seen_in_counts_buckets_and_resolution() {
    let base = || exponential(1, (0.1, 2.0), (0, &[1.0, 2.0]), (0, &[3.0]));
    let rows: [(FloatHistogram, bool); 8] = [
        (base(), false),
        (exponential(1, (0.1, 2.0), (0, &[1.0, 2.0, 5.0]), (0, &[3.0])), false),
        (exponential(1, (0.1, 1.0), (0, &[1.0, 9.0]), (0, &[3.0])), true),
        (exponential(1, (0.1, 2.0), (1, &[9.0]), (0, &[3.0])), true),
        (exponential(1, (0.1, 2.0), (0, &[1.0, 2.0]), (0, &[2.0, 9.0])), true),
        (exponential(2, (0.1, 9.0), (0, &[1.0, 2.0]), (0, &[3.0])), true),
        (exponential(0, (0.1, 2.0), (0, &[1.0, 2.0]), (0, &[3.0])), false),
        (exponential(1, (0.05, 9.0), (0, &[1.0, 2.0]), (0, &[3.0])), true),
    ];
    for (i, (current, want)) in rows.iter().enumerate() {
        assert_eq!(detect_reset(current, &base()), *want, "row {i}");
    }
    let hinted = FloatHistogram { counter_reset_hint: CounterResetHint::NotReset, ..Default::default() };
    assert!(!detect_reset(&hinted, &base()));
    let reset = FloatHistogram { counter_reset_hint: CounterResetHint::Reset, ..base() };
    assert!(detect_reset(&reset, &base()));
    assert!(!detect_reset(&custom(&[1.0, 2.0], &[1.0, 2.0, 3.0], 0.0), &custom(&[2.0], &[3.0, 3.0], 0.0)));
    assert!(detect_reset(&custom(&[1.0, 2.0], &[1.0, 1.0, 9.0], 0.0), &custom(&[2.0], &[3.0, 3.0], 0.0)));
}

#[track_caller]
fn near(got: f64, want: f64) {
    assert!(got == want || (got - want).abs() < 1e-9 || (got.is_nan() && want.is_nan()), "{got} {want}");
}

#[test]
fn quantiles_and_fractions_interpolate() {
    let h = exponential(0, (0.001, 0.0), (1, &[4.0]), (0, &[]));
    near(quantile(0.5, &h), std::f64::consts::SQRT_2);
    near(fraction(1.0, std::f64::consts::SQRT_2, &h), 0.5);
    let negative = exponential(0, (0.001, 0.0), (0, &[]), (1, &[4.0]));
    near(quantile(0.5, &negative), -std::f64::consts::SQRT_2);
    near(fraction(f64::NEG_INFINITY, -std::f64::consts::SQRT_2, &negative), 0.5);
    // The zero bucket leans to the side of the others.
    let zero = exponential(0, (0.5, 4.0), (1, &[4.0]), (0, &[]));
    near(quantile(0.25, &zero), 0.25);
    near(fraction(0.0, 0.25, &zero), 0.25);
    let c = custom(&[1.0, 2.0], &[2.0, 2.0, 4.0], 0.0);
    for (q, want) in [(0.125, 0.5), (0.375, 1.5), (0.9, 2.0), (-1.0, f64::NEG_INFINITY), (2.0, f64::INFINITY)]
    {
        near(quantile(q, &c), want);
    }
    near(fraction(0.5, 1.5, &c), 0.25);
    near(fraction(2.0, f64::INFINITY, &c), 0.5);
    near(quantile(0.5, &FloatHistogram::default()), f64::NAN);
}

#[test]
fn variance_uses_the_middles_of_the_buckets() {
    let mut h = exponential(0, (0.001, 1.0), (2, &[1.0]), (2, &[1.0]));
    h.sum = 0.0;
    near(variance(&h), 2.0 * 8.0 / 3.0);
    near(average(&custom(&[2.0, 4.0], &[1.0, 1.0], 4.0)), 2.0);
    near(variance(&custom(&[0.0, 2.0, 4.0], &[0.0, 1.0, 1.0], 4.0)), 1.0);
}

#[test]
fn trimming_keeps_a_share_of_the_bucket_that_is_cut() {
    let h = || {
        let mut h = exponential(0, (0.001, 1.0), (0, &[2.0, 4.0, 8.0, 16.0]), (0, &[1.0, 2.0]));
        h.sum = 123.75;
        h
    };
    type Trim = fn(&mut FloatHistogram, f64);
    let rows: [(Trim, f64, f64, f64); 7] = [
        (trim_lower, f64::NEG_INFINITY, 34.0, 123.75),
        (trim_upper, f64::INFINITY, 34.0, 123.75),
        (trim_lower, f64::INFINITY, 0.0, 0.0),
        (trim_upper, f64::NEG_INFINITY, 0.0, 0.0),
        (trim_lower, 0.0, 30.5, 120.20840280171308),
        (trim_upper, std::f64::consts::SQRT_2, 8.0, 0.25709388652588),
        (trim_lower, -1.0, 32.0, 119.50104602052653),
    ];
    for (trim, bound, count, sum) in rows {
        let mut h = h();
        trim(&mut h, bound);
        near(h.count, count);
        near(h.sum, sum);
        assert_eq!(h.validate(), Ok(()));
    }
    let mut c = custom(&[5.0, 10.0, 15.0, 20.0], &[1.0, 6.0, 4.0, 3.0, 1.0], 172.5);
    trim_lower(&mut c, 13.0);
    shows(&c, "{{schema:-53 count:5.6 sum:94.9 custom_values:[5 10 15 20] offset:2 buckets:[1.6 3 1]}}");
}

#[test]
fn texts_show_populated_buckets() {
    let h = exponential(0, (0.5, 2.0), (1, &[1.0, 0.0, 3.0]), (1, &[4.0]));
    assert_eq!(to_text(&h), "{count:10, sum:0, [-2,-1):4, [-0.5,0.5]:2, (1,2]:1, (4,8]:3}");
    let c = custom(&[1.0], &[1.0, 2.0], 1e6);
    assert_eq!(to_text(&c), "{count:3, sum:1e+06, [-Inf,1]:1, (1,+Inf]:2}");
}

proptest::proptest! {
    /// Whatever the layouts, counts add up and nothing panics.
    #[test]
    fn combining_keeps_the_total(
        a in histogram(),
        b in histogram(),
    ) {
        let mut sum = a.clone();
        add(&mut sum, &b).expect("both exponential");
        let total = |h: &FloatHistogram| buckets(h).iter().map(|b| b.count).sum::<f64>();
        proptest::prop_assert!((total(&sum) - total(&a) - total(&b)).abs() < 1e-6);
        proptest::prop_assert_eq!(sum.validate(), Ok(()));
        proptest::prop_assert!(!detect_reset(&sum, &a) || sum.schema < a.schema || sum.zero_threshold > a.zero_threshold);
        let mut compensated = KahanHistogram::new(a);
        compensated.add(&b).expect("both exponential");
        let mut compensated = compensated.finish();
        compact(&mut compensated, 0);
        compact(&mut sum, 0);
        proptest::prop_assert_eq!(compensated, sum);
    }
}

fn histogram() -> impl proptest::strategy::Strategy<Value = FloatHistogram> {
    use proptest::prelude::*;
    let side = || (-20i32..20, proptest::collection::vec((0u8..5).prop_map(f64::from), 0..6));
    (-4i8..=8, 0u8..4, 0u8..3, side(), side()).prop_map(|(schema, threshold, zero, positive, negative)| {
        let mut h = exponential(
            schema,
            (f64::from(threshold) * 0.3, f64::from(zero)),
            (positive.0, &positive.1),
            (negative.0, &negative.1),
        );
        combine::drop_buckets_in_zero(&mut h);
        h.count = buckets(&h).iter().map(|b| b.count).sum();
        h
    })
}
