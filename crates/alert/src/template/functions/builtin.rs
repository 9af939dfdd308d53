//! What every Go template has, save `call`: no value here can be called.

use super::super::OUTPUT_BYTES_MAX;
use super::super::error::Fault;
use super::super::eval::Context;
use super::super::format::{Full, Sink, print, printf};
use super::super::value::Value;
use super::{Arguments, Function, Run, compare, element, escape};

pub(super) const FUNCTIONS: &[Function] = &[
    Function { name: "and", least: 1, most: None, run: Run::And },
    Function { name: "or", least: 1, most: None, run: Run::Or },
    Function::exactly("not", 1, |_, a| Ok(Value::Bool(!a[0].truth()))),
    Function::at_least("eq", 1, |_, a| compare::eq(a).map(Value::Bool)),
    Function::exactly("ne", 2, |_, a| compare::eq(a).map(|equal| Value::Bool(!equal))),
    Function::exactly("lt", 2, |_, a| compare::less(&a[0], &a[1]).map(Value::Bool)),
    Function::exactly("le", 2, |_, a| Ok(Value::Bool(compare::less(&a[0], &a[1])? || compare::eq(a)?))),
    Function::exactly("gt", 2, |_, a| Ok(Value::Bool(!compare::less(&a[0], &a[1])? && !compare::eq(a)?))),
    Function::exactly("ge", 2, |_, a| compare::less(&a[0], &a[1]).map(|less| Value::Bool(!less))),
    Function::exactly("len", 1, |_, a| element::len(&a[0])),
    Function::at_least("index", 1, |_, a| element::index(a)),
    Function::at_least("slice", 1, |_, a| element::slice(a)),
    Function::at_least("html", 0, |_, a| made(a, escape::html_into)),
    Function::at_least("js", 0, |_, a| made(a, escape::js_into)),
    Function::at_least("urlquery", 0, |_, a| made(a, escape::query_into)),
    Function::at_least("print", 0, |_, a| text(|out| print(out, a))),
    Function::at_least("println", 0, |_, a| text(|out| println(out, a))),
    Function::at_least("printf", 1, formatted),
];

/// A text of a function, bounded.
pub(super) fn text(write: impl FnOnce(&mut Sink)) -> Result<Value, Fault> {
    let mut out = Sink::new(OUTPUT_BYTES_MAX);
    write(&mut out);
    out.finish().map(Value::from).map_err(too_long)
}

pub(super) fn too_long(_: Full) -> Fault {
    Fault::Limit { what: "bytes in one text", limit: OUTPUT_BYTES_MAX }
}

/// The arguments as one text, through an escaping.
fn made(arguments: &[Value], escape: fn(&mut Sink, &str)) -> Result<Value, Fault> {
    let joined = match arguments {
        [Value::Str(one)] => one.to_string(),
        _ => {
            let shown: Vec<Value> = arguments
                .iter()
                .map(|v| if *v == Value::Nil { Value::from("<no value>") } else { v.clone() })
                .collect();
            let mut out = Sink::new(OUTPUT_BYTES_MAX);
            print(&mut out, &shown);
            out.finish().map_err(too_long)?
        }
    };
    text(|out| escape(out, &joined))
}

fn println(out: &mut Sink, arguments: &[Value]) {
    for (i, argument) in arguments.iter().enumerate() {
        if i > 0 {
            out.push(' ');
        }
        print(out, std::slice::from_ref(argument));
    }
    out.push('\n');
}

fn formatted(_: &Context<'_>, arguments: &[Value]) -> Result<Value, Fault> {
    let format = Arguments(arguments).text(0)?;
    text(|out| printf(out, format, &arguments[1..]))
}
