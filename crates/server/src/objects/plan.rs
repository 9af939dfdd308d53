//! What a set of documents would change: every document is read and checked, and all that is wrong with them is
//! told at once.

use std::collections::{BTreeMap, BTreeSet};

use control::{Declared, DeclaredKind, Permission, Write};
use model::TenantId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::diff::{Change, Side, diff};
use super::secrets;
use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::limits::TenantLimits;
use crate::tenants_api::{GivenRole, check_settings};

/// A document of a file.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    /// The file, as whoever applies it names it.
    pub(super) file: String,
    /// Its place in the file, from 1 on.
    pub(super) document: u64,
    /// `kind`, `name` and `spec`.
    pub(super) content: Value,
}

/// What is wrong with a document.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(rename = "DocumentFault")]
pub(super) struct Wrong {
    pub(super) file: String,
    pub(super) document: u64,
    pub(super) field: String,
    pub(super) message: String,
}

impl Wrong {
    pub(super) fn new(document: &Document, field: &str, message: impl Into<String>) -> Self {
        let (file, field) = (document.file.clone(), field.to_owned());
        Self { file, document: document.document, field, message: message.into() }
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { file, document, field, message } = self;
        write!(f, "{file}, document {document}: {field}: {message}")
    }
}

/// What happens to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AppliedAction")]
pub(super) enum Action {
    Create,
    Change,
    /// A file owns it from now on, or another one than before; the content stays.
    Adopt,
    /// No file owns it any more; the content stays.
    Release,
    Delete,
}

impl Action {
    pub(super) const ALL: [Self; 5] = [Self::Create, Self::Change, Self::Adopt, Self::Release, Self::Delete];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Change => "change",
            Self::Adopt => "adopt",
            Self::Release => "release",
            Self::Delete => "delete",
        }
    }
}

/// One change, with what is told of it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) write: Write,
    pub(super) fields: Vec<Change>,
    /// Fields that change beyond those.
    pub(super) more: usize,
    /// The document that asks for it, by its place in the set.
    pub(super) at: Option<usize>,
}

/// Everything that changes, and how much stays.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) unchanged: usize,
}

/// Kinds that the caller may see: others are neither exported nor pruned.
pub(super) fn may_see(identity: &Identity, kind: DeclaredKind) -> bool {
    identity.principal.may(match kind {
        DeclaredKind::Object(_) => Permission::ObjectsRead,
        DeclaredKind::Role => Permission::MembersRead,
        DeclaredKind::Limits | DeclaredKind::Settings => Permission::SettingsRead,
    })
}

/// What changing one of the kind needs, beside what the route needs.
fn needed(kind: DeclaredKind) -> Permission {
    match kind {
        DeclaredKind::Object(_) => Permission::ObjectsWrite,
        DeclaredKind::Role => Permission::MembersManage,
        DeclaredKind::Limits => Permission::PlatformManage,
        DeclaredKind::Settings => Permission::SettingsManage,
    }
}

/// A document that was read.
struct Wanted {
    at: usize,
    kind: DeclaredKind,
    name: String,
    spec: Value,
}

/// A planner of one set.
pub(super) struct Planner<'a> {
    pub(super) app: &'a SharedApp,
    pub(super) identity: &'a Identity,
    pub(super) tenant: &'a TenantId,
    pub(super) documents: &'a [Document],
    /// Delete what files own and no document names.
    pub(super) prune: bool,
    /// `kind/name` of what no file is to own any more.
    pub(super) release: &'a [String],
}

impl Planner<'_> {
    /// The plan against what there is now, or everything that is wrong.
    pub(super) fn plan(&self, now: Vec<Declared>) -> Result<Plan, Vec<Wrong>> {
        let mut now: BTreeMap<(DeclaredKind, String), Declared> =
            now.into_iter().map(|found| ((found.kind, found.name.clone()), found)).collect();
        let (mut wrong, mut steps, mut unchanged) = (Vec::new(), Vec::new(), 0);
        let mut seen: BTreeMap<(DeclaredKind, String), usize> = BTreeMap::new();
        for (at, document) in self.documents.iter().enumerate() {
            let wanted = match self.read(at, document) {
                Ok(wanted) => wanted,
                Err(mut faults) => {
                    wrong.append(&mut faults);
                    continue;
                }
            };
            let key = (wanted.kind, wanted.name.clone());
            if let Some(first) = seen.insert(key.clone(), at) {
                let first = &self.documents[first];
                let message = format!(
                    "{} {:?} is in {}, document {}, too: keep one of them",
                    wanted.kind.as_str(),
                    wanted.name,
                    first.file,
                    first.document
                );
                wrong.push(Wrong::new(document, "name", message));
                continue;
            }
            match self.step(wanted, now.remove(&key)) {
                Ok(Some(step)) => steps.push(step),
                Ok(None) => unchanged += 1,
                Err(fault) => wrong.push(fault),
            }
        }
        self.release(&mut now, &seen, &mut steps, &mut wrong);
        if self.prune {
            let owned = now.into_values().filter(|found| found.file.is_some());
            steps.extend(owned.filter(|found| may_see(self.identity, found.kind)).map(removal));
        }
        if wrong.is_empty() { Ok(Plan { steps, unchanged }) } else { Err(wrong) }
    }

    /// Refuses a plan that takes more than the caller may.
    pub(super) fn allow(&self, plan: &Plan) -> Result<(), Fault> {
        let needed: BTreeSet<Permission> = plan.steps.iter().map(|step| needed(step.write.kind)).collect();
        needed.into_iter().try_for_each(|permission| self.identity.need(permission))
    }

    fn read(&self, at: usize, document: &Document) -> Result<Wanted, Vec<Wrong>> {
        let Value::Object(content) = &document.content else {
            return Err(vec![Wrong::new(document, "document", "must be a mapping of kind, name and spec")]);
        };
        let mut wrong = Vec::new();
        let unknown = content.keys().filter(|name| !matches!(name.as_str(), "kind" | "name" | "spec"));
        for name in unknown {
            let name: String = name.chars().take(80).collect();
            wrong.push(Wrong::new(document, &name, "is no field of a document: write kind, name and spec"));
        }
        let text = |field: &str| content.get(field).and_then(Value::as_str);
        let kind = text("kind").and_then(DeclaredKind::parse).filter(|kind| may_see(self.identity, *kind));
        if kind.is_none() {
            let known: Vec<&str> = DeclaredKind::all()
                .filter(|kind| may_see(self.identity, *kind))
                .map(DeclaredKind::as_str)
                .collect();
            let shown = content.get("kind").map_or("nothing".to_owned(), brief);
            let message = format!("{shown} is no kind: write one of {}", known.join(", "));
            wrong.push(Wrong::new(document, "kind", message));
        }
        let name = text("name");
        if name.is_none() {
            let shown = content.get("name").map_or("nothing".to_owned(), brief);
            wrong.push(Wrong::new(document, "name", format!("{shown} is no name: write a text")));
        }
        let spec = content.get("spec").filter(|spec| spec.is_object());
        if spec.is_none() {
            let shown = content.get("spec").map_or("nothing".to_owned(), brief);
            let message = format!("{shown} is no specification: write a mapping");
            wrong.push(Wrong::new(document, "spec", message));
        }
        match (kind, name, spec) {
            (Some(kind), Some(name), Some(spec)) if wrong.is_empty() => {
                Ok(Wanted { at, kind, name: name.to_owned(), spec: spec.clone() })
            }
            _ => Err(wrong),
        }
    }

    /// What a document changes.
    fn step(&self, wanted: Wanted, before: Option<Declared>) -> Result<Option<Step>, Wrong> {
        let Wanted { at, kind, name, mut spec } = wanted;
        let document = &self.documents[at];
        self.check(kind, &name, &mut spec, before.as_ref()).map_err(|fault| match fault {
            Fault::Invalid { field, message } => Wrong::new(document, &in_document(kind, &field), message),
            other => Wrong::new(document, "spec", other.message()),
        })?;
        let action = match &before {
            None => Action::Create,
            Some(before) if before.spec != spec => Action::Change,
            Some(before) if before.file.as_deref() != Some(document.file.as_str()) => Action::Adopt,
            Some(_) => return Ok(None),
        };
        let (mut fields, mut more) = (Vec::new(), 0);
        if let Some(before) = &before {
            let (old, new) = (masked(kind, &before.spec), masked(kind, &spec));
            (fields, more) =
                diff(Side { real: &before.spec, masked: &old }, Side { real: &spec, masked: &new });
            let file = Some(document.file.as_str());
            if before.file.as_deref() != file {
                let text = |file: Option<&str>| file.map(Value::from);
                fields.push(Change {
                    field: "file".to_owned(),
                    old: text(before.file.as_deref()),
                    new: text(file),
                });
            }
        }
        let write = Write { kind, name, before, after: Some(spec), file: Some(document.file.clone()) };
        Ok(Some(Step { action, write, fields, more, at: Some(at) }))
    }

    /// Checks a content, gives it its one spelling and puts secrets back into it.
    fn check(
        &self,
        kind: DeclaredKind,
        name: &str,
        spec: &mut Value,
        before: Option<&Declared>,
    ) -> Result<(), Fault> {
        match kind {
            DeclaredKind::Object(of) => {
                secrets::restore(of, spec, before.map(|before| &before.spec))?;
                kind.check(name, spec)?;
                super::check(self.app, self.tenant, of, name, spec)
            }
            DeclaredKind::Role => {
                let given: GivenRole = crate::json::parse(spec.to_string().as_bytes())?;
                *spec = given.spec()?.to_value();
                Ok(kind.check(name, spec)?)
            }
            DeclaredKind::Limits => {
                kind.check(name, spec)?;
                TenantLimits::parse(spec).map(drop)
            }
            DeclaredKind::Settings => {
                kind.check(name, spec)?;
                check_settings(spec)
            }
        }
    }

    fn release(
        &self,
        now: &mut BTreeMap<(DeclaredKind, String), Declared>,
        seen: &BTreeMap<(DeclaredKind, String), usize>,
        steps: &mut Vec<Step>,
        wrong: &mut Vec<Wrong>,
    ) {
        for named in self.release {
            let key = named
                .split_once('/')
                .and_then(|(kind, name)| Some((DeclaredKind::parse(kind)?, name.to_owned())));
            let shown: String = named.chars().take(200).collect();
            let refused = |message: String| Wrong {
                file: String::new(),
                document: 0,
                field: "release".to_owned(),
                message,
            };
            let Some(key) = key.filter(|key| may_see(self.identity, key.0)) else {
                wrong.push(refused(format!("{shown:?} is no KIND/NAME")));
                continue;
            };
            if seen.contains_key(&key) {
                wrong.push(refused(format!("{shown:?} is in the files, too: take it out of them")));
                continue;
            }
            match now.remove(&key) {
                Some(before) if before.file.is_some() => {
                    let fields = vec![Change {
                        field: "file".to_owned(),
                        old: before.file.clone().map(Value::from),
                        new: None,
                    }];
                    let write = Write {
                        kind: before.kind,
                        name: before.name.clone(),
                        after: Some(before.spec.clone()),
                        before: Some(before),
                        file: None,
                    };
                    steps.push(Step { action: Action::Release, write, fields, more: 0, at: None });
                }
                _ => wrong.push(refused(format!("{shown:?} belongs to no file"))),
            }
        }
    }
}

/// A field of a fault as a document has it: limits and settings are named by their kind elsewhere, a document holds
/// them as its `spec`.
fn in_document(kind: DeclaredKind, field: &str) -> String {
    let own = match kind {
        DeclaredKind::Limits | DeclaredKind::Settings => kind.as_str(),
        DeclaredKind::Object(_) | DeclaredKind::Role => "spec",
    };
    let is_part = |of: &str| field.strip_prefix(of).is_some_and(|rest| rest.starts_with(['.', '[']));
    match field {
        "" | "." => "spec".to_owned(),
        "name" | "spec" => field.to_owned(),
        _ if field == own => "spec".to_owned(),
        _ if is_part("spec") => field.to_owned(),
        _ if is_part(own) => format!("spec{}", &field[own.len()..]),
        _ => format!("spec.{field}"),
    }
}

fn removal(before: Declared) -> Step {
    let write =
        Write { kind: before.kind, name: before.name.clone(), before: Some(before), after: None, file: None };
    Step { action: Action::Delete, write, fields: Vec::new(), more: 0, at: None }
}

/// A content as it may be shown.
pub(super) fn masked(kind: DeclaredKind, spec: &Value) -> Value {
    let mut spec = spec.clone();
    if let DeclaredKind::Object(kind) = kind {
        secrets::mask(kind, &mut spec);
    }
    spec
}

/// A value in a message.
fn brief(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}
