//! Which fields a type of rule takes. A field that means nothing there is refused rather than ignored.

use super::super::condition::Condition;
use super::{Invalid, RuleType};

/// Every field and whether it is given.
fn given(c: &Condition) -> [(&'static str, bool); 28] {
    [
        ("metric", c.metric.is_some()),
        ("filter", !c.filter.is_empty()),
        ("query", c.query.is_some()),
        ("language", c.language.is_some()),
        ("signal", c.signal.is_some()),
        ("aggregate", c.aggregate.is_some()),
        ("field", c.field.is_some()),
        ("window", c.window.is_some()),
        ("groupBy", !c.group_by.is_empty()),
        ("operator", c.operator.is_some()),
        ("threshold", c.threshold.is_some()),
        ("thresholds", !c.thresholds.is_empty()),
        ("recover", c.recover.is_some()),
        ("compare", c.compare.is_some()),
        ("for", c.hold.is_some()),
        ("all", !c.all.is_empty()),
        ("any", !c.any.is_empty()),
        ("not", c.not.is_some()),
        ("rule", c.rule.is_some()),
        ("service", c.service.is_some()),
        ("operation", c.operation.is_some()),
        ("check", c.check.is_some()),
        ("sensitivity", c.sensitivity.is_some()),
        ("baseline", c.baseline.is_some()),
        ("season", c.season.is_some()),
        ("direction", c.direction.is_some()),
        ("objective", c.objective.is_some()),
        ("errors, total or period", c.errors.is_some() || c.total.is_some() || c.period.is_some()),
    ]
}

const ASKED: [&str; 9] =
    ["metric", "filter", "query", "language", "signal", "aggregate", "field", "window", "groupBy"];
const COMPARED: [&str; 4] = ["operator", "threshold", "thresholds", "recover"];

/// The fields of a type, beside `for`.
fn taken(kind: RuleType) -> Vec<&'static str> {
    let of = |lists: &[&[&'static str]]| lists.concat();
    match kind {
        RuleType::Threshold => of(&[&ASKED, &COMPARED, &["compare"]]),
        RuleType::Anomaly => of(&[&ASKED, &["sensitivity", "baseline", "season", "direction"]]),
        RuleType::ErrorRate => {
            of(&[&COMPARED, &["service", "operation", "window", "groupBy", "errors, total or period"]])
        }
        RuleType::Performance => of(&[
            &COMPARED,
            &["service", "operation", "window", "groupBy", "metric", "filter", "aggregate", "compare"],
        ]),
        RuleType::Downtime => vec!["check"],
        RuleType::Absence => of(&[&ASKED]),
        RuleType::Slo => {
            vec!["service", "operation", "objective", "errors, total or period", "groupBy"]
        }
        RuleType::Composite => vec!["all", "any", "not"],
        RuleType::Custom => given(&Condition::default()).iter().map(|(name, _)| *name).collect(),
    }
}

/// Refuses fields that the type does not take.
pub(super) fn check(kind: RuleType, condition: &Condition) -> Result<(), Invalid> {
    let taken = taken(kind);
    let wrong =
        given(condition).into_iter().find(|(name, is)| *is && *name != "for" && !taken.contains(name));
    match wrong {
        None => Ok(()),
        Some((name, _)) => Err(Invalid::new(
            format!("condition.{name}"),
            format!("means nothing in a rule of type {}: take it out, or use type custom", kind.as_str()),
        )),
    }
}

/// Refuses what stands beside `all`, `any` or `not`.
pub(super) fn check_group(condition: &Condition, at: &str) -> Result<(), Invalid> {
    let group = ["all", "any", "not", "for"];
    match given(condition).into_iter().find(|(name, is)| *is && !group.contains(name)) {
        None => Ok(()),
        Some((name, _)) => Err(Invalid::new(
            format!("{at}.{name}"),
            "stands beside all, any or not: put it into one of the parts",
        )),
    }
}
