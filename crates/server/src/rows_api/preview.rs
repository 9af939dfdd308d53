//! `POST /api/v1/monitoring/pipelines/preview`: what a pipeline would have made of the newest rows.

use axum::Json;
use axum::extract::{Extension, State};
use ingest::records::{id_of_hex, push_id, push_json_attrs};
use model::{FixedKind, Records, Signal, record};
use query::rows::{Ask, Row, RowValue, Sort, decoded, row_json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::params::{search, span};
use super::rows::AnyRow;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::openapi::{Op, Routes};

const ROWS_MAX: usize = 200;

/// The one route.
pub(super) fn routes() -> Routes {
    let op =
        Op::new("previewPipeline", "What a pipeline would have made of the newest rows of the last hour")
            .takes::<Preview>()
            .gives::<Previewed>()
            .refuses(&[422]);
    Routes::new("Pipelines").post("/api/v1/monitoring/pipelines/preview", run, op)
}

/// What is tried on what.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PipelinePreview")]
struct Preview {
    #[schemars(extend("enum" = ["logs", "spans", "traces", "events"]))]
    signal: String,
    /// The specification of a pipeline.
    pipeline: Value,
    /// Which rows; empty for all.
    #[serde(default)]
    query: String,
    /// How many: 20 unless given, at most 200.
    limit: Option<usize>,
}

/// Rows before and after a pipeline.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PipelinePreviewed")]
struct Previewed {
    #[schemars(with = "Vec<AnyRow>")]
    before: Vec<Value>,
    /// One for each of `before`; `null` where it was dropped.
    #[schemars(with = "Vec<Option<AnyRow>>")]
    after: Vec<Value>,
    /// What each rule did.
    counts: Vec<RuleCount>,
}

/// What a rule of a pipeline did.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "PipelineRuleCount")]
struct RuleCount {
    name: String,
    /// Rows that it looked at.
    rows: usize,
    failed: usize,
    dropped: usize,
    sampled: usize,
}

async fn run(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    body: crate::json::Body<Preview>,
) -> Result<Json<Previewed>, ApiFault> {
    let wanted = body.0;
    let signal = match wanted.signal.as_str() {
        "logs" => Signal::Logs,
        "spans" | "traces" => Signal::Traces,
        "events" => Signal::Events,
        other => {
            return Err(Fault::invalid("signal", format!("{other:?} is none of logs, spans, events")).into());
        }
    };
    let processing = crate::app::compile_pipeline(signal, &wanted.pipeline)?;
    let limit = wanted.limit.unwrap_or(20).clamp(1, ROWS_MAX);
    let predicate = search(signal, &wanted.query)?;
    let (start_ns, end_ns) = span(None, None, app.now_ms())?;
    let ask = Ask { predicate, start_ns, end_ns };
    let page =
        super::read(&app, &identity, signal, move |reader| reader.page(&ask, Sort::Newest, limit, None))
            .await?;
    let rows = page.rows;
    let trying = move || {
        let mut records = records_of(signal, &rows);
        let mut counts = pipeline::Counts::default();
        processing.pipeline().run(&mut records, &mut counts);
        let mut after = vec![Value::Null; rows.len()];
        // A row that was dropped has no counterpart.
        for (row, place) in decoded(&records)?.iter().zip(&records.rows) {
            if let Some(slot) = after.get_mut(place.index as usize) {
                *slot = row_json(row);
            }
        }
        Ok::<_, Fault>((super::rows_json(&rows), after, counts))
    };
    // Patterns and grok over many rows take a while.
    let tried = kit::spawn::spawn_blocking("preview pipeline", trying).await;
    let tried = tried.map_err(|_| Fault::Internal("the preview failed; the log has the reason".into()))?;
    let (before, after, counts) = tried?;
    let counts = counts
        .processors
        .into_iter()
        .map(|rule| RuleCount {
            name: rule.name,
            rows: rule.rows,
            failed: rule.failed,
            dropped: rule.dropped,
            sampled: rule.sampled,
        })
        .collect();
    Ok(Json(Previewed { before, after, counts }))
}

/// Stored rows as they came, for a pipeline.
fn records_of(signal: Signal, rows: &[Row]) -> Records {
    let mut records = Records::new(signal);
    for (index, row) in rows.iter().enumerate() {
        let first_attr = records.attrs.len() as u32;
        push_object(&mut records, &row.resource);
        let resource = records.end_resource(first_attr);
        let fields: Vec<model::Value> = record::columns(signal)
            .iter()
            .zip(&row.fixed)
            .map(|(column, value)| match value {
                RowValue::Null => model::Value::Null,
                RowValue::Int(value) => model::Value::Int(*value),
                RowValue::Double(value) => model::Value::Double(*value),
                RowValue::Text(text) if column.kind == FixedKind::Json => {
                    model::Value::Json(records.push_text(text))
                }
                RowValue::Text(text) => model::Value::Text(records.push_text(text)),
                RowValue::Id(text) if column.kind == FixedKind::TraceId => {
                    push_id(&mut records, id_of_hex::<16>(text.as_bytes()))
                }
                RowValue::Id(text) => push_id(&mut records, id_of_hex::<8>(text.as_bytes())),
            })
            .collect();
        let first_attr = records.attrs.len() as u32;
        push_object(&mut records, &row.attributes);
        records.push_row(index as u32, resource, first_attr, &fields);
    }
    records
}

fn push_object(records: &mut Records, text: &str) {
    if let Ok(Value::Object(members)) = serde_json::from_str(text) {
        push_json_attrs(records, &members);
    }
}
