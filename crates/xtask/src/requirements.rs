//! The table of requirements is whole: every ID once, a known state, and a proof where it says done.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

/// Systems and the number of their requirements, as the specification counts them.
const SYSTEMS: &[(&str, usize)] = &[
    ("ARCH", 28),
    ("MC", 23),
    ("MP", 13),
    ("MA", 15),
    ("AL", 45),
    ("ER", 22),
    ("SM", 13),
    ("AM", 27),
    ("HC", 14),
    ("LG", 14),
    ("TR", 19),
    ("CM", 11),
    ("DA", 23),
    ("AN", 16),
    ("RP", 5),
    ("RS", 5),
    ("TP", 15),
    ("MT", 12),
    ("JW", 13),
    ("SS", 14),
    ("WS", 15),
    ("MG", 15),
    ("CO", 8),
    ("PO", 12),
    ("BQ", 10),
    ("RE", 12),
    ("SR", 13),
    ("FA", 28),
    ("SC", 10),
    ("PM", 8),
    ("CF", 38),
    ("CA", 5),
    ("MK", 7),
    ("CH", 3),
    ("TO", 3),
    ("ME", 6),
    ("EX", 6),
    ("EP", 24),
    ("TB", 11),
    ("DR", 10),
    ("SE", 6),
    ("PT", 17),
    ("QA", 13),
    ("FU", 10),
];

const STATES: &[&str] = &["done", "partly", "not yet"];

/// Findings in `docs/requirements.md`.
pub(crate) fn findings(root: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(root.join("docs/requirements.md")).context("docs/requirements.md")?;
    Ok(judge(&text))
}

fn judge(text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let cells: Vec<&str> = line
            .trim_matches('|')
            .split(" | ")
            .map(|cell| cell.trim().trim_end_matches('|').trim())
            .collect();
        let Some(id) = cells.first().filter(|id| is_id(id)) else { continue };
        *seen.entry((*id).to_owned()).or_default() += 1;
        let (state, proof) = (cells.get(2).copied().unwrap_or(""), cells.get(3).copied().unwrap_or(""));
        if !STATES.contains(&state) {
            findings.push(format!(
                "docs/requirements.md:{}: {id} has state {state:?}, not one of {STATES:?}",
                number + 1
            ));
        }
        if state != "not yet" && proof.is_empty() {
            findings
                .push(format!("docs/requirements.md:{}: {id} is {state} but nothing shows it", number + 1));
        }
    }
    for (prefix, count) in SYSTEMS {
        for n in 1..=*count {
            match seen.remove(&format!("{prefix}-{n}")).unwrap_or(0) {
                1 => {}
                0 => findings.push(format!("docs/requirements.md: {prefix}-{n} is missing")),
                times => findings.push(format!("docs/requirements.md: {prefix}-{n} is there {times} times")),
            }
        }
    }
    findings.extend(
        seen.into_keys().map(|id| format!("docs/requirements.md: {id} is not an ID of the specification")),
    );
    findings
}

fn is_id(cell: &str) -> bool {
    cell.split_once('-').is_some_and(|(prefix, number)| {
        SYSTEMS.iter().any(|(system, _)| *system == prefix)
            && number.bytes().all(|b| b.is_ascii_digit())
            && !number.is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_done_row_needs_a_proof_and_a_known_state() {
        let check = |row: &str, want: usize| {
            let own = judge(row).into_iter().filter(|f| !f.contains("missing")).count();
            assert_eq!(own, want, "{row}");
        };
        check("| AL-1 | text | not yet | |", 0);
        check("| AL-1 | text | done | `cargo nextest run -p alert` |", 0);
        check("| AL-1 | text | done | |", 1);
        check("| AL-1 | text | maybe | |", 2); // an unknown state, and nothing that shows it
        check("| AL-99 | text | not yet | |", 1);
    }
}
