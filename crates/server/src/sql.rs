//! `POST /api/v1/sql`: a statement, or a search, over logs, spans, events and metrics; JSON, CSV or Arrow by
//! `Accept`.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use model::Signal;
use query::Control;
use query::rows::{Ask, RowReader, RowSource, Sort, StoredRows, row_json};
use query::sql::{SqlRequest, SqlResult, Tables, push_csv_record};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::app::{CancelOnDrop, SharedApp};
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::moment::AnyTime;
use crate::openapi::{Op, Routes, bytes, text};
use crate::rows_api::{QueryCost, search, time_ns};

/// Rows of an answer where no limit is given.
const ROWS_DEFAULT: usize = 100_000;
/// Rows of an answer at most.
pub(crate) const ROWS_MAX: usize = 1_000_000;

/// The one route.
pub(crate) fn routes() -> Routes {
    let op = Op::new("runSql", "Answers a statement or a search over logs, spans, events and metrics")
        .about(
            "`Accept` says how the answer is written. `X-Bellwether-Truncated: true` says that there were more \
             rows than the limit allows.",
        )
        .takes::<Asked>()
        .gives::<SqlAnswer>()
        .gives_content(text("application/x-ndjson"))
        .gives_content(text("text/csv"))
        .gives_content(bytes("application/vnd.apache.arrow.stream"))
        .refuses(&[422]);
    Routes::new("SQL").post("/api/v1/sql", run, op)
}

/// What is asked.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "SqlQuestion")]
struct Asked {
    /// A statement.
    #[serde(default)]
    query: String,
    /// Instead of a statement: a search, whose rows come newest first.
    search: Option<String>,
    /// Where the search looks: logs (the default), spans or events.
    #[schemars(extend("enum" = ["logs", "spans", "traces", "events", null]))]
    table: Option<String>,
    /// Only count what the search finds.
    #[serde(default)]
    count: bool,
    /// First time looked at; a statement may narrow it further.
    start: Option<AnyTime>,
    /// First time not looked at any more.
    end: Option<AnyTime>,
    /// Rows of the answer at most: 100000 unless given, never more than 1000000.
    limit: Option<usize>,
}

/// Rows of an answer.
#[derive(Serialize, JsonSchema)]
struct SqlAnswer {
    columns: Vec<String>,
    /// What the columns hold; left out for the rows of a search.
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<Vec<String>>,
    /// A list of cells a row.
    #[schemars(with = "Vec<Vec<Value>>")]
    rows: Vec<Value>,
    /// Whether there were more rows than the limit allows; left out for a count.
    #[serde(skip_serializing_if = "Option::is_none")]
    truncated: Option<bool>,
    cost: QueryCost,
}

impl SqlAnswer {
    fn written(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("JSON values are writable")
    }
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// `{"columns":[…],"types":[…],"rows":[[…]]}`
    Json,
    /// An object a line.
    JsonLines,
    Csv,
    Arrow,
}

impl Format {
    /// By `Accept`; JSON where nothing we write is asked for.
    fn of(headers: &HeaderMap) -> Self {
        let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("");
        let named = accept.split(',').map(|part| part.split(';').next().unwrap_or("").trim());
        named
            .filter_map(|name| match name {
                "application/json" => Some(Self::Json),
                "application/x-ndjson" | "application/jsonl" => Some(Self::JsonLines),
                "text/csv" => Some(Self::Csv),
                "application/vnd.apache.arrow.stream" => Some(Self::Arrow),
                _ => None,
            })
            .next()
            .unwrap_or(Self::Json)
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::JsonLines => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Arrow => "application/vnd.apache.arrow.stream",
        }
    }
}

/// Answers a statement or a search.
async fn run(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    headers: HeaderMap,
    body: crate::json::Body<Asked>,
) -> Result<Response, ApiFault> {
    let (asked, mut format, started) = (body.0, Format::of(&headers), Instant::now());
    if asked.search.is_some() && format == Format::Arrow {
        // Rows of a search have no schema of their own, and the answer says what it is.
        format = Format::Json;
    }
    let time = |field: &str, given: &Option<AnyTime>| {
        given.as_ref().map(|given| time_ns(field, &given.text())).transpose()
    };
    let start_ns = time("start", &asked.start)?.unwrap_or(i64::MIN);
    let end_ns = time("end", &asked.end)?.unwrap_or(i64::MAX);
    let limit = asked.limit.unwrap_or(ROWS_DEFAULT).clamp(1, ROWS_MAX);
    let deadline = app.query_deadline(&identity.tenant);
    let control = Control::until(deadline);
    let _cancel = CancelOnDrop(Arc::clone(&control.cancelled));
    let outcome = match &asked.search {
        Some(text) => {
            let signal = signal_of(asked.table.as_deref().unwrap_or("logs"))?;
            let ask = Ask { predicate: search(signal, text)?, start_ns, end_ns };
            let rows = app.rows(&identity.reach(), signal, deadline).await?;
            let count = asked.count;
            let work = move || {
                let reader = RowReader::new(Arc::new(StoredRows::new(signal, rows)), control);
                found(&reader, &ask, limit, count, format, started).map_err(Fault::from)
            };
            app.in_slot(&identity.tenant, "search", deadline, work).await
        }
        None => {
            let tables = tables(&app, &identity, deadline).await?;
            let request = SqlRequest { query: asked.query, start_ns, end_ns, limit: Some(limit) };
            let engine = app.sql_engine();
            let work = move || {
                let result = engine.run(&request, &tables, &control).map_err(Fault::from)?;
                write(&result, format, started).map_err(Fault::from)
            };
            app.in_slot(&identity.tenant, "sql", deadline, work).await
        }
    };
    let label = outcome.as_ref().map_or_else(crate::prom::query::outcome_label, |_| "ok");
    app.telemetry().query("sql", label, started.elapsed().as_secs_f64(), 0);
    let (body, truncated) = outcome?;
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(format.content_type()));
    if truncated {
        headers.insert("x-bellwether-truncated", HeaderValue::from_static("true"));
    }
    Ok(response)
}

fn signal_of(table: &str) -> Result<Signal, Fault> {
    match table {
        "logs" => Ok(Signal::Logs),
        "spans" | "traces" => Ok(Signal::Traces),
        "events" => Ok(Signal::Events),
        "checks" => Ok(Signal::Checks),
        other => Err(Fault::invalid("table", format!("{other:?} is none of logs, spans, events, checks"))),
    }
}

async fn tables(app: &SharedApp, identity: &Identity, deadline: Instant) -> Result<Tables, Fault> {
    let of = async |signal| -> Result<Arc<dyn RowSource>, Fault> {
        let rows = app.rows(&identity.reach(), signal, deadline).await?;
        let source: Arc<dyn RowSource> = Arc::new(StoredRows::new(signal, rows));
        Ok(source)
    };
    Ok(Tables {
        tenant: identity.tenant.clone(),
        logs: of(Signal::Logs).await?,
        spans: of(Signal::Traces).await?,
        events: of(Signal::Events).await?,
        checks: of(Signal::Checks).await?,
        metrics: app.metric_snapshot(&identity.reach(), deadline).await?,
    })
}

/// The answer to a search: whole rows, newest first, or their number.
fn found(
    reader: &RowReader,
    ask: &Ask,
    limit: usize,
    count: bool,
    format: Format,
    started: Instant,
) -> Result<(Vec<u8>, bool), query::QueryFault> {
    if count {
        let (count, cost) = reader.count(ask)?;
        match format {
            Format::Csv => return Ok((format!("count\r\n{count}\r\n").into_bytes(), false)),
            Format::JsonLines => return Ok((format!("{}\n", json!({ "count": count })).into_bytes(), false)),
            Format::Json | Format::Arrow => {}
        }
        let answer = SqlAnswer {
            columns: vec!["count".into()],
            types: Some(vec!["bigint".into()]),
            rows: vec![json!([count])],
            truncated: None,
            cost: QueryCost::since(&cost, started),
        };
        return Ok((answer.written(), false));
    }
    let page = reader.page(ask, Sort::Newest, limit, None)?;
    let truncated = page.next.is_some();
    let objects = page.rows.iter().map(row_json);
    if format == Format::JsonLines {
        return Ok((lines(objects), truncated));
    }
    let objects: Vec<Value> = objects.collect();
    let columns: Vec<&str> = match objects.first() {
        Some(Value::Object(first)) => first.keys().map(String::as_str).collect(),
        _ => Vec::new(),
    };
    if format == Format::Csv {
        return Ok((csv(&columns, &objects), truncated));
    }
    let row = |object: &Value| Value::Array(columns.iter().map(|name| object[*name].clone()).collect());
    let rows: Vec<Value> = objects.iter().map(row).collect();
    let answer = SqlAnswer {
        columns: columns.into_iter().map(str::to_owned).collect(),
        types: None,
        rows,
        truncated: Some(truncated),
        cost: QueryCost::since(&page.cost, started),
    };
    Ok((answer.written(), truncated))
}

/// Objects as CSV with a header; what is no text is the JSON of it, nothing where it is null.
fn csv(columns: &[&str], objects: &[Value]) -> Vec<u8> {
    let mut out = String::new();
    push_csv_record(&mut out, columns.iter().copied());
    for object in objects {
        let cells: Vec<Cow<'_, str>> = columns
            .iter()
            .map(|name| match &object[*name] {
                Value::Null => "".into(),
                Value::String(text) => text.into(),
                other => other.to_string().into(),
            })
            .collect();
        push_csv_record(&mut out, cells.iter().map(AsRef::as_ref));
    }
    out.into_bytes()
}

/// The answer to a statement.
fn write(result: &SqlResult, format: Format, started: Instant) -> Result<(Vec<u8>, bool), query::QueryFault> {
    let body = match format {
        Format::Csv => result.csv().into_bytes(),
        Format::Arrow => result.arrow_stream()?,
        Format::JsonLines => {
            let columns = result.columns();
            lines(result.json_rows().into_iter().map(|row| {
                let values = match row {
                    Value::Array(values) => values,
                    other => vec![other],
                };
                Value::Object(columns.iter().cloned().zip(values).collect())
            }))
        }
        Format::Json => {
            let answer = SqlAnswer {
                columns: result.columns(),
                types: Some(result.types()),
                rows: result.json_rows(),
                truncated: Some(result.truncated),
                cost: QueryCost::since(&result.cost, started),
            };
            answer.written()
        }
    };
    Ok((body, result.truncated))
}

fn lines(objects: impl Iterator<Item = Value>) -> Vec<u8> {
    let mut out = Vec::new();
    for object in objects {
        out.extend_from_slice(object.to_string().as_bytes());
        out.push(b'\n');
    }
    out
}
