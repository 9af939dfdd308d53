//! What a key may be used for, in three words.

use serde_json::Value;

use crate::error::ControlError;
use crate::permissions::{Permission, Permissions};

/// What a key may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyScope {
    /// Send telemetry.
    Ingest,
    /// Read telemetry.
    Query,
    /// Everything else, the other two included.
    Admin,
}

impl KeyScope {
    /// Every scope.
    pub const ALL: [Self; 3] = [Self::Ingest, Self::Query, Self::Admin];

    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Query => "query",
            Self::Admin => "admin",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }

    /// What it permits.
    pub fn permissions(self) -> Permissions {
        match self {
            Self::Ingest => Permissions::of(&[Permission::TelemetryWrite]),
            Self::Query => Permissions::of(&[
                Permission::TelemetryRead,
                Permission::ObjectsRead,
                Permission::SettingsRead,
            ]),
            Self::Admin => Permissions::TENANT,
        }
    }
}

/// A set of scopes, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyScopes(u8);

impl KeyScopes {
    /// Every scope.
    pub const ALL: Self = Self(0b111);

    /// The given scopes; `None` without any.
    pub fn of(scopes: &[KeyScope]) -> Option<Self> {
        let bits = scopes.iter().fold(0, |bits, scope| bits | 1 << *scope as u8);
        (bits != 0).then_some(Self(bits))
    }

    /// True when these scopes permit what `scope` stands for.
    pub fn allow(self, scope: KeyScope) -> bool {
        let has = |scope: KeyScope| self.0 & (1 << scope as u8) != 0;
        has(scope) || has(KeyScope::Admin)
    }

    /// What the scopes permit together.
    pub fn permissions(self) -> Permissions {
        self.iter().fold(Permissions::NONE, |all, scope| all.and(scope.permissions()))
    }

    /// The scopes one by one.
    pub fn iter(self) -> impl Iterator<Item = KeyScope> {
        KeyScope::ALL.into_iter().filter(move |scope| self.0 & (1 << *scope as u8) != 0)
    }

    pub(crate) fn to_json(self) -> String {
        Value::from(self.iter().map(KeyScope::as_str).collect::<Vec<_>>()).to_string()
    }

    pub(crate) fn from_json(text: &str) -> Result<Self, ControlError> {
        let damaged = |message: String| ControlError::Damaged { what: "api_keys.scopes", message };
        let names: Value = serde_json::from_str(text).map_err(|error| damaged(error.to_string()))?;
        let names = names.as_array().ok_or_else(|| damaged("is not a list".to_owned()))?;
        // A scope of a newer version permits nothing this version knows.
        let scopes: Vec<_> = names.iter().filter_map(|name| KeyScope::parse(name.as_str()?)).collect();
        Self::of(&scopes).ok_or_else(|| damaged("names no known scope".to_owned()))
    }
}
