//! Files of Prometheus and Alertmanager, read as they are: those that the configuration names, for one tenant, and those
//! that tenants saved.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alert::engine::Group;
use alert::notify::{ChannelSpec, Origin, channels};
use alert::prom::{Names, RuleFile, Server, expression, parse};
use alert::routing::{AlertmanagerFile, LoadOptions};
use alert::template::Templates;
use control::ObjectKind;
use kit::config::settings::Alerting;
use model::TenantId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::setup::{all, external_url};
use crate::app::{App, SharedApp};
use crate::error::Fault;

/// Bytes of one file.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Problems of one file that are told.
const PROBLEMS_MAX: usize = 10;
/// Template files of one `alertmanager.yml`.
const TEMPLATES_MAX: usize = 100;

/// A saved rule file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedRules {
    /// The YAML as it was written.
    pub(super) text: String,
}

/// A saved `alertmanager.yml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedAlertmanager {
    /// The YAML as it was written.
    pub(super) text: String,
    /// Its template files by name.
    #[serde(default)]
    pub(super) templates: BTreeMap<String, String>,
}

/// What the configuration names.
pub(crate) struct Files {
    tenant: String,
    rules: Vec<(String, RuleFile)>,
    alertmanager: Option<Arc<Alertmanager>>,
    /// The settings that they were read by.
    settings: Alerting,
}

/// An `alertmanager.yml` with its receivers as channels.
pub(crate) struct Alertmanager {
    pub(super) text: String,
    pub(super) file: AlertmanagerFile,
    pub(super) receivers: BTreeMap<String, Vec<(String, Arc<ChannelSpec>)>>,
}

/// Reads the text of a rule file; the fault names every problem with line and column.
pub(super) fn read_rules(name: &str, text: &str) -> Result<RuleFile, Fault> {
    let parsed = parse(name, text, Names::Utf8, &expression).map_err(|errors| {
        let mut lines: Vec<String> = errors.iter().take(PROBLEMS_MAX).map(ToString::to_string).collect();
        if errors.len() > PROBLEMS_MAX {
            lines.push(format!("and {} more", errors.len() - PROBLEMS_MAX));
        }
        Fault::invalid("", lines.join("\n"))
    })?;
    for warning in &parsed.warnings {
        tracing::warn!(file = name, ?warning, "a rule file says something that is hardly meant");
    }
    Ok(parsed.rules)
}

/// Reads the text of an `alertmanager.yml` that came by the API.
pub(super) fn read_saved(name: &str, saved: &SavedAlertmanager) -> Result<Alertmanager, Fault> {
    let mut templates = Templates::with_defaults();
    if saved.templates.len() > TEMPLATES_MAX {
        return Err(Fault::invalid("templates", format!("holds more than {TEMPLATES_MAX} files: join some")));
    }
    for (file, text) in &saved.templates {
        let wrong = |error: alert::template::TemplateError| Fault::invalid("templates", error.to_string());
        templates.add(file, text).map_err(wrong)?;
    }
    let none = |_: &Path| Err("files of the server are not for this".to_owned());
    let options = LoadOptions { secret_files: false };
    read_alertmanager(Path::new(name), &saved.text, templates, options, &none)
}

fn read_alertmanager(
    path: &Path,
    text: &str,
    templates: Templates,
    options: LoadOptions,
    read: &dyn Fn(&Path) -> Result<String, String>,
) -> Result<Alertmanager, Fault> {
    let wrong = |error: alert::routing::ConfigError| Fault::invalid("", error.to_string());
    let file = AlertmanagerFile::parse(text, path, options).map_err(wrong)?;
    if !file.unused.is_empty() {
        let unused = file.unused.join(", ");
        tracing::warn!(file = %path.display(), unused, "keys of an alertmanager.yml have no effect");
    }
    let origin = Origin { file: path, text, templates, own_relay: options.secret_files, read };
    let receivers = channels(&file, &origin).map_err(wrong)?;
    Ok(Alertmanager { text: text.to_owned(), file, receivers })
}

/// A file of the disk, bounded.
fn read_file(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("has {size} bytes: at most {FILE_BYTES_MAX} are read, split it"));
    }
    std::fs::read_to_string(path).map_err(|error| error.to_string())
}

/// A path as it stands in a file of this folder.
fn beside(folder: &Path, path: &str) -> PathBuf {
    folder.join(path)
}

impl Files {
    /// Reads everything that the settings name. Blocks.
    fn read(settings: Alerting) -> Result<Self, Fault> {
        let said = |key: &str, path: &Path, error: String| {
            Fault::invalid(&format!("alerting.{key}"), format!("{}: {error}", path.display()))
        };
        let mut rules = Vec::new();
        for pattern in &settings.rule_files {
            let found = probe::scrape::config::expand(Path::new(pattern));
            if found.is_empty() {
                tracing::warn!(pattern, "no rule file has this name");
            }
            for path in found {
                let text = read_file(&path).map_err(|error| said("rule_files", &path, error))?;
                let name = path.display().to_string();
                let read = read_rules(&name, &text);
                let read = read.map_err(|fault| Fault::invalid("alerting.rule_files", fault.message()))?;
                rules.push((name, read));
            }
        }
        let mut alertmanager = None;
        if !settings.alertmanager_file.is_empty() {
            let path = Path::new(&settings.alertmanager_file);
            let key = "alertmanager_file";
            let text = read_file(path).map_err(|error| said(key, path, error))?;
            let folder = path.parent().unwrap_or(Path::new("")).to_owned();
            // The file is read for its template files first; what is wrong with it is told the second time.
            let options = LoadOptions { secret_files: true };
            let named = AlertmanagerFile::parse(&text, path, options).map(|file| file.templates);
            let mut templates = Templates::with_defaults();
            for pattern in named.unwrap_or_default() {
                for file in probe::scrape::config::expand(&beside(&folder, &pattern)) {
                    let text = read_file(&file).map_err(|error| said(key, &file, error))?;
                    let added = templates.add(&file.display().to_string(), &text);
                    added.map_err(|error| said(key, &file, error.to_string()))?;
                }
            }
            let read = |path: &Path| read_file(&folder.join(path));
            let made = read_alertmanager(path, &text, templates, options, &read);
            let made = made.map_err(|fault| Fault::invalid(&format!("alerting.{key}"), fault.message()))?;
            alertmanager = Some(Arc::new(made));
        }
        Ok(Self { tenant: settings.tenant.clone(), rules, alertmanager, settings })
    }

    fn is_of(&self, tenant: &TenantId) -> bool {
        self.tenant == tenant.as_str()
    }
}

/// What templates of rules see of this server.
fn server(app: &App, external_url: String) -> Server {
    let mut external_labels = alert::Labels::new();
    if let Value::Object(members) = &app.settings().alerting.external_labels {
        for (name, value) in members {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            external_labels.insert(name.clone(), text);
        }
    }
    Server { external_labels, external_url }
}

/// The groups of rules of a tenant, those of the configuration first; at most `rules_max` rules.
pub(super) async fn groups(
    app: &SharedApp,
    tenant: &TenantId,
    rules_max: usize,
) -> Result<Vec<Group>, Fault> {
    let mut files: Vec<(String, RuleFile)> = Vec::new();
    if let Some(loaded) = app.response().files().filter(|files| files.is_of(tenant)) {
        files.extend(loaded.rules.iter().cloned());
    }
    for (name, saved) in all::<SavedRules>(app, tenant, ObjectKind::RuleFile).await? {
        match read_rules(&name, &saved.text) {
            Ok(read) => files.push((name, read)),
            Err(fault) => {
                tracing::warn!(%tenant, file = name, reason = fault.message(), "a rule file is not evaluated");
            }
        }
    }
    let (server, interval) = (server(app, external_url(app)), app.settings().alerting.evaluation_interval);
    let (mut groups, mut rules) = (Vec::new(), 0);
    for (name, file) in &files {
        for group in &file.groups {
            rules += group.rules.len();
            if rules > rules_max {
                tracing::warn!(%tenant, "there are more than {rules_max} rules: the rest is not evaluated");
                return Ok(groups);
            }
            match Group::of(group, name, interval, &server) {
                Ok(group) => groups.push(group),
                Err(error) => {
                    tracing::warn!(%tenant, file = name, group = group.name, %error, "a group is not evaluated");
                }
            }
        }
    }
    Ok(groups)
}

/// The `alertmanager.yml` of a tenant: the configuration's, else the saved one.
pub(super) async fn alertmanager(
    app: &SharedApp,
    tenant: &TenantId,
) -> Result<Option<Arc<Alertmanager>>, Fault> {
    if let Some(loaded) = app.response().files().filter(|files| files.is_of(tenant))
        && let Some(file) = &loaded.alertmanager
    {
        return Ok(Some(Arc::clone(file)));
    }
    let saved = all::<SavedAlertmanager>(app, tenant, ObjectKind::Alertmanager).await?;
    for (name, saved) in saved {
        match read_saved(&name, &saved) {
            Ok(read) => return Ok(Some(Arc::new(read))),
            Err(fault) => {
                tracing::warn!(%tenant, file = name, reason = fault.message(), "an alertmanager.yml does not read");
            }
        }
    }
    Ok(None)
}

/// Whether a tenant has files or saved objects that make alerts, people who are called without any, or alerts that go on.
pub(super) async fn has_work(app: &SharedApp, tenant: &TenantId) -> Result<bool, Fault> {
    if app.response().files().is_some_and(|files| files.is_of(tenant) && !files.rules.is_empty()) {
        return Ok(true);
    }
    let control = app.control()?;
    for kind in super::run::KEPT_BUSY_BY {
        if !control.objects(tenant, kind, None, 1).await?.items.is_empty() {
            return Ok(true);
        }
    }
    let tables = alert::tables::Tables::new(control.scope(tenant).await?);
    Ok(tables.has_open_groups().await?)
}

impl App {
    /// Reads the files of Prometheus and Alertmanager anew, if the configuration names any. After a fault those that were
    /// read before stay.
    pub(crate) async fn load_alerting_files(&self) -> Result<(), Fault> {
        let settings = self.settings().alerting.clone();
        let read = move || Files::read(settings);
        let read = kit::spawn::spawn_blocking("read alerting files", read).await;
        let read = read.map_err(|_| {
            Fault::Internal("the alerting files could not be read; the log has the reason".into())
        })?;
        self.response().files_read(read)
    }

    /// Whether the settings name other files than those that were read.
    pub(super) fn alerting_files_are_others(&self) -> bool {
        let settings = &self.settings().alerting;
        self.response().files().is_none_or(|files| files.settings != *settings)
    }
}
