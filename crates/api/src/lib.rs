//! Wire types of Bellwether's own HTTP API.
