//! `bellwether apply`: what files say, shown as a difference and made so.

use serde_json::{Value, json};

use super::client::{self, Client};
use super::documents;
use crate::args::ApplyArguments;
use crate::compose::Failure;

/// Characters of a value that a line shows.
const VALUE_CHARS_MAX: usize = 120;

pub(super) async fn run(arguments: &ApplyArguments) -> Result<(), Failure> {
    let body = json!({
        "documents": documents::read(&arguments.files)?,
        "prune": arguments.prune,
        "dry_run": arguments.dry_run,
        "release": arguments.release,
    });
    let client = Client::new(&arguments.remote)?;
    let path = super::objects_path(&arguments.tenant)?;
    let answer = client::json(client.post(&path, &body, "application/json").await?).await?;
    for change in answer["changes"].as_array().into_iter().flatten() {
        print!("{}", lines(change));
    }
    println!("{}", summary(&answer["counts"], arguments.dry_run));
    Ok(())
}

/// One change: a line about the object, and one for each field.
fn lines(change: &Value) -> String {
    let text = |name: &str| change[name].as_str().unwrap_or_default();
    let sign = match text("action") {
        "create" => '+',
        "delete" => '-',
        "change" => '~',
        _ => '=',
    };
    let file = match text("file") {
        "" => String::new(),
        file => format!(" ({file})"),
    };
    let action = match text("action") {
        action @ ("adopt" | "release") => format!(" {action}"),
        _ => String::new(),
    };
    let mut out = format!("{sign}{action} {} {}{file}\n", text("kind"), text("name"));
    for field in change["fields"].as_array().into_iter().flatten() {
        let name = field["field"].as_str().unwrap_or_default();
        let (old, new) = (shown(field.get("old")), shown(field.get("new")));
        out.push_str(&format!("    {name}: {old} -> {new}\n"));
    }
    if let Some(more) = change["more_fields"].as_u64().filter(|more| *more > 0) {
        out.push_str(&format!("    and {more} more fields\n"));
    }
    // Names come from files and from other people: a terminal must not obey them.
    out.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect()
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "nothing".to_owned() };
    let text = value.to_string();
    if text.chars().count() <= VALUE_CHARS_MAX {
        return text;
    }
    text.chars().take(VALUE_CHARS_MAX).chain(['…']).collect()
}

fn summary(counts: &Value, dry_run: bool) -> String {
    let count = |name: &str| counts[name].as_u64().unwrap_or(0);
    let mut text = format!(
        "{} created, {} changed, {} deleted, {} unchanged",
        count("create"),
        count("change"),
        count("delete"),
        count("unchanged")
    );
    for (name, what) in [("adopt", "now owned by a file"), ("release", "released")] {
        if count(name) > 0 {
            text.push_str(&format!(", {} {what}", count(name)));
        }
    }
    if dry_run {
        text.push_str("; nothing was changed (--dry-run)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_a_line_and_one_for_each_field() {
        let change = json!({"action": "change", "kind": "role", "name": "o\u{1b}ps", "file": "r.yaml", "more_fields": 2,
            "fields": [{"field": "spec.a", "old": 1, "new": "x"}, {"field": "spec.b", "new": null}]});
        assert_eq!(
            lines(&change),
            "~ role o ps (r.yaml)\n    spec.a: 1 -> \"x\"\n    spec.b: nothing -> null\n    and 2 more fields\n"
        );
        let adopted = json!({"action": "adopt", "kind": "rule", "name": "r", "file": "r.yaml"});
        assert_eq!(lines(&adopted), "= adopt rule r (r.yaml)\n");
        assert_eq!(
            summary(&json!({"create": 1, "unchanged": 3, "adopt": 2}), true),
            "1 created, 0 changed, 0 deleted, 3 unchanged, 2 now owned by a file; nothing was changed (--dry-run)"
        );
    }
}
