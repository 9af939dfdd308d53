//! `prometheus.yml`, read as it is.
//!
//! Every key of Prometheus 3 is known: what we use is checked, sections that only Prometheus needs are listed
//! as unused, a job whose discovery we lack is listed as unsupported, and a key nobody knows is an error that
//! names file, line and key.

mod http; // how a request is made
mod job; // one checked job
mod values; // durations, sizes, secrets
mod yaml; // the sections as written

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use model::Labels;

pub use http::{
    Auth, HeaderValues, HttpConfig, OAuth2Config, ProxyConfig, SecretSource, TlsConfig, TlsVersion,
};
pub use job::{DiscoveryConfig, DnsKind, HistogramConfig, JobConfig, Limits, TargetGroup};
pub use values::{ByteSize, InvalidValue, NameEscaping, NameScheme, Period, ScrapeProtocol, Secret};

pub(super) use job::check_address;
pub(super) use values::{TextVisitor, short};
pub(super) use yaml::StaticYaml;

use yaml::{FileYaml, GlobalYaml, ScrapeYaml};

/// Largest configuration file that is read.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// Files that `scrape_config_files` may name in all.
const FILES_MAX: usize = 4096;

/// A whole configuration, checked.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ScrapeConfig {
    /// The jobs that can run.
    pub jobs: Vec<JobConfig>,
    /// The jobs that cannot, and why.
    pub unsupported: Vec<UnsupportedJob>,
    /// Sections and keys that are there and have no effect, such as `rule_files`.
    pub unused: Vec<String>,
    /// Labels for what leaves this server (`/federate`).
    pub external_labels: Labels,
}

/// A job that cannot run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedJob {
    /// Its name.
    pub name: String,
    /// What it asks for and what to do instead.
    pub reason: String,
}

/// What is wrong, where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1, where it is known.
    pub line: Option<usize>,
    /// Names the key and the remedy.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl ScrapeConfig {
    /// Reads a file and those that it names. Blocks on the disk. `env` answers `${NAME}` in external labels.
    pub fn load(file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let text = read(file)?;
        Self::parse(&text, file, env)
    }

    /// The same from a text; `file` stands in messages, and relative paths start at its folder.
    pub fn parse(text: &str, file: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let folder = file.parent().unwrap_or(Path::new(""));
        let yaml: FileYaml = from_yaml(text, file)?;
        let global = yaml.global.clone().unwrap_or_default();
        let mut config = Self {
            unused: yaml.unused().into_iter().chain(global.unused()).map(str::to_owned).collect(),
            external_labels: external_labels(global.external_labels.as_ref(), env),
            ..Self::default()
        };
        check_global(&global, text, file)?;
        config.add(yaml.scrape_configs.unwrap_or_default(), &global, text, file)?;
        for pattern in yaml.scrape_config_files.iter().flatten() {
            for path in expand(&folder.join(pattern)) {
                let text = read(&path)?;
                let more: FileYaml = from_yaml(&text, &path)?;
                config.add(more.scrape_configs.unwrap_or_default(), &global, &text, &path)?;
            }
        }
        Ok(config)
    }

    fn add(
        &mut self,
        jobs: Vec<ScrapeYaml>,
        global: &GlobalYaml,
        text: &str,
        file: &Path,
    ) -> Result<(), ConfigError> {
        let folder = file.parent().unwrap_or(Path::new(""));
        for (i, yaml) in jobs.into_iter().enumerate() {
            let name = yaml.job_name.clone();
            let line = line_of_job(text, &name);
            let error = |message| Err(ConfigError { file: file.into(), line, message });
            let known = self.jobs.iter().map(|job| &job.name);
            if known.chain(self.unsupported.iter().map(|job| &job.name)).any(|known| *known == name) {
                let name = short(&name);
                return error(format!(
                    "scrape_configs[{i}].job_name: {name:?} is taken; give each job its own"
                ));
            }
            if yaml.scrape_failure_log_file.is_some() {
                self.unused.push(format!("scrape_configs[{i}].scrape_failure_log_file"));
            }
            let foreign = yaml.foreign();
            if !foreign.is_empty() {
                self.unsupported.push(UnsupportedJob { name, reason: unsupported(&foreign) });
                continue;
            }
            match job::check(yaml, global, folder) {
                Ok(job) => self.jobs.push(job),
                Err((key, message)) => {
                    let name = short(&name);
                    return error(format!("scrape_configs[{i}].{key}: {message} (job {name:?})"));
                }
            }
        }
        Ok(())
    }
}

fn unsupported(foreign: &[&str]) -> String {
    let keys = foreign.join(", ");
    format!(
        "{keys} is not available; list the targets with static_configs, file_sd_configs, dns_sd_configs or \
         http_sd_configs"
    )
}

fn check_global(global: &GlobalYaml, text: &str, file: &Path) -> Result<(), ConfigError> {
    if let (Some(interval), Some(timeout)) = (global.scrape_interval, global.scrape_timeout)
        && timeout > interval
    {
        let line = text.lines().position(|line| line.trim_start().starts_with("scrape_timeout:"));
        let message = format!(
            "global.scrape_timeout: {timeout} is longer than the interval of {interval}; make it at most that"
        );
        return Err(ConfigError { file: file.into(), line: line.map(|n| n + 1), message });
    }
    Ok(())
}

/// `$NAME` and `${NAME}` are taken from the environment and `$$` is a dollar; what is not set is empty.
fn external_labels(
    labels: Option<&BTreeMap<String, String>>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Labels {
    let mut builder = Labels::empty().to_builder();
    for (name, value) in labels.into_iter().flatten() {
        builder.set(name, &expand_env(value, env));
    }
    builder.build()
}

fn expand_env(text: &str, env: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if let Some((name, tail)) = after.strip_prefix('{').and_then(|braced| braced.split_once('}')) {
            out.push_str(&env(name).unwrap_or_default());
            rest = tail;
        } else if let Some(tail) = after.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else {
            let end = after.find(|c| !word(c)).unwrap_or(after.len());
            if end == 0 {
                out.push('$');
            }
            out.push_str(&env(&after[..end]).filter(|_| end > 0).unwrap_or_default());
            rest = &after[end..];
        }
    }
    out.push_str(rest);
    out
}

fn read(file: &Path) -> Result<String, ConfigError> {
    let error = |message| ConfigError { file: file.into(), line: None, message };
    let size = fs::metadata(file).map_err(|e| error(format!("cannot be read: {e}")))?.len();
    if size > FILE_BYTES_MAX {
        return Err(error(format!("has {size} bytes; at most {FILE_BYTES_MAX} are read")));
    }
    fs::read_to_string(file).map_err(|e| error(format!("cannot be read: {e}")))
}

fn from_yaml(text: &str, file: &Path) -> Result<FileYaml, ConfigError> {
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(FileYaml::default());
    }
    serde_yaml_ng::from_str(text).map_err(|e| {
        let line = e.location().map(|at| at.line());
        let message = e.to_string();
        // The place is told once, in front.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
        ConfigError { file: file.into(), line, message: message.into() }
    })
}

/// The line that names a job, for errors found after parsing.
fn line_of_job(text: &str, name: &str) -> Option<usize> {
    let found = text.lines().position(|line| {
        let line = line.trim_start().trim_start_matches("- ").trim_start();
        let value = line.strip_prefix("job_name:").map(|value| value.split(" #").next().unwrap_or(value));
        value.is_some_and(|value| value.trim().trim_matches(['"', '\'']) == name)
    });
    found.map(|line| line + 1)
}

/// The files that a path with wildcards in its last part stands for, sorted; the path itself without any.
pub fn expand(path: &Path) -> Vec<PathBuf> {
    let Some(pattern) = path.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    if !pattern.contains(['*', '?', '[']) {
        return vec![path.into()];
    }
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut files: Vec<PathBuf> =
        names.filter(|name| matches(pattern, name)).take(FILES_MAX).map(|name| folder.join(name)).collect();
    files.sort_unstable();
    files
}

/// Shell wildcards: `*`, `?`, `[a-z]` and `[^a-z]`. The regex engine matches in linear time, so a hostile
/// pattern cannot hold us up.
fn matches(pattern: &str, name: &str) -> bool {
    let mut expression = String::from("^(?s:");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => expression.push_str(".*"),
            '?' => expression.push('.'),
            '[' => {
                // A class that is never closed matches nothing.
                if !rest.as_str().contains(']') {
                    return false;
                }
                let class: String = rest.by_ref().take_while(|c| *c != ']').collect();
                expression.push('[');
                expression.push_str(&class.replace('\\', "\\\\").replace('[', "\\["));
                expression.push(']');
            }
            other => expression.push_str(&regex::escape(&other.to_string())),
        }
    }
    expression.push_str(")$");
    regex::Regex::new(&expression).is_ok_and(|regex| regex.is_match(name))
}

#[cfg(test)]
mod tests;
