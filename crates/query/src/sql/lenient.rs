//! Comparisons of texts with numbers that never fail a statement.
//!
//! The engine casts one side to the type of the other and gives up at the first value that is not of it. A sender
//! may have put a text where there was a number before, which shall not break the statements of everybody else: a
//! text that shows no number is unknown in the comparison, as null is.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue};
use datafusion::logical_expr::expr::{Between, InList};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, LogicalPlan, Operator, lit, try_cast};
use datafusion::optimizer::analyzer::{Analyzer, AnalyzerRule};

/// Casts in comparisons before the engine does.
#[derive(Debug)]
pub(super) struct Lenient;

impl Lenient {
    /// This rule, then the engine's own.
    pub(super) fn with_others() -> Vec<Arc<dyn AnalyzerRule + Send + Sync>> {
        let mut rules: Vec<Arc<dyn AnalyzerRule + Send + Sync>> = vec![Arc::new(Self)];
        rules.extend(Analyzer::new().rules);
        rules
    }
}

impl AnalyzerRule for Lenient {
    fn name(&self) -> &str {
        "lenient_comparisons"
    }

    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        let settled = plan.transform_up_with_subqueries(|plan| {
            let schema = merge_schema(&plan.inputs());
            let names = NamePreserver::new(&plan);
            plan.map_expressions(|expr| {
                let name = names.save(&expr);
                let settled = expr.transform_up(|expr| Ok(settle(expr, &schema)))?;
                Ok(settled.update_data(|expr| name.restore(expr)))
            })
        });
        settled.map(|settled| settled.data)
    }
}

/// A comparison whose sides are of one type, or at least do not fail to become so.
fn settle(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    let type_of = |expr: &Expr| expr.get_type(schema).ok();
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if is_comparison(op) => {
            let types = (type_of(&left), type_of(&right));
            let (Some(of_left), Some(of_right)) = types else {
                return Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right }));
            };
            let left = Box::new(cast(*left, &of_left, &of_right));
            let right = Box::new(cast(*right, &of_right, &of_left));
            Transformed::yes(Expr::BinaryExpr(BinaryExpr { left, op, right }))
        }
        Expr::Between(Between { expr, negated, low, high }) => {
            let types = (type_of(&expr), type_of(&low), type_of(&high));
            let (Some(of_expr), Some(of_low), Some(of_high)) = types else {
                return Transformed::no(Expr::Between(Between { expr, negated, low, high }));
            };
            // What one of the three is makes all of them so.
            let others = [&of_expr, &of_low, &of_high];
            let other = others.into_iter().find(|other| !is_text(other)).unwrap_or(&of_expr);
            let low = Box::new(cast(*low, &of_low, other));
            let high = Box::new(cast(*high, &of_high, other));
            let expr = Box::new(cast(*expr, &of_expr, other));
            Transformed::yes(Expr::Between(Between { expr, negated, low, high }))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let Some(of_expr) = type_of(&expr) else {
                return Transformed::no(Expr::InList(InList { expr, list, negated }));
            };
            let others: Vec<Option<DataType>> = list.iter().map(type_of).collect();
            let first = others.first().cloned().flatten();
            let alike = |other: &Option<DataType>| other.as_ref().is_some_and(|other| !is_text(other));
            let list = list.into_iter().zip(&others).map(|(value, of_value)| match of_value {
                Some(of_value) => cast(value, of_value, &of_expr),
                None => value,
            });
            let list = list.collect();
            let expr = match first {
                // A list of texts and numbers is compared as texts.
                Some(first) if others.iter().all(alike) => Box::new(cast(*expr, &of_expr, &first)),
                _ => expr,
            };
            Transformed::yes(Expr::InList(InList { expr, list, negated }))
        }
        other => Transformed::no(other),
    }
}

fn is_comparison(op: Operator) -> bool {
    use Operator::{Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, NotEq};
    matches!(op, Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

fn is_text(of: &DataType) -> bool {
    matches!(of, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// A text as what it is compared with.
fn cast(expr: Expr, own: &DataType, other: &DataType) -> Expr {
    if !is_text(own) {
        return expr;
    }
    match (&expr, other) {
        (Expr::Literal(value, _), other) if other.is_numeric() => {
            let Some(Some(text)) = value.try_as_str() else { return expr };
            match (text.trim().parse::<i64>(), text.trim().parse::<f64>()) {
                (Ok(int), _) => lit(int),
                (_, Ok(double)) => lit(double),
                _ => lit(ScalarValue::Int64(None)),
            }
        }
        (Expr::Literal(value, _), DataType::Boolean) => {
            let Some(Some(text)) = value.try_as_str() else { return expr };
            lit(ScalarValue::Boolean(text.trim().to_ascii_lowercase().parse().ok()))
        }
        // A time that is written wrong is told to whoever wrote it.
        (Expr::Literal(..), _) => expr,
        // Of whole numbers too: the text may show one with a fraction.
        (_, other) if other.is_numeric() => try_cast(expr, DataType::Float64),
        (_, DataType::Boolean) => try_cast(expr, DataType::Boolean),
        (_, other) if other.is_temporal() => try_cast(expr, other.clone()),
        _ => expr,
    }
}
