//! Go's text/template as Prometheus (2.42 and later) and Alertmanager (0.25 and later) evaluate it.
//!
//! A text is read once with [`Templates::parse`] and then rendered as often as needed. What differs between the two
//! programs, their functions and what their data look like, is the [`Dialect`]. Reading refuses functions that the
//! dialect lacks; rendering is pure, bounded in steps, depth and bytes, and asks for metrics only through
//! [`Queries`].
//!
//! Where releases differ the newest is followed: Alertmanager's labels print as `a=b, c=d`, as they do since 0.26,
//! and ranges over whole numbers are known, as in Go 1.24.
//!
//! Left out: complex numbers, hexadecimal floats, and `call`, for which there is nothing to call.

mod alertmanager; // data of notifications
mod ast; // what a template is
mod defaults; // named templates that notifications begin with
mod error; // what can be wrong
mod eval; // nodes to text
mod fields; // fields and methods of values
mod format; // values to text
mod functions; // by dialect
mod html; // escaping by context
mod json; // toJson
mod lex; // text to tokens
mod literal; // Go's constants
mod parse; // tokens to trees
mod pattern; // Go's regular expressions
mod prometheus; // data of rules
mod value; // what templates work on

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use alertmanager::{Notification, NotifiedAlert};
pub use error::{Fault, Position, TemplateError};
pub use prometheus::{RuleData, Sample, SampleValue};
pub use value::{List, Map, Object, Safe, Value};

use ast::Tree;
use parse::Trees;

/// Largest text of a template file or field.
pub const SOURCE_BYTES_MAX: usize = 256 << 10;
/// Largest rendered text, and largest text that a function makes.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Commands, calls and rounds of loops in one rendering: a page of a thousand alerts takes some ten thousand.
pub const STEPS_MAX: usize = 500_000;
/// Bytes of all values that one rendering makes on the way, and of texts that its functions look at.
pub const WORK_BYTES_MAX: usize = 64 << 20;
/// Blocks and parentheses within each other in a text.
pub const NESTING_MAX: usize = 60;
/// Templates, blocks and parentheses within each other while rendering; each takes stack.
pub const DEPTH_MAX: usize = 150;
/// Lists and maps within each other.
pub const VALUE_DEPTH_MAX: usize = 30;
/// Different regular expressions in one rendering.
pub const PATTERNS_MAX: usize = 200;
/// Queries in one rendering.
pub const QUERIES_MAX: usize = 50;
const _: () = assert!(NESTING_MAX < DEPTH_MAX);

/// Name of the tree of a text that is no file.
const TEXT: &str = "";

/// Whose templates these are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Labels and annotations of Prometheus rules, with `$labels`, `$externalLabels`, `$externalURL`, `$value`.
    Prometheus,
    /// Receivers and template files of Alertmanager.
    Alertmanager,
}

impl Dialect {
    fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "Prometheus",
            Self::Alertmanager => "Alertmanager",
        }
    }

    /// Variables that a text begins with; the data, and for Prometheus fields of it.
    fn variables(self) -> &'static [&'static str] {
        match self {
            Self::Prometheus => &["$", "$labels", "$externalLabels", "$externalURL", "$value"],
            Self::Alertmanager => &["$"],
        }
    }
}

/// Whether values are escaped for where they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// Written as they are.
    Text,
    /// As parts of HTML, by context: text, attributes, addresses, comments; a script or a style takes no values.
    Html,
}

/// Answers `query "up"` in a template. Called synchronously: who evaluates in an asynchronous program renders on a
/// blocking thread, or asks beforehand.
pub trait Queries {
    /// The samples of an instant query at the time of the evaluation, or what went wrong.
    fn query(&self, expression: &str) -> Result<Vec<Sample>, String>;
}

/// No metrics to ask for: each query fails.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoQueries;

impl Queries for NoQueries {
    fn query(&self, _: &str) -> Result<Vec<Sample>, String> {
        Err("queries are not available here".to_owned())
    }
}

/// What rendering takes from outside.
pub struct Env<'a> {
    /// Milliseconds since the epoch, for `now` and `since`.
    pub now_ms: i64,
    /// Where this server is found from outside, for `externalURL` and `pathPrefix`.
    pub external_url: &'a str,
    /// Where `query` asks.
    pub queries: &'a dyn Queries,
}

/// Named templates. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Templates {
    dialect: Dialect,
    trees: Arc<Trees>,
}

impl Templates {
    /// None yet.
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, trees: Arc::new(Trees::new()) }
    }

    /// Alertmanager's dialect with the templates that every Alertmanager has: `__subject`, `slack.default.title`,
    /// `email.default.html` and so on.
    pub fn with_defaults() -> Self {
        let mut templates = Self::new(Dialect::Alertmanager);
        for (name, text) in defaults::FILES {
            templates.add(name, text).expect("tests read each of these files");
        }
        templates
    }

    /// Adds a template file: what it defines, and the file as a whole under `name`. A later definition replaces an
    /// earlier one, unless it is empty.
    pub fn add(&mut self, name: &str, text: &str) -> Result<(), TemplateError> {
        let added = parse::parse(self.dialect, name, name, text)?;
        let trees = Arc::make_mut(&mut self.trees);
        for (name, tree) in added {
            if !tree.is_empty() || !trees.contains_key(&name) {
                trees.insert(name, tree);
            }
        }
        Ok(())
    }

    /// Reads a text that may call the named templates. `name` is only for errors; it may be empty.
    pub fn parse(&self, name: &str, text: &str) -> Result<Template, TemplateError> {
        let added = parse::parse(self.dialect, name, TEXT, text)?;
        let root = added.get(TEXT).cloned().expect("the text itself is always there");
        let mut trees = Arc::clone(&self.trees);
        if added.len() > 1 {
            let mutable = Arc::make_mut(&mut trees);
            for (defined, tree) in added {
                if defined != TEXT && (!tree.is_empty() || !mutable.contains_key(&defined)) {
                    mutable.insert(defined, tree);
                }
            }
        }
        Ok(Template { dialect: self.dialect, trees, root })
    }

    /// Names of the templates, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.trees.keys().map(String::as_str)
    }
}

/// A text that is read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Template {
    dialect: Dialect,
    trees: Arc<Trees>,
    root: Arc<Tree>,
}

impl Template {
    /// The text for some data: a [`RuleData`] or a [`Notification`] as a [`Value`], by dialect.
    pub fn render(&self, data: &Value, env: &Env<'_>, escape: Escape) -> Result<String, TemplateError> {
        eval::evaluate(&self.trees, &self.root, self.dialect, data, env, escape)
    }
}
