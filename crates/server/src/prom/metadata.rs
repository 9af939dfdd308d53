//! `/api/v1/labels`, `/label/<name>/values`, `/series`, `/metadata`, `/query_exemplars`.

use std::collections::BTreeMap;

use axum::extract::{Extension, Path, State};
use axum::response::Response;
use model::{Labels, Matcher, TimeRange};
use serde_json::{Map, Value, json};

use super::answers::{Exemplars, LabelNames, LabelValues, MetricMetadata, SeriesList, Success};
use super::params::Params;
use super::{blocking, success, success_with};
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{Fault, PromFault};
use crate::openapi::{Op, Param, Routes, count, string, time};

/// Entries of one answer; `limit` may only lower it.
const ENTRIES_MAX: usize = 200_000;

const TIMES: [Param; 2] = [
    time("start", "First time: Unix seconds or RFC 3339. All time unless given."),
    time("end", "Last time, likewise."),
];
const MATCH: Param = string("match[]", "A selector of series.").repeated();
const LIMIT: Param = count("limit", "Entries at most; 200000 unless given, and for 0.");

/// What there is.
pub(super) fn routes() -> Routes {
    let op = |id, summary| Op::new(id, summary).refuses(&[422]);
    let of_series = op("listSeries", "Series that any selector finds")
        .params(&TIMES)
        .params(&[MATCH.required(), LIMIT])
        .gives::<Success<SeriesList>>();
    let of_exemplars = op("queryExemplars", "Exemplars of every series that an expression selects")
        .params(&TIMES)
        .params(&[string("query", "An expression.").required()])
        .gives::<Success<Exemplars>>();
    let of_metadata = op("listMetricMetadata", "Type, unit and help by metric")
        .params(&[
            LIMIT,
            count("limit_per_metric", "Entries of a metric at most; all unless given, and for 0."),
            string("metric", "This metric only."),
        ])
        .gives::<Success<MetricMetadata>>();
    let of_labels = op("listLabels", "Names of labels")
        .params(&TIMES)
        .params(&[MATCH, LIMIT])
        .gives::<Success<LabelNames>>();
    let of_values = op("listLabelValues", "Values of a label")
        .params(&TIMES)
        .params(&[MATCH, LIMIT])
        .gives::<Success<LabelValues>>();
    Routes::new("Prometheus")
        .get_or_form("/api/v1/labels", labels, of_labels)
        .get_or_form("/api/v1/label/{name}/values", label_values, of_values)
        .get_or_form("/api/v1/series", series, of_series)
        .get_or_form("/api/v1/query_exemplars", exemplars, of_exemplars)
        .get("/api/v1/metadata", metadata, of_metadata)
}

/// `start` to `end`, both included as upstream has it; all time where one is missing.
fn time_range(params: &Params) -> Result<TimeRange, Fault> {
    let start_ms = params.time("start")?.unwrap_or(i64::MIN);
    let end_ms = params.time("end")?.map_or(i64::MAX, |t| t.saturating_add(1));
    if start_ms >= end_ms {
        return Err(Fault::invalid("end", "end timestamp must not be before start time"));
    }
    Ok(TimeRange { start_ms, end_ms })
}

/// Every `match[]`, parsed.
pub(super) fn selectors(params: &Params) -> Result<Vec<Vec<Matcher>>, Fault> {
    let parse = |text: &str| {
        promql::syntax::parse_selector(text).map_err(|error| Fault::invalid("match[]", error.to_string()))
    };
    params.all("match[]").map(parse).collect()
}

fn limit(params: &Params) -> Result<usize, Fault> {
    Ok(params.count("limit")?.filter(|n| *n > 0).unwrap_or(ENTRIES_MAX).min(ENTRIES_MAX))
}

fn cut(list: &mut Vec<impl Sized>, limit: usize) -> Vec<String> {
    if list.len() <= limit {
        return Vec::new();
    }
    list.truncate(limit);
    vec!["results truncated due to limit".into()]
}

/// Names of labels.
async fn labels(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    let (range, sets, limit) = (time_range(&params)?, selectors(&params)?, limit(&params)?);
    let reader = app.reader(&identity.reach()).await?;
    let mut names =
        blocking(&app, &identity.tenant, "labels", move || reader.label_names(&sets, range)).await?;
    let warnings = cut(&mut names, limit);
    Ok(success_with(&json!(names), &warnings))
}

/// Values of one label.
async fn label_values(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(name): Path<String>,
    params: Params,
) -> Result<Response, PromFault> {
    let (range, sets, limit) = (time_range(&params)?, selectors(&params)?, limit(&params)?);
    let name = unescape(&name);
    let reader = app.reader(&identity.reach()).await?;
    let mut values =
        blocking(&app, &identity.tenant, "label values", move || reader.label_values(&name, &sets, range))
            .await?;
    let warnings = cut(&mut values, limit);
    Ok(success_with(&json!(values), &warnings))
}

/// `U__` and then `_` doubled or `_<hex>_`: how clients put UTF-8 names into a path.
fn unescape(name: &str) -> String {
    let Some(escaped) = name.strip_prefix("U__") else { return name.to_owned() };
    let mut out = String::new();
    let mut rest = escaped;
    while let Some(position) = rest.find('_') {
        out.push_str(&rest[..position]);
        rest = &rest[position + 1..];
        if let Some(after) = rest.strip_prefix('_') {
            out.push('_');
            rest = after;
            continue;
        }
        let code = rest.split_once('_').and_then(|(hex, after)| {
            let code = u32::from_str_radix(hex, 16).ok().filter(|_| hex.len() <= 6)?;
            Some((char::from_u32(code)?, after))
        });
        // Not an escape: the name was not escaped at all.
        let Some((character, after)) = code else { return name.to_owned() };
        out.push(character);
        rest = after;
    }
    out + rest
}

/// Label sets of the series that match.
async fn series(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    let (range, sets, limit) = (time_range(&params)?, selectors(&params)?, limit(&params)?);
    if sets.is_empty() {
        return Err(Fault::invalid("match[]", "no match[] parameter provided").into());
    }
    let reader = app.reader(&identity.reach()).await?;
    let mut found =
        blocking(&app, &identity.tenant, "series", move || reader.series(&sets, range, limit + 1)).await?;
    let warnings = cut(&mut found, limit);
    let list: Vec<Value> = found.iter().map(labels_json).collect();
    Ok(success_with(&Value::Array(list), &warnings))
}

/// A label set as a JSON object.
pub(crate) fn labels_json(labels: &Labels) -> Value {
    Value::Object(labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect::<Map<_, _>>())
}

/// Type, unit and help by metric.
async fn metadata(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    let limit = limit(&params)?;
    let per_metric = params.count("limit_per_metric")?.filter(|n| *n > 0).unwrap_or(usize::MAX);
    let metric = params.get("metric").map(str::to_owned);
    let reader = app.reader(&identity.reach()).await?;
    let found =
        blocking(&app, &identity.tenant, "metadata", move || reader.metadata(metric.as_deref())).await?;
    let mut by_metric: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for one in found {
        if by_metric.len() >= limit && !by_metric.contains_key(&one.metric) {
            continue;
        }
        let entries = by_metric.entry(one.metric).or_default();
        if entries.len() < per_metric {
            entries.push(json!({ "type": one.kind.as_str(), "help": one.help, "unit": one.unit }));
        }
    }
    Ok(success(&json!(by_metric)))
}

/// Exemplars of every series that the expression selects.
async fn exemplars(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    params: Params,
) -> Result<Response, PromFault> {
    let expr = promql::syntax::parse(params.required("query")?)
        .map_err(|error| Fault::invalid("query", error.to_string()))?;
    let range = time_range(&params)?;
    let sets: Vec<Vec<Matcher>> = expr.selectors().into_iter().map(|s| s.matchers.clone()).collect();
    let reader = app.reader(&identity.reach()).await?;
    let found = blocking(&app, &identity.tenant, "exemplars", move || reader.exemplars(&sets, range)).await?;
    let list: Vec<Value> = found
        .iter()
        .map(|(labels, exemplars)| {
            let exemplars: Vec<Value> = exemplars
                .iter()
                .map(|e| {
                    let mut value = Vec::new();
                    super::number::push_value(&mut value, e.value);
                    let timestamp = serde_json::Number::from_f64(e.t_ms as f64 / 1000.0);
                    let timestamp = if e.t_ms % 1000 == 0 { json!(e.t_ms / 1000) } else { json!(timestamp) };
                    json!({
                        "labels": labels_json(&e.labels),
                        "value": String::from_utf8_lossy(&value),
                        "timestamp": timestamp,
                    })
                })
                .collect();
            json!({ "seriesLabels": labels_json(labels), "exemplars": exemplars })
        })
        .collect();
    Ok(success(&Value::Array(list)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths_are_unescaped() {
        for (path, name) in [
            ("job", "job"),
            ("U__job", "job"),
            ("U__my_2e_label", "my.label"),
            ("U__a__b", "a_b"),
            ("U__bad_zz_", "U__bad_zz_"),
        ] {
            assert_eq!(unescape(path), name);
        }
    }
}
