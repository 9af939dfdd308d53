//! What a handler can fail with, and how each protocol says so.
//!
//! One closed list of faults; every edge (Prometheus's JSON, our own API, OTLP, plain text) maps it in one
//! `match` without a wildcard, so that a new fault asks for a decision everywhere.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::{ControlError, Remedy, SsoError};
use serde_json::json;

/// Seconds a client is asked to wait after a transient refusal.
pub(crate) const RETRY_AFTER_SECONDS: u64 = 5;

/// Why a request was not served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The request is wrong: which field, and what to do.
    Invalid { field: String, message: String },
    /// No valid credential.
    Unauthorized,
    /// A valid credential that may not do this.
    Forbidden(String),
    /// The address, the password or the code is wrong; one fault for all.
    WrongCredentials,
    /// The password is right; a code is asked for, too.
    SecondFactor,
    /// The password is right in several tenants; which one is meant must be said.
    TenantRequired,
    /// Nothing of that name.
    NotFound(String),
    /// It is there already, or has changed since.
    Conflict(String),
    /// Not what `If-Match` names any more.
    Stale(String),
    /// A body over the limit.
    TooLarge(String),
    /// A content type or encoding we do not read.
    Unsupported(String),
    /// A query that cannot be computed as asked.
    Execution(String),
    /// A query that ran out of time.
    Timeout(String),
    /// The caller went away or asked to stop.
    Cancelled,
    /// Over a rate or concurrency limit.
    TooMany(String),
    /// Tried too often; the seconds after which it may be tried again.
    Throttled { message: String, retry_after_seconds: u64 },
    /// For the moment: not ready, overloaded, disk full.
    Unavailable(String),
    /// Our fault.
    Internal(String),
}

impl Fault {
    /// A wrong field.
    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), message: message.into() }
    }

    /// The HTTP status of the fault.
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::Unauthorized | Self::WrongCredentials | Self::SecondFactor => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) | Self::TenantRequired => StatusCode::CONFLICT,
            Self::Stale(_) => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unsupported(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Timeout(_) | Self::Cancelled | Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::TooMany(_) | Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Prometheus's `errorType`.
    fn prometheus_type(&self) -> &'static str {
        match self {
            Self::Invalid { .. } | Self::TooLarge(_) | Self::Unsupported(_) => "bad_data",
            Self::Unauthorized | Self::WrongCredentials | Self::SecondFactor => "unauthorized",
            Self::Forbidden(_) => "forbidden",
            Self::NotFound(_) => "not_found",
            Self::Conflict(_) | Self::TenantRequired | Self::Stale(_) => "conflict",
            Self::Execution(_) => "execution",
            Self::Timeout(_) => "timeout",
            Self::Cancelled => "canceled",
            Self::TooMany(_) | Self::Throttled { .. } | Self::Unavailable(_) => "unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// The `code` of our own API.
    fn code(&self) -> &'static str {
        match self {
            Self::Invalid { .. } | Self::Unsupported(_) => "VALIDATION_ERROR",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::WrongCredentials => "INVALID_CREDENTIALS",
            Self::SecondFactor => "SECOND_FACTOR_REQUIRED",
            Self::Forbidden(_) => "FORBIDDEN",
            Self::NotFound(_) => "NOT_FOUND",
            Self::TenantRequired => "TENANT_REQUIRED",
            Self::Conflict(_) => "CONFLICT",
            Self::Stale(_) => "PRECONDITION_FAILED",
            Self::TooLarge(_) => "TOO_LARGE",
            Self::Execution(_) => "EXECUTION_ERROR",
            Self::Timeout(_) => "TIMEOUT",
            Self::Cancelled => "CANCELLED",
            Self::TooMany(_) | Self::Throttled { .. } => "RATE_LIMITED",
            Self::Unavailable(_) => "UNAVAILABLE",
            Self::Internal(_) => "INTERNAL_ERROR",
        }
    }

    /// The google.rpc code that OTLP answers carry.
    pub(crate) fn grpc_code(&self) -> tonic::Code {
        match self {
            Self::Invalid { .. } | Self::TooLarge(_) | Self::Execution(_) => tonic::Code::InvalidArgument,
            Self::Unsupported(_) => tonic::Code::Unimplemented,
            Self::Unauthorized | Self::WrongCredentials | Self::SecondFactor => tonic::Code::Unauthenticated,
            Self::Forbidden(_) => tonic::Code::PermissionDenied,
            Self::NotFound(_) => tonic::Code::NotFound,
            Self::TenantRequired | Self::Stale(_) => tonic::Code::FailedPrecondition,
            Self::Conflict(_) => tonic::Code::AlreadyExists,
            Self::Timeout(_) => tonic::Code::DeadlineExceeded,
            Self::Cancelled => tonic::Code::Cancelled,
            Self::TooMany(_) | Self::Throttled { .. } => tonic::Code::ResourceExhausted,
            Self::Unavailable(_) => tonic::Code::Unavailable,
            Self::Internal(_) => tonic::Code::Internal,
        }
    }

    /// What happened, in words.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Invalid { field, message } if field.is_empty() => message.clone(),
            Self::Invalid { field, message } => format!("invalid parameter \"{field}\": {message}"),
            Self::Unauthorized => {
                "no valid credential: send `Authorization: Bearer KEY`, or sign in (`bellwether user link` prints a link)"
                    .into()
            }
            Self::WrongCredentials => "the email, the password or the code is not right".into(),
            Self::SecondFactor => "enter the code of your authenticator, or a recovery code".into(),
            Self::TenantRequired => ControlError::TenantNeeded.to_string(),
            Self::Cancelled => "query was cancelled".into(),
            Self::Throttled { message, .. } => message.clone(),
            Self::Forbidden(text)
            | Self::Conflict(text)
            | Self::Stale(text)
            | Self::NotFound(text)
            | Self::TooLarge(text)
            | Self::Unsupported(text)
            | Self::Execution(text)
            | Self::Timeout(text)
            | Self::TooMany(text)
            | Self::Unavailable(text)
            | Self::Internal(text) => text.clone(),
        }
    }

    /// As Prometheus's HTTP API answers.
    pub(crate) fn prometheus(&self) -> Response {
        let body = json!({"status": "error", "errorType": self.prometheus_type(), "error": self.message()});
        self.finish((self.status(), Json(body)).into_response())
    }

    /// As our own API answers.
    pub(crate) fn api(&self) -> Response {
        self.finish((self.status(), Json(json!({"error": self.api_json()}))).into_response())
    }

    fn api_json(&self) -> serde_json::Value {
        let mut error = json!({"type": "MonitoringError", "code": self.code(), "message": self.message()});
        if let Self::Invalid { field, .. } = self {
            error["field"] = json!(field);
        }
        error
    }

    /// The same with one more member of the error.
    pub(crate) fn api_with(&self, member: &str, value: serde_json::Value) -> Response {
        let mut error = self.api_json();
        error[member] = value;
        self.finish((self.status(), Json(json!({"error": error}))).into_response())
    }

    /// As plain text, for write protocols whose clients log the body.
    pub(crate) fn text(&self) -> Response {
        self.finish((self.status(), self.message() + "\n").into_response())
    }

    /// Headers that every form carries.
    pub(crate) fn finish(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        match self {
            Self::Unavailable(_) | Self::TooMany(_) | Self::Timeout(_) => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_SECONDS));
            }
            Self::Throttled { retry_after_seconds, .. } => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(*retry_after_seconds));
            }
            Self::Unauthorized => {
                headers.insert(
                    header::WWW_AUTHENTICATE,
                    // No word of basic authentication, although it is understood: a browser would ask for a
                    // password over our own page.
                    HeaderValue::from_static("Bearer realm=\"bellwether\""),
                );
            }
            _ => {}
        }
        response
    }
}

impl From<::query::QueryFault> for Fault {
    fn from(error: ::query::QueryFault) -> Self {
        use ::query::QueryFault;
        match error {
            QueryFault::Invalid(text) => Self::invalid("query", text),
            QueryFault::Limit(text) => Self::Execution(text),
            QueryFault::Storage(text) => Self::Internal(text),
            QueryFault::Timeout => Self::Timeout(error.to_string()),
            QueryFault::Cancelled => Self::Cancelled,
        }
    }
}

/// What an error of the control plane means to the caller.
impl From<ControlError> for Fault {
    fn from(error: ControlError) -> Self {
        match (&error, error.remedy()) {
            // What a link says about itself is worth more than that a credential is missing.
            (ControlError::InvalidInvitation | ControlError::InvalidReset, _) => {
                Self::NotFound(error.to_string())
            }
            (ControlError::Sso(SsoError::Only | SsoError::Denied(_) | SsoError::Refused { .. }), _) => {
                Self::Forbidden(error.to_string())
            }
            (ControlError::Sso(_), _) => Self::invalid("", error.to_string()),
            (ControlError::Invalid { field, message }, _) => Self::invalid(field, message.clone()),
            (ControlError::NotFound { .. }, _) => Self::NotFound(error.to_string()),
            (
                ControlError::Exists { .. }
                | ControlError::Changed { .. }
                | ControlError::Owned { .. }
                | ControlError::Overtaken { .. }
                | ControlError::LastAdmin { .. },
                _,
            ) => Self::Conflict(error.to_string()),
            (ControlError::CodeNeeded, _) => Self::SecondFactor,
            (ControlError::TenantNeeded, _) => Self::TenantRequired,
            (ControlError::WrongCredentials, _) => Self::WrongCredentials,
            (ControlError::Throttled { retry_after_ms }, _) => Self::Throttled {
                message: error.to_string(),
                retry_after_seconds: u64::try_from(retry_after_ms.saturating_add(999) / 1000)
                    .unwrap_or(1)
                    .max(1),
            },
            (_, Remedy::Authenticate) => Self::Unauthorized,
            (_, Remedy::GetPermission) => Self::Forbidden(error.to_string()),
            (_, Remedy::FixRequest) => Self::invalid("", error.to_string()),
            (_, Remedy::RetryLater) => Self::Unavailable("the control database is busy: try again".into()),
            (_, Remedy::FixConfig | Remedy::CallOperator) => {
                tracing::error!(%error, "the control database failed");
                Self::Internal("the control database failed; the log has the reason".into())
            }
        }
    }
}

/// A fault that is answered as our own API does.
pub(crate) struct ApiFault(pub(crate) Fault);

impl From<Fault> for ApiFault {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for ApiFault {
    fn into_response(self) -> Response {
        self.0.api()
    }
}

impl From<ControlError> for ApiFault {
    fn from(error: ControlError) -> Self {
        Self(error.into())
    }
}

/// A fault that is answered as Prometheus's API does.
pub(crate) struct PromFault(pub(crate) Fault);

impl From<Fault> for PromFault {
    fn from(fault: Fault) -> Self {
        Self(fault)
    }
}

impl IntoResponse for PromFault {
    fn into_response(self) -> Response {
        self.0.prometheus()
    }
}
