//! The function table: every function with its signature.

use super::ast::ValueType;

/// A function's signature.
#[derive(Debug, PartialEq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Types of its arguments.
    pub args: &'static [ValueType],
    /// 0: all arguments are required; n: the last n may be left out; -1: the last may repeat.
    pub variadic: i32,
    /// Type of its value.
    pub returns: ValueType,
    /// True where upstream calls it experimental (and we offer it all the same).
    pub experimental: bool,
}
