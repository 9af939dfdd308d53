//! Compensated summation, step by step as upstream does it so that results agree to the last bit.

/// Adds to a running sum; the error goes to the compensation.
#[inline]
pub(crate) fn add(x: f64, sum: f64, c: f64) -> (f64, f64) {
    let t = sum + x;
    if t.is_infinite() {
        return (t, 0.0);
    }
    // Both forms give the exact rounding error of `t`; the branch only decides which one can.
    let error = if sum.abs() >= x.abs() { (sum - t) + x } else { (x - t) + sum };
    (t, c + error)
}

/// The compensated sum of a slice, starting at zero.
pub(crate) fn sum(values: &[f64]) -> f64 {
    let (sum, c) = values.iter().fold((0.0, 0.0), |(sum, c), x| add(*x, sum, c));
    if sum.is_infinite() { sum } else { sum + c }
}

/// The mean of a non-empty slice: the compensated sum divided, or an incremental mean once the sum overflows.
pub(crate) fn mean(values: &[f64]) -> f64 {
    let mut mean = Mean::new(values[0]);
    for x in &values[1..] {
        mean.add(*x);
    }
    mean.value()
}

/// A running mean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mean {
    /// The sum, or the mean once `incremental`.
    acc: f64,
    c: f64,
    count: f64,
    incremental: bool,
}

impl Mean {
    pub(crate) fn new(first: f64) -> Self {
        Self { acc: first, c: 0.0, count: 1.0, incremental: false }
    }

    #[inline]
    pub(crate) fn add(&mut self, x: f64) {
        self.count += 1.0;
        if !self.incremental {
            let (sum, c) = add(x, self.acc, self.c);
            if !sum.is_infinite() {
                (self.acc, self.c) = (sum, c);
                return;
            }
            self.incremental = true;
            self.acc /= self.count - 1.0;
            self.c /= self.count - 1.0;
        }
        let q = (self.count - 1.0) / self.count;
        (self.acc, self.c) = add(x / self.count, q * self.acc, q * self.c);
    }

    pub(crate) fn value(&self) -> f64 {
        if self.incremental { self.acc + self.c } else { self.acc / self.count + self.c / self.count }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancelled_terms_leave_the_small_ones() {
        for (values, want) in [
            (&[1e100, 1.0, -1e100][..], 1.0),
            (&[f64::INFINITY, 1.0], f64::INFINITY),
            (&[f64::MAX, f64::MAX], f64::INFINITY),
            (&[], 0.0),
        ] {
            assert_eq!(sum(values), want, "{values:?}");
        }
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
    }

    #[test]
    fn means_survive_an_overflowing_sum() {
        for (values, want) in [
            (&[1.0, 2.0, 3.0][..], 2.0),
            (&[f64::MAX, f64::MAX, f64::MAX], f64::MAX),
            (&[-f64::MAX, -f64::MAX], -f64::MAX),
        ] {
            let got = mean(values);
            assert!((got / want - 1.0).abs() < 1e-15, "{got} of {values:?}");
        }
    }
}
