//! A runbook as the API, the page and files hold it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::argument::{self, ArgumentSpec};
use super::run::RunKind;
use crate::fault::{Fault, check_count, check_line, check_text};
use crate::routing::Matcher;
use crate::span::Span;

const STEPS_MAX: usize = 100;
const TAGS_MAX: usize = 32;
const NAME_BYTES_MAX: usize = 200;
const TITLE_BYTES_MAX: usize = 500;
const TEXT_BYTES_MAX: usize = 64 << 10;
const SELECTORS_MAX: usize = 32;
const TIMES_MAX: u32 = 1_000;
/// Longest time that a command may take, in seconds.
const TIMEOUT_SECONDS_MAX: u64 = 3_600;
/// Longest time that a run waits, and longest window of a limit, in seconds.
const WAIT_SECONDS_MAX: u64 = 7 * 86_400;

/// A runbook, without its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunbookSpec {
    /// When it is of use and what to know before: Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What to do, in order.
    #[serde(default)]
    pub steps: Vec<StepSpec>,
    /// What it is found by.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepSpec {
    /// One line.
    pub title: String,
    /// How: Markdown.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// Has it done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionSpec>,
}

/// Something that is done without people's hands: a command or a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActionSpec {
    /// Name of a command that an agent's own file allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Name of a channel of kind webhook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<String>,
    /// What it is given, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, ArgumentSpec>,
    /// Conditions on an agent's labels, such as `host="web-1"`, that must all hold; any agent that allows the command
    /// without them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Who lets it run.
    #[serde(default)]
    pub approval: Approval,
    /// Whether it is asked for by itself as soon as an alert brings the runbook to an incident.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub automatic: bool,
    /// How long it may take.
    #[serde(default = "timeout")]
    pub timeout: Span,
    /// How long it waits for approval, and then for an agent.
    #[serde(default = "expires")]
    pub expires: Span,
    /// How often it runs at most, whoever asks.
    #[serde(default)]
    pub limit: LimitSpec,
}

fn timeout() -> Span {
    Span::seconds(60)
}

fn expires() -> Span {
    Span::seconds(3_600)
}

/// Who lets a run begin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Approval {
    /// Nobody has to.
    None,
    /// Anybody who may, also the one who asked.
    #[default]
    Anyone,
    /// Somebody else than the one who asked.
    Other,
}

/// How often an action runs at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LimitSpec {
    /// So many times.
    pub times: u32,
    /// Within so long.
    pub per: Span,
}

impl Default for LimitSpec {
    fn default() -> Self {
        Self { times: 5, per: Span::seconds(3_600) }
    }
}

impl RunbookSpec {
    /// Checks what can be checked without knowing other objects.
    pub fn check(&self) -> Result<(), Fault> {
        check_text("description", &self.description, TEXT_BYTES_MAX)?;
        check_count("tags", self.tags.len(), 0, TAGS_MAX)?;
        for (n, tag) in self.tags.iter().enumerate() {
            check_line(&format!("tags[{n}]"), tag, NAME_BYTES_MAX)?;
        }
        check_count("steps", self.steps.len(), 0, STEPS_MAX)?;
        for (n, step) in self.steps.iter().enumerate() {
            check_line(&format!("steps[{n}].title"), &step.title, TITLE_BYTES_MAX)?;
            check_text(&format!("steps[{n}].text"), &step.text, TEXT_BYTES_MAX)?;
            if let Some(action) = &step.action {
                action.check(&format!("steps[{n}].action"))?;
            }
        }
        Ok(())
    }

    /// Titles of the steps, as an incident keeps them.
    pub fn titles(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.title.clone()).collect()
    }
}

impl ActionSpec {
    fn check(&self, at: &str) -> Result<(), Fault> {
        let (kind, name) = self.target(at)?;
        let field = match kind {
            RunKind::Command => format!("{at}.command"),
            RunKind::Webhook => format!("{at}.webhook"),
        };
        check_line(&field, name, NAME_BYTES_MAX)?;
        let word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if kind == RunKind::Command && !name.bytes().all(word) {
            let message = "is no name of a command; write the name an agent's file gives it, of letters, digits and . _ -";
            return Err(Fault::new(field, message));
        }
        if kind == RunKind::Webhook && !self.agents.is_empty() {
            return Err(Fault::new(format!("{at}.agents"), "a webhook runs on no agent; leave it out"));
        }
        argument::check(&format!("{at}.arguments"), &self.arguments)?;
        check_count(&format!("{at}.agents"), self.agents.len(), 0, SELECTORS_MAX)?;
        for (n, matcher) in self.agents.iter().enumerate() {
            Matcher::parse(matcher)
                .map_err(|wrong| Fault::new(format!("{at}.agents[{n}]"), wrong.to_string()))?;
        }
        check_span(&format!("{at}.timeout"), self.timeout, TIMEOUT_SECONDS_MAX)?;
        check_span(&format!("{at}.expires"), self.expires, WAIT_SECONDS_MAX)?;
        check_span(&format!("{at}.limit.per"), self.limit.per, WAIT_SECONDS_MAX)?;
        match (1..=TIMES_MAX).contains(&self.limit.times) {
            true => Ok(()),
            false => Err(Fault::new(format!("{at}.limit.times"), format!("is not from 1 to {TIMES_MAX}"))),
        }
    }

    /// What is done, and its name.
    pub(super) fn target(&self, at: &str) -> Result<(RunKind, &str), Fault> {
        match (&self.command, &self.webhook) {
            (Some(command), None) => Ok((RunKind::Command, command)),
            (None, Some(webhook)) => Ok((RunKind::Webhook, webhook)),
            (None, None) => Err(Fault::new(at, "does nothing; write `command` or `webhook`")),
            (Some(_), Some(_)) => Err(Fault::new(at, "does two things; write `command` or `webhook`")),
        }
    }
}

fn check_span(field: &str, span: Span, most: u64) -> Result<(), Fault> {
    match span >= Span::seconds(1) && span <= Span::seconds(most) {
        true => Ok(()),
        false => Err(Fault::new(field, format!("is not from 1 s to {most} s"))),
    }
}
