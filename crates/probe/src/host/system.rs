//! The machine's name, clock, file handles and entropy.

use model::MetricType;

use super::source::Source;
use super::writer::Writer;

/// Key of `/etc/os-release`, label.
const RELEASE: [(&str, &str); 10] = [
    ("BUILD_ID", "build_id"),
    ("ID", "id"),
    ("ID_LIKE", "id_like"),
    ("NAME", "name"),
    ("PRETTY_NAME", "pretty_name"),
    ("VARIANT", "variant"),
    ("VARIANT_ID", "variant_id"),
    ("VERSION", "version"),
    ("VERSION_CODENAME", "version_codename"),
    ("VERSION_ID", "version_id"),
];

/// The value of a key of `/etc/os-release`, without its quotes.
fn release_value(text: &str, key: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))?;
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\''));
    let bare = quote.and_then(|q| value.strip_prefix(q)?.strip_suffix(q)).unwrap_or(value);
    Some(bare.replace("\\\"", "\"").replace("\\$", "$"))
}

/// The leading `major.minor` of a version.
fn version_number(version: &str) -> Option<f64> {
    let end = version.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(version.len());
    let mut parts = version[..end].split('.').filter(|part| !part.is_empty());
    match (parts.next()?, parts.next()) {
        (major, Some(minor)) => format!("{major}.{minor}").parse().ok(),
        (major, None) => major.parse().ok(),
    }
}

/// Remembers the distribution, which a restart of the machine alone would change.
#[derive(Debug, Default)]
pub(super) struct System {
    release: Option<Vec<(&'static str, String)>>,
}

impl System {
    pub(super) fn collect(&mut self, source: &mut Source, out: &mut Writer<'_>) {
        let seconds = out.t_ms() as f64 / 1000.0;
        out.gauge("node_time_seconds", "System time in seconds since the epoch.", seconds);
        write_uname(source, out);
        self.write_release(source, out);
        if let Some(text) = source.line("proc/sys/fs/file-nr") {
            let numbers: Vec<f64> = text.split_ascii_whitespace().filter_map(|n| n.parse().ok()).collect();
            if let [allocated, _, maximum] = numbers[..] {
                out.gauge("node_filefd_allocated", "File descriptor statistics: allocated.", allocated);
                out.gauge("node_filefd_maximum", "File descriptor statistics: maximum.", maximum);
            }
        }
        let entropy = [
            ("entropy_avail", "node_entropy_available_bits", "Bits of available entropy."),
            ("poolsize", "node_entropy_pool_size_bits", "Bits of the entropy pool."),
        ];
        for (file, name, help) in entropy {
            if let Some(value) = source.number(&format!("proc/sys/kernel/random/{file}")) {
                out.gauge(name, help, value);
            }
        }
    }

    fn write_release(&mut self, source: &mut Source, out: &mut Writer<'_>) {
        let release = self.release.get_or_insert_with(|| {
            let text = source.text("etc/os-release").unwrap_or_default();
            let values = RELEASE.iter().filter_map(|(key, label)| Some((*label, release_value(text, key)?)));
            values.collect()
        });
        if release.is_empty() {
            return;
        }
        let labels: Vec<(&str, &str)> = release.iter().map(|(name, value)| (*name, value.as_str())).collect();
        out.family("node_os_info", MetricType::Gauge, "The distribution, always 1.");
        out.sample(&labels, 1.0);
        let of = |label| labels.iter().find(|(name, _)| *name == label).map_or("", |(_, value)| *value);
        if let Some(version) = version_number(of("version_id")) {
            out.family("node_os_version", MetricType::Gauge, "Major and minor version of the distribution.");
            out.sample(&[("id", of("id")), ("id_like", of("id_like")), ("name", of("name"))], version);
        }
    }
}

fn write_uname(source: &mut Source, out: &mut Writer<'_>) {
    let mut read =
        |file: &str| source.line(&format!("proc/sys/kernel/{file}")).unwrap_or_default().to_owned();
    let (sysname, release, version) = (read("ostype"), read("osrelease"), read("version"));
    let (nodename, domainname, arch) = (read("hostname"), read("domainname"), read("arch"));
    if sysname.is_empty() {
        return;
    }
    let labels = [
        ("domainname", domainname.as_str()),
        // Kernels before 6.1 have no file for it; then it is what this program was built for.
        ("machine", if arch.is_empty() { std::env::consts::ARCH } else { &arch }),
        ("nodename", &nodename),
        ("release", &release),
        ("sysname", &sysname),
        ("version", &version),
    ];
    out.family("node_uname_info", MetricType::Gauge, "What the uname system call answers, always 1.");
    out.sample(&labels, 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_values_lose_their_quotes() {
        let text = "ID=debian\nNAME=\"Debian GNU/Linux\"\nVERSION='12 (x)'\nBAD=\"open\nEMPTY=\n";
        let rows = [
            ("ID", Some("debian")),
            ("NAME", Some("Debian GNU/Linux")),
            ("VERSION", Some("12 (x)")),
            ("BAD", Some("\"open")),
            ("EMPTY", Some("")),
            ("VERSION_ID", None),
        ];
        for (key, want) in rows {
            assert_eq!(release_value(text, key).as_deref(), want, "{key}");
        }
    }

    #[test]
    fn versions_are_major_and_minor() {
        let rows =
            [("12", Some(12.0)), ("22.04", Some(22.04)), ("9.3.1", Some(9.3)), ("sid", None), ("", None)];
        for (text, want) in rows {
            assert_eq!(version_number(text), want, "{text:?}");
        }
    }
}
