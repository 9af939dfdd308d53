//! What is stored of a check, and what is refused before.

use control::ObjectKind;
use model::TenantId;
use probe::check::dependencies::Dependencies;
use probe::check::{Check, CheckSpec, CheckType, SpecError, Warning};
use serde_json::Value;

use super::facts::is_own;
use super::seat::CHECKS_MAX;
use crate::app::SharedApp;
use crate::error::Fault;
use crate::outbound::Policy;

/// Judges a check that stands in a file or comes as an object: those that it depends on may come with it.
pub(crate) fn check(app: &SharedApp, tenant: &TenantId, name: &str, spec: &Value) -> Result<(), Fault> {
    alone(app, tenant, name, spec).map(drop)
}

/// Reads a specification and judges it, alone and with the other checks.
pub(super) async fn judge(
    app: &SharedApp,
    tenant: &TenantId,
    name: &str,
    spec: &Value,
) -> Result<(Check, Vec<Warning>), Fault> {
    let (check, warnings) = alone(app, tenant, name, spec)?;
    let seat = app.checks_of(tenant).await?;
    let mut parents = seat.parents();
    if parents.len() >= CHECKS_MAX && !parents.contains_key(name) {
        let text = format!("there are {CHECKS_MAX} checks, which is as many as run: remove one first");
        return Err(Fault::Conflict(text));
    }
    parents.insert(name.to_owned(), check.spec().depends_on.clone());
    let graph = Dependencies::new(parents).map_err(|cycle| Fault::invalid("dependsOn", cycle.to_string()))?;
    if let Some((_, parent)) = graph.missing().into_iter().find(|(child, _)| *child == name) {
        return Err(Fault::invalid("dependsOn", format!("there is no check {parent:?}: make it first")));
    }
    Ok((check, warnings))
}

/// Judges a check by itself.
pub(super) fn alone(
    app: &SharedApp,
    tenant: &TenantId,
    name: &str,
    spec: &Value,
) -> Result<(Check, Vec<Warning>), Fault> {
    let spec = CheckSpec::parse(spec).map_err(said)?;
    let (check, warnings) = Check::new(name, spec).map_err(said)?;
    let spec = check.spec();
    match spec.kind {
        CheckType::Command => {
            let text = "commands are run by agents, which do not run checks yet: let the command report \
                        to a heartbeat instead";
            return Err(Fault::invalid("type", text));
        }
        CheckType::Disk | CheckType::Memory | CheckType::Custom if !is_own(tenant) => {
            let text = "looks at the server itself, which is for those who run it: look at a metric of your \
                        machine with a check of type query instead";
            return Err(Fault::invalid("type", text));
        }
        CheckType::Http | CheckType::ExternalApi | CheckType::WebSocket => {
            judge_target(app, tenant, &spec.target)?;
        }
        _ => {}
    }
    if !spec.locations.is_empty() {
        let text = "agents do not run checks yet: leave it out, then the server runs it";
        return Err(Fault::invalid("locations", text));
    }
    Ok((check, warnings))
}

/// What can be judged of an address before its name is resolved; the rest is at each connection.
fn judge_target(app: &SharedApp, tenant: &TenantId, target: &str) -> Result<(), Fault> {
    let policy = Policy::of(tenant, app.outbound_ranges());
    let Ok(url) = url::Url::parse(target) else { return Ok(()) };
    let address = match url.host() {
        Some(url::Host::Ipv4(address)) => address.into(),
        Some(url::Host::Ipv6(address)) => address.into(),
        _ => return Ok(()),
    };
    policy.judge(address).map_err(|refused| Fault::invalid("target", refused.to_string()))
}

fn said(error: SpecError) -> Fault {
    Fault::invalid(&error.field, format!("is {}: {}", error.value, error.remedy))
}

/// Takes out the name, which stands beside the specification.
pub(super) fn split(body: Value, otherwise: Option<&str>) -> Result<(String, Value), Fault> {
    let Value::Object(mut members) = body else {
        return Err(Fault::invalid("", "the body must be a check, a JSON object"));
    };
    let name = match members.remove("name") {
        Some(Value::String(name)) => name,
        Some(_) => return Err(Fault::invalid("name", "must be a text")),
        None => otherwise
            .map(str::to_owned)
            .ok_or_else(|| Fault::invalid("name", "is missing: write what the check is called"))?,
    };
    Ok((name, Value::Object(members)))
}

/// As it is stored: with every default written out, so that a list shows what runs.
pub(super) fn stored(check: &Check) -> Result<Value, Fault> {
    serde_json::to_value(check.spec()).map_err(|error| Fault::Internal(error.to_string()))
}

pub(super) const KIND: ObjectKind = ObjectKind::Check;
