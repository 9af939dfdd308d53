//! Functions on texts that Prometheus and Alertmanager both have.

use super::super::error::Fault;
use super::super::eval::Context;
use super::super::format::Sink;
use super::super::value::{Safe, Value};
use super::super::{OUTPUT_BYTES_MAX, pattern};
use super::builtin::too_long;
use super::{Arguments, Function, humanize};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::exactly("toUpper", 1, |_, a| Ok(Arguments(a).text(0)?.to_uppercase().into())),
    Function::exactly("toLower", 1, |_, a| Ok(Arguments(a).text(0)?.to_lowercase().into())),
    Function::exactly("match", 2, |context, a| {
        let arguments = Arguments(a);
        Ok(Value::Bool(context.pattern(arguments.text(0)?)?.is_match(arguments.text(1)?)))
    }),
    Function::exactly("reReplaceAll", 3, |context, a| replace(context, Arguments(a))),
    Function::exactly("safeHtml", 1, |_, a| Ok(Value::Safe(Safe::Html, Arguments(a).text(0)?.clone()))),
    Function::exactly("humanizeDuration", 1, |_, a| Ok(humanize::duration(Arguments(a).number(0)?).into())),
];

fn replace(context: &Context<'_>, arguments: Arguments<'_>) -> Result<Value, Fault> {
    let pattern = context.pattern(arguments.text(0)?)?;
    let mut out = Sink::new(OUTPUT_BYTES_MAX);
    pattern::replace_all(&mut out, &pattern, arguments.text(2)?, arguments.text(1)?);
    out.finish().map(Value::from).map_err(too_long)
}
