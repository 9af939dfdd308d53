//! Search, explorers' questions and SQL over made-up telemetry.

mod data;
mod rows;
mod sql;
