//! What is wrong with a configuration, and where.

use std::fmt;
use std::io;
use std::path::PathBuf;

use serde::Serialize;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A file.
    File {
        /// As it was named.
        path: PathBuf,
        /// From 1; zero when unknown.
        line: usize,
    },
    /// Changed at run time.
    Override,
    /// An environment variable, by name.
    Env(String),
    /// The command line.
    Flag,
    /// Handed over for validation.
    Given,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0 } => write!(f, "{}", path.display()),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Override => f.write_str("override"),
            Self::Env(name) => write!(f, "env {name}"),
            Self::Flag => f.write_str("flag"),
            Self::Given => f.write_str("given"),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is written.
    pub origin: Origin,
    /// The key as written.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.origin, self.key, self.message)
    }
}

/// All that is wrong with a configuration; nothing, if it is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ValidationResult {
    /// In the order of the layers, at most a hundred.
    pub problems: Vec<Problem>,
}

impl ValidationResult {
    /// True when nothing is wrong.
    pub fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }
}

/// Why a configuration could not be loaded or changed.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not one of the four.
    #[error("unknown environment {0:?}; use development, testing, staging or production")]
    UnknownEnvironment(String),
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file cannot be parsed.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// Which.
        path: PathBuf,
        /// From 1; zero when unknown.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// Values or keys are wrong. All problems are listed.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
    /// The option cannot change while running.
    #[error("{key} cannot change while running; set it in the file and restart")]
    NotLive {
        /// Which.
        key: String,
    },
    /// A stronger layer sets the option, so a change would have no effect.
    #[error("{key} is set by {origin}, which wins; change it there")]
    Overruled {
        /// Which.
        key: String,
        /// By whom.
        origin: Origin,
    },
    /// The change was valid and could not be kept.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Serialize for Problem {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct;
        let mut shape = serializer.serialize_struct("Problem", 3)?;
        shape.serialize_field("path", &self.key)?;
        shape.serialize_field("source", &self.origin.to_string())?;
        shape.serialize_field("message", &self.message)?;
        shape.end()
    }
}
