//! `info`: data labels of info metrics, joined to series by `instance` and `job`.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use model::{Labels, LabelsBuilder, METRIC_NAME, MatchOp, Matcher};

use super::bits::Bits;
use super::column::{Column, Grid, Series, metric_name};
use super::context::Frame;
use super::error::QueryError;
use super::instant::arg;
use super::matching::Merged;
use super::plan::{Plan, PlanKind, RangeSource, Selector, When};

/// Labels that say whom an info series describes.
const IDENTIFYING: [&str; 2] = ["instance", "job"];

/// Values of an identifying label that are listed when info series are selected.
const LISTED_MAX: usize = 200;

/// The info metric that is meant when none is named.
const TARGET_INFO: &str = "target_info";

/// What the second argument asks for.
struct Request {
    /// Conditions on the names of info metrics.
    names: Vec<Matcher>,
    /// Conditions on data labels.
    data: Vec<Matcher>,
}

impl Request {
    fn new(selector: Option<&Selector>) -> Result<Self, QueryError> {
        let all = selector.map_or(&[][..], |s| &s.matchers);
        let (mut names, data): (Vec<Matcher>, Vec<Matcher>) =
            all.iter().cloned().partition(|m| m.name == METRIC_NAME);
        let positive = names.iter().any(|m| matches!(m.op, MatchOp::Equal | MatchOp::Regex));
        if names.is_empty() {
            names.push(matcher(METRIC_NAME, MatchOp::Equal, TARGET_INFO)?);
        } else if !positive {
            // Exclusions alone would select everything else there is.
            names.insert(0, matcher(METRIC_NAME, MatchOp::Regex, ".+_info")?);
        }
        Ok(Self { names, data })
    }

    fn is_info(&self, labels: &Labels) -> bool {
        let name = metric_name(labels);
        self.names.iter().all(|m| m.matches(name))
    }

    fn wants(&self, label: &str) -> bool {
        self.data.is_empty() || self.data.iter().any(|m| m.name == label)
    }
}

fn matcher(name: &str, op: MatchOp, value: &str) -> Result<Matcher, QueryError> {
    Matcher::new(name, op, value).map_err(|error| QueryError::Execution(error.to_string()))
}

/// The info series of one metric that describe the same thing, with the times of their samples.
type Candidates<'a> = Vec<&'a Series>;

impl Frame<'_> {
    pub(crate) fn info(&self, args: &[Plan], grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let base_plan = arg(args, 0)?;
        let selector = match args.get(1).map(|plan| &plan.kind) {
            Some(PlanKind::Selector(selector)) => Some(selector),
            Some(_) => {
                return Err(QueryError::execution(
                    "expected label selectors as the second argument to \"info\" function",
                ));
            }
            None => None,
        };
        let request = Request::new(selector)?;
        let base = self.vector(base_plan, grid)?;
        let infos = self.info_series(&request, &base, base_plan, grid)?;
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut index: HashMap<(&str, Option<&str>, Option<&str>), Candidates<'_>> = HashMap::new();
        for info in &infos {
            let name = metric_name(&info.labels);
            names.insert(name);
            let [instance, job] = IDENTIFYING.map(|label| info.labels.get(label));
            index.entry((name, instance, job)).or_default().push(info);
        }
        let mut result = Merged::default();
        for one in &base {
            self.check()?;
            if request.is_info(&one.labels) {
                result.push(one.clone())?;
                continue;
            }
            let [instance, job] = IDENTIFYING.map(|label| one.labels.get(label));
            let found: Vec<&Candidates<'_>> =
                names.iter().filter_map(|name| index.get(&(*name, instance, job))).collect();
            for part in enrich(one, &found, &request)? {
                result.push(part)?;
            }
        }
        Ok(result.series)
    }

    /// The info series that describe any of the base series; their values are the times of their samples.
    fn info_series(
        &self,
        request: &Request,
        base: &[Series],
        plan: &Plan,
        grid: &Grid,
    ) -> Result<Vec<Series>, QueryError> {
        let mut matchers = Vec::new();
        let mut described = false;
        for label in IDENTIFYING {
            let values: BTreeSet<&str> = base
                .iter()
                .filter(|one| !request.is_info(&one.labels))
                .filter_map(|one| one.labels.get(label))
                .collect();
            described |= !values.is_empty();
            // A long list costs more to match than the join that follows sorts out.
            if (1..=LISTED_MAX).contains(&values.len()) {
                let any: Vec<String> = values.into_iter().map(regex::escape).collect();
                matchers.push(matcher(label, MatchOp::Regex, &any.join("|"))?);
            }
        }
        if !described {
            return Ok(Vec::new());
        }
        matchers.extend(request.data.iter().chain(&request.names).cloned());
        let when = first_selector(plan).map_or_else(When::default, |selector| selector.when);
        let range = self.instant_range(when, grid, 0);
        let selector =
            Selector { matchers, when: When::default(), anchored: false, smoothed: false, stats_only: false };
        let infos = self.sample_times(&selector, grid, range, false)?;
        if let Some(info) = infos.iter().find(|info| !info.column.histograms.is_empty()) {
            return Err(QueryError::Execution(format!(
                "this should be an info metric, with float samples: {}",
                info.labels
            )));
        }
        Ok(infos)
    }
}

/// The first selector of an expression.
fn first_selector(plan: &Plan) -> Option<&Selector> {
    match &plan.kind {
        PlanKind::Selector(selector) => Some(selector),
        PlanKind::Negate(inner) => first_selector(inner),
        PlanKind::Binary(binary) => first_selector(&binary.lhs).or_else(|| first_selector(&binary.rhs)),
        PlanKind::Aggregate(aggregate) => first_selector(&aggregate.expr),
        PlanKind::Range(range) => match &range.source {
            RangeSource::Selector(selector) => Some(selector),
            RangeSource::Subquery { expr, .. } => first_selector(expr),
        },
        PlanKind::RangeCall(call) => match &call.range.source {
            RangeSource::Selector(selector) => Some(selector),
            RangeSource::Subquery { expr, .. } => first_selector(expr),
        },
        PlanKind::Call(_, args) => args.iter().find_map(first_selector),
        PlanKind::Number(_) | PlanKind::String(_) => None,
    }
}

/// A base series in parts, each with the data labels that hold at its steps.
fn enrich(base: &Series, infos: &[&Candidates<'_>], request: &Request) -> Result<Vec<Series>, QueryError> {
    let mut parts: BTreeMap<Vec<Option<usize>>, Bits> = BTreeMap::new();
    for step in base.column.presence().ones() {
        let mut choice = Vec::with_capacity(infos.len());
        for candidates in infos {
            choice.push(latest(candidates, step)?);
        }
        parts.entry(choice).or_insert_with(|| Bits::none(base.column.len())).set(step);
    }
    let mut series = Vec::with_capacity(parts.len());
    for (choice, steps) in parts {
        let chosen: Vec<&Labels> = infos
            .iter()
            .zip(&choice)
            .filter_map(|(candidates, choice)| choice.map(|i| &candidates[i].labels))
            .collect();
        if chosen.is_empty() && !request.data.iter().all(Matcher::matches_empty) {
            continue;
        }
        let labels = with_data_labels(&base.labels, &chosen, request)?;
        let mut column: Column = base.column.clone();
        column.retain_steps(&steps);
        series.push(Series { labels, drop_name: base.drop_name, column });
    }
    Ok(series)
}

/// The info series with the newest sample at a step; two equally new ones contradict each other.
fn latest(candidates: &[&Series], step: usize) -> Result<Option<usize>, QueryError> {
    let mut best: Option<(f64, usize)> = None;
    for (i, info) in candidates.iter().enumerate() {
        let Some(t) = info.column.float(step) else { continue };
        match best {
            Some((newest, _)) if newest > t => {}
            Some((newest, other)) if newest == t => {
                let t_ms = (t * 1000.0).round() as i64;
                return Err(QueryError::Execution(format!(
                    "found duplicate series for info metric: existing {} @ {t_ms}, new {} @ {t_ms}",
                    candidates[other].labels, info.labels
                )));
            }
            _ => best = Some((t, i)),
        }
    }
    Ok(best.map(|(_, i)| i))
}

/// The base labels, and the data labels of info series that the base has not itself.
fn with_data_labels(base: &Labels, infos: &[&Labels], request: &Request) -> Result<Labels, QueryError> {
    let mut added: BTreeMap<&str, &str> = BTreeMap::new();
    let mut builder: LabelsBuilder = base.to_builder();
    for (name, value) in infos.iter().flat_map(|labels| labels.iter()) {
        if name == METRIC_NAME || !request.wants(name) {
            continue;
        }
        if added.get(name).is_some_and(|known| *known != value) {
            return Err(QueryError::Execution(format!("conflicting label: {name}")));
        }
        if base.get(name).is_none() {
            added.insert(name, value);
            builder.set(name, value);
        }
    }
    Ok(builder.build())
}
