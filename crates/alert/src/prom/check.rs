//! Reads a rule file and refuses what Prometheus refuses.

use std::collections::{BTreeMap, BTreeSet};

use super::error::{ExprError, FileError, Problem, RulePlace};
use super::fields::{Errors, Fields};
use super::types::{AlertingRule, Group, RecordingRule, Rule, RuleFile, Templated};
use crate::Labels;
use crate::template::{Dialect, Templates};
use crate::yaml::{Entry, Node, Place, Text, read};

const FILE_KEYS: &[&str] = &["groups"];
const GROUP_KEYS: &[&str] = &["name", "interval", "query_offset", "limit", "labels", "rules"];
const RULE_KEYS: &[&str] = &["record", "alert", "expr", "for", "keep_firing_for", "labels", "annotations"];

/// What names of metrics and labels may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Names {
    /// Any text, as from Prometheus 3 on.
    #[default]
    Utf8,
    /// Letters, digits and underscores, and colons in metrics.
    Legacy,
}

impl Names {
    fn allows(self, name: &str, extra: &[char]) -> bool {
        match self {
            Self::Utf8 => !name.is_empty(),
            Self::Legacy => {
                let first = |c: char| c.is_ascii_alphabetic() || c == '_' || extra.contains(&c);
                name.starts_with(first) && name.chars().all(|c| first(c) || c.is_ascii_digit())
            }
        }
    }
}

/// A valid rule file.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The rules.
    pub rules: RuleFile,
    /// What is allowed and yet hardly meant.
    pub warnings: Vec<Warning>,
}

/// What is allowed and yet hardly meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// A rule with the name and labels of an earlier one: both write the same series or make the same alerts.
    DuplicateRule {
        /// Where it begins.
        at: Place,
        /// Its name.
        name: String,
        /// Its labels.
        labels: Labels,
    },
    /// Only the first document of the file is read.
    FurtherDocuments,
}

/// Reads and validates the text of a rule file. `file` is its name in errors; `check` says whether an expression is
/// one.
pub fn parse(
    file: &str,
    text: &str,
    names: Names,
    check: &dyn Fn(&str) -> Result<(), ExprError>,
) -> Result<Parsed, Vec<FileError>> {
    let (root, further) = read(text).map_err(|e| {
        let problem = Problem::Yaml(e.message);
        vec![FileError { file: file.to_owned(), at: e.at, rule: None, problem }]
    })?;
    let mut reader =
        Reader { errors: Errors::new(file), names, check, templates: Templates::new(Dialect::Prometheus) };
    let rules = reader.file(&root);
    let mut warnings = duplicates(&rules);
    if further {
        warnings.push(Warning::FurtherDocuments);
    }
    reader.errors.finish(Parsed { rules, warnings })
}

/// Whether a text is an expression of PromQL.
pub fn expression(text: &str) -> Result<(), ExprError> {
    promql::syntax::parse(text)
        .map(drop)
        .map_err(|error| ExprError { line: error.line, message: error.to_string() })
}

struct Reader<'a> {
    errors: Errors<'a>,
    names: Names,
    check: &'a dyn Fn(&str) -> Result<(), ExprError>,
    templates: Templates,
}

impl Reader<'_> {
    fn file(&mut self, root: &Node) -> RuleFile {
        let Some(mut fields) = Fields::of(root, "a rule file", FILE_KEYS, &mut self.errors) else {
            return RuleFile::default();
        };
        let nodes = fields.list("groups");
        let mut seen = BTreeSet::new();
        let groups = nodes.iter().filter_map(|node| {
            let group = self.group(node)?;
            if group.name.is_empty() {
                self.errors.add(node.at, None, Problem::NoGroupName);
            } else if !seen.insert(group.name.clone()) {
                self.errors.add(node.at, None, Problem::RepeatedGroup(group.name.clone()));
            }
            Some(group)
        });
        RuleFile { groups: groups.collect() }
    }

    fn group(&mut self, node: &Node) -> Option<Group> {
        let mut fields = Fields::of(node, "a group", GROUP_KEYS, &mut self.errors)?;
        let name = fields.string("name");
        let interval = fields.duration("interval").filter(|interval| !interval.is_zero());
        let query_offset = fields.duration("query_offset");
        let limit = fields.whole("limit").map_or(0, |limit| usize::try_from(limit).unwrap_or(0));
        let labels = fields.texts_by_name("labels");
        let rules = fields.list("rules");
        self.label_names(&labels, None);
        let labels = labels.into_iter().map(|(entry, text)| (entry.key.clone(), text.value)).collect();
        let rules = rules.iter().enumerate().filter_map(|(i, rule)| self.rule(rule, &name, i + 1)).collect();
        Some(Group { name, at: node.at, interval, query_offset, limit, labels, rules })
    }

    fn label_names(&mut self, labels: &[(&Entry, Text)], rule: Option<&RulePlace>) {
        for (entry, _) in labels {
            if !self.names.allows(&entry.key, &[]) || entry.key == "__name__" {
                self.errors.add(entry.at, rule, Problem::LabelName(entry.key.clone()));
            }
        }
    }

    fn rule(&mut self, node: &Node, group: &str, number: usize) -> Option<Rule> {
        let mut fields = Fields::of(node, "a rule", RULE_KEYS, &mut self.errors)?;
        let at = node.at;
        let record = fields.text("record").filter(|text| !text.value.is_empty());
        let alert = fields.text("alert").filter(|text| !text.value.is_empty());
        let expr = fields.text("expr").filter(|text| !text.value.is_empty()).cloned();
        let expr_at = fields.node("expr").map_or(at, |node| node.at);
        let hold = fields.duration("for").unwrap_or_default();
        let keep_firing_for = fields.duration("keep_firing_for").unwrap_or_default();
        let labels = fields.texts_by_name("labels");
        let annotations = fields.texts_by_name("annotations");
        let name = alert.or(record).map(|text| text.value.clone()).unwrap_or_default();
        let place = RulePlace { group: group.to_owned(), number, name };
        let mut refuse = |at: Place, problem: Problem| self.errors.add(at, Some(&place), problem);

        match (record, alert) {
            (Some(record), Some(_)) => refuse(record.at, Problem::Both),
            (None, None) => refuse(at, Problem::Neither),
            _ => {}
        }
        match &expr {
            None => refuse(expr_at, Problem::NoExpr),
            Some(expr) => {
                if let Err(error) = (self.check)(&expr.value) {
                    let line = expr.line_of(error.line);
                    let column = if line == expr.at.line { expr.at.column } else { 1 };
                    refuse(Place { line, column }, Problem::Expr(error.message));
                }
            }
        }
        if let Some(record) = record {
            if !annotations.is_empty() {
                refuse(record.at, Problem::NotForRecording("annotations"));
            }
            if !hold.is_zero() {
                refuse(record.at, Problem::NotForRecording("for"));
            }
            if !keep_firing_for.is_zero() {
                refuse(record.at, Problem::NotForRecording("keep_firing_for"));
            }
            if !self.names.allows(&record.value, &[':']) {
                refuse(record.at, Problem::MetricName(record.value.clone()));
            }
            if record.value.contains(['{', '}']) {
                refuse(record.at, Problem::Braces(record.value.clone()));
            }
        }
        self.label_names(&labels, Some(&place));
        for (entry, _) in &annotations {
            if !self.names.allows(&entry.key, &[]) {
                self.errors.add(entry.at, Some(&place), Problem::AnnotationName(entry.key.clone()));
            }
        }
        let expr = expr.unwrap_or_default();
        Some(match (record, alert) {
            (_, Some(alert)) => Rule::Alerting(AlertingRule {
                alert: alert.value.clone(),
                at,
                expr,
                hold,
                keep_firing_for,
                labels: self.templates("label", &labels, &place),
                annotations: self.templates("annotation", &annotations, &place),
            }),
            (Some(record), None) => Rule::Recording(RecordingRule {
                record: record.value.clone(),
                at,
                expr,
                labels: labels.into_iter().map(|(entry, text)| (entry.key.clone(), text.value)).collect(),
            }),
            (None, None) => return None,
        })
    }

    fn templates(
        &mut self,
        kind: &'static str,
        texts: &[(&Entry, Text)],
        place: &RulePlace,
    ) -> BTreeMap<String, Templated> {
        let mut read = BTreeMap::new();
        let source = format!("__alert_{}", place.name);
        for (entry, text) in texts {
            match self.templates.parse(&source, &text.value) {
                Ok(template) => {
                    read.insert(entry.key.clone(), Templated { text: text.value.clone(), template });
                }
                Err(error) => {
                    let at = Place { line: text.line_of(error.at.line), column: text.at.column };
                    let problem = Problem::Template { kind, name: entry.key.clone(), error };
                    self.errors.add(at, Some(place), problem);
                }
            }
        }
        read
    }
}

/// Rules that have the name and the labels of one before them.
fn duplicates(file: &RuleFile) -> Vec<Warning> {
    let mut seen = BTreeSet::new();
    let mut warnings = Vec::new();
    for rule in file.groups.iter().flat_map(|group| &group.rules) {
        let (at, labels): (Place, Labels) = match rule {
            Rule::Recording(rule) => (rule.at, rule.labels.clone()),
            Rule::Alerting(rule) => (
                rule.at,
                rule.labels.iter().map(|(name, label)| (name.clone(), label.text.clone())).collect(),
            ),
        };
        let name = rule.name().to_owned();
        if !seen.insert((name.clone(), labels.clone())) {
            warnings.push(Warning::DuplicateRule { at, name, labels });
        }
    }
    warnings
}
