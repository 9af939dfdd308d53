//! `bellwether query promql|search|sql`.

use serde_json::{Value, json};

use super::client::{self, Client, now};
use super::table;
use crate::args::{Output, QueryLanguage};
use crate::compose::Failure;

pub(super) async fn run(language: &QueryLanguage) -> Result<(), Failure> {
    match language {
        QueryLanguage::Promql { query, span, step, output, remote } => {
            let client = Client::new(remote)?;
            let answer: Value = if span.start.is_none() && step.is_none() {
                let (_, end) = span.seconds(now())?;
                let parameters = [("query", query.clone()), ("time", end.to_string())];
                client::json(client.get("/api/v1/query", &parameters).await?).await?
            } else {
                let (start, end) = span.seconds(now())?;
                let step = step.clone().unwrap_or_else(|| format!("{}", ((end - start) / 60.0).max(1.0)));
                let parameters = [
                    ("query", query.clone()),
                    ("start", start.to_string()),
                    ("end", end.to_string()),
                    ("step", step),
                ];
                client::json(client.get("/api/v1/query_range", &parameters).await?).await?
            };
            match output {
                Output::Table => print!("{}", table::of_prometheus(&answer["data"])),
                Output::Json => println!("{}", answer["data"]),
                Output::Csv => print!("{}", table::csv(&table::rows_of_prometheus(&answer["data"]))),
            }
        }
        QueryLanguage::Search { query, table: of, limit, span, output, remote } => {
            let (start, end) = span.seconds(now())?;
            let body =
                json!({ "search": query, "table": of.as_str(), "start": start, "end": end, "limit": limit });
            rows(&Client::new(remote)?, &body, *output).await?;
        }
        QueryLanguage::Sql { query, limit, span, output, remote } => {
            let mut body = json!({ "query": query, "limit": limit });
            // A statement says itself which times it wants, unless they are typed.
            if span.start.is_some() || span.end.is_some() {
                let (start, end) = span.seconds(now())?;
                body["start"] = json!(start);
                body["end"] = json!(end);
            }
            rows(&Client::new(remote)?, &body, *output).await?;
        }
    }
    Ok(())
}

/// Columns and rows, as asked for.
async fn rows(client: &Client, body: &Value, output: Output) -> Result<(), Failure> {
    if output == Output::Csv {
        print!("{}", client.post("/api/v1/sql", body, "text/csv").await?.text().await?);
        return Ok(());
    }
    let answer = client::json(client.post("/api/v1/sql", body, "application/json").await?).await?;
    match output {
        Output::Table => print!("{}", table::of_columns(&answer)),
        _ => println!("{answer}"),
    }
    if answer["truncated"] == json!(true) {
        eprintln!("bellwether: the answer was cut at its limit; narrow the time or raise --limit");
    }
    Ok(())
}
