//! Why a single sign-on does not come about.

use crate::error::Remedy;

/// A sign-in through a provider that failed. No variant carries a code, a token or a secret.
#[derive(Debug, thiserror::Error)]
pub enum SsoError {
    /// The state is unknown, used, too old, or another browser's. One text for all.
    #[error(
        "this sign-in was not begun in this browser, is used up, or took longer than ten minutes; begin again"
    )]
    State,
    /// The tenant's people sign in through a provider and in no other way.
    #[error("your organisation signs in through its identity provider only; choose it on the sign-in page")]
    Only,
    /// The provider itself says no.
    #[error("the provider refused the sign-in: {0}")]
    Denied(String),
    /// The provider does not answer.
    #[error("the provider cannot be reached at {url}: {message}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        message: String,
    },
    /// The provider answers what it should not, or is set up in a way that cannot work.
    #[error("the provider's {what} {message}")]
    Setup {
        /// Which answer or setting.
        what: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// What the provider sent about the person is not valid.
    #[error("the {what} is refused: it {message}")]
    Refused {
        /// Token, response, assertion or signature.
        what: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The person is who they say, and may still not sign in here.
    #[error("{email} may not sign in here: {message}")]
    Person {
        /// Who.
        email: String,
        /// Why, and who can change it.
        message: String,
    },
}

impl SsoError {
    /// What the caller should do next.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::State | Self::Only | Self::Denied(_) | Self::Refused { .. } => Remedy::Authenticate,
            Self::Unreachable { .. } => Remedy::RetryLater,
            Self::Setup { .. } => Remedy::FixConfig,
            Self::Person { .. } => Remedy::FixRequest,
        }
    }
}
