//! Conditions that ask something themselves.

use std::collections::BTreeMap;

use super::super::condition::{Aggregate, Condition, Language, Season};
use super::super::judge::{Test, steps_of};
use super::super::question::{Question, Search};
use super::super::{History, Operator, promql, slo};
use super::{Compiler, Invalid, LIST_MAX, QUERY_BYTES_MAX};
use crate::severity::Severity;
use crate::span::Span;

/// Looked at unless a window is given.
const WINDOW: Span = Span::seconds(300);
/// Longest window: a month and a bit, what retention keeps by default and no query should exceed.
const WINDOW_MAX: Span = Span::seconds(32 * 86_400);
/// Deviations that count as unusual unless given.
const SENSITIVITY: f64 = 4.0;
/// Values of the past that one question may bring, so that a long baseline has a coarse step.
const HISTORY_POINTS: u64 = 1_100;

/// Metrics made of spans: how many calls, and how long they took, in seconds.
const CALLS: &str = "traces_spanmetrics_calls_total";
const LATENCY: &str = "traces_spanmetrics_latency_bucket";
/// Series of health checks: 1 while the target is well, else 0.
const PROBE: &str = "probe_success";

impl Compiler {
    /// A value against thresholds. Without thresholds, where that is allowed, whatever has a value counts.
    pub(super) fn compare(&mut self, c: &Condition, at: &str, needs: bool) -> Result<Test, Invalid> {
        let bare = c.threshold.is_none() && c.thresholds.is_empty();
        // A condition of PromQL may hold its own comparison, as Prometheus' rules do.
        let own = c.query.is_some() && c.language.unwrap_or_default() == Language::PromQl;
        let (question, field) = self.question(c, at)?;
        if bare && (own || !needs) {
            if c.operator.is_some() || c.recover.is_some() {
                let which = if c.operator.is_some() { "operator" } else { "recover" };
                return Err(Invalid::new(format!("{at}.{which}"), "needs a threshold to compare with"));
            }
            let question = self.ask(question, None, field)?;
            return Ok(Test::Present(question));
        }
        let question = self.ask(question, None, field)?;
        compared(c, at, question)
    }

    pub(super) fn anomaly(&mut self, c: &Condition, at: &str) -> Result<Test, Invalid> {
        let (question, field) = self.question(c, at)?;
        let season = c.season.unwrap_or_default();
        let baseline = c.baseline.unwrap_or(match season {
            Season::None => Span::seconds(86_400),
            Season::Daily => Span::seconds(7 * 86_400),
            Season::Weekly => Span::seconds(28 * 86_400),
        });
        bounded(&format!("{at}.baseline"), baseline, WINDOW_MAX)?;
        let sensitivity = c.sensitivity.unwrap_or(SENSITIVITY);
        if !(sensitivity.is_finite() && sensitivity >= 1.0) {
            return Err(Invalid::new(
                format!("{at}.sensitivity"),
                format!("{sensitivity} deviations: write a number of at least 1, such as 4"),
            ));
        }
        let step = (baseline.0.as_secs() / HISTORY_POINTS).max(60).next_multiple_of(60);
        let history = Some(History { span: baseline, step: Span::seconds(step) });
        let question = self.ask(question, history, field)?;
        Ok(Test::Unusual { question, sensitivity, direction: c.direction.unwrap_or_default(), season })
    }

    /// A share of failed calls, in percent.
    pub(super) fn error_rate(&mut self, c: &Condition, at: &str) -> Result<Test, Invalid> {
        let window = c.window.unwrap_or(WINDOW);
        bounded(&format!("{at}.window"), window, WINDOW_MAX)?;
        if c.period.is_some() {
            return Err(Invalid::new(format!("{at}.period"), "is of SLOs: write window"));
        }
        let groups = self.groups_of_calls(c, at)?;
        let (errors, total) = counters(c, at)?;
        let expression = format!("100 * ({})", slo::ratio(&errors, &total, window, &groups));
        let question = self.ask(Question::PromQl(expression), None, at.to_owned())?;
        if c.threshold.is_some_and(|percent| !(0.0..=100.0).contains(&percent)) {
            return Err(Invalid::new(format!("{at}.threshold"), "is a share in percent: write 0 to 100"));
        }
        compared(c, at, question)
    }

    /// A percentile of durations, in seconds.
    pub(super) fn performance(&mut self, c: &Condition, at: &str) -> Result<Test, Invalid> {
        let window = c.window.unwrap_or(WINDOW);
        bounded(&format!("{at}.window"), window, WINDOW_MAX)?;
        let aggregate = c.aggregate.unwrap_or(Aggregate::P95);
        let quantile = match aggregate {
            Aggregate::P50 => Some("0.5"),
            Aggregate::P90 => Some("0.9"),
            Aggregate::P95 => Some("0.95"),
            Aggregate::P99 => Some("0.99"),
            _ => None,
        };
        let buckets = match &c.metric {
            None => Some(promql::selector(LATENCY, &calls_filter(c))),
            Some(name) if name.ends_with("_bucket") => Some(selector(c, name, at)?),
            Some(_) => None,
        };
        let mut expression = match (buckets, quantile) {
            (Some(buckets), Some(quantile)) => {
                let mut groups = vec!["le".to_owned()];
                match &c.metric {
                    None => groups.extend(self.groups_of_calls(c, at)?),
                    Some(_) => groups.extend(c.group_by.clone()),
                }
                let (groups, window) = (promql::names(&groups), window.promql());
                format!("histogram_quantile({quantile}, sum by ({groups}) (rate({buckets}[{window}])))")
            }
            (Some(_), None) => {
                let message = "durations have a percentile: write p50, p90, p95 or p99";
                return Err(Invalid::new(format!("{at}.aggregate"), message));
            }
            (None, _) => {
                let name = c.metric.as_deref().unwrap_or_default();
                let selector = selector(c, name, at)?;
                promql::figure(&selector, Some(aggregate), Some(window), &c.group_by)
            }
        };
        if let Some(compare) = &c.compare {
            bounded(&format!("{at}.compare.offset"), compare.offset, WINDOW_MAX)?;
            expression = promql::compared(&expression, compare);
        }
        let question = self.ask(Question::PromQl(expression), None, at.to_owned())?;
        compared(c, at, question)
    }

    /// A health check that is not well.
    pub(super) fn downtime(&mut self, c: &Condition, at: &str) -> Result<Test, Invalid> {
        let filter = c.check.iter().map(|name| ("check".to_owned(), name.clone())).collect();
        let expression = format!("{} == 0", promql::selector(PROBE, &filter));
        Ok(Test::Present(self.ask(Question::PromQl(expression), None, format!("{at}.check"))?))
    }

    /// Nothing where something should be.
    pub(super) fn absence(&mut self, c: &Condition, at: &str) -> Result<Test, Invalid> {
        let window = c.window.unwrap_or(WINDOW);
        bounded(&format!("{at}.window"), window, WINDOW_MAX)?;
        if let Some(name) = &c.metric {
            for (given, field) in [(c.aggregate.is_some(), "aggregate"), (!c.group_by.is_empty(), "groupBy")]
            {
                if given {
                    return Err(Invalid::new(
                        format!("{at}.{field}"),
                        "means nothing where a metric is missed",
                    ));
                }
            }
            let expression = format!("absent_over_time({}[{}])", selector(c, name, at)?, window.promql());
            let field = format!("{at}.metric");
            return Ok(Test::Present(self.ask(Question::PromQl(expression), None, field)?));
        }
        let (question, field) = self.question(c, at)?;
        match question {
            Question::PromQl(expression) => {
                let expression = format!("absent({expression})");
                Ok(Test::Present(self.ask(Question::PromQl(expression), None, field)?))
            }
            counted => {
                let question = self.ask(counted, None, field)?;
                let steps = vec![(None, 0.0)];
                Ok(Test::Compare { question, operator: Operator::LessOrEqual, steps, recover: None })
            }
        }
    }

    /// An error budget that burns too fast.
    pub(super) fn burn(&mut self, c: &Condition, at: &str) -> Result<Test, Invalid> {
        let objective = c.objective.ok_or_else(|| {
            Invalid::new(
                format!("{at}.objective"),
                "is missing: write the share of good events, such as 0.999",
            )
        })?;
        if !(objective > 0.0 && objective < 1.0) {
            return Err(Invalid::new(
                format!("{at}.objective"),
                format!("{objective} is no share below 1: write 0.999 for 99.9 %"),
            ));
        }
        let period = c.period.unwrap_or(Span::seconds(30 * 86_400));
        if period < Span::seconds(7 * 86_400) || period > Span::seconds(92 * 86_400) {
            return Err(Invalid::new(format!("{at}.period"), "is between 7 and 92 days"));
        }
        let groups = self.groups_of_calls(c, at)?;
        let (errors, total) = counters(c, at)?;
        let mut pairs = Vec::new();
        for pair in &slo::PAIRS {
            let steps = vec![(Some(pair.severity), pair.burn(period))];
            let mut both = Vec::new();
            for window in [pair.long, pair.short] {
                let expression = slo::burn_rate(&errors, &total, objective, window, &groups);
                let question = self.ask(Question::PromQl(expression), None, at.to_owned())?;
                let (operator, steps) = (Operator::Greater, steps.clone());
                both.push(Test::Compare { question, operator, steps, recover: None });
            }
            pairs.push(Test::All(both));
        }
        Ok(Test::Any(pairs))
    }

    /// Another rule that fires.
    pub(super) fn other_rule(&mut self, c: &Condition, at: &str) -> Result<Test, Invalid> {
        let name = c.rule.clone().unwrap_or_default();
        let filter =
            BTreeMap::from([("alertname".to_owned(), name), ("alertstate".to_owned(), "firing".to_owned())]);
        let labels = "alertname, alertstate, severity, rule";
        // The labels that say which rule it was must not keep it from meeting the other parts.
        let expression = format!("max without ({labels}) ({})", promql::selector("ALERTS", &filter));
        Ok(Test::Present(self.ask(Question::PromQl(expression), None, format!("{at}.rule"))?))
    }

    /// What a condition with `metric` or `query` asks, and where that stands.
    fn question(&self, c: &Condition, at: &str) -> Result<(Question, String), Invalid> {
        if let Some(window) = c.window {
            bounded(&format!("{at}.window"), window, WINDOW_MAX)?;
        }
        if let Some(compare) = &c.compare {
            bounded(&format!("{at}.compare.offset"), compare.offset, WINDOW_MAX)?;
        }
        check_labels(&c.group_by, &format!("{at}.groupBy"))?;
        let (query, language) = match (&c.metric, &c.query) {
            (Some(_), Some(_)) => {
                return Err(Invalid::new(format!("{at}.query"), "stands beside metric: write one of them"));
            }
            (None, None) => {
                return Err(Invalid::new(format!("{at}.metric"), "is missing: write metric or query"));
            }
            (Some(name), None) => {
                for (given, field) in [
                    (c.language.is_some(), "language"),
                    (c.signal.is_some(), "signal"),
                    (c.field.is_some(), "field"),
                ] {
                    if given {
                        return Err(Invalid::new(format!("{at}.{field}"), "belongs to query, not to metric"));
                    }
                }
                let selector = selector(c, name, at)?;
                let figure = promql::figure(&selector, c.aggregate, c.window, &c.group_by);
                return Ok((Question::PromQl(with_compare(c, figure)), format!("{at}.metric")));
            }
            (None, Some(query)) => (query, c.language.unwrap_or_default()),
        };
        let field = format!("{at}.query");
        if query.trim().is_empty() && language != Language::Search || query.len() > QUERY_BYTES_MAX {
            let message = format!("has {} bytes: write 1 to {QUERY_BYTES_MAX}", query.len());
            return Err(Invalid::new(field, message));
        }
        let foreign = |fields: &[(bool, &str)], why: &str| match fields.iter().find(|(given, _)| *given) {
            Some((_, name)) => Err(Invalid::new(format!("{at}.{name}"), why)),
            None => Ok(()),
        };
        let filtered = (!c.filter.is_empty(), "filter");
        let (aggregated, grouped) =
            ((c.aggregate.is_some(), "aggregate"), (!c.group_by.is_empty(), "groupBy"));
        let (of_signal, of_field) = ((c.signal.is_some(), "signal"), (c.field.is_some(), "field"));
        let windowed = (c.window.is_some(), "window");
        let question = match language {
            Language::PromQl => {
                foreign(
                    &[filtered, aggregated, grouped, of_signal, of_field, windowed],
                    "is written inside a query of PromQL",
                )?;
                Question::PromQl(with_compare(c, query.clone()))
            }
            Language::Sql => {
                foreign(
                    &[filtered, aggregated, grouped, of_signal, of_field, (c.compare.is_some(), "compare")],
                    "is written inside a SQL statement",
                )?;
                Question::Sql { statement: query.clone(), window: c.window.unwrap_or(WINDOW) }
            }
            Language::Search => {
                foreign(&[filtered], "is written inside a search")?;
                foreign(&[(c.compare.is_some(), "compare")], "is of metrics and PromQL only")?;
                Question::Search(search(c, query, at)?)
            }
        };
        Ok((question, field))
    }

    /// Labels of figures made of spans: by service unless one is named or others are asked for.
    fn groups_of_calls(&self, c: &Condition, at: &str) -> Result<Vec<String>, Invalid> {
        check_labels(&c.group_by, &format!("{at}.groupBy"))?;
        let own = c.errors.is_some() || c.total.is_some();
        let by_service = c.group_by.is_empty() && !own;
        Ok(if by_service { vec!["service".to_owned()] } else { c.group_by.clone() })
    }
}

fn search(c: &Condition, query: &str, at: &str) -> Result<Search, Invalid> {
    let signal = c.signal.clone().unwrap_or_else(|| "logs".to_owned());
    if !matches!(signal.as_str(), "logs" | "traces" | "events" | "errors") {
        let message = format!("{signal:?} is no signal: write logs, traces, events or errors");
        return Err(Invalid::new(format!("{at}.signal"), message));
    }
    let aggregate = c.aggregate.unwrap_or(Aggregate::Count);
    let counts = matches!(aggregate, Aggregate::Count | Aggregate::Rate);
    let wrong = match (counts, &c.field) {
        (true, Some(_)) => Some(("field", "records are counted, whatever is in them: take it out")),
        (false, None) => Some(("field", "is missing: write which field of the records is aggregated")),
        (false, Some(_)) if matches!(aggregate, Aggregate::Last | Aggregate::Increase) => {
            Some(("aggregate", "is of metrics: write count, rate, avg, min, max, sum or a percentile"))
        }
        _ => None,
    };
    if let Some((field, message)) = wrong {
        return Err(Invalid::new(format!("{at}.{field}"), message));
    }
    Ok(Search {
        query: query.to_owned(),
        signal,
        window: c.window.unwrap_or(WINDOW),
        aggregate,
        field: c.field.clone(),
        group_by: c.group_by.clone(),
    })
}

/// The thresholds of a condition as a test.
fn compared(c: &Condition, at: &str, question: usize) -> Result<Test, Invalid> {
    let operator = c.operator.unwrap_or_default();
    let steps = match (c.threshold, c.thresholds.as_slice()) {
        (Some(_), [_, ..]) => {
            return Err(Invalid::new(
                format!("{at}.thresholds"),
                "stands beside threshold: write one of them",
            ));
        }
        (None, []) => {
            return Err(Invalid::new(format!("{at}.threshold"), "is missing: write a number"));
        }
        (Some(threshold), []) => vec![(None, threshold)],
        (None, steps) => steps_of(steps),
    };
    let name = if c.threshold.is_some() { "threshold" } else { "thresholds" };
    if steps.iter().any(|(_, value)| !value.is_finite()) {
        return Err(Invalid::new(format!("{at}.{name}"), "is a finite number"));
    }
    let ordered = |pair: &[(Option<Severity>, f64)]| match operator.rises() {
        Some(true) => pair[0].1 < pair[1].1,
        Some(false) => pair[0].1 > pair[1].1,
        None => false,
    };
    if let Some(pair) = steps.windows(2).find(|pair| pair[0].0 == pair[1].0 || !ordered(pair)) {
        let name_of = |n: usize| pair[n].0.map_or("", Severity::as_str);
        return Err(Invalid::new(
            format!("{at}.thresholds"),
            format!(
                "{} at {} and {} at {} do not get worse step by step with operator {}: one value for each severity, \
                 and a worse severity further out",
                name_of(0),
                pair[0].1,
                name_of(1),
                pair[1].1,
                operator.as_str()
            ),
        ));
    }
    if let Some(recover) = c.recover {
        let least = steps.first().map_or(recover, |(_, value)| *value);
        let inside = match operator.rises() {
            Some(true) => recover <= least,
            Some(false) => recover >= least,
            None => false,
        };
        if !inside {
            let message = format!("{recover} is not on the good side of the threshold {least}");
            return Err(Invalid::new(format!("{at}.recover"), message));
        }
    }
    Ok(Test::Compare { question, operator, steps, recover: c.recover })
}

/// The selector of a metric that is named, or that is a selector already.
fn selector(c: &Condition, name: &str, at: &str) -> Result<String, Invalid> {
    let field = format!("{at}.metric");
    if name.trim().is_empty() || name.len() > QUERY_BYTES_MAX {
        return Err(Invalid::new(field, format!("has {} bytes: write a metric's name", name.len())));
    }
    if c.filter.len() > LIST_MAX {
        return Err(Invalid::new(format!("{at}.filter"), format!("has more than {LIST_MAX} labels")));
    }
    if name.contains('{') {
        if !c.filter.is_empty() {
            let message = "stands beside a metric that is a selector: write the labels into it";
            return Err(Invalid::new(format!("{at}.filter"), message));
        }
        return Ok(name.to_owned());
    }
    Ok(promql::selector(name, &c.filter))
}

fn with_compare(c: &Condition, expression: String) -> String {
    c.compare.as_ref().map_or(expression.clone(), |compare| promql::compared(&expression, compare))
}

/// Failed and all calls: named, or those of spans.
fn counters(c: &Condition, at: &str) -> Result<(String, String), Invalid> {
    match (&c.errors, &c.total) {
        (Some(errors), Some(total)) => {
            for (text, name) in [(errors, "errors"), (total, "total")] {
                if text.trim().is_empty() || text.len() > QUERY_BYTES_MAX {
                    return Err(Invalid::new(format!("{at}.{name}"), "is a selector of a counter"));
                }
            }
            if c.service.is_some() || c.operation.is_some() {
                return Err(Invalid::new(
                    format!("{at}.service"),
                    "is of spans: write it into errors and total",
                ));
            }
            Ok((errors.clone(), total.clone()))
        }
        (None, None) => {
            let all = calls_filter(c);
            let mut failed = all.clone();
            failed.insert("status_code".to_owned(), "STATUS_CODE_ERROR".to_owned());
            Ok((promql::selector(CALLS, &failed), promql::selector(CALLS, &all)))
        }
        (errors, _) => {
            let missing = if errors.is_some() { "total" } else { "errors" };
            Err(Invalid::new(format!("{at}.{missing}"), "is missing: errors and total are given together"))
        }
    }
}

/// Calls that a service answered, not those it made.
fn calls_filter(c: &Condition) -> BTreeMap<String, String> {
    let mut filter = BTreeMap::from([("span_kind".to_owned(), "SPAN_KIND_SERVER".to_owned())]);
    for (label, value) in [("service", &c.service), ("span_name", &c.operation)] {
        if let Some(value) = value {
            filter.insert(label.to_owned(), value.clone());
        }
    }
    filter
}

fn check_labels(labels: &[String], at: &str) -> Result<(), Invalid> {
    if labels.len() > LIST_MAX {
        return Err(Invalid::new(at, format!("has more than {LIST_MAX} labels")));
    }
    match labels.iter().find(|label| label.is_empty() || label.len() > 200) {
        Some(label) => Err(Invalid::new(at, format!("{label:?} is no label"))),
        None => Ok(()),
    }
}

fn bounded(at: &str, span: Span, most: Span) -> Result<(), Invalid> {
    if span == Span::default() || span > most {
        let message = format!("{} is not between 1ms and {}", span.promql(), most.promql());
        return Err(Invalid::new(at, message));
    }
    Ok(())
}
