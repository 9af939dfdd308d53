//! What goes wrong, and what to do about it.

use db::DbError;
use model::TenantId;

use crate::sso::SsoError;
use crate::tenants::TenantState;

/// What the caller should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The request is wrong and will stay so.
    FixRequest,
    /// Show a valid key, or sign in again.
    Authenticate,
    /// The caller is known and may not do this: someone with more permissions can, or can give them.
    GetPermission,
    /// The same call may succeed soon.
    RetryLater,
    /// The configuration is wrong.
    FixConfig,
    /// A person must look.
    CallOperator,
}

/// An error of the control plane. No variant carries a secret.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// No such key, or it was revoked or has expired. One text for all, so that it tells nothing about
    /// which keys exist.
    #[error("the key is not valid; create one in the application or with `bellwether token create`")]
    InvalidKey,
    /// No such link, or it was used or has expired.
    #[error("the sign-in link is not valid any more; `bellwether user link` prints a new one")]
    InvalidLink,
    /// No such session, or it has ended.
    #[error("the session has ended; sign in again")]
    InvalidSession,
    /// No such person, or another password, or no password at all: one text for all.
    #[error("the email, the password or the code is not right")]
    WrongCredentials,
    /// The password is right and a second factor is set up, so its code is needed, too.
    #[error("enter the code of your authenticator, or a recovery code")]
    CodeNeeded,
    /// The password is right for accounts in several tenants: it must be said which one is meant.
    #[error("this address has accounts in several organisations; say which one")]
    TenantNeeded,
    /// No such invitation, or it was used, revoked or has expired.
    #[error("the invitation is not valid any more; ask whoever invited you for a new one")]
    InvalidInvitation,
    /// No such token for a new password, or it was used or has expired.
    #[error("the link to set a new password is not valid any more; ask for a new one")]
    InvalidReset,
    /// Too many attempts, or too much at once.
    #[error("too many attempts; try again in {} s", .retry_after_ms.saturating_add(999) / 1000)]
    Throttled {
        /// How long to wait, milliseconds.
        retry_after_ms: i64,
    },
    /// The tenant may not be used now.
    #[error("tenant {tenant} is {}", .state.as_str())]
    TenantInactive {
        /// Which.
        tenant: TenantId,
        /// Why.
        state: TenantState,
    },
    /// The tenant, or the platform, would be left without anyone to manage it.
    #[error("{email} is the last active administrator; make another one first")]
    LastAdmin {
        /// Who.
        email: String,
    },
    /// The work ended before it was done, and was undone.
    #[error("{what} stopped: {message}")]
    Stopped {
        /// Which work.
        what: &'static str,
        /// Why.
        message: String,
    },
    /// No token of ours, or it has expired, was revoked, or belongs elsewhere. One text for all, so that it
    /// tells nothing about which.
    #[error("the token is not valid; sign in again")]
    InvalidToken,
    /// A sign-in through a provider failed.
    #[error(transparent)]
    Sso(#[from] SsoError),
    /// The caller may not do this.
    #[error("{message}")]
    Forbidden {
        /// What is missing.
        message: String,
    },
    /// The file with the master keys cannot be used. Carries nothing of what it holds.
    #[error("cannot use the key file {file}: {message}")]
    KeyFile {
        /// Which.
        file: String,
        /// Why, and what to do.
        message: String,
    },
    /// A field of the request is wrong.
    #[error("{field}: {message}")]
    Invalid {
        /// Which.
        field: &'static str,
        /// What is wrong and what would be right.
        message: String,
    },
    /// What was asked for is not there.
    #[error("{kind} {name:?} does not exist")]
    NotFound {
        /// Of which kind.
        kind: &'static str,
        /// Which.
        name: String,
    },
    /// The name is taken.
    #[error("{kind} {name:?} exists already")]
    Exists {
        /// Of which kind.
        kind: &'static str,
        /// Which.
        name: String,
    },
    /// Someone else changed it since it was read.
    #[error("{kind} {name:?} is at version {found}, not {expected}; read it again and repeat the change")]
    Changed {
        /// Of which kind.
        kind: &'static str,
        /// Which.
        name: String,
        /// The caller's version.
        expected: i64,
        /// The stored version.
        found: i64,
    },
    /// A file owns it, so people do not change it.
    #[error(
        "{kind} {name:?} belongs to the file {file:?}: change it there and run `bellwether apply`, or give it back with \
         `bellwether apply --release {kind}/{name}`"
    )]
    Owned {
        /// Of which kind.
        kind: &'static str,
        /// Which.
        name: String,
        /// The file, as whoever applied it named it.
        file: String,
    },
    /// It is not any more what a change was planned against.
    #[error("{kind} {name:?} was changed in the meantime; look at it and apply again")]
    Overtaken {
        /// Of which kind.
        kind: &'static str,
        /// Which.
        name: String,
    },
    /// The stored row does not read as what it should be.
    #[error("stored {what} is damaged: {message}")]
    Damaged {
        /// Which column.
        what: &'static str,
        /// How.
        message: String,
    },
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
    /// The database failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl From<sqlx::Error> for ControlError {
    fn from(error: sqlx::Error) -> Self {
        Self::Db(error.into())
    }
}

impl ControlError {
    /// What the caller should do next.
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::InvalidKey
            | Self::InvalidLink
            | Self::InvalidSession
            | Self::WrongCredentials
            | Self::CodeNeeded
            | Self::InvalidInvitation
            | Self::InvalidReset
            | Self::InvalidToken => Remedy::Authenticate,
            Self::Sso(error) => error.remedy(),
            Self::Forbidden { .. } | Self::TenantInactive { .. } => Remedy::GetPermission,
            Self::KeyFile { .. } => Remedy::FixConfig,
            Self::Throttled { .. } | Self::Stopped { .. } => Remedy::RetryLater,
            Self::Invalid { .. }
            | Self::NotFound { .. }
            | Self::Exists { .. }
            | Self::Changed { .. }
            | Self::Owned { .. }
            | Self::Overtaken { .. }
            | Self::LastAdmin { .. }
            | Self::TenantNeeded => Remedy::FixRequest,
            Self::Damaged { .. } | Self::Random(_) => Remedy::CallOperator,
            Self::Db(error) => match error.remedy() {
                db::Remedy::FixRequest => Remedy::FixRequest,
                db::Remedy::RetryLater => Remedy::RetryLater,
                db::Remedy::FixConfig => Remedy::FixConfig,
                db::Remedy::CallOperator => Remedy::CallOperator,
            },
        }
    }
}

/// What was asked for is not there. The name comes from outside and is cut.
pub(crate) fn not_found(kind: &'static str, name: &str) -> ControlError {
    ControlError::NotFound { kind, name: name.chars().take(80).collect() }
}

/// Checks a text that people give: a few words on one line.
pub(crate) fn one_line(field: &'static str, text: &str, bytes_max: usize) -> Result<(), ControlError> {
    let message = if text.trim().is_empty() {
        "must not be empty".to_owned()
    } else if text.len() > bytes_max {
        format!("has {} bytes; at most {bytes_max} are allowed", text.len())
    } else if text.chars().any(char::is_control) {
        "must not hold control characters".to_owned()
    } else {
        return Ok(());
    };
    Err(ControlError::Invalid { field, message })
}
