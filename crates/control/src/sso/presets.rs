//! Well-known providers: what is the same for everyone who uses them.

use crate::error::ControlError;
use crate::sso::mapping::is_domain;
use crate::sso::oidc::OidcConfig;

/// A provider that many use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Google Workspace. Says nothing about groups.
    Google,
    /// Microsoft Entra ID, of one directory.
    Microsoft,
    /// Okta, of one organisation.
    Okta,
}

/// Google's issuer, shared by everyone who has an account there.
pub(crate) const GOOGLE: &str = "https://accounts.google.com";

impl Preset {
    /// Every preset.
    pub const ALL: [Self; 3] = [Self::Google, Self::Microsoft, Self::Okta];

    /// The spelling in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Google => "google",
            Self::Microsoft => "microsoft",
            Self::Okta => "okta",
        }
    }

    /// Reads the spelling.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == text)
    }

    /// A configuration. `organisation` is nothing for Google, the directory's identifier (a UUID) or domain
    /// for Microsoft, the host (`example.okta.com`) for Okta.
    pub fn config(self, organisation: &str, client_id: &str) -> Result<OidcConfig, ControlError> {
        let invalid =
            |message: &str| Err(ControlError::Invalid { field: "organisation", message: message.to_owned() });
        let issuer = match self {
            Self::Google => GOOGLE.to_owned(),
            Self::Microsoft => {
                // `common` and its like let in every directory there is.
                let is_shared = matches!(organisation, "common" | "organizations" | "consumers");
                let is_uuid = organisation.len() == 36
                    && organisation.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
                if is_shared || !(is_uuid || is_domain(organisation)) {
                    return invalid("must be the identifier of your directory, a UUID");
                }
                format!("https://login.microsoftonline.com/{organisation}/v2.0")
            }
            Self::Okta => {
                if !is_domain(organisation) {
                    return invalid("must be the host of your Okta organisation, such as example.okta.com");
                }
                format!("https://{organisation}")
            }
        };
        Ok(self.config_at(&issuer, client_id))
    }

    /// The same at an issuer of the caller's choice: a national cloud of Microsoft, an authorization server
    /// of its own at Okta.
    pub fn config_at(self, issuer: &str, client_id: &str) -> OidcConfig {
        let scopes: &[&str] = match self {
            Self::Okta => &["openid", "email", "profile", "groups"],
            Self::Google | Self::Microsoft => &["openid", "email", "profile"],
        };
        OidcConfig {
            issuer: issuer.to_owned(),
            client_id: client_id.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            groups_claim: if self == Self::Google { "" } else { "groups" }.to_owned(),
            // Microsoft says nothing of whether an address was verified: the directory's administrator gives it.
            trust_email: self == Self::Microsoft,
            domain_claim: if self == Self::Google { "hd" } else { "" }.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_know_their_issuers() {
        for (preset, organisation, want) in [
            (Preset::Google, "", Some("https://accounts.google.com")),
            (
                Preset::Microsoft,
                "11111111-2222-3333-4444-555555555555",
                Some("https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0"),
            ),
            (Preset::Microsoft, "common", None),
            (Preset::Microsoft, "", None),
            (Preset::Microsoft, "a/../b", None),
            (Preset::Okta, "example.okta.com", Some("https://example.okta.com")),
            (Preset::Okta, "https://example.okta.com", None),
        ] {
            let config = preset.config(organisation, "client").ok();
            assert_eq!(config.map(|config| config.issuer).as_deref(), want, "{preset:?} {organisation}");
        }
        assert!(Preset::ALL.into_iter().all(|preset| Preset::parse(preset.as_str()) == Some(preset)));
    }
}
