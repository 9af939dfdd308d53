//! Live configuration: defaults, below the file, below what was changed at run time, below the environment,
//! below flags.
//!
//! Each option is one row (key, type, default, meaning) in [`settings`]; reading, checking, printing and
//! documentation follow from it. A key may be written in snake_case or camelCase. An edit of the file is
//! applied while running if every value in the whole configuration is good; otherwise the old one stays.

pub mod expand; // ${VAR} in values
mod live; // a value that may change under its readers
mod manager; // load, watch, update, validate, reload
mod option; // what an option is
mod problem; // what is wrong, and where
mod read; // files, environment and flags to entries
mod resolve; // entries of all layers to settings
mod rules; // retention by search
pub mod settings; // every option there is
mod url; // addresses that may hold a password
pub mod value; // how values are written

pub use live::{Live, LiveSource};
pub use manager::{Change, ConfigSources, ConfigurationManager, Environment, Reloaded};
pub use option::{ConfigOption, Row};
pub use problem::{ConfigError, Origin, Problem, ValidationResult};
pub use rules::{RetentionRule, RetentionRules};
pub use settings::Settings;
pub use url::ConnectionUrl;
pub use value::{Auto, ByteSize, Password, Seconds, Setting};

#[cfg(test)]
mod tests;
