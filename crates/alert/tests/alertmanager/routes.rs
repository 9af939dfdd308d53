use std::collections::BTreeSet;
use std::fmt::Write;

use super::{amtool, ours};

/// Numbers that look random and are the same at each run (an LCG with Knuth's constants).
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }

    fn one_of<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len() as u64) as usize]
    }
}

const NAMES: [&str; 4] = ["team", "service", "severity", "env"];
const VALUES: [&str; 5] = ["a", "b", "ab", "", "1.2"];
const PATTERNS: [&str; 9] = ["a|b", "a.*", ".+", ".*", "[ab]+", "", r"\d\.\d", "(?i)A", "b?"];

fn route(dice: &mut Dice, depth: usize, receivers: &mut usize, out: &mut String) {
    let pad = "  ".repeat(depth);
    let name = format!("r{receivers}");
    *receivers += 1;
    writeln!(out, "{pad}- receiver: {name}").expect("written");
    writeln!(out, "{pad}  continue: {}", dice.below(2) == 0).expect("written");
    let (label, value, pattern) = (dice.one_of(&NAMES), dice.one_of(&VALUES), dice.one_of(&PATTERNS));
    match dice.below(6) {
        0 => writeln!(out, "{pad}  match: {{{label}: '{value}'}}"),
        1 => writeln!(out, "{pad}  match_re: {{{label}: '{pattern}'}}"),
        2 => writeln!(out, "{pad}  matchers: ['{label}=\"{value}\"', 'env!=b']"),
        3 => writeln!(out, "{pad}  matchers: ['{{{label}=~`{pattern}`}}']")
            .map(|()| *out = out.replace('`', "\"")),
        4 => writeln!(out, "{pad}  matchers: ['{label}!~{pattern}']"),
        _ => writeln!(out, "{pad}  matchers: [{label}!='{value}']").map(|()| ()),
    }
    .expect("written");
    let below = if depth < 4 { dice.below(3) } else { 0 };
    if below > 0 {
        writeln!(out, "{pad}  routes:").expect("written");
        for _ in 0..below {
            route(dice, depth + 1, receivers, out);
        }
    }
}

fn config(dice: &mut Dice) -> String {
    let (mut out, mut receivers) = (String::from("route:\n  receiver: root\n  routes:\n"), 0);
    for _ in 0..4 {
        route(dice, 1, &mut receivers, &mut out);
    }
    out.push_str("receivers:\n- name: root\n");
    for i in 0..receivers {
        writeln!(out, "- name: r{i}").expect("written");
    }
    out
}

#[test]
fn amtool_gives_the_same_receivers_for_every_alert() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut dice = Dice(7);
    let mut seen = BTreeSet::new();
    for round in 0..8 {
        let text = config(&mut dice).replace("!=''", "!=\"\"");
        let routing = ours(&text).unwrap_or_else(|e| panic!("{e}\n{text}")).routing;
        let file = folder.path().join(format!("{round}.yml"));
        std::fs::write(&file, &text).expect("written");
        let argument = format!("--config.file={}", file.display());
        for _ in 0..12 {
            let mut pairs: Vec<String> = Vec::new();
            for name in NAMES {
                // An empty label is no label, in Alertmanager as here.
                let value = dice.one_of(&VALUES);
                if !value.is_empty() {
                    pairs.push(format!("{name}={value}"));
                }
            }
            let labels =
                pairs.iter().filter_map(|p| p.split_once('=')).map(|(n, v)| (n.into(), v.into())).collect();
            let taken = routing.matching(&labels);
            let ours: Vec<&str> =
                taken.iter().map(|i| routing.routes()[*i].options.receivers[0].as_str()).collect();
            let mut arguments = vec!["config", "routes", "test", &argument];
            arguments.extend(pairs.iter().map(String::as_str));
            let output = amtool(&arguments);
            let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            assert_eq!(ours.join(","), said, "{pairs:?}\n{text}{}", String::from_utf8_lossy(&output.stderr));
            seen.insert(said);
        }
    }
    assert!(seen.len() > 30, "the rows tell something: {}", seen.len());
}
