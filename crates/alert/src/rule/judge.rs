//! From the answers of a rule's questions to what was found, for each set of labels.

use std::collections::BTreeMap;

use super::anomaly::{Direction, Usual};
use super::condition::{Season, Step};
use super::operator::Operator;
use crate::Labels;
use crate::severity::Severity;

/// A value at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Milliseconds since the epoch.
    pub at: i64,
    /// The value.
    pub value: f64,
}

/// One value of an answer, with its past where the question wants it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// Whose value it is.
    pub labels: Labels,
    /// The value at the time of evaluation.
    pub value: f64,
    /// Earlier values in order of time.
    pub history: Vec<Point>,
}

/// The answers to a rule's questions, in their order.
pub type Answers = [Vec<Answer>];

/// When findings are breaches. Numbers are places in the list of questions.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The value compares so with a threshold.
    Compare {
        /// Which question.
        question: usize,
        /// How.
        operator: Operator,
        /// Thresholds with their severities, from least to worst. `None` leaves it to the rule.
        steps: Vec<(Option<Severity>, f64)>,
        /// A value beyond this one keeps an alert that fires.
        recover: Option<f64>,
    },
    /// Whatever has a value, as in Prometheus.
    Present(usize),
    /// The value is far from what is usual.
    Unusual {
        /// Which question.
        question: usize,
        /// How many deviations are far.
        sensitivity: f64,
        /// On which side.
        direction: Direction,
        /// What repeats itself.
        season: Season,
    },
    /// All of these: the labels and values are those of the first that is not a `Not`, the grade is the least.
    All(Vec<Test>),
    /// Any of these: the worst grade for each set of labels.
    Any(Vec<Test>),
    /// Turns breaches into what is fine, and the other way round.
    Not(Box<Test>),
}

/// How a value was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grade {
    /// No breach.
    Fine,
    /// No breach by itself, but what fires goes on firing (hysteresis).
    Held,
    /// A breach, with the severity of its threshold if that has one.
    Breach(Option<Severity>),
}

/// What was found for a set of labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Whose value it is.
    pub labels: Labels,
    /// The value.
    pub value: f64,
    /// What it means.
    pub grade: Grade,
}

/// Judges answers at a time, in milliseconds. There is one finding for each set of labels.
pub fn judge(test: &Test, answers: &Answers, at: i64) -> Vec<Found> {
    match test {
        Test::Compare { question, operator, steps, recover } => graded(answers, *question, |answer| {
            let breached = steps.iter().rev().find(|(_, threshold)| operator.holds(answer.value, *threshold));
            match (breached, recover) {
                (Some((severity, _)), _) => Grade::Breach(*severity),
                (None, Some(recover)) if operator.holds(answer.value, *recover) => Grade::Held,
                _ => Grade::Fine,
            }
        }),
        Test::Present(question) => graded(answers, *question, |_| Grade::Breach(None)),
        Test::Unusual { question, sensitivity, direction, season } => {
            graded(answers, *question, |answer| match Usual::learn(&answer.history, at, *season) {
                Some(usual) if usual.deviation(answer.value, *direction) > *sensitivity => {
                    Grade::Breach(None)
                }
                _ => Grade::Fine,
            })
        }
        Test::All(parts) => all(parts, answers, at),
        Test::Any(parts) => {
            let mut worst = BTreeMap::new();
            for part in parts {
                for found in judge(part, answers, at) {
                    keep_worst(&mut worst, found);
                }
            }
            worst.into_values().collect()
        }
        Test::Not(part) => {
            let found = judge(part, answers, at);
            // Nothing found at all is the absence that `not` asks for.
            if found.is_empty() {
                return vec![Found { labels: Labels::new(), value: 0.0, grade: Grade::Breach(None) }];
            }
            found.into_iter().map(|found| Found { grade: inverted(found.grade), ..found }).collect()
        }
    }
}

/// Whether any question had an answer at all.
pub fn has_data(answers: &Answers) -> bool {
    answers.iter().any(|answer| !answer.is_empty())
}

fn graded(answers: &Answers, question: usize, grade: impl Fn(&Answer) -> Grade) -> Vec<Found> {
    let mut worst = BTreeMap::new();
    for answer in answers.get(question).into_iter().flatten() {
        let found = Found { labels: answer.labels.clone(), value: answer.value, grade: grade(answer) };
        keep_worst(&mut worst, found);
    }
    worst.into_values().collect()
}

fn keep_worst(worst: &mut BTreeMap<Labels, Found>, found: Found) {
    match worst.get_mut(&found.labels) {
        Some(known) if known.grade >= found.grade => {}
        Some(known) => *known = found,
        None => drop(worst.insert(found.labels.clone(), found)),
    }
}

fn inverted(grade: Grade) -> Grade {
    match grade {
        Grade::Fine => Grade::Breach(None),
        Grade::Held => Grade::Held,
        Grade::Breach(_) => Grade::Fine,
    }
}

fn all(parts: &[Test], answers: &Answers, at: i64) -> Vec<Found> {
    // The first positive part says whose alert it is; negations alone are about nothing in particular.
    let lead = parts.iter().position(|part| !matches!(part, Test::Not(_))).unwrap_or(0);
    let Some(first) = parts.get(lead) else { return Vec::new() };
    let mut found = judge(first, answers, at);
    for (_, part) in parts.iter().enumerate().filter(|(n, _)| *n != lead) {
        // A part that finds nothing forbids nothing.
        let (others, negated) = match part {
            Test::Not(inner) => (judge(inner, answers, at), true),
            part => (judge(part, answers, at), false),
        };
        for one in &mut found {
            let worst =
                others.iter().filter(|other| agree(&one.labels, &other.labels)).map(|o| o.grade).max();
            let grade = match (worst, negated) {
                (None, true) => continue,
                (Some(grade), true) => inverted(grade),
                (grade, false) => grade.unwrap_or(Grade::Fine),
            };
            // The severity stays the leading part's.
            one.grade = match (one.grade, grade) {
                (kept, Grade::Breach(_)) => kept,
                (kept, other) => kept.min(other),
            };
        }
    }
    found
}

/// Whether labels that both have are equal.
fn agree(a: &Labels, b: &Labels) -> bool {
    b.iter().all(|(name, value)| a.get(name).is_none_or(|other| other == value))
}

/// Thresholds of a condition in the order in which a test wants them.
pub(super) fn steps_of(steps: &[Step]) -> Vec<(Option<Severity>, f64)> {
    let mut sorted: Vec<Step> = steps.to_vec();
    sorted.sort_by_key(|step| step.severity);
    sorted.into_iter().map(|step| (Some(step.severity), step.value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use Grade::{Breach, Fine, Held};

    fn labels(text: &str) -> Labels {
        let pairs = text.split(',').filter(|pair| !pair.is_empty());
        pairs
            .map(|pair| pair.split_once('=').expect("name=value"))
            .map(|(n, v)| (n.into(), v.into()))
            .collect()
    }

    fn answer(rows: &[(&str, f64)]) -> Vec<Answer> {
        rows.iter()
            .map(|(l, value)| Answer { labels: labels(l), value: *value, history: Vec::new() })
            .collect()
    }

    fn above(question: usize, threshold: f64) -> Test {
        Test::Compare { question, operator: Operator::Greater, steps: vec![(None, threshold)], recover: None }
    }

    fn check(test: &Test, answers: &[Vec<Answer>], want: &[(&str, Grade)]) {
        let found: Vec<(Labels, Grade)> =
            judge(test, answers, 0).into_iter().map(|found| (found.labels, found.grade)).collect();
        let want: Vec<(Labels, Grade)> = want.iter().map(|(l, grade)| (labels(l), *grade)).collect();
        assert_eq!(found, want, "{test:?}");
    }

    #[test]
    fn the_worst_threshold_that_is_passed_gives_the_severity() {
        let test = Test::Compare {
            question: 0,
            operator: Operator::GreaterOrEqual,
            steps: steps_of(&[
                Step { severity: Severity::Critical, value: 95.0 },
                Step { severity: Severity::Warning, value: 70.0 },
                Step { severity: Severity::Error, value: 85.0 },
            ]),
            recover: Some(60.0),
        };
        for (value, want) in [
            (59.0, Fine),
            (60.0, Held),
            (69.9, Held),
            (70.0, Breach(Some(Severity::Warning))),
            (85.0, Breach(Some(Severity::Error))),
            (95.0, Breach(Some(Severity::Critical))),
            (f64::NAN, Fine),
        ] {
            check(&test, &[answer(&[("host=a", value)])], &[("host=a", want)]);
        }
    }

    #[test]
    fn parts_of_all_meet_on_the_labels_they_share() {
        let test = Test::All(vec![above(0, 10.0), above(1, 5.0)]);
        let first = answer(&[("host=a,disk=x", 11.0), ("host=a,disk=y", 9.0), ("host=b,disk=x", 11.0)]);
        for (second, want) in [
            (
                answer(&[("host=a", 6.0), ("host=b", 1.0)]),
                vec![("disk=x,host=a", Breach(None)), ("disk=x,host=b", Fine), ("disk=y,host=a", Fine)],
            ),
            (
                answer(&[("", 6.0)]),
                vec![
                    ("disk=x,host=a", Breach(None)),
                    ("disk=x,host=b", Breach(None)),
                    ("disk=y,host=a", Fine),
                ],
            ),
            (answer(&[]), vec![("disk=x,host=a", Fine), ("disk=x,host=b", Fine), ("disk=y,host=a", Fine)]),
        ] {
            let mut want = want;
            want.sort_by_key(|(l, _)| labels(l));
            check(&test, &[first.clone(), second], &want);
        }
    }

    #[test]
    fn not_takes_away_what_its_part_finds() {
        let test = Test::All(vec![Test::Not(Box::new(above(1, 0.0))), above(0, 10.0)]);
        let first = answer(&[("host=a", 11.0), ("host=b", 11.0)]);
        check(
            &test,
            &[first.clone(), answer(&[("host=a", 1.0)])],
            &[("host=a", Fine), ("host=b", Breach(None))],
        );
        check(&test, &[first, answer(&[])], &[("host=a", Breach(None)), ("host=b", Breach(None))]);
        let alone = Test::Not(Box::new(above(0, 10.0)));
        check(&alone, &[answer(&[])], &[("", Breach(None))]);
        check(&alone, &[answer(&[("host=a", 1.0)])], &[("host=a", Breach(None))]);
        check(&alone, &[answer(&[("host=a", 11.0)])], &[("host=a", Fine)]);
    }

    #[test]
    fn any_keeps_the_worst_of_each_set_of_labels() {
        let critical = Test::Compare {
            question: 1,
            operator: Operator::Greater,
            steps: vec![(Some(Severity::Critical), 1.0)],
            recover: None,
        };
        let test = Test::Any(vec![above(0, 10.0), critical]);
        let answers = [answer(&[("host=a", 11.0), ("host=b", 1.0)]), answer(&[("host=a", 2.0)])];
        check(&test, &answers, &[("host=a", Breach(Some(Severity::Critical))), ("host=b", Fine)]);
    }

    #[test]
    fn the_severity_of_all_is_its_first_parts() {
        let first = Test::Compare {
            question: 0,
            operator: Operator::Greater,
            steps: vec![(Some(Severity::Error), 1.0)],
            recover: None,
        };
        let test = Test::All(vec![first, above(0, 0.0)]);
        check(&test, &[answer(&[("", 2.0)])], &[("", Breach(Some(Severity::Error)))]);
    }

    #[test]
    fn whatever_is_present_is_a_breach() {
        check(&Test::Present(0), &[answer(&[("a=b", f64::NAN)])], &[("a=b", Breach(None))]);
        check(&Test::Present(0), &[answer(&[])], &[]);
    }
}
