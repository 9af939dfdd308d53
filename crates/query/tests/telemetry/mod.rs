//! Search, explorers' questions and SQL over made-up telemetry.

mod data;
mod kinds;
mod rows;
mod sql;
