//! Answers questions over the store: the series source of PromQL, and what explorers ask about labels.
//!
//! Everything here works on a snapshot of one tenant; there is no query in which the tenant is a predicate
//! that could be forgotten. All calls may read files: run them where blocking is allowed.

mod control; // deadline and cancellation
mod error; // what can go wrong
mod reader; // labels, series, metadata, exemplars, cardinality
pub mod rows; // what explorers ask of logs, spans and events
pub mod search; // what people type, as a predicate
mod selector; // which telemetry somebody sees
mod source; // series for the evaluator
pub mod sql; // statements over all of a tenant's telemetry
mod stored_spans; // spans of the store
pub mod traceql; // the language of Grafana's Tempo
pub mod traces; // spans as trees, maps and tables

pub use control::Control;
pub use error::QueryFault;
pub use reader::{Cardinality, Reader};
pub use selector::{InvalidSelector, Selector};
pub use source::StoreSource;
pub use stored_spans::{OperationsCache, StoredSpans};
