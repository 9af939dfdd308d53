//! Whether a rule file is accepted, by us and by promtool.

use alert::prom::{ExprError, Names, parse};

use crate::run;

/// Rules of one group, in flow style, and whether the file is valid.
const RULES: &[(&str, bool)] = &[
    ("{alert: A, expr: up}", true),
    ("{alert: A, expr: up, for: 1y2w3d4h5m6s7ms}", true),
    ("{alert: A, expr: up, for: 0}", true),
    ("{alert: A, expr: up, for: 5}", false),
    ("{alert: A, expr: up, for: 1m1h}", false),
    ("{alert: A, expr: up, for: ''}", false),
    ("{alert: A, expr: up, keep_firing_for: 5m}", true),
    ("{alert: 5, expr: 1, labels: {a: true, b: 1.5, c: ~}}", true),
    ("{alert: A, expr: up, labels: {a: [b]}}", false),
    ("{alert: A, expr: up, annotations: {a: '{{ $labels.x | humanize }}'}}", true),
    ("{alert: A, expr: up, annotations: {a: '{{ nope }}'}}", false),
    ("{alert: A, expr: up, annotations: {a: '{{ if }}'}}", false),
    ("{alert: A, expr: up, labels: {a: '{{ $nope }}'}}", false),
    ("{alert: A, expr: up, labels: {a: '{{ define \"x\" }}{{ $value }}{{ end }}'}}", false),
    ("{alert: A, expr: up, labels: {a-b: c}}", false),
    ("{alert: A, expr: up, labels: {__name__: c}}", false),
    ("{alert: A, expr: up, annotations: {a-b: c}}", false),
    ("{alert: A, record: b, expr: up}", false),
    ("{expr: up}", false),
    ("{alert: A}", false),
    ("{alert: A, expr: ''}", false),
    ("{alert: A, expr: up, unknown: 1}", false),
    ("{alert: A, expr: up, expr: up}", false),
    ("{record: a:b, expr: up}", true),
    ("{record: a-b, expr: up}", false),
    ("{record: 1a, expr: up}", false),
    ("{record: a, expr: up, labels: {a: '{{ nope }}'}}", true),
    ("{record: a, expr: up, for: 5m}", false),
    ("{record: a, expr: up, for: 0s}", true),
    ("{record: a, expr: up, annotations: {a: b}}", false),
    ("{record: a, expr: up, annotations: {}}", true),
    ("{record: a, expr: up}\n  - {record: a, expr: up}", true),
];

/// Whole files.
const FILES: &[(&str, bool)] = &[
    ("", true),
    ("groups:", true),
    ("groups: []", true),
    ("groups: 5", false),
    ("group: []", false),
    ("groups:\n- name: a\n- name: b\n", true),
    ("groups:\n- name: a\n- name: a\n", false),
    ("groups:\n- name: ''\n", false),
    ("groups:\n- rules: []\n", false),
    ("groups:\n- name: a\n  interval: 30s\n  limit: 5\n", true),
    ("groups:\n- name: a\n  interval: x\n", false),
    ("groups:\n- name: a\n  limit: x\n", false),
    ("groups:\n- name: a\n  foo: x\n", false),
    ("groups:\n- name: [a]\n", false),
    ("groups:\n- &g\n  name: a\n  interval: 1m\n- {<<: *g, name: b}\n", true),
    ("{", false),
    ("groups:\n\t- name: a\n", false),
    ("a: b: c", false),
];

fn files() -> Vec<(String, bool)> {
    let rules =
        RULES.iter().map(|(rule, valid)| (format!("groups:\n- name: g\n  rules:\n  - {rule}\n"), *valid));
    rules.chain(FILES.iter().map(|(file, valid)| ((*file).to_owned(), *valid))).collect()
}

#[test]
fn rule_files_are_accepted_or_refused() {
    let any = |_: &str| -> Result<(), ExprError> { Ok(()) };
    for (file, valid) in files() {
        let got = parse("f", &file, Names::Legacy, &any);
        assert_eq!(got.is_ok(), valid, "{file}\n{got:?}");
    }
}

#[test]
fn promtool_accepts_and_refuses_the_same_rule_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rules.yml");
    let mut wrong = Vec::new();
    for (file, valid) in files() {
        std::fs::write(&path, &file).expect("a file");
        let output =
            run("promtool", "prometheus", &["check", "rules", "--lint=none", &path.display().to_string()]);
        if output.status.success() != valid {
            wrong.push(format!("{file}\n{}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
