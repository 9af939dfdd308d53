//! `bellwether export`: rows of a table, or samples, into a file.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use super::client::{Client, now};
use crate::args::{ExportFormat, ExportTable, Table};
use crate::compose::Failure;

/// Rows asked for at once; the time moves on from the last one.
const LIMIT: u64 = 1_000_000;

pub(super) async fn run(export: &ExportTable, table: Table) -> Result<(), Failure> {
    let client = Client::new(&export.remote)?;
    let (start, end) = export.span.seconds(now())?;
    let accept = match export.format {
        ExportFormat::Jsonl => "application/x-ndjson",
        ExportFormat::Csv => "text/csv",
        ExportFormat::Arrow => "application/vnd.apache.arrow.stream",
    };
    let query = match &export.sql {
        Some(query) => query.clone(),
        None => format!("SELECT * FROM {}", table.as_str()),
    };
    let body = json!({ "query": query, "start": start, "end": end, "limit": LIMIT });
    let mut response = client.post("/api/v1/sql", &body, accept).await?;
    let truncated = response.headers().contains_key("x-bellwether-truncated");
    let mut to = target(export.output.as_deref())?;
    while let Some(piece) = response.chunk().await? {
        to.write_all(&piece)?;
    }
    to.flush()?;
    if truncated {
        return Err(format!("the export was cut at {LIMIT} rows: export shorter spans of time").into());
    }
    Ok(())
}

fn target(file: Option<&Path>) -> Result<Box<dyn Write>, Failure> {
    Ok(match file {
        Some(path) => {
            let file = std::fs::File::create_new(path)
                .map_err(|error| format!("cannot create {}: {error}", path.display()))?;
            Box::new(std::io::BufWriter::new(file))
        }
        None => Box::new(std::io::stdout().lock()),
    })
}
