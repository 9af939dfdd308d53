//! Sensors: `/sys/class/hwmon` and `/sys/class/thermal`.

use std::fs;
use std::path::Path;

use model::MetricType;

use super::source::Source;
use super::writer::Writer;

/// Chips, zones and files of a chip looked at.
const CHIPS_MAX: usize = 64;
const FILES_MAX: usize = 512;

/// Start of a sensor's name, metric, unit, factor from the kernel's unit.
const SENSORS: [(&str, &str, &str, f64); 7] = [
    ("temp", "temp", "celsius", 0.001),
    ("in", "in", "volts", 0.001),
    ("fan", "fan", "rpm", 1.0),
    ("curr", "curr", "amps", 0.001),
    ("power", "power", "watt", 1e-6),
    ("energy", "energy", "joule_total", 1e-6),
    ("humidity", "humidity", "percent", 0.001),
];

/// A file such as `temp1_input`: sensor, metric and factor.
fn sensor(file: &str) -> Option<(&str, String, MetricType, f64)> {
    let (sensor, element) = file.split_once('_')?;
    let digits = sensor.find(|c: char| c.is_ascii_digit())?;
    let (start, number) = sensor.split_at(digits);
    let (_, name, unit, factor) = SENSORS.into_iter().find(|(known, ..)| *known == start)?;
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let kind = if unit.ends_with("_total") { MetricType::Counter } else { MetricType::Gauge };
    match element {
        "input" | "average" => Some((sensor, format!("node_hwmon_{name}_{unit}"), kind, factor)),
        "alarm" | "fault" | "beep" => {
            Some((sensor, format!("node_hwmon_{name}_{element}"), MetricType::Gauge, 1.0))
        }
        "min" | "max" | "crit" | "lcrit" | "target" | "crit_hyst" | "max_hyst" => {
            Some((sensor, format!("node_hwmon_{name}_{element}_{unit}"), MetricType::Gauge, factor))
        }
        _ => None,
    }
}

/// Lower case, with everything but letters, digits, `:` and `_` replaced, as node_exporter cleans names.
fn clean(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, ':' | '_');
    let cleaned: String = name.chars().map(|c| if keep(c) { c.to_ascii_lowercase() } else { '_' }).collect();
    cleaned.trim_matches('_').to_owned()
}

fn link_name(path: &Path) -> Option<String> {
    Some(fs::canonicalize(path).ok()?.file_name()?.to_str()?.to_owned())
}

/// The chip by bus and device, which stays the same after a restart; else by its own name.
fn chip_name(source: &mut Source, folder: &str) -> String {
    let device = source.path(folder).join("device");
    let name = source.line(&format!("{folder}/name")).map(clean);
    match (link_name(&device), link_name(&device.join("subsystem")), name) {
        (Some(device), Some(bus), _) => clean(&format!("{}_{}", clean(&bus), clean(&device))),
        (Some(device), None, _) => clean(&device),
        (None, _, Some(name)) => name,
        (None, _, None) => clean(folder.rsplit('/').next().unwrap_or(folder)),
    }
}

pub(super) fn collect(source: &mut Source, out: &mut Writer<'_>) {
    for chip in source.list("sys/class/hwmon").into_iter().take(CHIPS_MAX) {
        collect_chip(source, out, &format!("sys/class/hwmon/{chip}"));
    }
    for zone in source.list("sys/class/thermal").into_iter().take(CHIPS_MAX) {
        collect_zone(source, out, &zone);
    }
}

fn collect_chip(source: &mut Source, out: &mut Writer<'_>, folder: &str) {
    let files = source.list(folder);
    if files.is_empty() {
        return;
    }
    let chip = chip_name(source, folder);
    if let Some(name) = source.line(&format!("{folder}/name")) {
        let help = "The human-readable name of the chip; always 1.";
        out.family("node_hwmon_chip_names", MetricType::Gauge, help);
        out.sample(&[("chip", &chip), ("chip_name", &clean(name))], 1.0);
    }
    for file in files.iter().take(FILES_MAX) {
        if let Some(sensor) = file.strip_suffix("_label") {
            if let Some(label) = source.line(&format!("{folder}/{file}")) {
                let help = "The label of a sensor; always 1.";
                out.family("node_hwmon_sensor_label", MetricType::Gauge, help);
                let labels = [("chip", chip.as_str()), ("label", label), ("sensor", sensor)];
                out.sample(&labels, 1.0);
            }
        } else if let Some((sensor, metric, kind, factor)) = sensor(file)
            && let Some(value) = source.number(&format!("{folder}/{file}"))
        {
            out.family(&metric, kind, format_args!("Hardware monitor: {metric}."));
            out.sample(&[("chip", &chip), ("sensor", sensor)], value * factor);
        }
    }
}

fn collect_zone(source: &mut Source, out: &mut Writer<'_>, zone: &str) {
    let folder = format!("sys/class/thermal/{zone}");
    let kind = source.line(&format!("{folder}/type")).unwrap_or_default().to_owned();
    if let Some(number) = zone.strip_prefix("thermal_zone") {
        if let Some(value) = source.number(&format!("{folder}/temp")) {
            out.family("node_thermal_zone_temp", MetricType::Gauge, "Zone temperature in Celsius.");
            out.sample(&[("type", &kind), ("zone", number)], value / 1000.0);
        }
    } else if let Some(number) = zone.strip_prefix("cooling_device") {
        for state in ["cur_state", "max_state"] {
            if let Some(value) = source.number(&format!("{folder}/{state}")) {
                let metric = format!("node_cooling_device_{state}");
                out.family(&metric, MetricType::Gauge, "Throttle state of the cooling device.");
                out.sample(&[("name", number), ("type", &kind)], value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sensor_files_name_metric_and_unit() {
        let rows = [
            ("temp1_input", Some("temp1 node_hwmon_temp_celsius")),
            ("temp2_crit", Some("temp2 node_hwmon_temp_crit_celsius")),
            ("in0_min", Some("in0 node_hwmon_in_min_volts")),
            ("fan3_alarm", Some("fan3 node_hwmon_fan_alarm")),
            ("power1_average", Some("power1 node_hwmon_power_watt")),
            ("energy1_input", Some("energy1 node_hwmon_energy_joule_total")),
            ("temp1_type", None),
            ("name", None),
            ("tempx_input", None),
        ];
        for (file, want) in rows {
            let got = sensor(file).map(|(sensor, metric, ..)| format!("{sensor} {metric}"));
            assert_eq!(got.as_deref(), want, "{file}");
        }
    }

    #[test]
    fn chip_names_are_cleaned() {
        assert_eq!(clean("0000:00:18.3"), "0000:00:18_3");
        assert_eq!(clean("-ACPI Thermal-"), "acpi_thermal");
    }
}
