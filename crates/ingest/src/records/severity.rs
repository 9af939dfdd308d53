//! OpenTelemetry's severity numbers (1 to 24, four to a level) and everybody's words for them.

/// The number of a word, of any case; `None` for a word that says nothing of severity.
///
/// `critical` is `FATAL`, as the logging libraries of Python and .NET have it; a syslog priority, which knows
/// two worse ones, is better read by [`severity_of_syslog`].
pub fn severity_of_word(word: &str) -> Option<i64> {
    const LONGEST: usize = 16;
    let word = word.trim();
    if word.len() > LONGEST {
        return None;
    }
    let mut lower = [0; LONGEST];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word.as_bytes());
    lower.make_ascii_lowercase();
    // OpenTelemetry's own names may end in the step within their level: `INFO2`.
    let (name, step) = match lower {
        [name @ .., step @ b'2'..=b'4'] => (&*name, i64::from(*step - b'1')),
        name => (&*name, 0),
    };
    let first = match name {
        b"trace" | b"trc" | b"verbose" | b"finest" | b"all" => 1,
        b"debug" | b"dbg" | b"fine" | b"finer" | b"d" => 5,
        b"info" | b"inf" | b"information" | b"informational" | b"config" | b"log" | b"i" => 9,
        b"notice" => 10,
        b"warn" | b"warning" | b"wrn" | b"w" => 13,
        b"error" | b"err" | b"eror" | b"severe" | b"e" => 17,
        b"alert" => 19,
        b"fatal" | b"critical" | b"crit" | b"panic" | b"dpanic" | b"emergency" | b"emerg" | b"f" => 21,
        _ => return None,
    };
    Some(first + step).filter(|number| *number <= 24)
}

/// The number of a syslog severity (0 emergency to 7 debug), as OpenTelemetry's log data model maps it.
pub fn severity_of_syslog(severity: u8) -> i64 {
    match severity {
        0 => 21, // emergency
        1 => 19, // alert
        2 => 18, // critical
        3 => 17, // error
        4 => 13, // warning
        5 => 10, // notice
        6 => 9,  // informational
        _ => 5,  // debug
    }
}

/// OpenTelemetry's short name of a number; `None` outside 1 to 24.
pub fn severity_text(number: i64) -> Option<&'static str> {
    const NAMES: [&str; 24] = [
        "TRACE", "TRACE2", "TRACE3", "TRACE4", "DEBUG", "DEBUG2", "DEBUG3", "DEBUG4", "INFO", "INFO2",
        "INFO3", "INFO4", "WARN", "WARN2", "WARN3", "WARN4", "ERROR", "ERROR2", "ERROR3", "ERROR4", "FATAL",
        "FATAL2", "FATAL3", "FATAL4",
    ];
    let at = usize::try_from(number).ok()?.checked_sub(1)?;
    NAMES.get(at).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_a_name_that_reads_back() {
        for number in 1..=24 {
            let text = severity_text(number).expect("in range");
            assert_eq!(severity_of_word(text), Some(number), "{text}");
        }
        assert_eq!((severity_text(0), severity_text(25), severity_text(-1)), (None, None, None));
    }

    #[test]
    fn words_of_other_systems_are_known() {
        for (word, want) in [
            ("Warning", Some(13)),
            (" err ", Some(17)),
            ("CRITICAL", Some(21)),
            ("Informational", Some(9)),
            ("notice", Some(10)),
            ("emerg", Some(21)),
            ("Verbose", Some(1)),
            ("fatal4", Some(24)),
            ("alert4", Some(22)),
            ("information!", None),
            ("a word of more than sixteen bytes", None),
            ("", None),
            ("5", None),
        ] {
            assert_eq!(severity_of_word(word), want, "{word}");
        }
    }

    #[test]
    fn syslog_severities_get_worse_towards_zero() {
        let numbers: Vec<i64> = (0..=7).map(severity_of_syslog).collect();
        assert_eq!(numbers, [21, 19, 18, 17, 13, 10, 9, 5]);
    }
}
