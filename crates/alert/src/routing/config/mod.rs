//! `alertmanager.yml`, read as it is.
//!
//! Every key of Alertmanager 0.28 is known. What it checks is checked, with file, line and remedy; a receiver or
//! an option that we lack is refused, never left out in silence; keys of `global` that only such receivers need
//! are listed as unused. Files of the server (`*_file`) are kept as paths where the configuration lies on the
//! server's own disk, and refused where it came by the API, whose user must not read our disk.

mod check; // receivers, with defaults
mod global; // what receivers inherit
mod http; // how requests are made
mod receivers; // settings by kind
mod route; // the tree as written
mod values; // secrets
mod yaml; // values with their lines

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::interval::{TimeInterval, TimeIntervalSpec};
use super::tree::{BadDraft, Known, Routing};

pub use check::{Integration, IntegrationKind, Receiver};
pub use global::Global;
pub use http::{BasicAuth, Credentials, HttpConfig, TlsConfig};
pub use receivers::{
    DiscordConfig, EmailConfig, GoogleChatConfig, MattermostConfig, MsTeamsConfig, MsTeamsV2Config,
    NtfyConfig, PagerdutyConfig, PagerdutyImage, PagerdutyLink, SlackAction, SlackConfig, SlackConfirmation,
    SlackField, SmsConfig, TelegramConfig, WebhookConfig,
};
pub use values::{Secret, SecretSource};

use check::ReceiverYaml;
use global::GlobalYaml;
use route::{InhibitYaml, RouteYaml};
use values::Context;
use yaml::{Flaw, Step};

/// Largest configuration that is read.
const TEXT_BYTES_MAX: usize = 16 << 20;

/// Most receivers, inhibitions, or time intervals.
const ENTRIES_MAX: usize = 10_000;

/// How a configuration is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadOptions {
    /// Whether keys such as `api_url_file` may name files of the server: only for a configuration that its
    /// operator put on its disk.
    pub secret_files: bool,
}

/// A whole configuration, checked.
#[derive(Clone, Debug)]
pub struct AlertmanagerFile {
    /// What receivers inherit; already filled in.
    pub global: Global,
    /// Who can be told.
    pub receivers: Vec<Receiver>,
    /// Routes, inhibitions and time intervals; routes name receivers.
    pub routing: Routing,
    /// Wildcards of files with templates, as written.
    pub templates: Vec<String>,
    /// Keys that are there and have no effect.
    pub unused: Vec<String>,
}

/// What is wrong, where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// The key, such as `receivers[0].slack_configs[1].api_url`; empty for the document itself.
    pub key: String,
    /// What is wrong with it and what would do.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)
    }
}

impl ConfigError {
    /// Something wrong with an integration of a receiver, which are named by their places: the receiver's, the
    /// integration's key (`slack/0`), and the field in it, where it is not the whole.
    pub fn of_integration(
        file: &Path,
        text: &str,
        (receiver, key, field): (usize, &str, &str),
        message: String,
    ) -> Self {
        let (kind, n) = key.split_once('/').unwrap_or((key, "0"));
        let mut path = vec![
            Step::Key("receivers".to_owned()),
            Step::Index(receiver),
            Step::Key(format!("{kind}_configs")),
            Step::Index(n.parse().unwrap_or(0)),
        ];
        let whole = yaml::line_of(text, &path);
        path.extend(field.split('.').filter(|part| !part.is_empty()).map(|part| Step::Key(part.to_owned())));
        // What is inherited from `global` has no line of its own here.
        let line = yaml::line_of(text, &path).or(whole);
        Self { file: file.into(), line, key: yaml::path_text(&path), message }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct FileYaml {
    global: Option<GlobalYaml>,
    route: Option<RouteYaml>,
    receivers: Option<Vec<ReceiverYaml>>,
    inhibit_rules: Option<Vec<InhibitYaml>>,
    templates: Option<Vec<String>>,
    mute_time_intervals: Option<Vec<IntervalYaml>>,
    time_intervals: Option<Vec<IntervalYaml>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct IntervalYaml {
    name: String,
    time_intervals: Option<Vec<TimeIntervalSpec>>,
}

impl AlertmanagerFile {
    /// Reads a configuration; `file` stands in messages. Asks no disk.
    pub fn parse(text: &str, file: &Path, options: LoadOptions) -> Result<Self, ConfigError> {
        let error = |line, path: &[Step], message| ConfigError {
            file: file.into(),
            line,
            key: yaml::path_text(path),
            message,
        };
        if text.len() > TEXT_BYTES_MAX {
            return Err(error(
                None,
                &[],
                format!("has {} bytes; at most {TEXT_BYTES_MAX} are read", text.len()),
            ));
        }
        let blank = text.lines().all(|line| matches!(line.trim().as_bytes().first(), None | Some(b'#')));
        let read = if blank {
            FileYaml::default()
        } else {
            yaml::read(text).map_err(|e| error(e.line, &e.path, e.message))?
        };
        Self::check(read, Context { secret_files: options.secret_files }).map_err(|flaw| {
            let path = flaw.path();
            error(yaml::line_of(text, &path).filter(|_| !blank), &path, flaw.message)
        })
    }

    /// The receiver of this name.
    pub fn receiver(&self, name: &str) -> Option<&Receiver> {
        self.receivers.iter().find(|receiver| receiver.name == name)
    }

    fn check(yaml: FileYaml, context: Context) -> Result<Self, Flaw> {
        let global = yaml.global.unwrap_or_default();
        let unused = global.unused().into_iter().map(|key| format!("global.{key}")).collect();
        let global = global.check(context).map_err(|flaw| flaw.under("global"))?;
        let mut receivers: BTreeMap<String, usize> = BTreeMap::new();
        let mut checked = Vec::new();
        for (i, receiver) in bounded("receivers", yaml.receivers)?.into_iter().enumerate() {
            let receiver = receiver.check(context, &global).map_err(|flaw| flaw.nth(i).under("receivers"))?;
            if receivers.insert(receiver.name.clone(), i).is_some() {
                let message = format!("{:?} is there twice; give each receiver its own name", receiver.name);
                return Err(Flaw::at("name", message).nth(i).under("receivers"));
            }
            checked.push(receiver);
        }
        let mut intervals = BTreeMap::new();
        let lists =
            [("mute_time_intervals", yaml.mute_time_intervals), ("time_intervals", yaml.time_intervals)];
        for (key, list) in lists {
            for (i, interval) in bounded(key, list)?.into_iter().enumerate() {
                let named = interval.check(&intervals).map_err(|flaw| flaw.nth(i).under(key))?;
                intervals.insert(named.0, named.1);
            }
        }
        let mut inhibitions = Vec::new();
        for (i, rule) in bounded("inhibit_rules", yaml.inhibit_rules)?.into_iter().enumerate() {
            inhibitions.push(rule.check().map_err(|flaw| flaw.nth(i).under("inhibit_rules"))?);
        }
        let route = yaml.route.ok_or_else(|| {
            Flaw::here("route is missing; write one with a receiver, which gets what no other route takes")
        })?;
        let draft = route.root().map_err(|flaw| flaw.under("route"))?;
        let known = Known {
            receivers: &|name| receivers.contains_key(name),
            receiver_remedy: "add it under receivers or mend the name",
            escalations: &|_| false,
        };
        let routing = Routing::build(draft, inhibitions, intervals, &known).map_err(flaw_of)?;
        let templates = bounded("templates", yaml.templates)?;
        Ok(Self { global, receivers: checked, routing, templates, unused })
    }
}

impl IntervalYaml {
    fn check(self, taken: &BTreeMap<String, Vec<TimeInterval>>) -> Result<(String, Vec<TimeInterval>), Flaw> {
        if self.name.is_empty() {
            return Err(Flaw::at("name", "is missing; an interval is named by routes"));
        }
        if taken.contains_key(&self.name) {
            return Err(Flaw::at(
                "name",
                format!("{:?} is there twice; give each interval its own", self.name),
            ));
        }
        let mut checked = Vec::new();
        for (i, spec) in bounded("time_intervals", self.time_intervals)?.into_iter().enumerate() {
            checked.push(
                TimeInterval::new(&spec)
                    .map_err(|e| Flaw::at(e.field, e.reason).nth(i).under("time_intervals"))?,
            );
        }
        Ok((self.name, checked))
    }
}

fn bounded<T>(key: &str, list: Option<Vec<T>>) -> Result<Vec<T>, Flaw> {
    let list = list.unwrap_or_default();
    if list.len() > ENTRIES_MAX {
        return Err(Flaw::at(key, format!("{} entries; at most {ENTRIES_MAX} are read", list.len())));
    }
    Ok(list)
}

fn flaw_of(bad: BadDraft) -> Flaw {
    // A route of a file has one receiver, so its place in the list says nothing.
    let index = bad.index.filter(|_| bad.key != "receiver");
    let mut flaw = Flaw::here(bad.message);
    if let Some(index) = index {
        flaw = flaw.nth(index);
    }
    flaw = flaw.under(bad.key);
    for route in bad.route.iter().rev() {
        flaw = flaw.nth(*route).under("routes");
    }
    flaw.under("route")
}

#[cfg(test)]
mod tests;
