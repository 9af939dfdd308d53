//! Names, units and labels as Prometheus spells them: the rules of OpenTelemetry's compatibility document
//! as Prometheus 3 applies them by default ("UnderscoreEscapingWithSuffixes").

use super::point::Kind;

/// Units in UCUM's notation and the words Prometheus uses. The binary and decimal multiples are exactly
/// those Prometheus knows, its spelling of `TiBy` included.
const UNITS: &[(&str, &str)] = &[
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("1", ""),
    ("%", "percent"),
];

/// Units behind a slash.
const PER_UNITS: &[(&str, &str)] = &[
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The name of a metric with its suffixes; empty when nothing of it is left.
pub(super) fn metric(name: &str, unit: &str, kind: Kind) -> String {
    let mut words: Vec<&str> = name.split(|c| !is_name_char(c)).filter(|word| !word.is_empty()).collect();
    let (main, per) = unit_words(unit);
    let (main, per) = (clean(&main), clean(&per));
    let per = if per == "per_" { "" } else { per.strip_suffix('_').unwrap_or(&per) };
    let per = if words.contains(&per) { "" } else { per };
    let main = if words.contains(&main.as_str()) { "" } else { main.as_str() };
    let main = if per.is_empty() { main } else { main.strip_suffix('_').unwrap_or(main) };
    words.extend([main, per].into_iter().filter(|word| !word.is_empty()));
    match kind {
        Kind::Sum { monotonic: true, .. } => move_last(&mut words, "total"),
        Kind::Gauge if unit == "1" => move_last(&mut words, "ratio"),
        _ => {}
    }
    let name = words.join("_");
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("_{name}") } else { name }
}

fn move_last<'a>(words: &mut Vec<&'a str>, word: &'a str) {
    words.retain(|w| *w != word);
    words.push(word);
}

/// A unit as metadata states it: `By/s` is `bytes_per_second`.
pub(super) fn unit(unit: &str) -> String {
    let (main, per) = unit_words(unit);
    let (main, per) = (clean(&main), clean(&per));
    let both = if main.is_empty() || per.is_empty() { main + &per } else { format!("{main}_{per}") };
    both.trim_matches('_').into()
}

/// The two sides of a unit in words; annotations in braces say nothing.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let word = |side: &str, table: &[(&str, &str)]| {
        let side = side.trim();
        if side.contains(['{', '}']) {
            return String::new();
        }
        table.iter().find(|(from, _)| *from == side).map_or(side, |(_, to)| to).to_owned()
    };
    let main = word(main, UNITS);
    let per = word(per, PER_UNITS);
    (main, if per.is_empty() { per } else { format!("per_{per}") })
}

/// Other characters become `_`, several of which become one; none leads.
fn clean(unit: &str) -> String {
    let mut out = String::with_capacity(unit.len());
    for c in unit.chars() {
        let c = if is_name_char(c) { c } else { '_' };
        if c != '_' || !out.ends_with('_') {
            out.push(c);
        }
    }
    out.strip_prefix('_').map(Into::into).unwrap_or(out)
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// The name of a label: other characters become `_`, and a digit or a single `_` in front is preceded by
/// `key`.
pub(super) fn label(name: &str) -> String {
    let name: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        format!("key_{name}")
    } else if name.starts_with('_') && !name.starts_with("__") {
        format!("key{name}")
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use super::super::point::Temporality;
    use super::*;

    const COUNTER: Kind = Kind::Sum { monotonic: true, temporality: Temporality::Cumulative };
    const UP_DOWN: Kind = Kind::Sum { monotonic: false, temporality: Temporality::Cumulative };
    const HISTOGRAM: Kind = Kind::Histogram(Temporality::Cumulative);

    #[test]
    fn metrics_are_named_as_prometheus_names_them() {
        for (name, unit, kind, want) in [
            ("http.server.request.duration", "s", HISTOGRAM, "http_server_request_duration_seconds"),
            ("system.cpu.time", "s", COUNTER, "system_cpu_time_seconds_total"),
            ("system.io", "foo/bar", COUNTER, "system_io_foo_per_bar_total"),
            ("system.network.dropped", "{packet}/s", COUNTER, "system_network_dropped_per_second_total"),
            ("system.network.dropped", "{packet}", Kind::Gauge, "system_network_dropped"),
            ("memory.usage", "By", Kind::Gauge, "memory_usage_bytes"),
            ("memory.usage.bytes", "By", Kind::Gauge, "memory_usage_bytes"),
            ("cache.hits", "1", Kind::Gauge, "cache_hits_ratio"),
            ("cache.hits", "1", UP_DOWN, "cache_hits"),
            ("cache.hits", "1", COUNTER, "cache_hits_total"),
            ("total.requests", "", COUNTER, "requests_total"),
            ("requests_total", "", COUNTER, "requests_total"),
            ("hw.speed", "m/s", Kind::Gauge, "hw_speed_meters_per_second"),
            ("hw.speed", "km/h", Kind::Gauge, "hw_speed_km_per_hour"),
            ("fan", "%", Kind::Gauge, "fan_percent"),
            ("0.start", "", Kind::Gauge, "_0_start"),
            ("::weird__name--", "", Kind::Gauge, "::weird_name"),
            ("é", "", Kind::Gauge, ""),
            ("a", "fé%b", Kind::Gauge, "a_f_b"),
            ("metric.with.foreign.unit", "/s", Kind::Gauge, "metric_with_foreign_unit_per_second"),
            ("a", "By/", Kind::Gauge, "a_bytes"),
            ("a", " s ", Kind::Gauge, "a_seconds"),
        ] {
            assert_eq!(metric(name, unit, kind), want, "{name} {unit}");
        }
    }

    #[test]
    fn units_are_words() {
        for (from, want) in
            [("s", "seconds"), ("By/s", "bytes_per_second"), ("1", ""), ("{req}/m", "per_minute"), ("", "")]
        {
            assert_eq!(unit(from), want, "{from}");
        }
    }

    #[test]
    fn labels_are_named_as_prometheus_names_them() {
        for (from, want) in [
            ("http.method", "http_method"),
            ("123", "key_123"),
            ("_a", "key_a"),
            ("__a", "__a"),
            ("a:b", "a_b"),
            ("ключ", "____"),
            ("", ""),
        ] {
            assert_eq!(label(from), want, "{from}");
        }
    }
}
