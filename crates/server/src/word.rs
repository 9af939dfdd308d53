//! Words of closed sets that other crates keep: written, read and described alike.

use std::borrow::Cow;

use control::audit::AuditResult;
use control::sso::{Preset, ProviderKind};
use control::{ActorKind, KeyScope, ObjectKind, Permission, SignInMethod, TenantState, UserState};
use kit::{HealthState, ServiceStatus};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A closed set of words.
pub(crate) trait Spelled: Copy + 'static {
    /// What the set is called in the description of the API.
    const NAME: &'static str;

    /// Every word.
    const WORDS: &'static [Self];

    /// How it is written.
    fn spelling(self) -> &'static str;
}

macro_rules! spelled {
    ($($set:ty as $name:literal),+ $(,)?) => {$(
        impl Spelled for $set {
            const NAME: &'static str = $name;
            const WORDS: &'static [Self] = &<$set>::ALL;

            fn spelling(self) -> &'static str {
                self.as_str()
            }
        }
    )+};
}

spelled! {
    ActorKind as "ActorKind",
    AuditResult as "AuditResult",
    HealthState as "HealthState",
    KeyScope as "KeyScope",
    ObjectKind as "ObjectKind",
    Permission as "Permission",
    Preset as "ProviderPreset",
    ProviderKind as "ProviderKind",
    ServiceStatus as "ServiceStatus",
    SignInMethod as "SignInMethod",
    TenantState as "TenantState",
    UserState as "UserState",
}

/// A word of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word<T>(pub(crate) T);

impl<T: Spelled> Serialize for Word<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.spelling())
    }
}

impl<'de, T: Spelled> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let found = T::WORDS.iter().copied().find(|word| word.spelling() == text);
        found.map(Self).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            serde::de::Error::custom(format!("{shown:?} is none of {}", spellings::<T>().join(", ")))
        })
    }
}

impl<T: Spelled> JsonSchema for Word<T> {
    fn schema_name() -> Cow<'static, str> {
        T::NAME.into()
    }

    fn json_schema(_generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "enum": spellings::<T>() })
    }
}

/// Every word of a set.
fn spellings<T: Spelled>() -> Vec<&'static str> {
    T::WORDS.iter().map(|word| word.spelling()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reads_as_it_is_written_and_others_name_the_set() {
        let written = serde_json::to_string(&Word(UserState::Disabled)).expect("a text");
        assert_eq!(written, r#""disabled""#);
        for (json, want) in [
            (r#""active""#, Ok(Word(UserState::Active))),
            (r#""disabled""#, Ok(Word(UserState::Disabled))),
            (r#""asleep""#, Err(r#""asleep" is none of active, disabled"#)),
        ] {
            let read = serde_json::from_str::<Word<UserState>>(json).map_err(|error| error.to_string());
            match (read, want) {
                (Err(found), Err(want)) => assert!(found.starts_with(want), "{found}"),
                (read, want) => assert_eq!(read.ok(), want.ok(), "{json}"),
            }
        }
    }
}
