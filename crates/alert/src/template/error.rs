//! What can be wrong with a template, and where.

/// A place in a template's text. Both count from 1; the column counts bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Line.
    pub line: u32,
    /// Byte within the line.
    pub column: u32,
}

/// A template that cannot be read or evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("template {template:?}:{}:{}: {fault}", at.line, at.column)]
pub struct TemplateError {
    /// Name of the template or its file; empty for a text without a name.
    pub template: String,
    /// Where in its text.
    pub at: Position,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The text is not a template.
    #[error("{0}")]
    Syntax(String),
    /// No such function here; known when the text is read.
    #[error("function {name:?} not defined; {dialect} templates have no such function")]
    UnknownFunction {
        /// As written.
        name: String,
        /// Whose templates these are.
        dialect: &'static str,
    },
    /// The template does not fit its data.
    #[error("{0}")]
    Evaluation(String),
    /// The template would cost more than it may.
    #[error("more than {limit} {what}; make the template smaller")]
    Limit {
        /// What there is too much of, with its unit.
        what: &'static str,
        /// How much there may be.
        limit: usize,
    },
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self::Evaluation(message)
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Self::Evaluation(message.to_owned())
    }
}
