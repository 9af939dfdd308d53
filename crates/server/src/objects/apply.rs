//! Objects as code: `GET` answers everything that files may declare, `POST` makes it what a set of documents says.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Extension, Path, Request, State};
use axum::response::{IntoResponse, Response};
use control::{DeclaredKind, Failed};
use model::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::diff::Change;
use super::plan::{Action, Document, Plan, Planner, Step, Wrong, masked, may_see};
use crate::app::SharedApp;
use crate::audited::audited;
use crate::chain::Identity;
use crate::error::{ApiFault, Fault};
use crate::openapi::{Op, Routes};

/// Largest set, as JSON.
const BYTES_MAX: usize = 16 << 20;

/// Documents of one set.
const DOCUMENTS_MAX: usize = 10_000;

/// Faults that one answer tells.
const FAULTS_MAX: usize = 100;

/// Paths of fields that a row of the audit log names.
const AUDITED_FIELDS_MAX: usize = 20;

pub(super) fn routes() -> Routes {
    let path = "/api/v1/tenants/{tenant}/objects";
    Routes::new("Objects")
        .get(
            path,
            export,
            Op::new(
                "exportObjects",
                "Everything that files may declare and the caller may see, secrets masked",
            )
            .gives::<DeclaredObjects>(),
        )
        .post(
            path,
            apply,
            Op::new("applyObjects", "Shows what a set of documents changes, and changes it, all or nothing")
                .about(
                    "A refusal lists what is wrong as `faults`, each with file, document, field and message.",
                )
                .takes::<ObjectSet>()
                .gives::<AppliedObjects>()
                .refuses(&[409]),
        )
}

/// Documents of files, and what is to be done with them.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ObjectSet {
    documents: Vec<Document>,
    /// Delete what files own and no document names.
    #[serde(default)]
    prune: bool,
    /// Change nothing.
    #[serde(default)]
    dry_run: bool,
    /// `kind/name` of what no file is to own any more.
    #[serde(default)]
    release: Vec<String>,
}

/// What files may declare.
#[derive(Serialize, JsonSchema)]
struct DeclaredObjects {
    items: Vec<DeclaredObject>,
}

/// Something that a file may declare.
#[derive(Serialize, JsonSchema)]
struct DeclaredObject {
    kind: &'static str,
    name: String,
    spec: Value,
    /// The file that owns it; `null` for what people made.
    file: Option<String>,
}

/// What a set of documents changes.
#[derive(Serialize, JsonSchema)]
struct AppliedObjects {
    /// False for a dry run.
    applied: bool,
    changes: Vec<AppliedChange>,
    /// How many by action; `unchanged` are those that are as the documents say.
    counts: BTreeMap<&'static str, usize>,
}

/// What happens to one object.
#[derive(Serialize, JsonSchema)]
struct AppliedChange {
    action: Action,
    kind: &'static str,
    name: String,
    /// The file that owns it, or owned it.
    file: Option<String>,
    fields: Vec<Change>,
    /// Fields that change beyond those.
    more_fields: usize,
}

impl From<Step> for AppliedChange {
    fn from(step: Step) -> Self {
        let before = step.write.before.and_then(|before| before.file);
        Self {
            action: step.action,
            kind: step.write.kind.as_str(),
            name: step.write.name,
            file: step.write.file.or(before),
            fields: step.fields,
            more_fields: step.more,
        }
    }
}

async fn export(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
) -> Result<Json<DeclaredObjects>, ApiFault> {
    let tenant = identity.tenant_of_path(&tenant)?;
    let declared = app.control()?.declared(&tenant).await?;
    let items = declared
        .into_iter()
        .filter(|found| may_see(&identity, found.kind))
        .map(|found| DeclaredObject {
            kind: found.kind.as_str(),
            spec: masked(found.kind, &found.spec),
            name: found.name,
            file: found.file,
        })
        .collect();
    Ok(Json(DeclaredObjects { items }))
}

async fn apply(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    Path(tenant): Path<String>,
    request: Request,
) -> Result<Response, ApiFault> {
    let tenant = identity.tenant_of_path(&tenant)?;
    let bytes = crate::body::read(request.into_body(), BYTES_MAX).await?;
    let given: ObjectSet = crate::json::parse(&bytes)?;
    if given.documents.len() > DOCUMENTS_MAX {
        let message = format!("are {}; apply at most {DOCUMENTS_MAX} at once", given.documents.len());
        return Err(Fault::invalid("documents", message).into());
    }
    if let Some(at) = given.documents.iter().position(|document| !is_file_name(&document.file)) {
        let message = "must be a name on one line, of at most 500 bytes";
        return Err(Fault::invalid(&format!("documents[{at}].file"), message).into());
    }
    let control = app.control()?;
    let planner = Planner {
        app: &app,
        identity: &identity,
        tenant: &tenant,
        documents: &given.documents,
        prune: given.prune,
        release: &given.release,
    };
    let plan = match planner.plan(control.declared(&tenant).await?) {
        Ok(plan) => plan,
        Err(wrong) => {
            let told = format!("{} faults in the documents; nothing was changed. {}", wrong.len(), wrong[0]);
            return Ok(refused(&Fault::invalid("documents", told), &wrong));
        }
    };
    planner.allow(&plan)?;
    if !given.dry_run {
        let writes: Vec<_> = plan.steps.iter().map(|step| step.write.clone()).collect();
        if let Err(failed) = control.apply(&tenant, &identity.principal, &writes).await {
            return Ok(failure(failed, &plan, &given.documents));
        }
        for step in &plan.steps {
            told(&app, &identity, &tenant, step).await;
        }
    }
    let detail = json!({ "dry_run": given.dry_run, "prune": given.prune, "counts": counts(&plan) });
    audited(&app, &identity, &tenant, "objects:apply", tenant.as_str(), &detail);
    let counts = counts(&plan);
    let changes = plan.steps.into_iter().map(AppliedChange::from).collect();
    Ok(Json(AppliedObjects { applied: !given.dry_run, changes, counts }).into_response())
}

fn is_file_name(file: &str) -> bool {
    !file.trim().is_empty() && file.len() <= 500 && !file.chars().any(char::is_control)
}

fn counts(plan: &Plan) -> BTreeMap<&'static str, usize> {
    let of = |action: Action| plan.steps.iter().filter(|step| step.action == action).count();
    let mut counts: BTreeMap<_, _> =
        Action::ALL.into_iter().map(|action| (action.as_str(), of(action))).collect();
    counts.insert("unchanged", plan.unchanged);
    counts
}

/// The trail of a change, and whoever is to know of it.
async fn told(app: &SharedApp, identity: &Identity, tenant: &TenantId, step: &Step) {
    let (kind, name) = (step.write.kind, &step.write.name);
    let fields: Vec<&str> =
        step.fields.iter().map(|change| change.field.as_str()).take(AUDITED_FIELDS_MAX).collect();
    let detail = json!({ "file": step.write.file, "fields": fields });
    let action = format!("objects:{}", step.action.as_str());
    audited(app, identity, tenant, &action, &format!("{}/{name}", kind.as_str()), &detail);
    if let DeclaredKind::Object(kind) = kind
        && step.write.changes_content()
    {
        super::announce(app, tenant, kind, name).await;
    }
}

/// A set that control refused.
fn failure(failed: Failed, plan: &Plan, documents: &[Document]) -> Response {
    let step = failed.at.and_then(|at| plan.steps.get(at));
    let fault = Fault::from(failed.error);
    let wrong: Vec<Wrong> = step
        .map(|step| {
            let of = format!("{}/{}: {}", step.write.kind.as_str(), step.write.name, fault.message());
            match step.at.and_then(|at| documents.get(at)) {
                Some(document) => Wrong::new(document, "document", of),
                None => Wrong { file: String::new(), document: 0, field: "prune".to_owned(), message: of },
            }
        })
        .into_iter()
        .collect();
    refused(&fault, &wrong)
}

/// An error of our API that tells everything that is wrong.
fn refused(fault: &Fault, wrong: &[Wrong]) -> Response {
    fault.api_with("faults", json!(wrong.iter().take(FAULTS_MAX).collect::<Vec<_>>()))
}
