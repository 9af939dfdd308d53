//! The tree as JSON, in the shape that upstream's `/api/v1/parse_query` answers with.

use std::fmt::Write;

use model::Matcher;

use super::ast::{At, Cardinality, DurationValue, Expr, ExprKind, ValueType, VectorMatching, VectorSelector};
use super::number::format_plain;

impl Expr {
    /// The tree as a JSON object. Durations are milliseconds; computed ones are 0.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        expr(&mut out, self);
        out
    }
}

/// Appends `"key":value` pairs of an object in the order given.
struct Object<'a> {
    out: &'a mut String,
    separator: char,
}

impl<'a> Object<'a> {
    fn new(out: &'a mut String, typ: &str) -> Self {
        let mut object = Self::untyped(out);
        object.text("type", typ);
        object
    }

    fn untyped(out: &'a mut String) -> Self {
        Self { out, separator: '{' }
    }

    fn key(&mut self, key: &str) -> &mut String {
        self.out.push(self.separator);
        self.separator = ',';
        push_text(self.out, key);
        self.out.push(':');
        self.out
    }

    fn text(&mut self, key: &str, value: &str) {
        push_text(self.key(key), value);
    }

    fn raw(&mut self, key: &str, value: impl std::fmt::Display) {
        let out = self.key(key);
        // Writing to a text cannot fail.
        let _ = write!(out, "{value}");
    }

    fn expr(&mut self, key: &str, value: &Expr) {
        expr(self.key(key), value);
    }

    fn list<T>(&mut self, key: &str, items: &[T], push: impl Fn(&mut String, &T)) {
        let out = self.key(key);
        out.push('[');
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            push(out, item);
        }
        out.push(']');
    }

    fn end(self) {
        self.out.push('}');
    }
}

fn expr(out: &mut String, node: &Expr) {
    match &node.kind {
        ExprKind::Number(number) => {
            let mut o = Object::new(out, "numberLiteral");
            o.text("val", &format_plain(number.value));
            o.end();
        }
        ExprKind::String(text) => {
            let mut o = Object::new(out, "stringLiteral");
            o.text("val", text);
            o.end();
        }
        ExprKind::Paren(inner) => {
            let mut o = Object::new(out, "parenExpr");
            o.expr("expr", inner);
            o.end();
        }
        ExprKind::Unary(unary) => {
            let mut o = Object::new(out, "unaryExpr");
            o.text("op", if unary.negative { "-" } else { "+" });
            o.expr("expr", &unary.expr);
            o.end();
        }
        ExprKind::Binary(binary) => {
            let mut o = Object::new(out, "binaryExpr");
            o.text("op", binary.op.as_str());
            o.expr("lhs", &binary.lhs);
            o.expr("rhs", &binary.rhs);
            match &binary.matching {
                Some(found) => matching(o.key("matching"), found),
                None => o.raw("matching", "null"),
            }
            o.raw("bool", binary.return_bool);
            o.end();
        }
        ExprKind::Aggregate(aggregate) => {
            let mut o = Object::new(out, "aggregation");
            o.text("op", aggregate.op.as_str());
            o.expr("expr", &aggregate.expr);
            match &aggregate.param {
                Some(param) => o.expr("param", param),
                None => o.raw("param", "null"),
            }
            o.list("grouping", &aggregate.grouping, |out, label| push_text(out, label));
            o.raw("without", aggregate.without);
            o.end();
        }
        ExprKind::Call(call) => {
            let mut o = Object::new(out, "call");
            let mut func = Object::untyped(o.key("func"));
            func.text("name", call.func.name);
            func.list("argTypes", call.func.args, |out, typ| push_text(out, type_name(*typ)));
            func.raw("variadic", call.func.variadic);
            func.text("returnType", type_name(call.func.returns));
            func.end();
            o.list("args", &call.args, expr);
            o.end();
        }
        ExprKind::Vector(vector) => {
            let mut o = Object::new(out, "vectorSelector");
            selector(&mut o, vector);
            o.end();
        }
        ExprKind::Matrix(matrix) => {
            let mut o = Object::new(out, "matrixSelector");
            o.raw("range", milliseconds(Some(&matrix.range)));
            selector(&mut o, &matrix.selector);
            o.end();
        }
        ExprKind::Subquery(subquery) => {
            let mut o = Object::new(out, "subquery");
            o.expr("expr", &subquery.expr);
            o.raw("range", milliseconds(Some(&subquery.range)));
            o.raw("offset", milliseconds(subquery.offset.as_ref()));
            o.raw("step", milliseconds(subquery.step.as_ref()));
            at(&mut o, subquery.at);
            o.end();
        }
    }
}

fn selector(o: &mut Object<'_>, selector: &VectorSelector) {
    o.text("name", selector.name.as_deref().unwrap_or(""));
    o.raw("offset", milliseconds(selector.offset.as_ref()));
    o.list("matchers", &selector.matchers, matcher);
    at(o, selector.at);
    o.raw("anchored", selector.anchored);
    o.raw("smoothed", selector.smoothed);
}

fn matcher(out: &mut String, matcher: &Matcher) {
    let mut o = Object::untyped(out);
    o.text("name", &matcher.name);
    o.text("value", &matcher.value);
    o.text("type", &matcher.op.to_string());
    o.end();
}

fn at(o: &mut Object<'_>, at: Option<At>) {
    match at {
        Some(At::Time(ms)) => o.raw("timestamp", ms),
        _ => o.raw("timestamp", "null"),
    }
    match at {
        Some(At::Start) => o.text("startOrEnd", "start"),
        Some(At::End) => o.text("startOrEnd", "end"),
        _ => o.raw("startOrEnd", "null"),
    }
}

fn matching(out: &mut String, matching: &VectorMatching) {
    let mut o = Object::untyped(out);
    let card = match matching.card {
        Cardinality::OneToOne => "one-to-one",
        Cardinality::ManyToOne => "many-to-one",
        Cardinality::OneToMany => "one-to-many",
        Cardinality::ManyToMany => "many-to-many",
    };
    o.text("card", card);
    o.list("labels", &matching.labels, |out, label| push_text(out, label));
    o.raw("on", matching.on);
    o.list("include", &matching.include, |out, label| push_text(out, label));
    let mut fill = Object::untyped(o.key("fillValues"));
    for (side, value) in [("lhs", matching.fill_left), ("rhs", matching.fill_right)] {
        // JSON has no infinity and no NaN.
        match value.filter(|value| value.is_finite()) {
            Some(value) => fill.raw(side, format_plain(value)),
            None => fill.raw(side, "null"),
        }
    }
    fill.end();
    o.end();
}

fn milliseconds(duration: Option<&DurationValue>) -> i64 {
    match duration {
        Some(DurationValue::Fixed(ms)) => *ms,
        Some(DurationValue::Expr(_)) | None => 0,
    }
}

fn type_name(typ: ValueType) -> &'static str {
    match typ {
        ValueType::Scalar => "scalar",
        ValueType::String => "string",
        ValueType::Vector => "vector",
        ValueType::Matrix => "matrix",
    }
}

fn push_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use crate::syntax::parse;

    #[track_caller]
    fn check(query: &str, want: &str) {
        assert_eq!(parse(query).expect("parses").to_json(), want);
    }

    #[test]
    fn selectors_list_matchers_and_modifiers() {
        check(
            r#"up{job=~"a\"b"} @ 1.5 offset 5m"#,
            concat!(
                r#"{"type":"vectorSelector","name":"up","offset":300000,"#,
                r#""matchers":[{"name":"job","value":"a\"b","type":"=~"},{"name":"__name__","value":"up","type":"="}],"#,
                r#""timestamp":1500,"startOrEnd":null,"anchored":false,"smoothed":false}"#
            ),
        );
    }

    #[test]
    fn operators_list_their_clause() {
        check(
            "vector(1) + on (a) group_left (b) fill_left (2) vector(2)",
            concat!(
                r#"{"type":"binaryExpr","op":"+","lhs":{"type":"call","func":{"name":"vector","argTypes":["scalar"],"#,
                r#""variadic":0,"returnType":"vector"},"args":[{"type":"numberLiteral","val":"1"}]},"#,
                r#""rhs":{"type":"call","func":{"name":"vector","argTypes":["scalar"],"variadic":0,"#,
                r#""returnType":"vector"},"args":[{"type":"numberLiteral","val":"2"}]},"#,
                r#""matching":{"card":"many-to-one","labels":["a"],"on":true,"include":["b"],"#,
                r#""fillValues":{"lhs":2,"rhs":null}},"bool":false}"#
            ),
        );
    }

    #[test]
    fn the_other_nodes_are_objects_too() {
        check(
            "sum by (x) (-(max_over_time(up[5m:1m] @ end())))",
            concat!(
                r#"{"type":"aggregation","op":"sum","expr":{"type":"unaryExpr","op":"-","expr":{"type":"parenExpr","#,
                r#""expr":{"type":"call","func":{"name":"max_over_time","argTypes":["matrix"],"variadic":0,"#,
                r#""returnType":"vector"},"args":[{"type":"subquery","expr":{"type":"vectorSelector","name":"up","#,
                r#""offset":0,"matchers":[{"name":"__name__","value":"up","type":"="}],"timestamp":null,"#,
                r#""startOrEnd":null,"anchored":false,"smoothed":false},"range":300000,"offset":0,"step":60000,"#,
                r#""timestamp":null,"startOrEnd":"end"}]}}},"param":null,"grouping":["x"],"without":false}"#
            ),
        );
    }
}
