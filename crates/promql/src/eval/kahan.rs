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

/// Slices that [`sums`] adds up side by side.
pub(crate) const LANES: usize = 4;

/// Sum and compensation of several slices at once, each as [`add`] gives them one after another: the additions
/// of one slice wait for each other, those of several do not. From the first element on, or (as a mean begins)
/// with it. Not finite where a sum overflows, which needs a closer look.
pub(crate) fn sums(slices: [&[f64]; LANES], with_first: bool) -> [(f64, f64); LANES] {
    let mut running = [(0.0, 0.0); LANES];
    let mut rest = slices;
    if with_first {
        for (running, rest) in running.iter_mut().zip(&mut rest) {
            if let Some((first, after)) = rest.split_first() {
                (*running, *rest) = ((*first, 0.0), after);
            }
        }
    }
    let common = rest.iter().map(|slice| slice.len()).min().unwrap_or(0);
    let heads = rest.map(|slice| &slice[..common]);
    for i in 0..common {
        for (lane, head) in heads.iter().enumerate() {
            running[lane] = add_finite(head[i], running[lane]);
        }
    }
    for (running, slice) in running.iter_mut().zip(&rest) {
        *running = slice[common..].iter().fold(*running, |running, x| add_finite(*x, running));
    }
    running
}

/// [`add`] for sums that do not overflow.
#[inline]
fn add_finite(x: f64, (sum, c): (f64, f64)) -> (f64, f64) {
    let t = sum + x;
    let error = if sum.abs() >= x.abs() { (sum - t) + x } else { (x - t) + sum };
    (t, c + error)
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
    fn sums_side_by_side_are_those_one_after_another() {
        let values: Vec<f64> = (0..40).map(|i| f64::from(i) * 0.1 - 1.7).collect();
        let slices = [&values[0..10], &values[3..3], &values[5..40], &values[9..12]];
        for (got, slice) in sums(slices, false).iter().zip(slices) {
            assert_eq!((got.0 + got.1).to_bits(), sum(slice).to_bits());
        }
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
