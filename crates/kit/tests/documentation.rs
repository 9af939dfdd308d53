//! `docs/configuration.md` is written from the options themselves. `UPDATE_DOCS=1` writes it anew.

use std::fmt::Write;
use std::path::Path;

use kit::Settings;

const OPENING: &str = "# Configuration

Flags win over the environment, the environment over the file, the file over defaults. The file is
`bellwether.toml` (or YAML) in the working folder, or the one named with `--config`; `bellwether.<environment>.toml`
beside it is read over it. Every key can be set as `--set key=value` or as `BELLWETHER_SECTION__KEY`, in snake_case
or camelCase. `${VAR}` and `${VAR:default}` are expanded, `$$` is a dollar sign. Durations are written `30d`, `12h`,
`5m`, `15s`, `100ms`; sizes `64MiB`, `1GB`. Unknown keys are refused with the nearest known one.

*Live* options change while the server runs; the others at its next start. `bellwether config print --with-source`
shows what is in force and why.

This page is generated from the code: `UPDATE_DOCS=1 cargo nextest run -p bellwether-kit --test documentation`.
";

fn documented() -> String {
    let mut out = String::from(OPENING);
    let mut section = None;
    for option in Settings::options() {
        let (of, _) = option.key.rsplit_once('.').unwrap_or(("", option.key));
        if section != Some(of) {
            section = Some(of);
            let title = if of.is_empty() { "Keys without a section".to_owned() } else { format!("`[{of}]`") };
            let _ = write!(out, "\n## {title}\n\n| key | default | | |\n|---|---|---|---|\n");
        }
        let live = if option.live { "live" } else { "" };
        let doc = option.doc.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
        let _ = writeln!(out, "| `{}` | `{}` | {live} | {doc} |", option.key, option.default);
    }
    out
}

#[test]
fn the_configuration_page_is_what_the_options_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let want = documented();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &want).expect("docs can be written");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == want, "docs/configuration.md is out of date: run with UPDATE_DOCS=1");
}
