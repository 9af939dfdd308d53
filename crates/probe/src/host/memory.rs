//! `/proc/meminfo` whole, and the paging counters of `/proc/vmstat`.

use model::MetricType;

use super::source::Source;
use super::writer::Writer;

/// Fields of `/proc/meminfo`: node_exporter's name (without prefix and with `_bytes` where the kernel states
/// kB) and the value in bytes or units.
pub(super) fn parse_meminfo(text: &str) -> impl Iterator<Item = (String, f64)> {
    text.lines().filter_map(|line| {
        let (key, rest) = line.split_once(':')?;
        let mut words = rest.split_ascii_whitespace();
        let value: f64 = words.next()?.parse().ok()?;
        let mut name = key.replace('(', "_").replace(')', "");
        if words.next() == Some("kB") {
            name.push_str("_bytes");
            return Some((name, value * 1024.0));
        }
        Some((name, value))
    })
}

/// One field of `/proc/meminfo` by its own name, in bytes.
pub(super) fn meminfo_bytes(text: &str, field: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.split_ascii_whitespace().next()?.parse::<f64>().ok()? * 1024.0)
}

/// The fields of `/proc/vmstat` that node_exporter keeps.
fn parse_vmstat(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.lines().filter_map(|line| {
        let (key, value) = line.split_once(' ')?;
        let fault = key.starts_with("pg") && key.contains("fault");
        let kept = fault || ["oom_kill", "pgpg", "pswp"].iter().any(|start| key.starts_with(start));
        if kept { Some((key, value.trim().parse().ok()?)) } else { None }
    })
}

pub(super) fn collect(source: &mut Source, out: &mut Writer<'_>) {
    let mut name = String::new();
    if let Some(text) = source.text("proc/meminfo") {
        for (field, value) in parse_meminfo(text) {
            name.clear();
            name.push_str("node_memory_");
            name.push_str(&field);
            out.gauge(&name, format_args!("Memory information field {field}."), value);
        }
    }
    if let Some(text) = source.text("proc/vmstat") {
        for (field, value) in parse_vmstat(text) {
            name.clear();
            name.push_str("node_vmstat_");
            name.push_str(field);
            out.family(&name, MetricType::Unknown, format_args!("/proc/vmstat information field {field}."));
            out.sample(&[], value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meminfo_fields_take_node_exporter_names_and_bytes() {
        let text =
            "MemTotal:  16 kB\nActive(anon):   2 kB\nHugePages_Total:       3\nBroken: x kB\nno colon\n";
        let want = [("MemTotal_bytes", 16384.0), ("Active_anon_bytes", 2048.0), ("HugePages_Total", 3.0)];
        let got: Vec<(String, f64)> = parse_meminfo(text).collect();
        assert_eq!(got, want.map(|(name, value)| (name.to_owned(), value)));
        assert_eq!(meminfo_bytes(text, "MemTotal"), Some(16384.0));
        assert_eq!(meminfo_bytes(text, "Mem"), None);
    }

    #[test]
    fn vmstat_keeps_paging_swapping_and_kills() {
        let text = "nr_free 1\npgpgin 2\npswpout 3\npgfault 4\npgmajfault 5\noom_kill 6\npgalloc_dma 7\n";
        let want =
            [("pgpgin", 2.0), ("pswpout", 3.0), ("pgfault", 4.0), ("pgmajfault", 5.0), ("oom_kill", 6.0)];
        assert_eq!(parse_vmstat(text).collect::<Vec<_>>(), want);
    }
}
