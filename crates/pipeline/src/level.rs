//! Severities by word, for conditions and for mapping a field.

/// Level of a severity number: 0 trace, 1 debug, 2 info, 3 warn, 4 error, 5 fatal.
pub(crate) fn level_of_number(number: i64) -> Option<i64> {
    (1..=24).contains(&number).then_some((number - 1) / 4)
}

/// OpenTelemetry's number of a word of any case.
pub(crate) fn number_of_word(word: &str) -> Option<i64> {
    const LONGEST: usize = 16;
    let word = word.trim();
    if word.len() > LONGEST {
        return None;
    }
    Some(match word.to_ascii_lowercase().as_str() {
        "trace" | "trc" | "verbose" | "finest" => 1,
        "debug" | "dbg" | "fine" | "d" => 5,
        "info" | "inf" | "information" | "informational" | "i" => 9,
        "notice" => 10,
        "warn" | "warning" | "wrn" | "w" => 13,
        "error" | "err" | "severe" | "e" => 17,
        "alert" => 19,
        "fatal" | "critical" | "crit" | "panic" | "emergency" | "emerg" | "f" => 21,
        _ => return None,
    })
}
