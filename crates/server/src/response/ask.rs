//! Questions of rules over the stored telemetry.

use std::sync::Arc;

use alert::Labels;
use alert::engine::{Ask, AskError, Grid, Metrics};
use alert::prom::Sample;
use alert::rule::{Aggregate, Answer, Asked, Point, Question, Search};
use async_trait::async_trait;
use model::{MetricBatch, Signal, TenantId};
use probe::check::QueryLanguage;
use promql::{SampleValue, Value};
use query::Control;
use query::rows::{Ask as RowAsk, Figure, FigureKind, RowReader, StoredRows};
use query::sql::{SqlRequest, Tables};

use crate::app::SharedApp;
use crate::error::Fault;
use crate::reach::Reach;

/// Answers of one question; a rule holds no more alerts than this.
const ANSWERS_MAX: usize = 20_000;

/// How far back statements and searches of checks look.
const WINDOW_MS: i64 = 300_000;

/// Asks the application.
pub(super) struct Asker(pub(super) SharedApp);

#[async_trait]
impl Ask for Asker {
    async fn ask(&self, tenant: &TenantId, asked: &Asked, at: i64) -> Result<Vec<Answer>, AskError> {
        let said = |fault: Fault| AskError(fault.message());
        let mut answers = match &asked.question {
            Question::PromQl(expression) => self.instant(tenant, expression, at).await.map_err(said)?,
            Question::Search(search) => self.search(tenant, search, at).await.map_err(said)?,
            Question::Sql { statement, window } => {
                self.sql(tenant, statement, window.millis(), at).await.map_err(said)?
            }
        };
        if answers.len() > ANSWERS_MAX {
            let message =
                format!("it has {} answers: group it so that there are at most {ANSWERS_MAX}", answers.len());
            return Err(AskError(message));
        }
        if let Some(history) = asked.history {
            let grid = Grid { start: at - history.span.millis(), end: at, step: history.step.millis() };
            let mut past: std::collections::BTreeMap<Labels, Vec<Point>> =
                self.ask_range(tenant, asked, grid).await?.into_iter().collect();
            for answer in &mut answers {
                answer.history = past.remove(&answer.labels).unwrap_or_default();
                answer.history.retain(|point| point.at < at);
            }
        }
        Ok(answers)
    }

    async fn ask_range(
        &self,
        tenant: &TenantId,
        asked: &Asked,
        grid: Grid,
    ) -> Result<Vec<(Labels, Vec<Point>)>, AskError> {
        let said = |fault: Fault| AskError(fault.message());
        if let Question::PromQl(expression) = &asked.question {
            return self.range(tenant, expression, grid).await.map_err(said);
        }
        // Searches and statements are asked instant by instant.
        let mut series: std::collections::BTreeMap<Labels, Vec<Point>> = std::collections::BTreeMap::new();
        let mut at = grid.start;
        while at <= grid.end {
            let now = Asked { history: None, ..asked.clone() };
            for answer in self.ask(tenant, &now, at).await? {
                series.entry(answer.labels).or_default().push(Point { at, value: answer.value });
            }
            at += grid.step;
        }
        Ok(series.into_iter().collect())
    }
}

/// The figures that a query of a check has now.
pub(crate) async fn figures(
    app: &SharedApp,
    tenant: &TenantId,
    language: QueryLanguage,
    query: &str,
) -> Result<Vec<f64>, Fault> {
    let (asker, at) = (Asker(app.clone()), app.now_ms());
    let answers = match language {
        QueryLanguage::Promql => asker.instant(tenant, query, at).await?,
        QueryLanguage::Sql => asker.sql(tenant, query, WINDOW_MS, at).await?,
        QueryLanguage::Search => {
            let search = Search {
                signal: "logs".to_owned(),
                query: query.to_owned(),
                aggregate: Aggregate::Count,
                field: None,
                group_by: Vec::new(),
                window: alert::span::Span(std::time::Duration::from_millis(WINDOW_MS as u64)),
            };
            asker.search(tenant, &search, at).await?
        }
    };
    Ok(answers.into_iter().map(|answer| answer.value).collect())
}

#[async_trait]
impl Metrics for Asker {
    async fn vector(&self, tenant: &TenantId, expression: &str, at: i64) -> Result<Vec<Sample>, AskError> {
        let expression = expression.to_owned();
        let work =
            move |engine: &promql::Engine, source: &query::StoreSource, context: &promql::QueryContext| {
                engine.instant(source, &expression, at, context)
            };
        let result = self.evaluate(tenant, work).await.map_err(|fault| AskError(fault.message()))?;
        Sample::of(result.value).map_err(AskError)
    }

    async fn write(
        &self,
        tenant: &TenantId,
        batch: MetricBatch,
        is_recorded: bool,
    ) -> Result<usize, AskError> {
        let said = |fault: Fault| AskError(fault.message());
        if is_recorded {
            let decoded = ingest::Decoded { batch, ..ingest::Decoded::default() };
            let written = crate::write::append(&self.0, tenant, "rule", decoded).await.map_err(said)?;
            return Ok(written.refusals.items());
        }
        let appended = self.0.store_own_metrics(tenant, &batch).await.map_err(said)?;
        Ok(appended.refusals.items())
    }
}

impl Asker {
    async fn evaluate<T: Send + 'static>(
        &self,
        tenant: &TenantId,
        work: impl FnOnce(
            &promql::Engine,
            &query::StoreSource,
            &promql::QueryContext,
        ) -> Result<T, promql::QueryError>
        + Send
        + 'static,
    ) -> Result<T, Fault> {
        let app = &self.0;
        let deadline = app.query_deadline(tenant);
        let mut context = app.query_context();
        context.deadline = Some(deadline);
        let engine = app.engine();
        let source = app.source(&Reach::whole(tenant), deadline).await?;
        let work = move || work(&engine, &source, &context).map_err(crate::prom::query::fault);
        app.in_slot(tenant, "rule", deadline, work).await
    }

    async fn instant(&self, tenant: &TenantId, expression: &str, at: i64) -> Result<Vec<Answer>, Fault> {
        let expression = expression.to_owned();
        let work =
            move |engine: &promql::Engine, source: &query::StoreSource, context: &promql::QueryContext| {
                engine.instant(source, &expression, at, context)
            };
        let result = self.evaluate(tenant, work).await?;
        match result.value {
            Value::Scalar(point) => Ok(vec![Answer { value: point.value, ..Answer::default() }]),
            Value::Vector(samples) => {
                let samples = samples.into_iter().filter_map(|sample| match sample.value {
                    SampleValue::Float(value) => {
                        Some(Answer { labels: labels(&sample.labels), value, history: Vec::new() })
                    }
                    // A histogram is no figure: its sum or a quantile is.
                    SampleValue::Histogram(_) => None,
                });
                Ok(samples.collect())
            }
            Value::String { .. } | Value::Matrix(_) => {
                Err(Fault::Execution("it has neither a number nor an instant vector as its value".into()))
            }
        }
    }

    async fn range(
        &self,
        tenant: &TenantId,
        expression: &str,
        grid: Grid,
    ) -> Result<Vec<(Labels, Vec<Point>)>, Fault> {
        let expression = expression.to_owned();
        let work =
            move |engine: &promql::Engine, source: &query::StoreSource, context: &promql::QueryContext| {
                engine.range(source, &expression, (grid.start, grid.end), grid.step, context)
            };
        let result = self.evaluate(tenant, work).await?;
        let Value::Matrix(series) = result.value else { return Ok(Vec::new()) };
        let points = |series: promql::MatrixSeries| {
            let points =
                series.floats.iter().map(|point| Point { at: point.t_ms, value: point.value }).collect();
            (labels(&series.labels), points)
        };
        Ok(series.into_iter().map(points).collect())
    }

    async fn search(&self, tenant: &TenantId, search: &Search, at: i64) -> Result<Vec<Answer>, Fault> {
        let app = &self.0;
        let signal = signal_of(&search.signal)?;
        let predicate = query::search::Search::parse(&search.query, signal)
            .map_err(|error| Fault::invalid("query", error.to_string()))?
            .into_predicate();
        let nanos = |ms: i64| ms.saturating_mul(1_000_000);
        let seconds = search.window.0.as_secs_f64();
        let ask = RowAsk { predicate, start_ns: nanos(at - search.window.millis()), end_ns: nanos(at) };
        let kind = match search.aggregate {
            Aggregate::Sum => FigureKind::Sum,
            Aggregate::Avg => FigureKind::Avg,
            Aggregate::Min => FigureKind::Min,
            Aggregate::Max => FigureKind::Max,
            Aggregate::P50 => FigureKind::Quantile(0.5),
            Aggregate::P90 => FigureKind::Quantile(0.9),
            Aggregate::P95 => FigureKind::Quantile(0.95),
            Aggregate::P99 => FigureKind::Quantile(0.99),
            _ => FigureKind::Count,
        };
        let figure = Figure { kind, field: search.field.clone(), by: search.group_by.clone() };
        let deadline = app.query_deadline(tenant);
        let rows = app.rows(&Reach::whole(tenant), signal, deadline).await?;
        let control = Control::until(deadline);
        let work = move || {
            let reader = RowReader::new(Arc::new(StoredRows::new(signal, rows)), control);
            reader.aggregate(&ask, &figure).map_err(Fault::from)
        };
        let found = app.in_slot(tenant, "rule", deadline, work).await?;
        if found.truncated {
            return Err(Fault::Execution(
                "it has more groups than can be counted apart: group by fewer fields".into(),
            ));
        }
        let per_second = search.aggregate == Aggregate::Rate;
        let answer = |(values, value): (Vec<String>, f64)| {
            let named = search.group_by.iter().cloned().zip(values).filter(|(_, value)| !value.is_empty());
            let value = if per_second { value / seconds } else { value };
            Answer { labels: named.collect(), value, history: Vec::new() }
        };
        Ok(found.groups.into_iter().map(answer).collect())
    }

    async fn sql(
        &self,
        tenant: &TenantId,
        statement: &str,
        window_ms: i64,
        at: i64,
    ) -> Result<Vec<Answer>, Fault> {
        let app = &self.0;
        let deadline = app.query_deadline(tenant);
        let reach = Reach::whole(tenant);
        let of = async |signal| -> Result<Arc<dyn query::rows::RowSource>, Fault> {
            let source: Arc<dyn query::rows::RowSource> =
                Arc::new(StoredRows::new(signal, app.rows(&reach, signal, deadline).await?));
            Ok(source)
        };
        let tables = Tables {
            tenant: tenant.clone(),
            logs: of(Signal::Logs).await?,
            spans: of(Signal::Traces).await?,
            events: of(Signal::Events).await?,
            checks: of(Signal::Checks).await?,
            metrics: app.metric_snapshot(&reach, deadline).await?,
        };
        let nanos = |ms: i64| ms.saturating_mul(1_000_000);
        let request = SqlRequest {
            query: statement.to_owned(),
            start_ns: nanos(at - window_ms),
            end_ns: nanos(at),
            limit: Some(ANSWERS_MAX + 1),
        };
        let (engine, control) = (app.sql_engine(), Control::until(deadline));
        let work = move || {
            let result = engine.run(&request, &tables, &control).map_err(Fault::from)?;
            answers_of(&result)
        };
        app.in_slot(tenant, "rule", deadline, work).await
    }
}

/// Rows as answers: the column `value`, or the only column of numbers, is the value; texts are labels.
fn answers_of(result: &query::sql::SqlResult) -> Result<Vec<Answer>, Fault> {
    let (columns, types) = (result.columns(), result.types());
    let numbers: Vec<usize> =
        (0..columns.len()).filter(|n| matches!(types[*n].as_str(), "bigint" | "double")).collect();
    let value = match columns.iter().position(|name| name == "value") {
        Some(column) => column,
        None if numbers.len() == 1 => numbers[0],
        None => {
            let message = "the statement needs a column named value, or exactly one column of numbers";
            return Err(Fault::invalid("query", message));
        }
    };
    let mut answers = Vec::new();
    for row in result.json_rows() {
        let serde_json::Value::Array(cells) = row else { continue };
        // NULL is no value.
        let Some(number) = cells.get(value).and_then(serde_json::Value::as_f64) else { continue };
        let mut labels = Labels::new();
        for (n, cell) in cells.iter().enumerate() {
            if let (true, Some(text)) = (types[n] == "varchar" && n != value, cell.as_str())
                && !text.is_empty()
            {
                labels.insert(columns[n].clone(), text.to_owned());
            }
        }
        answers.push(Answer { labels, value: number, history: Vec::new() });
    }
    Ok(answers)
}

pub(super) fn signal_of(name: &str) -> Result<Signal, Fault> {
    match name {
        "logs" => Ok(Signal::Logs),
        "traces" | "spans" => Ok(Signal::Traces),
        "events" => Ok(Signal::Events),
        "checks" => Ok(Signal::Checks),
        other => Err(Fault::invalid(
            "condition.signal",
            format!("{other:?} is none of logs, traces, events, checks"),
        )),
    }
}

fn labels(labels: &model::Labels) -> Labels {
    labels.iter().filter(|(name, _)| *name != "__name__").map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
}
