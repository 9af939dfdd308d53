//! Functions by dialect.

mod alertmanager;
mod arguments; // taking arguments by type
mod builtin; // what every Go template has
mod compare; // eq and its relatives
mod element; // len, index, slice
mod escape; // html, js, urlquery
mod humanize;
mod prometheus;
mod text; // those on texts that both dialects have

pub(super) use arguments::Arguments;
pub(super) use escape::{html_into, js_into};

use super::Dialect;
use super::error::Fault;
use super::eval::Context;
use super::value::Value;

/// A function with how many arguments it takes.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    least: usize,
    /// `None` for any number.
    most: Option<usize>,
    pub(super) run: Run,
}

/// How a function is carried out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Run {
    /// By the evaluation itself, which leaves arguments unevaluated.
    And,
    /// Likewise.
    Or,
    /// On its arguments.
    Plain(Plain),
}

type Plain = fn(&Context<'_>, &[Value]) -> Result<Value, Fault>;

impl PartialEq for Run {
    fn eq(&self, other: &Self) -> bool {
        matches!((self, other), (Self::And, Self::And) | (Self::Or, Self::Or))
    }
}

impl Function {
    const fn exactly(name: &'static str, count: usize, run: Plain) -> Self {
        Self { name, least: count, most: Some(count), run: Run::Plain(run) }
    }

    const fn at_least(name: &'static str, least: usize, run: Plain) -> Self {
        Self { name, least, most: None, run: Run::Plain(run) }
    }

    /// What is wanted instead of so many arguments.
    pub(super) fn refuses(&self, count: usize) -> Option<String> {
        if count < self.least || self.most.is_some_and(|most| count > most) {
            let more = if self.most.is_none() { "at least " } else { "" };
            return Some(format!("{more}{}", self.least));
        }
        None
    }
}

/// The function of a name, if the dialect has it.
pub(super) fn find(dialect: Dialect, name: &str) -> Option<&'static Function> {
    let own = match dialect {
        Dialect::Prometheus => prometheus::FUNCTIONS,
        Dialect::Alertmanager => alertmanager::FUNCTIONS,
    };
    [own, text::FUNCTIONS, builtin::FUNCTIONS].into_iter().flatten().find(|function| function.name == name)
}
