//! `bellwether audit verify` against a running server.

use super::client::{self, Client, now};
use super::time;
use crate::args::VerifyArguments;
use crate::compose::Failure;

pub(super) async fn run(verify: &VerifyArguments) -> Result<(), Failure> {
    let client = Client::new(&verify.remote)?.of_tenant(verify.tenant.as_deref());
    let mut parameters = Vec::new();
    for (name, text) in [("start", &verify.from), ("end", &verify.to)] {
        if let Some(text) = text {
            parameters.push((name, time(text, now())?.to_string()));
        }
    }
    let answer = client::json(client.get("/api/v1/monitoring/audit/verify", &parameters).await?).await?;
    let bad = &answer["first_bad"];
    if answer["ok"] != true {
        let text = |name: &str| bad[name].as_str().unwrap_or("?").to_owned();
        return Err(
            format!("the audit log was tampered with: node {}: {}", text("node"), text("what")).into()
        );
    }
    println!("{} rows fit, {} anchors", answer["rows"], answer["anchors"]);
    Ok(())
}
