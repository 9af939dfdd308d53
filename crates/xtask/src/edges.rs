//! Which crate may import which. A new edge is an argued line here.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

/// Package and the packages of ours it may depend on (development dependencies are free).
const ALLOWED: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("bellwether-kit", &[]),
    ("ingest", &["model"]),
    ("pipeline", &["model"]),
    ("promql", &["model"]),
    ("store", &["model", "bellwether-kit"]),
    ("db", &["model", "bellwether-kit"]),
    ("control", &["model", "bellwether-kit", "db"]),
    // Rule files are PromQL; their unit tests are evaluated in memory. Neither needs a store.
    ("alert", &["model", "bellwether-kit", "db", "promql"]),
    ("probe", &["model", "bellwether-kit", "db", "ingest"]),
    ("agent", &["model", "bellwether-kit", "ingest", "probe"]),
    ("query", &["model", "bellwether-kit", "store", "promql"]),
    (
        "server",
        &[
            "model",
            "bellwether-kit",
            "bellwether-api",
            "ingest",
            "pipeline",
            "promql",
            "store",
            "db",
            "control",
            "alert",
            "probe",
            "query",
        ],
    ),
    (
        "bellwether",
        &["model", "bellwether-kit", "agent", "alert", "server", "store", "db", "control", "probe", "query"],
    ),
    ("sim", &["model", "bellwether-kit", "store"]),
    ("xtask", &[]),
    ("loadgen", &[]),
];

/// Heavy libraries and the only crates that may know them.
const KEPT_TO: &[(&str, &[&str])] = &[
    ("axum", &["server"]),
    ("tonic", &["server"]),
    ("datafusion", &["query"]),
    ("parquet", &["store"]),
    ("sqlx", &["db", "control", "alert", "probe"]),
];

/// Edges that the workspace has and the tables do not allow.
pub(crate) fn findings(root: &Path) -> Result<Vec<String>> {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .context("cargo metadata")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).context("output of cargo metadata")?;
    Ok(judge(&edges_of(&metadata)))
}

/// Package to the names of its normal and build dependencies.
fn edges_of(metadata: &Value) -> BTreeMap<String, Vec<String>> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut edges = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let names = dependencies.filter(|d| d["kind"] != "dev").map(|d| text(&d["name"])).collect();
        edges.insert(text(&package["name"]), names);
    }
    edges
}

fn judge(edges: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut findings = Vec::new();
    for (package, dependencies) in edges {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| name == package) else {
            findings.push(format!("crates: {package} is not in the table of crates (xtask/src/edges.rs)"));
            continue;
        };
        for dependency in dependencies {
            if edges.contains_key(dependency) && !allowed.contains(&dependency.as_str()) {
                findings
                    .push(format!("crates: {package} may not depend on {dependency} (xtask/src/edges.rs)"));
            }
            let kept = KEPT_TO.iter().find(|(library, _)| library == dependency);
            if kept.is_some_and(|(_, crates)| !crates.contains(&package.as_str())) {
                findings.push(format!("crates: {package} may not know {dependency} (xtask/src/edges.rs)"));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(package: &str, dependency: &str, findings: usize) {
        let mut edges = BTreeMap::from([(package.to_owned(), vec![dependency.to_owned()])]);
        if ALLOWED.iter().any(|(ours, _)| *ours == dependency) {
            edges.entry(dependency.to_owned()).or_default();
        }
        let own = judge(&edges).into_iter().filter(|f| f.contains(&format!("{package} may"))).count();
        assert_eq!(own, findings, "{package} -> {dependency}");
    }

    #[test]
    fn only_tabled_edges_pass() {
        check("store", "model", 0);
        check("store", "ingest", 1);
        check("ingest", "store", 1);
        check("server", "axum", 0);
        check("query", "axum", 1);
        check("store", "datafusion", 1);
    }
}
