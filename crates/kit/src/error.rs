//! What can go wrong between services.

use crate::status::ServiceStatus;

/// An error of the registry or of a facade. The texts of the first two are part of the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// No service has this name.
    #[error("Service not registered: {0}")]
    NotRegistered(String),
    /// The name is taken.
    #[error("Service already registered: {0}")]
    AlreadyRegistered(String),
    /// Services would wait for each other forever. The first name is repeated at the end.
    #[error("services depend on each other in a circle: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// A service needs another that cannot be had.
    #[error("service {service} needs {dependency}: {message}")]
    Dependency {
        /// Who needs it.
        service: String,
        /// What it needs.
        dependency: String,
        /// Why it cannot be had.
        message: String,
    },
    /// The factory or a hook failed.
    #[error("service {service} failed in {stage}: {message}")]
    Failed {
        /// Whose.
        service: String,
        /// `factory`, `init`, `ready`, `cleanup`.
        stage: &'static str,
        /// The error and its causes.
        message: String,
    },
    /// A call came before the service was ready, or after it was stopped.
    #[error("service {service} is {status}, not ready")]
    NotReady {
        /// Which.
        service: String,
        /// What it is instead.
        status: ServiceStatus,
    },
    /// The service exists, with another type behind it.
    #[error("service {service} is not a {wanted}")]
    WrongType {
        /// Which.
        service: String,
        /// The type asked for.
        wanted: &'static str,
    },
    /// Several services could not be started.
    #[error("{} services failed to start: {}", .0.len(), join(.0))]
    Start(Vec<Self>),
}

fn join(errors: &[ServiceError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
