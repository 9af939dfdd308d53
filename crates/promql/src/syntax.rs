//! Text to tree and back.

pub mod ast; // the tree
pub mod functions; // what can be called
