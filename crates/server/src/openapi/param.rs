//! What a query string, or a form, holds.

use serde_json::{Value, json};

/// A parameter.
#[derive(Clone, Copy)]
pub(crate) struct Param {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    kind: Kind,
    pub(super) is_required: bool,
    is_repeated: bool,
}

#[derive(Clone, Copy)]
enum Kind {
    String,
    Count,
    Choice(&'static [&'static str]),
}

/// Text.
pub(crate) const fn string(name: &'static str, about: &'static str) -> Param {
    Param { name, about, kind: Kind::String, is_required: false, is_repeated: false }
}

/// A whole number from 0 on.
pub(crate) const fn count(name: &'static str, about: &'static str) -> Param {
    Param { kind: Kind::Count, ..string(name, about) }
}

/// One of some words.
pub(crate) const fn choice(name: &'static str, of: &'static [&'static str], about: &'static str) -> Param {
    Param { kind: Kind::Choice(of), ..string(name, about) }
}

/// A moment: Unix seconds with a fraction, or RFC 3339.
pub(crate) const fn time(name: &'static str, about: &'static str) -> Param {
    string(name, about)
}

impl Param {
    /// It must be given.
    pub(crate) const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }

    /// It may be given several times.
    pub(crate) const fn repeated(self) -> Self {
        Self { is_repeated: true, ..self }
    }

    /// What its values look like.
    pub(super) fn schema(&self) -> Value {
        let one = match self.kind {
            Kind::String => json!({ "type": "string" }),
            Kind::Count => json!({ "type": "integer", "minimum": 0 }),
            Kind::Choice(of) => json!({ "type": "string", "enum": of }),
        };
        if self.is_repeated { json!({ "type": "array", "items": one }) } else { one }
    }
}
