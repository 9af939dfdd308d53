//! Walks over the tree.

use super::ast::{Expr, ExprKind, VectorSelector};

impl Expr {
    /// Every selector in the expression, in the order of the text.
    pub fn selectors(&self) -> Vec<&VectorSelector> {
        let mut found = Vec::new();
        self.collect_selectors(&mut found);
        found
    }

    fn collect_selectors<'a>(&'a self, found: &mut Vec<&'a VectorSelector>) {
        match &self.kind {
            ExprKind::Number(_) | ExprKind::String(_) => {}
            ExprKind::Paren(inner) => inner.collect_selectors(found),
            ExprKind::Unary(unary) => unary.expr.collect_selectors(found),
            ExprKind::Binary(binary) => {
                binary.lhs.collect_selectors(found);
                binary.rhs.collect_selectors(found);
            }
            ExprKind::Aggregate(aggregate) => {
                if let Some(param) = &aggregate.param {
                    param.collect_selectors(found);
                }
                aggregate.expr.collect_selectors(found);
            }
            ExprKind::Call(call) => call.args.iter().for_each(|arg| arg.collect_selectors(found)),
            ExprKind::Vector(selector) => found.push(selector),
            ExprKind::Matrix(matrix) => found.push(&matrix.selector),
            ExprKind::Subquery(subquery) => subquery.expr.collect_selectors(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::syntax::parse;

    #[test]
    fn selectors_come_in_the_order_of_the_text() {
        let check = |query: &str, want: &[&str]| {
            let expr = parse(query).unwrap();
            let names: Vec<_> = expr.selectors().iter().filter_map(|s| s.name.as_deref()).collect();
            assert_eq!(names, want, "{query}");
        };
        check("1 + 2", &[]);
        check("a + on (x) rate(b[5m]) / -(c)", &["a", "b", "c"]);
        check("topk(scalar(k), sum(max_over_time(d[1h:5m])))", &["k", "d"]);
    }
}
