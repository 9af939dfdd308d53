//! What Grafana sends, row by row, and an oracle that looks at every span.

mod language; // what parses, and what it means
pub(crate) mod oracle; // search against brute force
mod series; // functions over time
