//! What is asked: a search, single filters, a span of time.

use model::{Predicate, Signal};
use query::rows::{Ask, Sort};
use query::search::{Search, term};

use crate::error::Fault;
use crate::openapi::{Param, choice, string, time};
use crate::prom::params::Params;

/// Without a start, this much before the end.
const DEFAULT_SPAN_NS: i64 = 3600 * 1_000_000_000;

/// Parameters that stand for a term of the search.
const TERMS: [&str; 3] = ["level", "service", "trace_id"];

/// A question about rows.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    pub(crate) sort: Sort,
}

/// Which rows come first.
pub(super) const ORDER: Param =
    choice("order", &["desc", "asc"], "The newest first (`desc`, the default) or the oldest (`asc`).");

impl Asked {
    /// What [`Asked::read`] reads, but for the order.
    pub(super) const PARAMS: [Param; 7] = [
        string("query", "A search; every row unless given."),
        string("level", "Rows of this level only."),
        string("service", "Rows of this service only."),
        string("trace_id", "Rows of this trace only."),
        string("text", "Rows that contain this text only."),
        time(
            "start",
            "First time inside: RFC 3339 or a Unix time in s, ms, µs or ns. An hour before `end` unless given.",
        ),
        time("end", "First time not inside any more, likewise. Now unless given."),
    ];

    /// Reads `query`, the single filters (`level`, `service`, `trace_id`, `text`), `start`, `end` and `order`.
    pub(crate) fn read(params: &Params, signal: Signal, now_ms: i64) -> Result<Self, Fault> {
        let mut predicate = search(signal, params.get("query").unwrap_or(""))?;
        for name in TERMS {
            if let Some(value) = params.get(name) {
                predicate =
                    predicate.and(search(signal, &term(name, value)).map_err(|fault| match fault {
                        Fault::Invalid { message, .. } => Fault::invalid(name, message),
                        other => other,
                    })?);
            }
        }
        if let Some(text) = params.get("text") {
            let quoted = format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
            predicate = predicate.and(search(signal, &quoted)?);
        }
        let (start_ns, end_ns) = span(params.get("start"), params.get("end"), now_ms)?;
        let sort = match params.get("order") {
            None | Some("desc") => Sort::Newest,
            Some("asc") => Sort::Oldest,
            Some(other) => return Err(Fault::invalid("order", format!("{other:?} is neither desc nor asc"))),
        };
        Ok(Self { ask: Ask { predicate, start_ns, end_ns }, sort })
    }
}

/// A search as a predicate.
pub(crate) fn search(signal: Signal, text: &str) -> Result<Predicate, Fault> {
    Search::parse(text, signal)
        .map(Search::into_predicate)
        .map_err(|error| Fault::invalid("query", error.to_string()))
}

/// Start (inside) and end (outside) in nanoseconds.
pub(crate) fn span(start: Option<&str>, end: Option<&str>, now_ms: i64) -> Result<(i64, i64), Fault> {
    // What arrived in this millisecond is asked for too.
    let now_ns = now_ms.saturating_add(1).saturating_mul(1_000_000);
    let end_ns = end.map_or(Ok(now_ns), |text| time_ns("end", text))?;
    let start_ns = start.map_or(Ok(end_ns.saturating_sub(DEFAULT_SPAN_NS)), |text| time_ns("start", text))?;
    if start_ns > end_ns {
        return Err(Fault::invalid("end", "it is before start"));
    }
    Ok((start_ns, end_ns))
}

/// RFC 3339, or a number since the Unix epoch whose size tells seconds, milliseconds, microseconds and
/// nanoseconds apart.
pub(crate) fn time_ns(field: &str, text: &str) -> Result<i64, Fault> {
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Ok(i64::try_from(timestamp.as_nanosecond()).unwrap_or(i64::MAX));
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Ok(match whole.unsigned_abs() {
            0..100_000_000_000 => whole.saturating_mul(1_000_000_000),
            100_000_000_000..100_000_000_000_000 => whole.saturating_mul(1_000_000),
            100_000_000_000_000..100_000_000_000_000_000 => whole.saturating_mul(1000),
            _ => whole,
        });
    }
    if let Ok(seconds) = text.parse::<f64>()
        && seconds.is_finite()
    {
        return Ok((seconds * 1e9) as i64);
    }
    let shown: String = text.chars().take(60).collect();
    let why = format!("{shown:?} is no time: write 2026-01-31T12:00:00Z or a number since 1970");
    Err(Fault::invalid(field, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_number_tells_its_unit() {
        let want = 1_700_000_000_000_000_000;
        for text in [
            "1700000000",
            "1700000000.0",
            "1700000000000",
            "1700000000000000",
            "1700000000000000000",
            "2023-11-14T22:13:20Z",
        ] {
            assert_eq!(time_ns("start", text).ok(), Some(want), "{text}");
        }
        assert!(matches!(time_ns("start", "soon"), Err(Fault::Invalid { field, .. }) if field == "start"));
    }

    #[test]
    fn without_times_the_last_hour_is_meant() {
        let (start, end) = span(None, None, 10_000_000).unwrap();
        assert_eq!((end - start, end), (DEFAULT_SPAN_NS, 10_000_001_000_000));
        assert!(span(Some("20"), Some("10"), 0).is_err());
    }
}
