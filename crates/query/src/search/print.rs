//! The canonical text of a search, which reads back as the same search.

use std::fmt::{self, Display, Formatter, Write};

use model::Order;

use super::ast::{Expr, FieldTest, Name, Scope, Value};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_char('*'),
            Self::All(parts) => joined(f, parts, " ", |part| matches!(part, Self::Any(_))),
            Self::Any(parts) => joined(f, parts, " OR ", |part| matches!(part, Self::All(_))),
            Self::Not(inner) => {
                f.write_char('-')?;
                in_parentheses_if(f, inner, matches!(**inner, Self::All(_) | Self::Any(_) | Self::Not(_)))
            }
            Self::Words(value, _) => value.fmt(f),
            Self::Field(name, test) => write!(f, "{name}:{test}"),
        }
    }
}

fn joined(f: &mut Formatter<'_>, parts: &[Expr], by: &str, is_group: impl Fn(&Expr) -> bool) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(by)?;
        }
        in_parentheses_if(f, part, is_group(part))?;
    }
    Ok(())
}

fn in_parentheses_if(f: &mut Formatter<'_>, expr: &Expr, group: bool) -> fmt::Result {
    if group { write!(f, "({expr})") } else { expr.fmt(f) }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.scope {
            Scope::Word => escaped(f, &self.key),
            Scope::Key => quoted(f, &self.key),
            Scope::Record => f.write_str("attributes.").and_then(|()| scoped_key(f, &self.key)),
            Scope::Resource => f.write_str("resource.").and_then(|()| scoped_key(f, &self.key)),
        }
    }
}

fn scoped_key(f: &mut Formatter<'_>, key: &str) -> fmt::Result {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | '@');
    if !key.is_empty() && key.chars().all(is_plain) { f.write_str(key) } else { quoted(f, key) }
}

impl Display for FieldTest {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(value) => value.fmt(f),
            Self::Exactly(value) => write!(f, "={value}"),
            Self::Order(order, value) => {
                let sign = match order {
                    Order::Equal => "=",
                    Order::Less => "<",
                    Order::LessOrEqual => "<=",
                    Order::Greater => ">",
                    Order::GreaterOrEqual => ">=",
                };
                write!(f, "{sign}{value}")
            }
            Self::Regex(regex) => f.write_char('~').and_then(|()| quoted(f, regex)),
            Self::Range { low, low_inside, high, high_inside } => {
                f.write_char(if *low_inside { '[' } else { '{' })?;
                end(f, low.as_ref())?;
                f.write_str(" TO ")?;
                end(f, high.as_ref())?;
                f.write_char(if *high_inside { ']' } else { '}' })
            }
        }
    }
}

fn end(f: &mut Formatter<'_>, value: Option<&Value>) -> fmt::Result {
    match value {
        Some(value) => value.fmt(f),
        None => f.write_char('*'),
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quoted { text, prefix } => {
                quoted(f, text)?;
                if *prefix { f.write_char('*') } else { Ok(()) }
            }
            Self::Word(texts) => {
                for (i, text) in texts.iter().enumerate() {
                    if i > 0 {
                        f.write_char('*')?;
                    }
                    escaped(f, text)?;
                }
                Ok(())
            }
        }
    }
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// A word with a backslash before each character that would mean something.
fn escaped(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let is_operator = matches!(text, "AND" | "OR" | "NOT" | "TO");
    for (i, c) in text.chars().enumerate() {
        let always = c.is_whitespace() || "()\"\\*|:[]{}/".contains(c);
        let first = i == 0 && (is_operator || "><=!~-&".contains(c));
        if always || first {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    Ok(())
}
