//! What an option is: one row from which reading, checking, printing and documentation follow.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use serde::Serialize;
use serde_json::Value;

use super::value::Setting;

/// One option.
#[derive(Debug)]
pub struct ConfigOption {
    /// Dotted key in snake_case, such as `retention.metrics`.
    pub key: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Its default as text.
    pub default: &'static str,
    /// True when a change is applied while running; otherwise it waits for a restart.
    pub live: bool,
    /// Checks a value; returns it as it would be written.
    pub(crate) check: fn(&Value) -> Result<String, String>,
}

/// One line of `config print`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Dotted key.
    pub key: &'static str,
    /// Value in effect, secrets masked.
    pub value: String,
    /// Where it comes from: `default`, `bellwether.toml:12`, `env BELLWETHER_…`, `flag`.
    pub source: String,
    /// What it does.
    pub doc: &'static str,
    /// True when a change is applied while running.
    pub live: bool,
}

/// Another name of an option.
pub(crate) struct Alias {
    pub(crate) alias: &'static str,
    pub(crate) key: &'static str,
    /// Turns the alias's value into the option's.
    pub(crate) convert: fn(&Value) -> Value,
}

/// Checked raw values by key.
pub(crate) struct Values<'a>(pub(crate) BTreeMap<&'static str, &'a Value>);

impl Values<'_> {
    pub(crate) fn get<T: Setting>(&self, key: &'static str) -> T {
        let raw = self.0.get(key).expect("every option has a value before settings are built");
        T::read(raw).expect("values are checked before settings are built")
    }
}

/// Refuses what lies outside, naming the bounds.
pub(crate) fn within<T: Setting + PartialOrd>(value: &T, range: &RangeInclusive<T>) -> Result<(), String> {
    if value.is_off() || range.contains(value) {
        return Ok(());
    }
    Err(format!("{} must be between {} and {}", value.show(), range.start().show(), range.end().show()))
}

/// Declares one section: a struct whose fields are options. `live` marks what may change while running,
/// `in` gives the allowed range.
macro_rules! section {
    (
        $(#[doc = $about:literal])+
        pub struct $name:ident at $prefix:literal {
            $(
                $(#[doc = $doc:literal])+
                $field:ident: $type:ty = $default:literal $(, $live:ident)? $(in $range:expr)?;
            )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl $name {
            pub(crate) const OPTIONS: &'static [$crate::config::ConfigOption] = &[$(
                $crate::config::ConfigOption {
                    key: concat!($prefix, stringify!($field)),
                    doc: concat!($($doc, "\n"),+),
                    default: $default,
                    live: section!(@live $($live)?),
                    check: |raw| {
                        let value = <$type as $crate::config::Setting>::read(raw)?;
                        $($crate::config::option::within(&value, &($range))?;)?
                        Ok($crate::config::Setting::show(&value))
                    },
                },
            )+];

            pub(crate) fn build(values: &$crate::config::option::Values<'_>) -> Self {
                Self { $($field: values.get(concat!($prefix, stringify!($field))),)+ }
            }
        }
    };
    (@live live) => { true };
    (@live) => { false };
}

/// Declares an option type with a closed list of spellings.
macro_rules! choice {
    (
        $(#[doc = $about:literal])+
        pub enum $name:ident {
            $($(#[doc = $doc:literal])+ $variant:ident = $text:literal,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl $name {
            /// The spelling in the configuration.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)+ }
            }
        }

        impl $crate::config::Setting for $name {
            fn read(raw: &serde_json::Value) -> Result<Self, String> {
                match raw.as_str() {
                    $(Some($text) => Ok(Self::$variant),)+
                    _ => Err(format!(
                        "{} is not one of {}",
                        $crate::config::value::quote(raw),
                        [$($text),+].join(", ")
                    )),
                }
            }

            fn show(&self) -> String {
                self.as_str().to_owned()
            }
        }
    };
}

pub(crate) use {choice, section};
