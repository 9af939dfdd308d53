//! `label_replace` and `label_join`: functions of labels alone.

use model::METRIC_NAME;

use super::column::{Grid, Series};
use super::context::Frame;
use super::error::QueryError;
use super::instant::arg;
use super::matching::Merged;
use super::plan::Plan;
use crate::syntax::holds_raw_bytes;

/// Largest compiled form of a replacement's expression.
const REGEX_BYTES_MAX: usize = 4 << 20;

/// Longest label value that is made.
const VALUE_BYTES_MAX: usize = 1 << 20;

impl Frame<'_> {
    pub(crate) fn label_replace(&self, args: &[Plan], grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let texts = self.strings(&args[1..])?;
        let [destination, replacement, source, pattern] = &texts[..] else {
            return Err(QueryError::execution("label_replace needs four string literals"));
        };
        let regex = regex::RegexBuilder::new(&format!("^(?s:{pattern})$"))
            .size_limit(REGEX_BYTES_MAX)
            .build()
            .map_err(|_| {
                QueryError::Execution(format!("invalid regular expression in label_replace(): {pattern}"))
            })?;
        check_label_name(destination, "destination", "label_replace")?;
        let mut series = self.vector(arg(args, 0)?, grid)?;
        for one in &mut series {
            let Some(captures) = regex.captures(one.labels.get(source).unwrap_or("")) else { continue };
            let longest = captures.get_match().len();
            check_length(replacement.len() + replacement.matches('$').count() * longest, "label_replace")?;
            let mut value = String::new();
            captures.expand(replacement, &mut value);
            set(one, destination, &value);
        }
        merged(series)
    }

    pub(crate) fn label_join(&self, args: &[Plan], grid: &Grid) -> Result<Vec<Series>, QueryError> {
        let texts = self.strings(&args[1..])?;
        let [destination, separator, sources @ ..] = &texts[..] else {
            return Err(QueryError::execution("label_join needs two string literals and more"));
        };
        for source in sources {
            check_label_name(source, "source", "label_join")?;
        }
        check_label_name(destination, "destination", "label_join")?;
        let mut series = self.vector(arg(args, 0)?, grid)?;
        for one in &mut series {
            let values: Vec<&str> =
                sources.iter().map(|source| one.labels.get(source).unwrap_or("")).collect();
            let parts: usize = values.iter().map(|value| value.len()).sum();
            check_length(parts + separator.len() * values.len(), "label_join")?;
            let value = values.join(separator);
            set(one, destination, &value);
        }
        merged(series)
    }
}

fn check_label_name(name: &str, role: &str, function: &str) -> Result<(), QueryError> {
    if name.is_empty() || holds_raw_bytes(name) {
        return Err(QueryError::Execution(format!("invalid {role} label name in {function}(): {name}")));
    }
    Ok(())
}

/// Refuses label values that only a hostile query can mean.
fn check_length(bytes: usize, function: &str) -> Result<(), QueryError> {
    if bytes > VALUE_BYTES_MAX {
        return Err(QueryError::Execution(format!(
            "{function}() would make a label value of up to {bytes} bytes, more than its limit of {VALUE_BYTES_MAX}"
        )));
    }
    Ok(())
}

/// Sets a label. A name that is set anew is meant to stay.
fn set(one: &mut Series, name: &str, value: &str) {
    one.labels = one.labels.to_builder().set(name, value).build();
    if name == METRIC_NAME {
        one.drop_name = false;
    }
}

fn merged(series: Vec<Series>) -> Result<Vec<Series>, QueryError> {
    let mut result = Merged::default();
    for one in series {
        result.push(one)?;
    }
    Ok(result.series)
}
