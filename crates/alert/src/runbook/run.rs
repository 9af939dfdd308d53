//! One run of an action, from the one who asks to what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::RunError;
use super::argument;
use super::claim::Report;
use super::spec::{ActionSpec, Approval};
use crate::Labels;
use crate::fault::{Fault, check_line};
use crate::routing::Matcher;
use crate::tables::TableError;

/// Bytes of output on record; of a longer one the end, which says how it went.
pub const OUTPUT_BYTES_MAX: usize = 64 << 10;

/// How long after its time limit an agent may report, in milliseconds.
const GRACE_MS: i64 = 30_000;
const NAME_BYTES_MAX: usize = 200;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunKind {
    /// A command on an agent.
    Command,
    /// A request to a channel.
    Webhook,
}

impl RunKind {
    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Webhook => "webhook",
        }
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// For somebody to let it.
    WaitingApproval,
    /// For an agent to take it.
    Approved,
    /// An agent took it.
    Sent,
    /// The agent said that it began.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended otherwise.
    Failed,
    /// It took too long, or nobody took it.
    TimedOut,
    /// Somebody said no, or nobody said yes in time.
    Refused,
}

impl RunStatus {
    /// The spelling in the API and in the database.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitingApproval => "waiting_approval",
            Self::Approved => "approved",
            Self::Sent => "sent",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::TimedOut => "timed_out",
            Self::Refused => "refused",
        }
    }

    /// Whether nothing more comes of it.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::TimedOut | Self::Refused)
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct RunRequest<'a> {
    /// Name of the runbook.
    pub runbook: &'a str,
    /// Which step, from 0.
    pub step: usize,
    /// What the step does; checked when the runbook was saved.
    pub action: &'a ActionSpec,
    /// The incident it is for, which writes it down.
    pub incident: Option<&'a str>,
    /// Its labels, for arguments.
    pub labels: &'a Labels,
    /// Who asks: a member's e-mail address, or the rule that does so by itself.
    pub who: &'a str,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// Starts with `run_`.
    pub id: String,
    /// What is done.
    pub kind: RunKind,
    /// Name of the command or channel.
    pub action: String,
    /// Name of the runbook.
    pub runbook: String,
    /// Which step, from 0.
    pub step: usize,
    /// The incident it is for.
    pub incident: Option<String>,
    /// What it is given.
    pub arguments: BTreeMap<String, String>,
    /// Conditions on the agent's labels.
    pub agents: Vec<String>,
    /// Who lets it run.
    pub approval: Approval,
    /// How long it may take, in milliseconds.
    pub timeout_ms: i64,
    /// How long it waits for approval, and then for an agent, in milliseconds.
    pub expires_ms: i64,
    /// Where it stands.
    pub status: RunStatus,
    /// Who asked.
    pub requested_by: String,
    /// When, milliseconds since the epoch.
    pub requested_at: i64,
    /// Who let it, or said no.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<i64>,
    /// Which agent took it.
    pub agent: Option<String>,
    /// When.
    pub sent_at: Option<i64>,
    /// When the agent began.
    pub started_at: Option<i64>,
    /// When it was over.
    pub ended_at: Option<i64>,
    /// When something is done about it if nothing happens: it expires, or its agent is given up.
    pub due_at: Option<i64>,
    /// What the command answered.
    pub exit_code: Option<i64>,
    /// Why it did not end well.
    pub error: Option<String>,
    /// When anything of it changed.
    pub updated_at: i64,
}

impl Run {
    pub(super) fn new(id: String, request: &RunRequest<'_>, now: i64) -> Result<Self, RunError> {
        check_line("runbook", request.runbook, NAME_BYTES_MAX)?;
        check_line("who", request.who, NAME_BYTES_MAX)?;
        let (kind, action) = request.action.target("action")?;
        let expires_ms = request.action.expires.millis();
        let status = match request.action.approval {
            Approval::None => RunStatus::Approved,
            Approval::Anyone | Approval::Other => RunStatus::WaitingApproval,
        };
        Ok(Self {
            id,
            kind,
            action: action.to_owned(),
            runbook: request.runbook.to_owned(),
            step: request.step,
            incident: request.incident.map(str::to_owned),
            arguments: argument::resolve(&request.action.arguments, request.labels)?,
            agents: request.action.agents.clone(),
            approval: request.action.approval,
            timeout_ms: request.action.timeout.millis(),
            expires_ms,
            status,
            requested_by: request.who.to_owned(),
            requested_at: now,
            decided_by: None,
            decided_at: None,
            agent: None,
            sent_at: None,
            started_at: None,
            ended_at: None,
            due_at: Some(now.saturating_add(expires_ms)),
            exit_code: None,
            error: None,
            updated_at: now,
        })
    }

    /// Lets it run, or not.
    pub(super) fn decide(&mut self, who: &str, yes: bool, now: i64) -> Result<(), RunError> {
        if self.status != RunStatus::WaitingApproval || self.is_due(now) {
            return Err(self.stands_wrong("it waits for nobody's approval; ask for another run"));
        }
        // Saying no is open to everybody who may say yes.
        if yes && self.approval == Approval::Other && self.requested_by.eq_ignore_ascii_case(who) {
            return Err(RunError::OwnRun { who: who.to_owned() });
        }
        self.decided_by = Some(who.to_owned());
        self.decided_at = Some(now);
        if yes {
            self.status = RunStatus::Approved;
            self.due_at = Some(now.saturating_add(self.expires_ms));
        } else {
            self.end(RunStatus::Refused, Some(format!("{who} said no")), now);
        }
        self.updated_at = now;
        Ok(())
    }

    /// Whether an agent with these labels, which allows these commands, may take it.
    pub(super) fn suits(&self, labels: &Labels, commands: &[String], now: i64) -> bool {
        let holds = |text: &String| Matcher::parse(text).is_ok_and(|matcher| matcher.matches(labels));
        self.kind == RunKind::Command
            && self.status == RunStatus::Approved
            && !self.is_due(now)
            && commands.contains(&self.action)
            && self.agents.iter().all(holds)
    }

    /// Gives it to whoever carries it out. Once: a run whose agent falls silent is not given to another, since it may
    /// have been done.
    pub(super) fn send(&mut self, agent: &str, now: i64) {
        self.status = RunStatus::Sent;
        self.agent = Some(agent.to_owned());
        self.sent_at = Some(now);
        self.due_at = Some(now.saturating_add(self.timeout_ms).saturating_add(GRACE_MS));
        self.updated_at = now;
    }

    /// Takes what its agent says. Answers false where that was said before.
    pub(super) fn report(&mut self, agent: &str, report: &Report, now: i64) -> Result<bool, RunError> {
        if self.agent.as_deref() != Some(agent) {
            return Err(self.stands_wrong("another agent has it, or none; only that one reports"));
        }
        let in_work = matches!(self.status, RunStatus::Sent | RunStatus::Running);
        // Its agent was given up and did it all the same: what it did counts.
        let late = self.status == RunStatus::TimedOut && self.exit_code.is_none();
        match report {
            Report::Started if in_work => {
                let first = self.status == RunStatus::Sent;
                self.status = RunStatus::Running;
                self.started_at.get_or_insert(now);
                self.due_at = Some(now.saturating_add(self.timeout_ms).saturating_add(GRACE_MS));
                self.updated_at = now;
                Ok(first)
            }
            Report::Started => Ok(false),
            Report::Ended { exit_code, .. } if in_work || late => {
                self.exit_code = Some(*exit_code);
                let (status, error) = match exit_code {
                    0 => (RunStatus::Succeeded, None),
                    code => (RunStatus::Failed, Some(format!("ended with {code}"))),
                };
                self.end(status, error, now);
                Ok(true)
            }
            Report::Failed { error, .. } if in_work || late => {
                self.end(RunStatus::Failed, Some(error.chars().take(1_000).collect()), now);
                Ok(true)
            }
            Report::TimedOut { .. } if in_work => {
                let error = format!("did not end within {} ms", self.timeout_ms);
                self.end(RunStatus::TimedOut, Some(error), now);
                Ok(true)
            }
            Report::Ended { .. } | Report::Failed { .. } | Report::TimedOut { .. } => Ok(false),
        }
    }

    /// Ends it where its time is over. Answers whether it was.
    pub(super) fn expire(&mut self, now: i64) -> bool {
        if !self.is_due(now) {
            return false;
        }
        let waited = format!("within {} s", self.expires_ms / 1_000);
        match self.status {
            RunStatus::WaitingApproval => {
                self.end(RunStatus::Refused, Some(format!("nobody approved it {waited}")), now);
            }
            RunStatus::Approved => {
                self.end(RunStatus::TimedOut, Some(format!("nobody took it {waited}")), now);
            }
            RunStatus::Sent | RunStatus::Running => {
                let agent = self.agent.as_deref().unwrap_or_default();
                let error = format!("{agent} did not say in time how it ended; it may have been done");
                self.end(RunStatus::TimedOut, Some(error), now);
            }
            _ => return false,
        }
        true
    }

    fn is_due(&self, now: i64) -> bool {
        self.due_at.is_some_and(|due| due <= now)
    }

    fn end(&mut self, status: RunStatus, error: Option<String>, now: i64) {
        (self.status, self.error) = (status, error);
        self.ended_at = Some(now);
        self.due_at = None;
        self.updated_at = now;
    }

    fn stands_wrong(&self, remedy: &'static str) -> RunError {
        TableError::State { what: "run", id: self.id.clone(), state: self.status.as_str(), remedy }.into()
    }
}

/// When one more run may be asked for, if not now: `times` are those of the runs within the window, in order.
pub(super) fn retry_at(times: &[i64], limit: u32, per_ms: i64) -> Option<i64> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let over = times.len().checked_sub(most)?;
    times.get(over).map(|oldest| oldest.saturating_add(per_ms))
}

/// Output as it is kept: the end of what is too long, without what PostgreSQL's TEXT cannot hold.
pub(super) fn bounded(output: &str) -> String {
    const CUT: &str = "[the beginning was cut off]\n";
    let plain = output.replace('\0', "\u{fffd}");
    if plain.len() <= OUTPUT_BYTES_MAX {
        return plain;
    }
    let begin = plain.ceil_char_boundary(plain.len() - (OUTPUT_BYTES_MAX - CUT.len()));
    format!("{CUT}{}", &plain[begin..])
}

/// A fault of an argument that only whoever asks can see.
pub(super) fn invalid(field: &str, message: &str) -> RunError {
    Fault::new(field, message).into()
}
