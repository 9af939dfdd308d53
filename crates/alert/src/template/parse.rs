//! Tokens to trees, by the grammar of Go's text/template.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ast::{Command, Node, Operand, Pipe, Term, Tree};
use super::error::{Fault, Position, TemplateError};
use super::functions::{self, Function};
use super::lex::{Kind, Token, tokens};
use super::{Dialect, NESTING_MAX, SOURCE_BYTES_MAX, literal};

/// Trees by name.
pub(super) type Trees = BTreeMap<String, Arc<Tree>>;

/// Reads a text: the tree of the text itself under `name`, and those it defines. `source` names it in errors.
pub(super) fn parse(dialect: Dialect, source: &str, name: &str, text: &str) -> Result<Trees, TemplateError> {
    let fail = |(at, fault)| TemplateError { template: source.to_owned(), at, fault };
    if text.len() > SOURCE_BYTES_MAX {
        let fault = Fault::Limit { what: "bytes in a template", limit: SOURCE_BYTES_MAX };
        return Err(fail((Position { line: 1, column: 1 }, fault)));
    }
    let tokens = tokens(text).map_err(fail)?;
    let mut parser = Parser {
        tokens,
        next: 0,
        dialect,
        source: source.into(),
        variables: dialect.variables().iter().map(|v| (*v).to_owned()).collect(),
        ranges: 0,
        nesting: 0,
        trees: Trees::new(),
    };
    parser.file(name).map_err(fail)?;
    Ok(parser.trees)
}

type Parsed<T> = Result<T, (Position, Fault)>;

/// What ended a list of nodes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    Text,
    End,
    Else,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    If,
    With,
    Range,
}

impl Control {
    fn word(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        }
    }
}

struct Parser<'a> {
    tokens: Vec<Token<'a>>,
    next: usize,
    dialect: Dialect,
    source: Arc<str>,
    /// In scope, with their dollar.
    variables: Vec<String>,
    /// Ranges around this place in the same template.
    ranges: usize,
    nesting: usize,
    trees: Trees,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Token<'a> {
        // The last token is `End`, and nothing steps over it.
        self.tokens[self.next.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next += 1;
        token
    }

    fn skip_space(&mut self) {
        while self.peek().kind == Kind::Space {
            self.next += 1;
        }
    }

    fn peek_solid(&mut self) -> Token<'a> {
        self.skip_space();
        self.peek()
    }

    fn take_solid(&mut self) -> Token<'a> {
        self.skip_space();
        self.take()
    }

    fn unexpected<T>(&self, token: Token<'a>, context: &str) -> Parsed<T> {
        let shown = match token.kind {
            Kind::End => "EOF".to_owned(),
            Kind::Keyword => format!("<{}>", token.text),
            _ => format!("{:?}", token.text),
        };
        syntax(token.at, format!("unexpected {shown} in {context}"))
    }

    /// One level further into the text.
    fn nested<T>(&mut self, at: Position, inner: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.nesting == NESTING_MAX {
            return Err((at, Fault::Limit { what: "levels of nesting", limit: NESTING_MAX }));
        }
        self.nesting += 1;
        let result = inner(self);
        self.nesting -= 1;
        result
    }

    fn file(&mut self, name: &str) -> Parsed<()> {
        let mut nodes = Vec::new();
        let ended = self.list(&mut nodes, true)?;
        let at = self.tokens[self.next.saturating_sub(1)].at;
        match ended {
            Ended::Text => {}
            Ended::End => return syntax(at, "unexpected {{end}}".to_owned()),
            Ended::Else => return syntax(at, "unexpected {{else}}".to_owned()),
        }
        self.add(Position { line: 1, column: 1 }, name, nodes)
    }

    fn add(&mut self, at: Position, name: &str, nodes: Vec<Node>) -> Parsed<()> {
        let tree = Tree { source: Arc::clone(&self.source), nodes };
        match self.trees.get(name) {
            Some(old) if !old.is_empty() => {
                if !tree.is_empty() {
                    return syntax(at, format!("multiple definition of template {name:?}"));
                }
            }
            _ => {
                self.trees.insert(name.to_owned(), Arc::new(tree));
            }
        }
        Ok(())
    }

    /// Nodes up to an `end`, an `else` or the end of the text; the action that ends them is taken, an `else` without
    /// what follows it.
    fn list(&mut self, nodes: &mut Vec<Node>, top: bool) -> Parsed<Ended> {
        loop {
            let token = self.take();
            match token.kind {
                Kind::Text => nodes.push(Node::Text(token.text.to_owned())),
                Kind::LeftDelimiter => {
                    let word = self.peek_solid();
                    match (word.kind, word.text) {
                        (Kind::Keyword, "end") => {
                            self.take();
                            self.close("end")?;
                            return Ok(Ended::End);
                        }
                        (Kind::Keyword, "else") => {
                            self.take();
                            return Ok(Ended::Else);
                        }
                        (Kind::Keyword, "define") if top => self.define()?,
                        _ => nodes.push(self.action()?),
                    }
                }
                _ => {
                    self.next -= 1;
                    return Ok(Ended::Text);
                }
            }
        }
    }

    fn close(&mut self, context: &str) -> Parsed<()> {
        let token = self.take_solid();
        if token.kind == Kind::RightDelimiter { Ok(()) } else { self.unexpected(token, context) }
    }

    fn action(&mut self) -> Parsed<Node> {
        let word = self.peek_solid();
        if word.kind != Kind::Keyword {
            return Ok(Node::Action(self.pipeline("command", Kind::RightDelimiter)?));
        }
        self.take();
        match word.text {
            "if" => self.control(Control::If, word.at),
            "with" => self.control(Control::With, word.at),
            "range" => self.control(Control::Range, word.at),
            "template" => self.template(word.at),
            "block" => self.block(word.at),
            "break" | "continue" => {
                let token = self.take_solid();
                if token.kind != Kind::RightDelimiter {
                    return self.unexpected(token, &format!("{{{{{}}}}}", word.text));
                }
                if self.ranges == 0 {
                    return syntax(word.at, format!("{{{{{}}}}} outside {{{{range}}}}", word.text));
                }
                Ok(if word.text == "break" { Node::Break } else { Node::Continue })
            }
            _ => self.unexpected(word, "command"),
        }
    }

    /// `if`, `with` and `range` from behind their word to behind their `end`.
    fn control(&mut self, control: Control, at: Position) -> Parsed<Node> {
        self.nested(at, |parser| {
            let mark = parser.variables.len();
            let node = parser.controlled(control, at);
            parser.variables.truncate(mark);
            node
        })
    }

    fn controlled(&mut self, control: Control, at: Position) -> Parsed<Node> {
        let pipe = self.pipeline(control.word(), Kind::RightDelimiter)?;
        let mut then = Vec::new();
        let in_range = usize::from(control == Control::Range);
        self.ranges += in_range;
        let ended = self.list(&mut then, false)?;
        self.ranges -= in_range;
        let mut otherwise = Vec::new();
        match ended {
            Ended::Text => return syntax(self.peek().at, "unexpected EOF".to_owned()),
            Ended::End => {}
            Ended::Else => {
                let token = self.peek_solid();
                let chained = match (control, token.text) {
                    (Control::If, "if") => Some(Control::If),
                    (Control::With, "with") => Some(Control::With),
                    _ => None,
                };
                if let Some(chained) = chained.filter(|_| token.kind == Kind::Keyword) {
                    self.take();
                    // The chained one ends with the `end` of this one.
                    otherwise.push(self.control(chained, at)?);
                } else {
                    self.close("else")?;
                    let place = self.peek().at;
                    match self.list(&mut otherwise, false)? {
                        Ended::End => {}
                        Ended::Else => return syntax(place, "expected end; found {{else}}".to_owned()),
                        Ended::Text => return syntax(self.peek().at, "unexpected EOF".to_owned()),
                    }
                }
            }
        }
        Ok(match control {
            Control::If => Node::If { pipe, then, otherwise },
            Control::With => Node::With { pipe, then, otherwise },
            Control::Range => Node::Range { pipe, body: then, otherwise },
        })
    }

    fn name(&mut self, context: &str) -> Parsed<String> {
        let token = self.take_solid();
        match token.kind {
            Kind::Str => literal::string(token.text).ok_or_else(|| invalid(token.at)),
            Kind::RawStr => Ok(raw(token.text)),
            _ => self.unexpected(token, context),
        }
    }

    fn template(&mut self, at: Position) -> Parsed<Node> {
        let name = self.name("template clause")?;
        let argument = if self.peek_solid().kind == Kind::RightDelimiter {
            self.take();
            None
        } else {
            Some(self.pipeline("template clause", Kind::RightDelimiter)?)
        };
        Ok(Node::Template { at, name, argument })
    }

    fn define(&mut self) -> Parsed<()> {
        let at = self.take().at;
        let name = self.name("define clause")?;
        self.close("define clause")?;
        self.defined(at, &name)
    }

    fn block(&mut self, at: Position) -> Parsed<Node> {
        let name = self.name("block clause")?;
        let argument = Some(self.pipeline("block clause", Kind::RightDelimiter)?);
        self.defined(at, &name)?;
        Ok(Node::Template { at, name, argument })
    }

    /// The body of a definition: variables and ranges around it do not reach into it.
    fn defined(&mut self, at: Position, name: &str) -> Parsed<()> {
        self.nested(at, |parser| {
            let variables = std::mem::replace(&mut parser.variables, vec!["$".to_owned()]);
            let ranges = std::mem::take(&mut parser.ranges);
            let mut nodes = Vec::new();
            match parser.list(&mut nodes, false)? {
                Ended::End => {}
                Ended::Text => return syntax(parser.peek().at, "unexpected EOF".to_owned()),
                Ended::Else => return syntax(at, "unexpected {{else}} in define clause".to_owned()),
            }
            parser.variables = variables;
            parser.ranges = ranges;
            parser.add(at, name, nodes)
        })
    }

    /// Up to and with the token that ends it.
    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipe> {
        let at = self.peek_solid().at;
        let mut pipe = Pipe { at, variables: Vec::new(), assigns: false, commands: Vec::new() };
        self.declarations(context, &mut pipe)?;
        loop {
            let token = self.take_solid();
            match token.kind {
                kind if kind == end => break,
                Kind::Bool
                | Kind::Char
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawStr
                | Kind::Str
                | Kind::Variable
                | Kind::LeftParen => {
                    self.next -= 1;
                    pipe.commands.push(self.command()?);
                }
                _ => return self.unexpected(token, context),
            }
        }
        if pipe.commands.is_empty() {
            return syntax(at, format!("missing value for {context}"));
        }
        for (stage, command) in pipe.commands.iter().enumerate().skip(1) {
            let first = &command.arguments[0];
            if matches!(
                first.term,
                Term::Bool(_) | Term::Dot | Term::Nil | Term::Int(_) | Term::Float(_) | Term::Str(_)
            ) {
                return syntax(first.at, format!("non executable command in pipeline stage {}", stage + 1));
            }
        }
        // Names come into scope behind the pipeline that gives them their values.
        if !pipe.assigns {
            self.variables.extend(pipe.variables.iter().cloned());
        }
        Ok(pipe)
    }

    fn declarations(&mut self, context: &str, pipe: &mut Pipe) -> Parsed<()> {
        let mark = self.next;
        let first = self.peek_solid();
        if first.kind != Kind::Variable {
            return Ok(());
        }
        self.take();
        let next = self.peek_solid();
        match next.kind {
            Kind::Declare | Kind::Assign => {
                self.take();
                pipe.assigns = next.kind == Kind::Assign;
                pipe.variables.push(first.text.to_owned());
            }
            Kind::Comma => {
                self.take();
                let second = self.peek_solid();
                if context != "range" {
                    return syntax(next.at, format!("too many declarations in {context}"));
                }
                if second.kind != Kind::Variable {
                    return syntax(next.at, "range can only initialize variables".to_owned());
                }
                self.take();
                let sign = self.take_solid();
                match sign.kind {
                    Kind::Declare | Kind::Assign => pipe.assigns = sign.kind == Kind::Assign,
                    Kind::Comma => return syntax(sign.at, format!("too many declarations in {context}")),
                    _ => return self.unexpected(sign, context),
                }
                pipe.variables.extend([first.text.to_owned(), second.text.to_owned()]);
            }
            _ => self.next = mark,
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let mut arguments = Vec::new();
        loop {
            let place = self.peek_solid();
            if let Some(operand) = self.operand()? {
                arguments.push(operand);
            }
            let token = self.take();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelimiter | Kind::RightParen => self.next -= 1,
                Kind::Pipe => {}
                _ => return self.unexpected(token, "operand"),
            }
            if arguments.is_empty() {
                return syntax(place.at, "empty command".to_owned());
            }
            return Ok(Command { arguments });
        }
    }

    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(Operand { at, term }) = self.term()? else {
            return Ok(None);
        };
        if self.peek().kind != Kind::Field {
            return Ok(Some(Operand { at, term }));
        }
        let mut fields = Vec::new();
        while self.peek().kind == Kind::Field {
            fields.push(self.take().text[1..].to_owned());
        }
        let term = match term {
            Term::Field(mut first) => {
                first.append(&mut fields);
                Term::Field(first)
            }
            Term::Variable(name, _) => Term::Variable(name, fields),
            Term::Bool(_) | Term::Str(_) | Term::Int(_) | Term::Float(_) | Term::Nil | Term::Dot => {
                return syntax(at, "unexpected . after a constant".to_owned());
            }
            other => Term::Chain(Box::new(Operand { at, term: other }), fields),
        };
        Ok(Some(Operand { at, term }))
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.take_solid();
        let at = token.at;
        let term = match token.kind {
            Kind::Identifier => Term::Function(self.function(token)?),
            Kind::Dot => Term::Dot,
            Kind::Nil => Term::Nil,
            Kind::Variable => {
                if !self.variables.iter().any(|name| name == token.text) {
                    return syntax(at, format!("undefined variable {:?}", token.text));
                }
                Term::Variable(token.text.to_owned(), Vec::new())
            }
            Kind::Field => Term::Field(vec![token.text[1..].to_owned()]),
            Kind::Bool => Term::Bool(token.text == "true"),
            Kind::Char => match literal::character(token.text) {
                Some(value) => Term::Int(value),
                None => return syntax(at, format!("malformed character constant: {}", token.text)),
            },
            Kind::Number => literal::number(token.text).map_err(|message| (at, Fault::Syntax(message)))?,
            Kind::LeftParen => {
                let pipe = self.nested(at, |p| p.pipeline("parenthesized pipeline", Kind::RightParen))?;
                Term::Pipe(Box::new(pipe))
            }
            Kind::Str => Term::Str(literal::string(token.text).ok_or_else(|| invalid(at))?.into()),
            Kind::RawStr => Term::Str(raw(token.text).into()),
            _ => {
                self.next -= 1;
                return Ok(None);
            }
        };
        Ok(Some(Operand { at, term }))
    }

    fn function(&self, token: Token<'a>) -> Parsed<&'static Function> {
        functions::find(self.dialect, token.text).ok_or_else(|| {
            let fault = Fault::UnknownFunction { name: token.text.to_owned(), dialect: self.dialect.name() };
            (token.at, fault)
        })
    }
}

fn raw(text: &str) -> String {
    text[1..text.len() - 1].replace('\r', "")
}

fn invalid(at: Position) -> (Position, Fault) {
    (at, Fault::Syntax("invalid syntax in a quoted string".to_owned()))
}

fn syntax<T>(at: Position, message: String) -> Parsed<T> {
    Err((at, Fault::Syntax(message)))
}
