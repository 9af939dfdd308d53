//! What the kinds of node are called, and what type of value they have.

use super::ast::{AggregateOp, BinaryOp, Expr, ExprKind, ValueType};

impl Expr {
    /// The type of the expression's value.
    pub fn value_type(&self) -> ValueType {
        match &self.kind {
            ExprKind::Number(_) => ValueType::Scalar,
            ExprKind::String(_) => ValueType::String,
            ExprKind::Paren(inner) => inner.value_type(),
            ExprKind::Unary(unary) => unary.expr.value_type(),
            ExprKind::Binary(binary) => {
                let scalar = |e: &Expr| e.value_type() == ValueType::Scalar;
                if scalar(&binary.lhs) && scalar(&binary.rhs) { ValueType::Scalar } else { ValueType::Vector }
            }
            ExprKind::Aggregate(_) | ExprKind::Vector(_) => ValueType::Vector,
            ExprKind::Call(call) => call.func.returns,
            ExprKind::Matrix(_) | ExprKind::Subquery(_) => ValueType::Matrix,
        }
    }
}

impl BinaryOp {
    /// As queries write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Sub => "-",
            Self::Mul => "*",
            Self::Div => "/",
            Self::Mod => "%",
            Self::Pow => "^",
            Self::Atan2 => "atan2",
            Self::Eql => "==",
            Self::Neq => "!=",
            Self::Gtr => ">",
            Self::Lss => "<",
            Self::Gte => ">=",
            Self::Lte => "<=",
            Self::And => "and",
            Self::Or => "or",
            Self::Unless => "unless",
            Self::TrimUpper => "</",
            Self::TrimLower => ">/",
        }
    }

    /// True for `==`, `!=`, `>`, `<`, `>=`, `<=`.
    pub fn is_comparison(self) -> bool {
        matches!(self, Self::Eql | Self::Neq | Self::Gtr | Self::Lss | Self::Gte | Self::Lte)
    }

    /// True for `and`, `or`, `unless`.
    pub fn is_set(self) -> bool {
        matches!(self, Self::And | Self::Or | Self::Unless)
    }
}

impl AggregateOp {
    /// As queries write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Avg => "avg",
            Self::Bottomk => "bottomk",
            Self::Count => "count",
            Self::CountValues => "count_values",
            Self::Group => "group",
            Self::Limitk => "limitk",
            Self::LimitRatio => "limit_ratio",
            Self::Max => "max",
            Self::Min => "min",
            Self::Quantile => "quantile",
            Self::Stddev => "stddev",
            Self::Stdvar => "stdvar",
            Self::Sum => "sum",
            Self::Topk => "topk",
        }
    }

    /// True when a parameter stands before the expression.
    pub fn takes_param(self) -> bool {
        matches!(
            self,
            Self::Topk | Self::Bottomk | Self::CountValues | Self::Quantile | Self::Limitk | Self::LimitRatio
        )
    }
}
