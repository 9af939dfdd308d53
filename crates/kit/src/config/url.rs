//! Addresses of stores, which may hold a password.

use std::fmt;
use std::path::PathBuf;

use serde_json::Value;

use super::value::Setting;

/// Where something is reached, such as `postgres://user:secret@host/name`. Its password is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct ConnectionUrl(String);

impl ConnectionUrl {
    /// Wraps a URL.
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The whole URL, password included.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The part before the first colon, such as `sqlite`.
    pub fn scheme(&self) -> &str {
        self.0.split_once(':').map_or("", |(scheme, _)| scheme)
    }

    /// The folder of a `file:` or `sqlite:` URL.
    pub fn local_folder(&self) -> Option<PathBuf> {
        let folder = self.0.strip_prefix("file://").or_else(|| self.0.strip_prefix("sqlite://"));
        folder.filter(|folder| !folder.is_empty()).map(PathBuf::from)
    }

    fn masked(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else { return self.0.clone() };
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        match authority.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
            Some((user, host)) => format!("{scheme}://{user}:***@{host}{path}"),
            None => self.0.clone(),
        }
    }
}

impl fmt::Debug for ConnectionUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.masked())
    }
}

impl Setting for ConnectionUrl {
    fn read(raw: &Value) -> Result<Self, String> {
        match raw {
            Value::String(text) => Ok(Self(text.trim().to_owned())),
            _ => Err("is not a URL".to_owned()),
        }
    }

    fn show(&self) -> String {
        self.masked()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn passwords_are_masked() {
        for (url, want) in [
            ("postgres://me:s3cret@host:5432/db?x=1", "postgres://me:***@host:5432/db?x=1"),
            ("postgres://me:s3@cret@host/db", "postgres://me:***@host/db"),
            ("sqlite:///var/lib", "sqlite:///var/lib"),
            ("memory:", "memory:"),
        ] {
            let url = ConnectionUrl::new(url);
            assert_eq!(url.show(), want);
            assert!(!format!("{url:?}").contains("cret"));
        }
    }

    #[test]
    fn local_urls_name_a_folder() {
        for (url, want) in [
            ("file:///var/lib/x", Some("/var/lib/x")),
            ("sqlite://./data", Some("./data")),
            ("file://", None),
            ("postgres://h/d", None),
        ] {
            assert_eq!(ConnectionUrl::new(url).local_folder(), want.map(PathBuf::from), "{url}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_shown(text: String) {
            let _ = ConnectionUrl::new(text).show();
        }
    }
}
