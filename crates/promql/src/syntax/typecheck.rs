//! Whether the parts of a tree fit together: types, argument counts, clauses. Matching clauses stay only
//! where both operands are vectors.

use model::METRIC_NAME;

use super::ast::{
    AggregateOp, BinaryExpr, Call, Cardinality, Expr, ExprKind, Pos, ValueType, VectorSelector,
};
use super::error::ParseError;
use super::token::quote;

/// Checks a whole tree; the first thing wrong is the error.
pub(crate) fn check(text: &str, expr: &mut Expr) -> Result<(), ParseError> {
    Checker { text }.expr(expr).map(|_| ())
}

struct Checker<'a> {
    text: &'a str,
}

type Checked = Result<ValueType, ParseError>;

impl Checker<'_> {
    fn error<T>(&self, pos: Pos, message: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError::new(self.text, pos, message))
    }

    fn expr(&self, expr: &mut Expr) -> Checked {
        let typ = expr.value_type();
        match &mut expr.kind {
            ExprKind::Number(_) | ExprKind::String(_) => {}
            ExprKind::Paren(inner) => {
                self.expr(inner)?;
            }
            ExprKind::Unary(unary) => {
                let inner = self.expr(&mut unary.expr)?;
                if !matches!(inner, ValueType::Scalar | ValueType::Vector) {
                    let message = format!(
                        "unary expression only allowed on expressions of type scalar or instant vector, got {}",
                        quote(inner.as_str())
                    );
                    return self.error(expr.pos, message);
                }
            }
            ExprKind::Binary(binary) => self.binary(binary, expr.pos)?,
            ExprKind::Aggregate(aggregate) => {
                self.expect(&mut aggregate.expr, ValueType::Vector, "aggregation expression")?;
                if let Some(param) = &mut aggregate.param {
                    let want = if aggregate.op == AggregateOp::CountValues {
                        ValueType::String
                    } else {
                        ValueType::Scalar
                    };
                    self.expect(param, want, "aggregation parameter")?;
                }
            }
            ExprKind::Call(call) => self.call(call, expr.pos)?,
            ExprKind::Vector(selector) => self.selector(selector, expr.pos, false)?,
            ExprKind::Matrix(matrix) => self.selector(&matrix.selector, matrix.selector_pos, false)?,
            ExprKind::Subquery(subquery) => {
                let inner = self.expr(&mut subquery.expr)?;
                if inner != ValueType::Vector {
                    let name = match inner {
                        ValueType::Matrix => "matrix",
                        other => other.as_str(),
                    };
                    let message = format!("subquery is only allowed on instant vector, got {name} instead");
                    return self.error(expr.pos, message);
                }
            }
        }
        Ok(typ)
    }

    fn expect(&self, expr: &mut Expr, want: ValueType, context: &str) -> Result<(), ParseError> {
        let got = self.expr(expr)?;
        if got == want {
            return Ok(());
        }
        let message = format!("expected type {} in {context}, got {}", want.as_str(), got.as_str());
        self.error(expr.pos, message)
    }

    fn binary(&self, binary: &mut BinaryExpr, pos: Pos) -> Result<(), ParseError> {
        use ValueType::{Scalar, Vector};
        let (lhs, rhs) = (self.expr(&mut binary.lhs)?, self.expr(&mut binary.rhs)?);
        let op = binary.op;
        if binary.return_bool && !op.is_comparison() {
            return self
                .error(self.between(binary), "bool modifier can only be used on comparison operators");
        }
        if op.is_comparison() && !binary.return_bool && (lhs, rhs) == (Scalar, Scalar) {
            return self.error(self.between(binary), "comparisons between scalars must use BOOL modifier");
        }
        let matching = binary.matching.as_ref();
        if let Some(matching) = matching.filter(|m| m.on)
            && let Some(label) = matching.labels.iter().find(|l| matching.include.contains(l))
        {
            let message = format!("label {} must not occur in ON and GROUP clause at once", quote(label));
            return self.error(self.between(binary), message);
        }
        for (side, typ) in [(&binary.lhs, lhs), (&binary.rhs, rhs)] {
            if !matches!(typ, Scalar | Vector) {
                let message = "binary expression must contain only scalar and instant vector types";
                return self.error(side.pos, message);
            }
        }
        let filled = matching.is_some_and(|m| m.fill_left.is_some() || m.fill_right.is_some());
        if (lhs, rhs) != (Vector, Vector) {
            if matching.is_some_and(|m| !m.labels.is_empty()) {
                return self.error(pos, "vector matching only allowed between instant vectors");
            }
            if filled {
                return self.error(pos, "filling in missing series only allowed between instant vectors");
            }
            if op.is_set() {
                let message =
                    format!("set operator {} not allowed in binary scalar expression", quote(op.as_str()));
                return self.error(pos, message);
            }
            binary.matching = None;
        } else if op.is_set() {
            if matching.is_some_and(|m| m.card != Cardinality::ManyToMany) {
                return self.error(pos, format!("no grouping allowed for {} operation", quote(op.as_str())));
            }
            if filled {
                return self.error(pos, "filling in missing series not allowed for set operators");
            }
        }
        Ok(())
    }

    /// The operator and its clauses: what stands between the operands.
    fn between(&self, binary: &BinaryExpr) -> Pos {
        let (from, to) = (binary.lhs.pos.end, binary.rhs.pos.start.max(binary.lhs.pos.end));
        let text = self.text.get(from as usize..to as usize).unwrap_or("");
        let lead = (text.len() - text.trim_start().len()) as u32;
        let trail = (text.len() - text.trim_end().len()) as u32;
        Pos { start: (from + lead).min(to), end: to.saturating_sub(trail).max(from) }
    }

    fn call(&self, call: &mut Call, pos: Pos) -> Result<(), ParseError> {
        let (name, count) = (quote(call.func.name), call.args.len());
        let (min, max) = (call.func.args_min(), call.func.args_max());
        if Some(min) == max && count != min {
            return self.error(pos, format!("expected {min} argument(s) in call to {name}, got {count}"));
        }
        if count < min {
            return self
                .error(pos, format!("expected at least {min} argument(s) in call to {name}, got {count}"));
        }
        if let Some(max) = max.filter(|max| count > *max) {
            return self
                .error(pos, format!("expected at most {max} argument(s) in call to {name}, got {count}"));
        }
        let info = call.func.name == "info";
        for (index, arg) in call.args.iter_mut().enumerate() {
            // The second argument of `info` only lists labels, so it may match everything.
            if info && index == 1 {
                self.info_labels(arg, pos)?;
                continue;
            }
            let got = self.expr(arg)?;
            if let Some(want) = call.func.arg_type(index).filter(|want| *want != got) {
                let message = format!(
                    "expected type {} in call to function {name}, got {}",
                    want.as_str(),
                    got.as_str()
                );
                return self.error(arg.pos, message);
            }
        }
        Ok(())
    }

    fn info_labels(&self, arg: &Expr, call: Pos) -> Result<(), ParseError> {
        let got = arg.value_type();
        if got != ValueType::Vector {
            let message =
                format!("expected type instant vector in call to function \"info\", got {}", got.as_str());
            return self.error(call, message);
        }
        match &arg.kind {
            ExprKind::Vector(selector) if selector.name.is_none() => self.selector(selector, arg.pos, true),
            ExprKind::Vector(_) => {
                self.error(arg.pos, "expected label selectors only, got vector selector instead")
            }
            _ => self.error(arg.pos, "expected label selectors only"),
        }
    }

    fn selector(&self, selector: &VectorSelector, pos: Pos, may_match_all: bool) -> Result<(), ParseError> {
        if let Some(name) = &selector.name {
            let others = &selector.matchers[..selector.matchers.len().saturating_sub(1)];
            if let Some(other) = others.iter().find(|m| m.name == METRIC_NAME) {
                let message =
                    format!("metric name must not be set twice: {} or {}", quote(name), quote(&other.value));
                return self.error(pos, message);
            }
            return Ok(());
        }
        if !may_match_all && selector.matchers.iter().all(model::Matcher::matches_empty) {
            return self.error(pos, "vector selector must contain at least one non-empty matcher");
        }
        Ok(())
    }
}
