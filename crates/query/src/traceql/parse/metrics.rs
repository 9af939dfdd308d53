//! Functions over time.

use super::super::ast::{Function, MetricsQuery, Rank};
use super::super::token::Token;
use super::{Parser, Result};

/// Parts that one query may ask quantiles of.
const QUANTILES_MAX: usize = 20;

impl Parser {
    /// A function over time if it is next.
    pub(super) fn metrics_function(&mut self) -> Result<Option<Function>> {
        let Some(Token::Word(word)) = self.peek() else { return Ok(None) };
        let make: fn(&mut Self) -> Result<Function> = match &**word {
            "rate" => |_| Ok(Function::Rate),
            "count_over_time" => |_| Ok(Function::CountOverTime),
            "min_over_time" => |parser| parser.field_expr().map(Function::MinOverTime),
            "max_over_time" => |parser| parser.field_expr().map(Function::MaxOverTime),
            "avg_over_time" => |parser| parser.field_expr().map(Function::AvgOverTime),
            "sum_over_time" => |parser| parser.field_expr().map(Function::SumOverTime),
            "histogram_over_time" => |parser| parser.field_expr().map(Function::HistogramOverTime),
            "quantile_over_time" => Self::quantiles,
            _ => return Ok(None),
        };
        self.at += 1;
        self.expect("(")?;
        let function = make(self)?;
        self.expect(")")?;
        Ok(Some(function))
    }

    fn quantiles(&mut self) -> Result<Function> {
        let field = self.field_expr()?;
        let mut parts = Vec::new();
        while self.take(",") {
            let part = self.plain_number()?;
            if !(0.0..=1.0).contains(&part) || parts.len() == QUANTILES_MAX {
                return self.error(format!("give at most {QUANTILES_MAX} numbers from 0 to 1, such as .95"));
            }
            parts.push(part);
        }
        if parts.is_empty() {
            return Err(self.unexpected("a comma and a number from 0 to 1, such as .95"));
        }
        Ok(Function::QuantileOverTime(field, parts))
    }

    fn plain_number(&mut self) -> Result<f64> {
        let sign = if self.take("-") { -1.0 } else { 1.0 };
        let number = match self.peek() {
            Some(Token::Int(n) | Token::Duration(n)) => *n as f64,
            Some(Token::Float(n)) => *n,
            _ => return Err(self.unexpected("a number")),
        };
        self.at += 1;
        Ok(sign * number)
    }

    /// What may follow the function: labels, then how many series are kept, or which values.
    pub(super) fn metrics(&mut self, function: Function) -> Result<MetricsQuery> {
        let mut query = MetricsQuery { function, by: Vec::new(), rank: None, keep: None };
        if self.next_word("by") {
            self.at += 1;
            query.by = self.fields()?;
        }
        while self.take("|") {
            let top = match self.take_word().as_deref() {
                Some("topk") => true,
                Some("bottomk") => false,
                _ => {
                    return self
                        .error("only topk(n), bottomk(n) or a comparison may follow a function over time");
                }
            };
            self.expect("(")?;
            let count = self.plain_number()?;
            self.expect(")")?;
            if !(1.0..=10_000.0).contains(&count) {
                return self.error("give a number of series from 1 to 10000");
            }
            query.rank = Some(Rank { top, count: count as usize });
        }
        if let Some(op) = self.compare_op() {
            query.keep = Some((op, self.plain_number()?));
        }
        Ok(query)
    }
}
