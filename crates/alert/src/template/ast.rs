//! What a template is once it is read.

use std::sync::Arc;

use super::error::Position;
use super::functions::Function;

/// One named template.
#[derive(Debug)]
pub(super) struct Tree {
    /// The file or text it was read from, for errors.
    pub(super) source: Arc<str>,
    pub(super) nodes: Vec<Node>,
}

impl Tree {
    /// Whether nothing but white space and definitions stands in it: such a tree does not replace another.
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.iter().all(|node| matches!(node, Node::Text(text) if text.trim().is_empty()))
    }
}

#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Action(Pipe),
    If { pipe: Pipe, then: Vec<Node>, otherwise: Vec<Node> },
    With { pipe: Pipe, then: Vec<Node>, otherwise: Vec<Node> },
    Range { pipe: Pipe, body: Vec<Node>, otherwise: Vec<Node> },
    Template { at: Position, name: String, argument: Option<Pipe> },
    Break,
    Continue,
}

/// `$a, $b := first | second`.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) at: Position,
    /// With their dollar; one, or two in a range.
    pub(super) variables: Vec<String>,
    /// `=` rather than `:=`.
    pub(super) assigns: bool,
    pub(super) commands: Vec<Command>,
}

/// An operand, or a function or method with its arguments. Never empty.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) arguments: Vec<Operand>,
}

#[derive(Debug)]
pub(super) struct Operand {
    pub(super) at: Position,
    pub(super) term: Term,
}

#[derive(Debug)]
pub(super) enum Term {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    Function(&'static Function),
    /// `.A.B`, without dots.
    Field(Vec<String>),
    /// `$x.A.B`, the variable with its dollar.
    Variable(String, Vec<String>),
    /// `(…).A.B`, or a function's result.
    Chain(Box<Operand>, Vec<String>),
    Pipe(Box<Pipe>),
}
