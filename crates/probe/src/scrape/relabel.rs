//! Relabelling: rules that rewrite, keep or drop label sets, exactly as Prometheus applies them.

use std::fmt;

use md5::{Digest, Md5};
use model::{Labels, LabelsBuilder};
use regex::Regex;
use serde::{Deserialize, Deserializer};

use super::config::{InvalidValue, NameScheme, TextVisitor, short};

/// What a rule does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Sets the target label to the expanded replacement where the expression matches.
    #[default]
    #[serde(alias = "Replace", alias = "REPLACE")]
    Replace,
    /// Keeps the set only where the expression matches.
    #[serde(alias = "Keep", alias = "KEEP")]
    Keep,
    /// Drops the set where the expression matches.
    #[serde(alias = "Drop", alias = "DROP")]
    Drop,
    /// Keeps the set only where source and target are equal.
    #[serde(alias = "KeepEqual")]
    KeepEqual,
    /// Drops the set where source and target are equal.
    #[serde(alias = "DropEqual")]
    DropEqual,
    /// Sets the target label to a hash of the source, modulo `modulus`.
    #[serde(alias = "HashMod")]
    HashMod,
    /// Copies every label whose name matches to the expanded replacement.
    #[serde(alias = "LabelMap")]
    LabelMap,
    /// Removes every label whose name matches.
    #[serde(alias = "LabelDrop")]
    LabelDrop,
    /// Removes every label whose name does not match.
    #[serde(alias = "LabelKeep")]
    LabelKeep,
    /// Sets the target label to the source in lower case.
    #[serde(alias = "Lowercase")]
    Lowercase,
    /// Sets the target label to the source in upper case.
    #[serde(alias = "Uppercase")]
    Uppercase,
}

/// One entry of `relabel_configs`, as written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleYaml {
    source_labels: Option<Vec<String>>,
    separator: Option<String>,
    target_label: Option<String>,
    regex: Option<Expression>,
    modulus: Option<u64>,
    replacement: Option<String>,
    action: Option<Action>,
}

/// An expression that matches whole values.
#[derive(Clone, Debug)]
struct Expression {
    text: String,
    regex: Regex,
}

impl Expression {
    fn parse(text: &str) -> Result<Self, InvalidValue> {
        let regex = Regex::new(&format!("^(?s:{text})$")).map_err(|e| {
            let reason = e.to_string().lines().last().unwrap_or_default().trim().to_owned();
            InvalidValue(format!("regex {:?} cannot be read: {reason}", short(text)))
        })?;
        Ok(Self { text: text.into(), regex })
    }
}

impl<'de> Deserialize<'de> for Expression {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TextVisitor(Self::parse))
    }
}

/// A checked rule.
#[derive(Clone, Deserialize)]
#[serde(try_from = "RuleYaml")]
pub struct Rule {
    source_labels: Vec<String>,
    separator: String,
    target_label: String,
    expression: Expression,
    modulus: u64,
    replacement: String,
    action: Action,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        let parts = |r: &Self| (r.action, r.modulus);
        parts(self) == parts(other)
            && self.source_labels == other.source_labels
            && self.separator == other.separator
            && self.target_label == other.target_label
            && self.expression.text == other.expression.text
            && self.replacement == other.replacement
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action, source_labels, target_label, expression, .. } = self;
        write!(f, "{action:?} {source_labels:?} =~ {:?} -> {target_label:?}", expression.text)
    }
}

impl TryFrom<RuleYaml> for Rule {
    type Error = InvalidValue;

    fn try_from(yaml: RuleYaml) -> Result<Self, InvalidValue> {
        check_unused(&yaml)?;
        let expression = match yaml.regex {
            Some(expression) => expression,
            None => Expression::parse("(.*)")?,
        };
        let rule = Self {
            source_labels: yaml.source_labels.unwrap_or_default(),
            separator: yaml.separator.unwrap_or_else(|| ";".into()),
            target_label: yaml.target_label.unwrap_or_default(),
            expression,
            modulus: yaml.modulus.unwrap_or_default(),
            replacement: yaml.replacement.unwrap_or_else(|| "$1".into()),
            action: yaml.action.unwrap_or_default(),
        };
        rule.check()?;
        Ok(rule)
    }
}

/// Refuses keys that an action would silently ignore, as Prometheus does for those it lists.
fn check_unused(yaml: &RuleYaml) -> Result<(), InvalidValue> {
    let action = yaml.action.unwrap_or_default();
    let given = [
        ("source_labels", yaml.source_labels.is_some()),
        ("target_label", yaml.target_label.is_some()),
        ("separator", yaml.separator.is_some()),
        ("modulus", yaml.modulus.is_some()),
        ("replacement", yaml.replacement.is_some()),
        ("regex", yaml.regex.is_some()),
    ];
    let allowed: &[&str] = match action {
        Action::KeepEqual | Action::DropEqual => &["source_labels", "target_label"],
        Action::LabelDrop | Action::LabelKeep => &["regex"],
        _ => return Ok(()),
    };
    match given.iter().find(|(key, given)| *given && !allowed.contains(key)) {
        Some((key, _)) => {
            let action = format!("{action:?}").to_lowercase();
            Err(InvalidValue(format!("{key} has no meaning for the action {action}; remove it")))
        }
        None => Ok(()),
    }
}

impl Rule {
    fn check(&self) -> Result<(), InvalidValue> {
        let action = format!("{:?}", self.action).to_lowercase();
        let needs_target = matches!(
            self.action,
            Action::Replace
                | Action::HashMod
                | Action::Lowercase
                | Action::Uppercase
                | Action::KeepEqual
                | Action::DropEqual
        );
        if needs_target && self.target_label.is_empty() {
            return Err(InvalidValue(format!("target_label must be given for the action {action}")));
        }
        if self.action == Action::HashMod && self.modulus == 0 {
            return Err(InvalidValue("modulus must be above 0 for the action hashmod".into()));
        }
        if self.action == Action::LabelMap && self.replacement.is_empty() {
            return Err(InvalidValue("replacement must not be empty for the action labelmap".into()));
        }
        Ok(())
    }

    /// Applies the rule; false drops the set.
    fn apply(&self, labels: &mut LabelsBuilder, names: NameScheme) -> bool {
        let source = self.source(labels);
        match self.action {
            Action::Drop => return !self.expression.regex.is_match(&source),
            Action::Keep => return self.expression.regex.is_match(&source),
            Action::DropEqual => return labels.get(&self.target_label).unwrap_or_default() != source,
            Action::KeepEqual => return labels.get(&self.target_label).unwrap_or_default() == source,
            Action::Replace => self.replace(labels, &source, names),
            Action::Lowercase => set(labels, &self.target_label, &source.to_lowercase()),
            Action::Uppercase => set(labels, &self.target_label, &source.to_uppercase()),
            Action::HashMod => {
                set(labels, &self.target_label, &(hash(&source) % self.modulus).to_string());
            }
            Action::LabelMap => {
                for (name, value) in labels.build().iter() {
                    if let Some(captures) = self.expression.regex.captures(name) {
                        let mut target = String::new();
                        captures.expand(&self.replacement, &mut target);
                        set(labels, &target, value);
                    }
                }
            }
            Action::LabelDrop => {
                labels.retain(|name| !self.expression.regex.is_match(name));
            }
            Action::LabelKeep => {
                labels.retain(|name| self.expression.regex.is_match(name));
            }
        }
        true
    }

    fn source(&self, labels: &LabelsBuilder) -> String {
        let mut source = String::new();
        for (i, name) in self.source_labels.iter().enumerate() {
            if i > 0 {
                source.push_str(&self.separator);
            }
            source.push_str(labels.get(name).unwrap_or_default());
        }
        source
    }

    fn replace(&self, labels: &mut LabelsBuilder, source: &str, names: NameScheme) {
        let Some(captures) = self.expression.regex.captures(source) else { return };
        let (mut target, mut value) = (String::new(), String::new());
        captures.expand(&self.target_label, &mut target);
        if !names.is_label(&target) {
            return;
        }
        captures.expand(&self.replacement, &mut value);
        set(labels, &target, &value);
    }
}

/// Sets a label; an empty value removes it.
fn set(labels: &mut LabelsBuilder, name: &str, value: &str) {
    if value.is_empty() {
        labels.remove(name);
    } else {
        labels.set(name, value);
    }
}

/// The last eight bytes of the MD5 sum, so that shards agree with Prometheus's.
fn hash(text: &str) -> u64 {
    let sum = Md5::digest(text.as_bytes());
    sum[8..].iter().fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// Applies rules in order; `None` where one of them dropped the set.
pub fn relabel(labels: &Labels, rules: &[Rule], names: NameScheme) -> Option<Labels> {
    if rules.is_empty() {
        return Some(labels.clone());
    }
    let mut builder = labels.to_builder();
    apply(&mut builder, rules, names).then(|| builder.build())
}

/// The same on labels under construction; false where a rule dropped them.
pub(crate) fn apply(labels: &mut LabelsBuilder, rules: &[Rule], names: NameScheme) -> bool {
    rules.iter().all(|rule| rule.apply(labels, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(yaml: &str) -> Vec<Rule> {
        serde_yaml_ng::from_str(yaml).expect("valid rules")
    }

    /// `input` and `want` are `name=value` words; `None` is a dropped set.
    fn check(input: &str, yaml: &str, want: Option<&str>) {
        let labels = |text: &str| {
            let pairs = text.split_whitespace().map(|word| word.split_once('=').expect("name=value"));
            Labels::from_pairs(pairs).expect("unique names")
        };
        let got = relabel(&labels(input), &rules(yaml), NameScheme::Utf8);
        assert_eq!(got, want.map(labels), "{input} | {yaml}");
    }

    #[test]
    fn replace_expands_groups_where_the_whole_value_matches() {
        let rows = [
            (
                "a=foo b=bar",
                "[{source_labels: [a], regex: 'f(.*)', target_label: d, replacement: 'ch${1}-ch${1}'}]",
                "a=foo b=bar d=choo-choo",
            ),
            (
                "a=foo b=bar",
                "[{source_labels: [a, b], regex: 'f(.*);(.*)r', target_label: a, replacement: 'b${1}${2}m'}]",
                "a=boobam b=bar",
            ),
            ("a=foo", "[{source_labels: [a], regex: 'no(.*)', target_label: d, replacement: x}]", "a=foo"),
            ("a=foo", "[{source_labels: [a], regex: 'o', target_label: d, replacement: x}]", "a=foo"),
            ("a=foo", "[{source_labels: [a], target_label: b}]", "a=foo b=foo"),
            ("a=foo", "[{target_label: b, replacement: const}]", "a=foo b=const"),
            ("a=foo b=x", "[{source_labels: [missing], target_label: b}]", "a=foo"),
            ("a=foo b=x", "[{source_labels: [a], target_label: b, replacement: ''}]", "a=foo"),
            (
                "a=some-name-value",
                "[{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', replacement: '${2}', target_label: '${1}'}]",
                "a=some-name-value name=value",
            ),
            (
                "a=some-name-value",
                "[{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', replacement: '${3}', target_label: '${1}'}]",
                "a=some-name-value",
            ),
            (
                "a=some-name-0",
                "[{source_labels: [a], regex: 'some-([^-]+)-([^,]+)', replacement: '${1}', target_label: '${3}'}]",
                "a=some-name-0",
            ),
            (
                "a=foo",
                "[{source_labels: [a], regex: '(?P<first>.)(.*)', target_label: b, replacement: '$first-$$'}]",
                "a=foo b=f-$",
            ),
            (
                "a=x b=y",
                "[{source_labels: [a, b], separator: '', target_label: c, regex: '(.)(.)', replacement: '$2$1'}]",
                "a=x b=y c=yx",
            ),
        ];
        for (input, yaml, want) in rows {
            check(input, yaml, Some(want));
        }
    }

    #[test]
    fn keep_and_drop_match_the_whole_value() {
        let rows = [
            (
                "a=foo",
                "[{source_labels: [a], regex: '.*o.*', action: drop}, {target_label: d, replacement: x}]",
                None,
            ),
            ("a=foo", "[{source_labels: [a], regex: 'o', action: drop}]", Some("a=foo")),
            ("a=foo", "[{source_labels: [a], regex: 'no', action: keep}]", None),
            ("a=foo", "[{source_labels: [a], regex: 'f|foo', action: keep}]", Some("a=foo")),
            ("a=foo", "[{source_labels: [nope], action: keep}]", Some("a=foo")),
            (
                "a=foo b=foo",
                "[{source_labels: [a], target_label: b, action: keepequal}]",
                Some("a=foo b=foo"),
            ),
            ("a=foo b=bar", "[{source_labels: [a], target_label: b, action: keepequal}]", None),
            ("a=foo b=foo", "[{source_labels: [a], target_label: b, action: dropequal}]", None),
            (
                "a=foo b=bar",
                "[{source_labels: [a], target_label: b, action: dropequal}]",
                Some("a=foo b=bar"),
            ),
        ];
        for (input, yaml, want) in rows {
            check(input, yaml, want);
        }
    }

    #[test]
    fn labels_are_mapped_dropped_and_kept_by_name() {
        let rows = [
            ("a=foo b1=bar b2=baz", "[{action: labelmap, regex: '(b.*)'}]", "a=foo b1=bar b2=baz"),
            (
                "a=foo b1=bar",
                "[{action: labelmap, regex: 'b(.*)', replacement: 'bar_$1'}]",
                "a=foo b1=bar bar_1=bar",
            ),
            (
                "a=foo __meta_my_bar=aaa __meta_my_baz=bbb",
                "[{action: labelmap, regex: '__meta_(my.*)', replacement: '${1}'}]",
                "a=foo __meta_my_bar=aaa __meta_my_baz=bbb my_bar=aaa my_baz=bbb",
            ),
            ("a=foo b1=bar b2=baz", "[{action: labeldrop, regex: '(b.*)'}]", "a=foo"),
            ("a=foo b1=bar b2=baz", "[{action: labelkeep, regex: '(b.*)'}]", "b1=bar b2=baz"),
        ];
        for (input, yaml, want) in rows {
            check(input, yaml, Some(want));
        }
    }

    #[test]
    fn hashmod_agrees_with_prometheus() {
        check(
            "a=foo b=bar c=baz",
            "[{source_labels: [c], target_label: d, action: hashmod, modulus: 1000}]",
            Some("a=foo b=bar c=baz d=976"),
        );
        check("a=foo", "[{source_labels: [a], target_label: A, action: uppercase}]", Some("a=foo A=FOO"));
        check("a=FoO", "[{source_labels: [a], target_label: b, action: lowercase}]", Some("a=FoO b=foo"));
    }

    #[test]
    fn rules_that_cannot_work_are_refused() {
        let rows = [
            ("[{regex: '('}]", "regex"),
            ("[{action: replace}]", "target_label"),
            ("[{action: hashmod, target_label: a}]", "modulus"),
            ("[{action: labeldrop, regex: a, target_label: b}]", "target_label has no meaning"),
            ("[{action: keepequal, target_label: b, regex: b}]", "regex has no meaning"),
            ("[{action: labelmap, replacement: ''}]", "replacement"),
            ("[{action: fly}]", "fly"),
            ("[{sorce_labels: [a]}]", "sorce_labels"),
        ];
        for (yaml, part) in rows {
            let error = serde_yaml_ng::from_str::<Vec<Rule>>(yaml).expect_err(yaml).to_string();
            assert!(error.contains(part), "{yaml}: {error}");
        }
    }

    #[test]
    fn with_legacy_names_a_target_that_is_no_word_is_left_alone() {
        let labels = Labels::from_pairs([("a", "x.y")]).expect("unique");
        let rules = rules("[{source_labels: [a], target_label: '$1'}]");
        assert_eq!(relabel(&labels, &rules, NameScheme::Legacy), Some(labels.clone()));
        assert!(relabel(&labels, &rules, NameScheme::Utf8).is_some_and(|l| l.get("x.y").is_some()));
    }
}
