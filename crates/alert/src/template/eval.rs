//! Carries a template out: nodes to text, pipelines to values.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use regex::Regex;

use super::ast::{Command, Node, Operand, Pipe, Term, Tree};
use super::error::{Fault, Position, TemplateError};
use super::format::{Sink, write};
use super::functions::{Function, Run};
use super::html::Escaper;
use super::parse::Trees;
use super::value::Value;
use super::{
    DEPTH_MAX, Dialect, Env, Escape, OUTPUT_BYTES_MAX, PATTERNS_MAX, STEPS_MAX, VALUE_DEPTH_MAX,
    WORK_BYTES_MAX, fields, pattern,
};

/// What functions see of an evaluation.
pub(super) struct Context<'a> {
    pub(super) env: &'a Env<'a>,
    /// Queries made so far.
    pub(super) queries: Cell<usize>,
    /// Patterns compiled so far.
    patterns: RefCell<HashMap<String, Regex>>,
}

impl Context<'_> {
    /// A compiled pattern; the same one is compiled once.
    pub(super) fn pattern(&self, text: &str) -> Result<Regex, Fault> {
        let mut patterns = self.patterns.borrow_mut();
        if let Some(known) = patterns.get(text) {
            return Ok(known.clone());
        }
        if patterns.len() == PATTERNS_MAX {
            return Err(Fault::Limit { what: "different patterns", limit: PATTERNS_MAX });
        }
        let compiled = pattern::compile(text)?;
        patterns.insert(text.to_owned(), compiled.clone());
        Ok(compiled)
    }
}

/// Evaluates the tree `root` with `data`.
pub(super) fn evaluate(
    trees: &Trees,
    root: &Tree,
    dialect: Dialect,
    data: &Value,
    env: &Env<'_>,
    escape: Escape,
) -> Result<String, TemplateError> {
    let variables = dialect
        .variables()
        .iter()
        .map(|name| {
            let value = match (*name, data) {
                ("$", _) => data.clone(),
                (_, Value::Object(object)) => object.get(&field_of(name)).cloned().unwrap_or(Value::Nil),
                _ => Value::Nil,
            };
            (*name, value)
        })
        .collect();
    let mut machine = Machine {
        trees,
        tree: root,
        context: Context { env, queries: Cell::new(0), patterns: RefCell::default() },
        variables,
        out: Sink::new(OUTPUT_BYTES_MAX),
        escaper: (escape == Escape::Html).then(Escaper::default),
        steps: 0,
        depth: 0,
        work: 0,
    };
    let outcome = machine.list(&root.nodes, data);
    let tree = machine.tree;
    let out = machine.out.finish();
    let fail = |(at, fault)| TemplateError { template: tree.source.to_string(), at, fault };
    outcome.map_err(fail)?;
    out.map_err(|_| fail((Position { line: 1, column: 1 }, output_full())))
}

/// `$externalURL` comes from the field `ExternalURL`.
fn field_of(variable: &str) -> String {
    let name = &variable[1..];
    name[..1].to_uppercase() + &name[1..]
}

fn output_full() -> Fault {
    Fault::Limit { what: "bytes of output", limit: OUTPUT_BYTES_MAX }
}

type Evaluated<T> = Result<T, (Position, Fault)>;

/// How a list of nodes was left.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Through,
    Break,
    Continue,
}

struct Machine<'a> {
    trees: &'a Trees,
    tree: &'a Tree,
    context: Context<'a>,
    /// Those in scope, the innermost last.
    variables: Vec<(&'a str, Value)>,
    out: Sink,
    escaper: Option<Escaper>,
    steps: usize,
    depth: usize,
    /// Bytes of the values made so far.
    work: usize,
}

impl<'a> Machine<'a> {
    fn step(&mut self, at: Position) -> Evaluated<()> {
        self.steps += 1;
        if self.steps > STEPS_MAX {
            return Err((at, Fault::Limit { what: "steps", limit: STEPS_MAX }));
        }
        Ok(())
    }

    /// One level further; templates, blocks and parentheses count alike, as each takes our own stack.
    fn deeper<T>(&mut self, at: Position, inner: impl FnOnce(&mut Self) -> Evaluated<T>) -> Evaluated<T> {
        if self.depth == DEPTH_MAX {
            return Err((
                at,
                Fault::Limit { what: "templates and blocks within each other", limit: DEPTH_MAX },
            ));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    fn list(&mut self, nodes: &'a [Node], dot: &Value) -> Evaluated<Flow> {
        for node in nodes {
            let flow = self.node(node, dot)?;
            if flow != Flow::Through {
                return Ok(flow);
            }
        }
        Ok(Flow::Through)
    }

    fn node(&mut self, node: &'a Node, dot: &Value) -> Evaluated<Flow> {
        match node {
            Node::Text(text) => {
                self.out.push_str(text);
                if let Some(escaper) = &mut self.escaper {
                    escaper.text(text);
                }
            }
            Node::Action(pipe) => {
                let value = self.pipe(pipe, dot)?;
                if pipe.variables.is_empty() {
                    self.print(pipe, &value)?;
                }
            }
            Node::If { pipe, then, otherwise } => return self.branch(pipe, then, otherwise, dot, false),
            Node::With { pipe, then, otherwise } => return self.branch(pipe, then, otherwise, dot, true),
            Node::Range { pipe, body, otherwise } => return self.range(pipe, body, otherwise, dot),
            Node::Template { at, name, argument } => self.template(*at, name, argument.as_ref(), dot)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Through)
    }

    fn print(&mut self, pipe: &Pipe, value: &Value) -> Evaluated<()> {
        let no_value = Value::from("<no value>");
        let value = if *value == Value::Nil { &no_value } else { value };
        let last = pipe.commands.last().map(|command| &command.arguments[0].term);
        let escaped = matches!(last, Some(Term::Function(function)) if function.name == "html");
        match &mut self.escaper {
            Some(escaper) if escaped => escaper.escaped(&mut self.out, value),
            Some(escaper) => escaper.value(&mut self.out, value),
            None => write(&mut self.out, value),
        }
        if self.out.is_full() { Err((pipe.at, output_full())) } else { Ok(()) }
    }

    fn branch(
        &mut self,
        pipe: &'a Pipe,
        then: &'a [Node],
        otherwise: &'a [Node],
        dot: &Value,
        moves_dot: bool,
    ) -> Evaluated<Flow> {
        self.deeper(pipe.at, |machine| {
            let mark = machine.variables.len();
            let value = machine.pipe(pipe, dot)?;
            let flow = if !value.truth() {
                machine.list(otherwise, dot)?
            } else {
                machine.list(then, if moves_dot { &value } else { dot })?
            };
            machine.variables.truncate(mark);
            Ok(flow)
        })
    }

    fn range(
        &mut self,
        pipe: &'a Pipe,
        body: &'a [Node],
        otherwise: &'a [Node],
        dot: &Value,
    ) -> Evaluated<Flow> {
        self.deeper(pipe.at, |machine| {
            let outer = machine.variables.len();
            let value = machine.pipe_value(pipe, dot)?;
            if !pipe.assigns {
                machine.variables.extend(pipe.variables.iter().map(|name| (name.as_str(), Value::Nil)));
            }
            let mark = machine.variables.len();
            let mut ran = false;
            let mut each = |machine: &mut Self, index: Value, item: &Value| -> Evaluated<Flow> {
                ran = true;
                machine.step(pipe.at)?;
                match pipe.variables.as_slice() {
                    [one] => machine.set(pipe.at, one, item.clone())?,
                    [key, one] => {
                        machine.set(pipe.at, key, index)?;
                        machine.set(pipe.at, one, item.clone())?;
                    }
                    _ => {}
                }
                let flow = machine.list(body, item)?;
                machine.variables.truncate(mark);
                Ok(flow)
            };
            match &value {
                Value::List(list) => {
                    for (i, item) in list.items.iter().enumerate() {
                        if each(machine, Value::Int(i as i64), item)? == Flow::Break {
                            break;
                        }
                    }
                }
                Value::Map(map) => {
                    for (key, item) in &map.entries {
                        if each(machine, Value::Str(Arc::clone(key)), item)? == Flow::Break {
                            break;
                        }
                    }
                }
                Value::Int(count) => {
                    for i in 0..*count {
                        if each(machine, Value::Int(i), &Value::Int(i))? == Flow::Break {
                            break;
                        }
                    }
                }
                Value::Nil => {}
                other => {
                    return Err((
                        pipe.at,
                        format!("range can't iterate over a {}", other.type_name()).into(),
                    ));
                }
            }
            let flow = if ran { Flow::Through } else { machine.list(otherwise, dot)? };
            machine.variables.truncate(outer);
            Ok(flow)
        })
    }

    fn template(
        &mut self,
        at: Position,
        name: &str,
        argument: Option<&'a Pipe>,
        dot: &Value,
    ) -> Evaluated<()> {
        let trees = self.trees;
        let Some(tree) = trees.get(name) else {
            return Err((at, format!("template {name:?} not defined").into()));
        };
        let data = match argument {
            Some(pipe) => self.pipe(pipe, dot)?,
            None => Value::Nil,
        };
        self.step(at)?;
        self.deeper(at, |machine| {
            let variables = std::mem::replace(&mut machine.variables, vec![("$", data.clone())]);
            let caller = std::mem::replace(&mut machine.tree, tree);
            // On an error the machine keeps the tree: the error's place is in it.
            machine.list(&tree.nodes, &data)?;
            machine.tree = caller;
            machine.variables = variables;
            Ok(())
        })
    }

    /// A pipeline's value; its variables are set.
    fn pipe(&mut self, pipe: &'a Pipe, dot: &Value) -> Evaluated<Value> {
        let value = self.pipe_value(pipe, dot)?;
        for name in &pipe.variables {
            if pipe.assigns {
                self.set(pipe.at, name, value.clone())?;
            } else {
                self.variables.push((name.as_str(), value.clone()));
            }
        }
        Ok(value)
    }

    fn pipe_value(&mut self, pipe: &'a Pipe, dot: &Value) -> Evaluated<Value> {
        let mut last = None;
        for command in &pipe.commands {
            last = Some(self.command(command, dot, last)?);
        }
        Ok(last.expect("a pipeline has a command"))
    }

    fn set(&mut self, at: Position, name: &str, value: Value) -> Evaluated<()> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err((at, format!("undefined variable: {name}").into())),
        }
    }

    /// A command; `last` is the value of the command before it in the pipeline, its last argument.
    fn command(&mut self, command: &'a Command, dot: &Value, last: Option<Value>) -> Evaluated<Value> {
        let first = &command.arguments[0];
        let rest = &command.arguments[1..];
        self.step(first.at)?;
        match &first.term {
            Term::Function(function) => return self.call(first.at, function, rest, dot, last),
            Term::Field(names) => return self.chain(first.at, dot.clone(), names, rest, dot, last),
            Term::Variable(name, names) if !names.is_empty() => {
                let receiver = self.variable(first.at, name)?;
                return self.chain(first.at, receiver, names, rest, dot, last);
            }
            Term::Chain(inner, names) => {
                let receiver = self.operand(inner, dot)?;
                if matches!(inner.term, Term::Nil) {
                    return Err((first.at, "indirection through explicit nil".into()));
                }
                return self.chain(first.at, receiver, names, rest, dot, last);
            }
            Term::Nil => return Err((first.at, "nil is not a command".into())),
            _ => {}
        }
        if !rest.is_empty() || last.is_some() {
            return Err((first.at, "can't give argument to non-function".into()));
        }
        self.operand(first, dot)
    }

    fn variable(&self, at: Position, name: &str) -> Evaluated<Value> {
        let found = self.variables.iter().rev().find(|(known, _)| *known == name);
        found
            .map(|(_, value)| value.clone())
            .ok_or_else(|| (at, format!("undefined variable: {name}").into()))
    }

    /// An operand's value as an argument.
    fn operand(&mut self, operand: &'a Operand, dot: &Value) -> Evaluated<Value> {
        let at = operand.at;
        match &operand.term {
            Term::Dot => Ok(dot.clone()),
            Term::Nil => Ok(Value::Nil),
            Term::Bool(value) => Ok(Value::Bool(*value)),
            Term::Int(value) => Ok(Value::Int(*value)),
            Term::Float(value) => Ok(Value::Float(*value)),
            Term::Str(text) => Ok(Value::Str(Arc::clone(text))),
            Term::Function(function) => self.call(at, function, &[], dot, None),
            Term::Field(names) => self.chain(at, dot.clone(), names, &[], dot, None),
            Term::Variable(name, names) => {
                let receiver = self.variable(at, name)?;
                self.chain(at, receiver, names, &[], dot, None)
            }
            Term::Chain(inner, names) => {
                let receiver = self.operand(inner, dot)?;
                self.chain(at, receiver, names, &[], dot, None)
            }
            Term::Pipe(pipe) => self.deeper(at, |machine| machine.pipe(pipe, dot)),
        }
    }

    /// `.A.B.C arguments`: only the last one takes them.
    fn chain(
        &mut self,
        at: Position,
        mut receiver: Value,
        names: &'a [String],
        rest: &'a [Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Evaluated<Value> {
        for (i, name) in names.iter().enumerate() {
            let arguments =
                if i + 1 == names.len() { self.arguments(rest, dot, last.clone())? } else { Vec::new() };
            let value = fields::get(&receiver, name, &arguments).map_err(|fault| (at, fault))?;
            // A field is only shared; what a method makes is new.
            receiver = if fields::is_method(&receiver, name) { self.made(at, value)? } else { value };
        }
        Ok(receiver)
    }

    fn arguments(&mut self, rest: &'a [Operand], dot: &Value, last: Option<Value>) -> Evaluated<Vec<Value>> {
        let mut values = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            values.push(self.operand(operand, dot)?);
        }
        values.extend(last);
        Ok(values)
    }

    fn call(
        &mut self,
        at: Position,
        function: &'static Function,
        rest: &'a [Operand],
        dot: &Value,
        last: Option<Value>,
    ) -> Evaluated<Value> {
        self.step(at)?;
        let count = rest.len() + usize::from(last.is_some());
        if let Some(wanted) = function.refuses(count) {
            return Err((
                at,
                format!("wrong number of args for {}: want {wanted} got {count}", function.name).into(),
            ));
        }
        let run = match function.run {
            // These stop at the first argument that decides.
            Run::And | Run::Or => {
                let decides = function.run == Run::Or;
                let mut value = Value::Nil;
                for operand in rest {
                    value = self.operand(operand, dot)?;
                    if value.truth() == decides {
                        return Ok(value);
                    }
                }
                return Ok(last.unwrap_or(value));
            }
            Run::Plain(run) => run,
        };
        let arguments = self.arguments(rest, dot, last)?;
        // Functions look at each byte of their texts.
        self.work += arguments.iter().map(Value::text_bytes).sum::<usize>();
        let value = run(&self.context, &arguments).map_err(|fault| match fault {
            Fault::Evaluation(message) => (at, format!("error calling {}: {message}", function.name).into()),
            other => (at, other),
        })?;
        self.made(at, value)
    }

    /// Counts what a function or method made.
    fn made(&mut self, at: Position, value: Value) -> Evaluated<Value> {
        self.work += value.cost();
        if self.work > WORK_BYTES_MAX {
            return Err((at, Fault::Limit { what: "bytes of values on the way", limit: WORK_BYTES_MAX }));
        }
        if value.depth() > VALUE_DEPTH_MAX {
            return Err((at, Fault::Limit { what: "lists within each other", limit: VALUE_DEPTH_MAX }));
        }
        Ok(value)
    }
}
