//! Deterministic simulation of the store over a disk that fails; never shipped.
