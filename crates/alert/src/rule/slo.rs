//! Alerts on an error budget that burns too fast: pairs of windows, a long one that says it matters and a short one that
//! says it still goes on (Google's Site Reliability Workbook, chapter 5).

use super::promql;
use crate::severity::Severity;
use crate::span::Span;

/// A pair of windows.
pub(super) struct Pair {
    pub(super) long: Span,
    pub(super) short: Span,
    /// Share of the budget that the long window may use up.
    pub(super) share: f64,
    pub(super) severity: Severity,
}

/// From the fastest burn to the slowest.
pub(super) const PAIRS: [Pair; 4] = [
    Pair { long: Span::seconds(3_600), short: Span::seconds(300), share: 0.02, severity: Severity::Critical },
    Pair {
        long: Span::seconds(21_600),
        short: Span::seconds(1_800),
        share: 0.05,
        severity: Severity::Critical,
    },
    Pair {
        long: Span::seconds(86_400),
        short: Span::seconds(7_200),
        share: 0.10,
        severity: Severity::Warning,
    },
    Pair {
        long: Span::seconds(259_200),
        short: Span::seconds(21_600),
        share: 0.10,
        severity: Severity::Warning,
    },
];

impl Pair {
    /// How many times faster than planned the budget burns when the long window uses up its share.
    pub(super) fn burn(&self, period: Span) -> f64 {
        self.share * period.0.as_secs_f64() / self.long.0.as_secs_f64()
    }
}

/// How many times faster than planned the budget burns over a window.
pub(super) fn burn_rate(
    errors: &str,
    total: &str,
    objective: f64,
    window: Span,
    groups: &[String],
) -> String {
    // Written so that 1 - 0.999 is 0.001 and not its neighbour.
    let budget = format!("(1 - {objective})");
    format!("({}) / {budget}", ratio(errors, total, window, groups))
}

/// The share of bad events of a window.
pub(super) fn ratio(errors: &str, total: &str, window: Span, groups: &[String]) -> String {
    let window = window.promql();
    let by = if groups.is_empty() { String::new() } else { format!(" by ({})", promql::names(groups)) };
    // Where nothing failed there is no series of failures: that is a share of 0, not of nothing.
    format!(
        "(sum{by} (rate({errors}[{window}])) or 0 * sum{by} (rate({total}[{window}]))) / \
         (sum{by} (rate({total}[{window}])) > 0)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burn_rates_of_thirty_days_are_those_of_the_workbook() {
        let month = Span::seconds(30 * 86_400);
        let burns: Vec<f64> = PAIRS.iter().map(|pair| (pair.burn(month) * 10.0).round() / 10.0).collect();
        assert_eq!(burns, [14.4, 6.0, 3.0, 1.0]);
    }

    #[test]
    fn a_ratio_is_of_rates_and_nothing_failed_is_zero() {
        let by = ["service".to_owned()];
        assert_eq!(
            ratio("e", "t", Span::seconds(300), &by),
            "(sum by (service) (rate(e[5m])) or 0 * sum by (service) (rate(t[5m]))) / \
             (sum by (service) (rate(t[5m])) > 0)"
        );
        assert!(burn_rate("e", "t", 0.999, Span::seconds(300), &[]).ends_with("/ (1 - 0.999)"));
    }
}
