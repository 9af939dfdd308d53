//! Secrets, and where they stand.

use std::fmt;
use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::yaml::Flaw;

/// Longest text of a setting.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// A text that is not shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// A secret from elsewhere.
    pub fn of(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one who sends it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

/// A secret in the configuration, or in a file of its own that the sender reads at every use, without white
/// space around it, as Alertmanager does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Written in the configuration.
    Inline(Secret),
    /// In this file.
    File(PathBuf),
}

impl Default for SecretSource {
    fn default() -> Self {
        Self::Inline(Secret::default())
    }
}

/// What checks need to know.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    pub(super) secret_files: bool,
}

impl Context {
    /// A secret that stands at `key` or, as a path, at `<key>_file`, but not at both.
    pub(super) fn secret(
        self,
        key: &str,
        inline: &Option<Secret>,
        file: &Option<PathBuf>,
    ) -> Result<Option<SecretSource>, Flaw> {
        match (inline.as_ref().filter(|secret| !secret.expose().is_empty()), file) {
            (Some(_), Some(_)) => {
                Err(Flaw::at(key, format!("at most one of {key} and {key}_file can stand here; remove one")))
            }
            (Some(secret), None) => {
                Self::text(key, secret.expose())?;
                Ok(Some(SecretSource::Inline(secret.clone())))
            }
            (None, Some(path)) => {
                self.file(&format!("{key}_file"), path).map(|path| Some(SecretSource::File(path)))
            }
            (None, None) => Ok(None),
        }
    }

    /// A path on the server's disk, where this configuration may name one.
    pub(super) fn file(self, key: &str, path: &std::path::Path) -> Result<PathBuf, Flaw> {
        if !self.secret_files {
            let message = "files of the server are read only for a configuration that lies on its disk; write the \
                           value itself";
            return Err(Flaw::at(key, message));
        }
        Ok(path.into())
    }

    fn text(key: &str, text: &str) -> Result<(), Flaw> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(Flaw::at(key, format!("{} bytes; at most {TEXT_BYTES_MAX} are read", text.len())));
        }
        Ok(())
    }

    /// A secret that is an address.
    pub(super) fn secret_url(
        self,
        key: &str,
        inline: &Option<Secret>,
        file: &Option<PathBuf>,
    ) -> Result<Option<SecretSource>, Flaw> {
        let source = self.secret(key, inline, file)?;
        if let Some(SecretSource::Inline(secret)) = &source {
            check_url(key, secret.expose())?;
        }
        Ok(source)
    }
}

/// An address with `http` or `https` and a host; one with a template is judged when it is filled in. The message
/// does not repeat it, since it may be a secret.
pub(super) fn check_url(key: &str, text: &str) -> Result<(), Flaw> {
    if text.contains("{{") {
        return Ok(());
    }
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.map(|_| ()).ok_or_else(|| Flaw::at(key, "is not an address; write it like https://host/path"))
}
