//! Tree to text, on one line or indented; either parses back to the same tree.

use std::fmt::{self, Display, Formatter, Write};

use model::{METRIC_NAME, MatchOp, Matcher};

use super::ast::{
    AggregateExpr, At, BinaryExpr, BinaryOp, Cardinality, DurationExpr, DurationValue, Expr, ExprKind,
    MatrixSelector, NumberLiteral, SubqueryExpr, VectorMatching, VectorSelector,
};
use super::literal::format_duration;
use super::number::{format_compact, format_plain};
use super::token::quote;

/// Longest line that is left as it is, bytes.
const LINE_BYTES_MAX: usize = 100;

impl Expr {
    /// The query over several lines: what is longer than 100 bytes on one line is split, two spaces a level.
    pub fn prettify(&self) -> String {
        let mut out = String::new();
        pretty(&mut out, self, 0);
        out
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.kind {
            ExprKind::Number(number) => number.fmt(f),
            ExprKind::String(text) => f.write_str(&quote(text)),
            ExprKind::Paren(inner) => write!(f, "({inner})"),
            ExprKind::Unary(unary) => write!(f, "{}{}", sign(unary.negative), unary.expr),
            ExprKind::Binary(binary) => write!(f, "{} {} {}", binary.lhs, Operator(binary), binary.rhs),
            ExprKind::Aggregate(aggregate) => {
                write!(f, "{}(", Aggregation(aggregate))?;
                if let Some(param) = &aggregate.param {
                    write!(f, "{param}, ")?;
                }
                write!(f, "{})", aggregate.expr)
            }
            ExprKind::Call(call) => {
                write!(f, "{}(", call.func.name)?;
                for (i, arg) in call.args.iter().enumerate() {
                    write!(f, "{}{arg}", if i > 0 { ", " } else { "" })?;
                }
                f.write_char(')')
            }
            ExprKind::Vector(selector) => selector.fmt(f),
            ExprKind::Matrix(matrix) => matrix.fmt(f),
            ExprKind::Subquery(subquery) => write!(f, "{}{}", subquery.expr, SubqueryRange(subquery)),
        }
    }
}

impl Display for NumberLiteral {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.duration {
            return f.write_str(&format_duration((self.value * 1000.0).round() as i64));
        }
        f.write_str(&format_plain(self.value))
    }
}

impl Display for VectorSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_selector(f, self)?;
        write_at(f, self.at)?;
        f.write_str(extension(self))?;
        write_offset(f, self.offset.as_ref())
    }
}

impl Display for MatrixSelector {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_selector(f, &self.selector)?;
        write!(f, "[{}]{}", self.range, extension(&self.selector))?;
        write_at(f, self.selector.at)?;
        write_offset(f, self.selector.offset.as_ref())
    }
}

impl Display for DurationValue {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(ms) => f.write_str(&format_duration(*ms)),
            Self::Expr(expr) => expr.fmt(f),
        }
    }
}

impl Display for DurationExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Step => f.write_str("step()"),
            Self::Range => f.write_str("range()"),
            Self::Unary { negative, expr } => write!(f, "{}{expr}", if *negative { "-" } else { "" }),
            Self::Binary { op, lhs, rhs } => write!(f, "{lhs} {} {rhs}", op.as_str()),
            Self::Min(a, b) => write!(f, "min_of({a}, {b})"),
            Self::Max(a, b) => write!(f, "max_of({a}, {b})"),
            Self::Paren(inner) => write!(f, "({inner})"),
        }
    }
}

fn sign(negative: bool) -> char {
    if negative { '-' } else { '+' }
}

/// The name and the matchers, the latter in the order of their texts.
fn write_selector(f: &mut Formatter<'_>, selector: &VectorSelector) -> fmt::Result {
    let name = selector.name.as_deref();
    f.write_str(name.unwrap_or(""))?;
    let is_name =
        |m: &Matcher| m.name == METRIC_NAME && m.op == MatchOp::Equal && Some(m.value.as_str()) == name;
    let mut texts: Vec<String> = selector.matchers.iter().filter(|m| !is_name(m)).map(matcher).collect();
    if texts.is_empty() {
        // Braces alone match everything; only `info` takes them.
        return f.write_str(if name.is_none() { "{}" } else { "" });
    }
    texts.sort_unstable();
    write!(f, "{{{}}}", texts.join(","))
}

fn matcher(matcher: &Matcher) -> String {
    format!("{}{}{}", LabelName(&matcher.name), matcher.op, quote(&matcher.value))
}

fn extension(selector: &VectorSelector) -> &'static str {
    match (selector.anchored, selector.smoothed) {
        (true, _) => " anchored",
        (false, true) => " smoothed",
        (false, false) => "",
    }
}

fn write_at(f: &mut Formatter<'_>, at: Option<At>) -> fmt::Result {
    match at {
        None => Ok(()),
        Some(At::Start) => f.write_str(" @ start()"),
        Some(At::End) => f.write_str(" @ end()"),
        Some(At::Time(ms)) => {
            let (sign, ms) = (if ms < 0 { "-" } else { "" }, ms.unsigned_abs());
            write!(f, " @ {sign}{}.{:03}", ms / 1000, ms % 1000)
        }
    }
}

fn write_offset(f: &mut Formatter<'_>, offset: Option<&DurationValue>) -> fmt::Result {
    match offset {
        None => Ok(()),
        Some(offset) => write!(f, " offset {offset}"),
    }
}

/// A label's name, quoted where it is no plain word.
struct LabelName<'a>(&'a str);

impl Display for LabelName<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word =
            |(i, c): (usize, char)| c == '_' || c.is_ascii_alphabetic() || (i > 0 && c.is_ascii_digit());
        if !self.0.is_empty() && self.0.chars().enumerate().all(word) {
            f.write_str(self.0)
        } else {
            f.write_str(&quote(self.0))
        }
    }
}

fn write_labels(f: &mut Formatter<'_>, labels: &[String]) -> fmt::Result {
    f.write_char('(')?;
    for (i, label) in labels.iter().enumerate() {
        write!(f, "{}{}", if i > 0 { ", " } else { "" }, LabelName(label))?;
    }
    f.write_char(')')
}

/// An operator with its clauses.
struct Operator<'a>(&'a BinaryExpr);

impl Display for Operator<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.as_str())?;
        if self.0.return_bool {
            f.write_str(" bool")?;
        }
        self.0.matching.as_ref().map_or(Ok(()), |matching| write_matching(f, matching))
    }
}

fn write_matching(f: &mut Formatter<'_>, matching: &VectorMatching) -> fmt::Result {
    let group = match matching.card {
        Cardinality::ManyToOne => Some("left"),
        Cardinality::OneToMany => Some("right"),
        Cardinality::OneToOne | Cardinality::ManyToMany => None,
    };
    if !matching.labels.is_empty() || matching.on || group.is_some() {
        f.write_str(if matching.on { " on " } else { " ignoring " })?;
        write_labels(f, &matching.labels)?;
    }
    if let Some(side) = group {
        write!(f, " group_{side} ")?;
        write_labels(f, &matching.include)?;
    }
    match (matching.fill_left, matching.fill_right) {
        (Some(left), Some(right)) if left.to_bits() == right.to_bits() => {
            write!(f, " fill ({})", format_compact(left))
        }
        (left, right) => {
            for (side, value) in [("left", left), ("right", right)] {
                if let Some(value) = value {
                    write!(f, " fill_{side} ({})", format_compact(value))?;
                }
            }
            Ok(())
        }
    }
}

/// An aggregation's name and clause.
struct Aggregation<'a>(&'a AggregateExpr);

impl Display for Aggregation<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.op.as_str())?;
        if !self.0.without && self.0.grouping.is_empty() {
            return Ok(());
        }
        f.write_str(if self.0.without { " without " } else { " by " })?;
        write_labels(f, &self.0.grouping)?;
        f.write_char(' ')
    }
}

/// What a subquery appends to its expression.
struct SubqueryRange<'a>(&'a SubqueryExpr);

impl Display for SubqueryRange<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "[{}:", self.0.range)?;
        if let Some(step) = &self.0.step {
            step.fmt(f)?;
        }
        f.write_char(']')?;
        write_at(f, self.0.at)?;
        write_offset(f, self.0.offset.as_ref())
    }
}

fn pretty(out: &mut String, expr: &Expr, level: usize) {
    let indent = "  ".repeat(level);
    match &expr.kind {
        // A subquery's expression brings the indentation; one that fits has none.
        ExprKind::Subquery(subquery) if exceeds_line(expr) => {
            pretty(out, &subquery.expr, level);
            push(out, format_args!("{}", SubqueryRange(subquery)));
        }
        ExprKind::Subquery(_) => push(out, format_args!("{expr}")),
        ExprKind::Unary(unary) => {
            push(out, format_args!("{indent}{}", sign(unary.negative)));
            let mut child = String::new();
            pretty(&mut child, &unary.expr, level);
            out.push_str(child.trim());
        }
        ExprKind::Binary(binary) if exceeds_line(expr) => {
            pretty(out, &binary.lhs, level + 1);
            push(out, format_args!("\n{indent}{}\n", Operator(binary)));
            pretty(out, &binary.rhs, level + 1);
        }
        ExprKind::Aggregate(aggregate) if exceeds_line(expr) => {
            push(out, format_args!("{indent}{}(\n", Aggregation(aggregate)));
            if let Some(param) = &aggregate.param {
                pretty(out, param, level + 1);
                out.push_str(",\n");
            }
            pretty(out, &aggregate.expr, level + 1);
            push(out, format_args!("\n{indent})"));
        }
        ExprKind::Call(call) if exceeds_line(expr) => {
            push(out, format_args!("{indent}{}(\n", call.func.name));
            for (i, arg) in call.args.iter().enumerate() {
                out.push_str(if i > 0 { ",\n" } else { "" });
                pretty(out, arg, level + 1);
            }
            push(out, format_args!("\n{indent})"));
        }
        ExprKind::Paren(inner) if exceeds_line(expr) => {
            push(out, format_args!("{indent}(\n"));
            pretty(out, inner, level + 1);
            push(out, format_args!("\n{indent})"));
        }
        _ => push(out, format_args!("{indent}{expr}")),
    }
}

fn push(out: &mut String, args: fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    let _ = out.write_fmt(args);
}

/// True when the expression takes more than a line. Stops writing there, so that a deep tree costs no more.
fn exceeds_line(expr: &Expr) -> bool {
    struct Line(usize);
    impl Write for Line {
        fn write_str(&mut self, s: &str) -> fmt::Result {
            self.0 = self.0.checked_sub(s.len()).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    write!(Line(LINE_BYTES_MAX), "{expr}").is_err()
}

impl Display for BinaryOp {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
