//! `bellwether export objects`: everything that files may declare, as `apply` reads it.

use std::collections::BTreeMap;
use std::io::Write;

use serde_json::{Value, json};

use super::client::{self, Client};
use crate::args::ExportTable;
use crate::compose::Failure;

pub(super) async fn run(export: &ExportTable) -> Result<(), Failure> {
    if export.sql.is_some() || export.span.start.is_some() || export.span.end.is_some() {
        return Err("--sql, --start and --end are for rows: leave them out to export objects".into());
    }
    let client = Client::new(&export.remote)?;
    let path = super::objects_path(&export.tenant)?;
    let answer = client::json(client.get(&path, &[]).await?).await?;
    let mut kinds: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for item in answer["items"].as_array().into_iter().flatten() {
        let kind = item["kind"].as_str().ok_or("the server sent an object without a kind")?;
        kinds.entry(kind).or_default().push(document(item)?);
    }
    let Some(folder) = &export.output else {
        let mut to = std::io::stdout().lock();
        let all: Vec<String> = kinds.into_values().flatten().collect();
        to.write_all(all.join("---\n").as_bytes())?;
        return Ok(to.flush()?);
    };
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    for (kind, documents) in kinds {
        if !kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') {
            return Err("the server sent a kind that is no name of a file".into());
        }
        let path = folder.join(format!("{kind}.yaml"));
        let mut file = std::fs::File::create_new(&path).map_err(|error| {
            format!("cannot create {}: {error}; export into an empty folder", path.display())
        })?;
        file.write_all(documents.join("---\n").as_bytes())?;
        println!("{}: {}", path.display(), documents.len());
    }
    Ok(())
}

fn document(item: &Value) -> Result<String, Failure> {
    let document = json!({ "kind": item["kind"], "name": item["name"], "spec": item["spec"] });
    Ok(serde_yaml_ng::to_string(&document)?)
}
