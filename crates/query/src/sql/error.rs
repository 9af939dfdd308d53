//! What the engine says went wrong, in our words.

use datafusion::error::DataFusionError;

use crate::error::QueryFault;

/// The fault behind an error of the engine.
pub(super) fn fault(error: DataFusionError) -> QueryFault {
    match error.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<QueryFault>() {
            Some(fault) => fault.clone(),
            None => QueryFault::Storage(inner.to_string()),
        },
        DataFusionError::ResourcesExhausted(_) => QueryFault::Limit(
            "the statement needs more memory than a query may use: ask for a shorter range, fewer columns, or \
             fewer groups"
                .into(),
        ),
        DataFusionError::IoError(_) | DataFusionError::Internal(_) => QueryFault::Storage(message(&error)),
        _ => QueryFault::Invalid(message(&error)),
    }
}

/// The error's own sentence, without the engine's prefixes and traces.
pub(super) fn message(error: &DataFusionError) -> String {
    let text = error.strip_backtrace();
    let mut text = text.as_str();
    for prefix in
        ["SQL error: ", "Error during planning: ", "Schema error: ", "Execution error: ", "Arrow error: "]
    {
        text = text.strip_prefix(prefix).unwrap_or(text);
    }
    let text =
        text.strip_prefix("ParserError(\"").and_then(|inner| inner.strip_suffix("\")")).unwrap_or(text);
    let mut text = text.to_owned();
    if text.len() > MESSAGE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(MESSAGE_BYTES_MAX));
        text.push('…');
    }
    text
}

/// Longest message that is passed on: the engine lists all columns where one is not found.
const MESSAGE_BYTES_MAX: usize = 600;
