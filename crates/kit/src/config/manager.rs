//! Loads the configuration, keeps it live, and keeps the old one when a new one is bad.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use parking_lot::Mutex;
use serde_json::Value;

use super::live::{Live, LiveSource};
use super::option::Row;
use super::problem::{ConfigError, Origin, Problem, ValidationResult};
use super::read::{self, Content, Entry, Node};
use super::resolve::{Resolved, canonical, resolve};
use super::settings::Settings;
use crate::clock::SharedClock;
use crate::facade::Service;
use crate::shutdown::Shutdown;
use crate::status::HealthStatus;
use crate::supervisor::BoxError;

/// How often files are looked at.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

const EXTENSIONS: [&str; 3] = ["toml", "yaml", "yml"];

/// Where the product runs; each has its own overlay of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine.
    Development,
    /// A test run.
    Testing,
    /// A rehearsal.
    Staging,
    /// The real thing.
    Production,
}

impl Environment {
    /// The spelling in file names.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Testing => "testing",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }

    /// Reads the spelling.
    pub fn parse(name: &str) -> Result<Self, ConfigError> {
        [Self::Development, Self::Testing, Self::Staging, Self::Production]
            .into_iter()
            .find(|environment| environment.as_str() == name)
            .ok_or_else(|| ConfigError::UnknownEnvironment(name.chars().take(80).collect()))
    }
}

/// Where settings are looked for.
#[derive(Clone, Default)]
pub struct ConfigSources {
    /// The file, if one was named; it must exist. Otherwise `bellwether.toml`, `.yaml` or `.yml` in
    /// `folder`, if there is one.
    pub file: Option<PathBuf>,
    /// Where to look when no file was named; empty is the current folder.
    pub folder: PathBuf,
    /// Environment variables by name. Those that begin with `BELLWETHER_` set options; all serve `${VAR}`.
    pub env: HashMap<String, String>,
    /// Each `key=value`.
    pub flags: Vec<String>,
}

impl fmt::Debug for ConfigSources {
    // The environment is full of secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigSources")
            .field("file", &self.file)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl ConfigSources {
    /// The current folder and this process's environment, with the given file and flags.
    pub fn of_process(file: Option<PathBuf>, flags: Vec<String>) -> Self {
        let env = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { file, folder: PathBuf::new(), env, flags }
    }

    /// Files that may hold settings, the weakest first, whether or not they exist.
    fn candidates(&self, environment: Environment) -> [Vec<PathBuf>; 2] {
        let base = match &self.file {
            Some(file) => vec![file.clone()],
            None => EXTENSIONS.map(|ext| self.folder.join(format!("bellwether.{ext}"))).to_vec(),
        };
        let stem = base[0].with_extension("");
        let overlay = EXTENSIONS.map(|ext| {
            let mut name = stem.clone().into_os_string();
            name.push(format!(".{}.{ext}", environment.as_str()));
            PathBuf::from(name)
        });
        [base, overlay.to_vec()]
    }
}

/// An option whose value changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Dotted key.
    pub key: &'static str,
    /// Value before, secrets masked.
    pub from: String,
    /// Value after, secrets masked.
    pub to: String,
}

/// What a reload did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reloaded {
    /// In effect now.
    pub applied: Vec<Change>,
    /// In effect after a restart; the running value stays until then.
    pub needs_restart: Vec<Change>,
}

type Watcher = Arc<dyn Fn(&Arc<Settings>) + Send + Sync>;
type Stamps = Vec<(PathBuf, Option<(SystemTime, u64)>)>;

/// The configuration of the process.
pub struct ConfigurationManager {
    environment: Environment,
    sources: ConfigSources,
    clock: SharedClock,
    source: LiveSource<Settings>,
    state: Mutex<State>,
    watchers: Mutex<Vec<Watcher>>,
    // Reloads and updates happen one at a time.
    changing: Mutex<()>,
}

struct State {
    resolved: Resolved,
    stamps: Stamps,
    last_error: Option<String>,
    reloads: u64,
    failures: u64,
    last_took: Duration,
}

impl fmt::Debug for ConfigurationManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigurationManager")
            .field("environment", &self.environment)
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl ConfigurationManager {
    /// Reads every layer for `environment` (`development`, `testing`, `staging`, `production`). The file's
    /// overlay is `bellwether.<environment>.toml` beside it.
    pub fn load(
        environment: &str,
        sources: ConfigSources,
        clock: SharedClock,
    ) -> Result<Arc<Self>, ConfigError> {
        let environment = Environment::parse(environment)?;
        // Taken before reading: an edit in between is then seen by the next poll.
        let stamps = stamps(&sources, environment);
        let resolved = read_all(&sources, environment, None)?;
        let state = State {
            stamps,
            last_error: None,
            reloads: 0,
            failures: 0,
            last_took: Duration::ZERO,
            resolved: resolved.clone(),
        };
        Ok(Arc::new(Self {
            environment,
            sources,
            clock,
            source: LiveSource::new(resolved.settings),
            state: Mutex::new(state),
            watchers: Mutex::default(),
            changing: Mutex::new(()),
        }))
    }

    /// Which environment was loaded.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The settings as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        self.source.load()
    }

    /// A handle for services.
    pub fn live(&self) -> Live<Settings> {
        self.source.live()
    }

    /// Calls `callback` with the new settings after every change, for as long as the manager lives. It runs
    /// on the thread that made the change and must not change settings itself.
    pub fn watch(&self, callback: impl Fn(&Arc<Settings>) + Send + Sync + 'static) {
        self.watchers.lock().push(Arc::new(callback));
    }

    /// Checks a whole configuration given as a tree, and lists everything that is wrong with it.
    pub fn validate(config: &Value) -> ValidationResult {
        let entry =
            Entry { path: String::new(), node: Node::from_json(config.clone()), origin: Origin::Given };
        match (config.is_object(), resolve(vec![vec![entry]], Vec::new())) {
            (false, _) => {
                let message = "a configuration is an object of sections".to_owned();
                let problem = Problem { origin: Origin::Given, key: String::new(), message };
                ValidationResult { problems: vec![problem] }
            }
            (true, Ok(_)) => ValidationResult::default(),
            (true, Err(problems)) => ValidationResult { problems },
        }
    }

    /// Sets one option while running, and keeps it across restarts in `config-overrides.json` in the data
    /// folder. Refused when the option is not live, the value is bad, or a stronger layer sets it.
    pub fn update(&self, path: &str, value: Value) -> Result<Reloaded, ConfigError> {
        let _one_at_a_time = self.changing.lock();
        let key = canonical(path);
        let entry = Entry { path: path.to_owned(), node: Node::from_json(value), origin: Origin::Override };
        // Alone first, so that the answer speaks of this key only.
        let alone = resolve(vec![vec![entry.clone()]], Vec::new()).map_err(ConfigError::Invalid)?;
        let (&key, set) = alone
            .values
            .iter()
            .find(|(_, value)| value.origin == Origin::Override)
            .ok_or(ConfigError::NotLive { key })?;
        if !Settings::option(key).is_some_and(|option| option.live) {
            return Err(ConfigError::NotLive { key: key.to_owned() });
        }
        let mut overrides = self.overrides()?;
        overrides.insert(key.to_owned(), set.raw.clone());
        let resolved = read_all(&self.sources, self.environment, Some(overrides.clone()))?;
        let origin = resolved.values[key].origin.clone();
        if origin != Origin::Override {
            return Err(ConfigError::Overruled { key: key.to_owned(), origin });
        }
        self.write_overrides(&overrides)?;
        Ok(self.apply(resolved))
    }

    /// Reads every layer again. If anything is wrong the settings stay as they are, and the error is also
    /// shown by [`Self::last_error`].
    pub fn reload(&self) -> Result<Reloaded, ConfigError> {
        let _one_at_a_time = self.changing.lock();
        let started = self.clock.monotonic();
        self.state.lock().stamps = stamps(&self.sources, self.environment);
        let result = read_all(&self.sources, self.environment, None);
        let outcome = result.map(|resolved| self.apply(resolved));
        let mut state = self.state.lock();
        state.last_took = self.clock.monotonic().saturating_sub(started);
        match &outcome {
            Ok(_) => {
                state.reloads += 1;
                state.last_error = None;
            }
            Err(error) => {
                state.failures += 1;
                state.last_error = Some(error.to_string());
            }
        }
        outcome
    }

    /// Reloads if a file appeared, vanished or changed since the last time.
    pub fn poll(&self) -> Option<Result<Reloaded, ConfigError>> {
        let now = stamps(&self.sources, self.environment);
        let changed = self.state.lock().stamps != now;
        changed.then(|| self.reload())
    }

    /// Why the last reload was refused; `None` when it was not.
    pub fn last_error(&self) -> Option<String> {
        self.state.lock().last_error.clone()
    }

    /// Every option with its value in effect and where it comes from.
    pub fn rows(&self) -> Vec<Row> {
        let state = self.state.lock();
        Settings::options()
            .map(|option| {
                let value = &state.resolved.values[option.key];
                Row {
                    key: option.key,
                    value: value.shown.clone(),
                    source: value.origin.to_string(),
                    doc: option.doc.trim(),
                    live: option.live,
                }
            })
            .collect()
    }

    /// Oddities that did not stop the load.
    pub fn warnings(&self) -> Vec<String> {
        self.state.lock().resolved.warnings.clone()
    }

    fn apply(&self, new: Resolved) -> Reloaded {
        let mut reloaded = Reloaded::default();
        let (running, warnings) = {
            let state = self.state.lock();
            (state.resolved.values.clone(), new.warnings.clone())
        };
        let mut values = new.values.clone();
        for option in Settings::options() {
            let (old, new) = (&running[option.key], &new.values[option.key]);
            // Not by what is shown: a new password looks like the old one.
            if old.raw == new.raw || (old.shown == new.shown && !new.shown.contains("***")) {
                continue;
            }
            let change = Change { key: option.key, from: old.shown.clone(), to: new.shown.clone() };
            if option.live {
                reloaded.applied.push(change);
            } else {
                reloaded.needs_restart.push(change);
                values.insert(option.key, old.clone());
            }
        }
        // Running values agree with each other; live ones take part in no rule between options.
        let Ok(resolved) = Resolved::of(values, warnings) else { return reloaded };
        let settings = Arc::new(resolved.settings.clone());
        self.state.lock().resolved = resolved;
        for change in &reloaded.needs_restart {
            tracing::warn!(key = change.key, to = change.to, "setting changes after a restart");
        }
        if !reloaded.applied.is_empty() {
            self.source.set(settings.clone());
            let watchers = self.watchers.lock().clone();
            for watcher in watchers {
                watcher(&settings);
            }
        }
        reloaded
    }

    fn overrides(&self) -> Result<BTreeMap<String, Value>, ConfigError> {
        read_overrides(&overrides_path(&self.settings().general.data))
    }

    /// Writes beside, syncs, then renames, so that a crash leaves the old file or the new one.
    fn write_overrides(&self, overrides: &BTreeMap<String, Value>) -> Result<(), ConfigError> {
        let path = overrides_path(&self.settings().general.data);
        let temporary = path.with_extension("json.new");
        let write = || {
            let folder = path.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(folder)?;
            let mut file = fs::File::create(&temporary)?;
            file.write_all(&serde_json::to_vec_pretty(overrides)?)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            fs::File::open(folder)?.sync_all()
        };
        write().map_err(|source| ConfigError::Unwritable { path: path.clone(), source })
    }
}

fn overrides_path(data: &str) -> PathBuf {
    Path::new(data).join("config-overrides.json")
}

fn read_overrides(path: &Path) -> Result<BTreeMap<String, Value>, ConfigError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    };
    serde_json::from_slice(&bytes).map_err(|error| ConfigError::Syntax {
        path: path.to_owned(),
        line: error.line(),
        message: error.to_string(),
    })
}

fn stamps(sources: &ConfigSources, environment: Environment) -> Stamps {
    let stamp = |path: &Path| {
        let meta = fs::metadata(path).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    };
    sources.candidates(environment).into_iter().flatten().map(|path| (path.clone(), stamp(&path))).collect()
}

fn read_all(
    sources: &ConfigSources,
    environment: Environment,
    overrides: Option<BTreeMap<String, Value>>,
) -> Result<Resolved, ConfigError> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    let [base, overlay] = sources.candidates(environment);
    let base = base.into_iter().find(|path| sources.file.is_some() || path.exists());
    let overlay = overlay.into_iter().find(|path| path.exists());
    for path in base.into_iter().chain(overlay) {
        let node = read::file(&path, &sources.env, &mut problems)?;
        if matches!(node.content, Content::Leaf(_)) {
            let message = "a configuration is a table of sections".to_owned();
            return Err(ConfigError::Syntax { path, line: 1, message });
        }
        files.push(vec![Entry { path: String::new(), node, origin: Origin::File { path, line: 0 } }]);
    }
    let env = read::env(&sources.env);
    let flags = read::flags(&sources.flags, &mut problems);
    let overrides = match overrides {
        Some(overrides) => overrides,
        None => {
            // The data folder decides where overrides are, so it is looked up without them.
            let without = [files.clone(), vec![env.clone()], vec![flags.clone()]].concat();
            let resolved = resolve(without, problems.clone()).map_err(ConfigError::Invalid)?;
            read_overrides(&overrides_path(&resolved.settings.general.data))?
        }
    };
    let overrides = overrides
        .into_iter()
        .map(|(path, value)| Entry { path, node: Node::from_json(value), origin: Origin::Override })
        .collect();
    let layers = [files, vec![overrides], vec![env], vec![flags]].concat();
    resolve(layers, problems).map_err(ConfigError::Invalid)
}

/// As a service it looks at the files every second.
#[async_trait]
impl Service for ConfigurationManager {
    async fn run(&self, shutdown: Shutdown) -> Result<(), BoxError> {
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                () = self.clock.sleep(POLL_INTERVAL) => {}
            }
            match self.poll() {
                None => {}
                Some(Ok(reloaded)) => {
                    let keys: Vec<_> = reloaded.applied.iter().map(|change| change.key).collect();
                    tracing::info!(changed = ?keys, "configuration reloaded");
                }
                Some(Err(error)) => tracing::error!(%error, "configuration not reloaded, the old one stays"),
            }
        }
    }

    async fn health(&self) -> Result<HealthStatus, BoxError> {
        Ok(match self.last_error() {
            None => HealthStatus::healthy(),
            Some(error) => HealthStatus::degraded(format!("the last reload was refused: {error}")),
        })
    }

    fn gauges(&self) -> Vec<(String, f64)> {
        let state = self.state.lock();
        vec![
            ("reloads_total".to_owned(), state.reloads as f64),
            ("reload_failures_total".to_owned(), state.failures as f64),
            ("last_reload_seconds".to_owned(), state.last_took.as_secs_f64()),
        ]
    }
}
