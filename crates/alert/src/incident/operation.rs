//! What can be done to an incident, and what comes of it.

use super::timeline::{Entry, EntryKind, TEXT_BYTES_MAX};
use super::{Incident, IncidentError, IncidentStatus, LinkedRunbook, LinkedStep, Phase, Publication};
use crate::fault::{Fault, check_count, check_line, check_person, check_text};
use crate::severity::Severity;
use crate::tables::TableError;

pub(super) const TITLE_BYTES_MAX: usize = 500;
const NAME_BYTES_MAX: usize = 200;
const ROLES_MAX: usize = 32;
const RUNBOOKS_MAX: usize = 10;
const STEPS_MAX: usize = 100;
const COMPONENTS_MAX: usize = 200;

/// Something done to an incident.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// Somebody takes care of it.
    Acknowledge {
        /// What they say.
        note: Option<String>,
    },
    /// Nobody does any more.
    Unacknowledge,
    /// It is over.
    Resolve {
        /// What was done.
        note: Option<String>,
    },
    /// It is not over.
    Reopen {
        /// Why.
        reason: String,
    },
    /// It is given to a member, or to nobody.
    Assign(Option<String>),
    /// A role is given to a member, or to nobody.
    SetRole {
        /// Such as `commander`.
        role: String,
        /// By e-mail address.
        person: Option<String>,
    },
    /// Something is written down.
    Note(String),
    /// It is called otherwise.
    Rename(String),
    /// It is worse or better than thought.
    SetSeverity(Severity),
    /// A runbook is to be worked through.
    LinkRunbook {
        /// Its name.
        name: String,
        /// Titles of its steps.
        steps: Vec<String>,
    },
    /// A step was done, or not after all.
    Tick {
        /// Name of the runbook.
        runbook: String,
        /// Which step, from 0.
        step: usize,
        /// Whether it is done.
        done: bool,
    },
    /// The public sees it so, or not at all.
    Publish(Option<Publication>),
    /// The public is told something.
    Update {
        /// How far the work is.
        phase: Phase,
        /// What is told.
        text: String,
    },
    /// Something that others did belongs into its timeline: a call, an action.
    Record(Entry),
}

impl Incident {
    /// Does something. Answers the entry for the timeline; `None` where nothing changed, since it was so already.
    /// After an error the value may be half changed, and is to be thrown away.
    pub fn apply(
        &mut self,
        operation: &Operation,
        who: Option<&str>,
        now: i64,
    ) -> Result<Option<Entry>, IncidentError> {
        let entry = match operation {
            Operation::Acknowledge { note } => self.acknowledge(note.as_deref(), who, now)?,
            Operation::Unacknowledge => self.unacknowledge(),
            Operation::Resolve { note } => self.resolve(note.as_deref(), who, now)?,
            Operation::Reopen { reason } => self.reopen(reason)?,
            Operation::Assign(person) => self.assign(person.as_deref())?,
            Operation::SetRole { role, person } => self.set_role(role, person.as_deref())?,
            Operation::Note(text) => {
                if text.trim().is_empty() {
                    return Err(Fault::new("text", "is empty; write something").into());
                }
                Some(Entry::new(EntryKind::Note, text.clone()))
            }
            Operation::Rename(title) => self.rename(title)?,
            Operation::SetSeverity(severity) => self.set_severity(*severity),
            Operation::LinkRunbook { name, steps } => self.link(name, steps)?,
            Operation::Tick { runbook, step, done } => self.tick(runbook, *step, *done, who, now)?,
            Operation::Publish(publication) => self.publish(publication.as_ref())?,
            Operation::Update { phase, text } => Some(self.update(*phase, text)?),
            Operation::Record(entry) => Some(entry.clone()),
        };
        if let Some(entry) = &entry {
            entry.check()?;
            self.updated_at = now;
        }
        Ok(entry)
    }

    fn acknowledge(
        &mut self,
        note: Option<&str>,
        who: Option<&str>,
        now: i64,
    ) -> Result<Option<Entry>, IncidentError> {
        match self.status {
            IncidentStatus::Resolved => {
                Err(self.stands_wrong("it is over; reopen it if there is more to do"))
            }
            IncidentStatus::Acknowledged => Ok(None),
            IncidentStatus::Open => {
                self.status = IncidentStatus::Acknowledged;
                self.acknowledged_at = Some(now);
                self.acknowledged_by = who.map(str::to_owned);
                self.first_acknowledged_at.get_or_insert(now);
                if self.assignee.is_none() {
                    self.assignee = who.map(str::to_owned);
                }
                Ok(Some(Entry::new(EntryKind::Acknowledged, note.unwrap_or(""))))
            }
        }
    }

    fn unacknowledge(&mut self) -> Option<Entry> {
        if self.status != IncidentStatus::Acknowledged {
            return None;
        }
        self.status = IncidentStatus::Open;
        (self.acknowledged_at, self.acknowledged_by) = (None, None);
        Some(Entry::new(EntryKind::Unacknowledged, ""))
    }

    fn resolve(
        &mut self,
        note: Option<&str>,
        who: Option<&str>,
        now: i64,
    ) -> Result<Option<Entry>, IncidentError> {
        if self.status == IncidentStatus::Resolved {
            return Ok(None);
        }
        check_text("note", note.unwrap_or(""), TEXT_BYTES_MAX)?;
        self.status = IncidentStatus::Resolved;
        self.resolved_at = Some(now);
        self.resolved_by = who.map(str::to_owned);
        self.phase = self.phase.map(|_| Phase::Resolved);
        Ok(Some(Entry::new(EntryKind::Resolved, note.unwrap_or(""))))
    }

    fn reopen(&mut self, reason: &str) -> Result<Option<Entry>, IncidentError> {
        if self.status != IncidentStatus::Resolved {
            return Ok(None);
        }
        self.status = IncidentStatus::Open;
        (self.acknowledged_at, self.acknowledged_by) = (None, None);
        (self.resolved_at, self.resolved_by) = (None, None);
        self.reopened = self.reopened.saturating_add(1);
        self.phase = self.phase.map(|_| Phase::Investigating);
        Ok(Some(Entry::new(EntryKind::Reopened, reason)))
    }

    fn assign(&mut self, person: Option<&str>) -> Result<Option<Entry>, IncidentError> {
        if let Some(person) = person {
            check_person("assignee", person)?;
        }
        if self.assignee.as_deref() == person {
            return Ok(None);
        }
        self.assignee = person.map(str::to_owned);
        Ok(Some(Entry::new(EntryKind::Assigned, person.unwrap_or("nobody")).with("to", person)))
    }

    fn set_role(&mut self, role: &str, person: Option<&str>) -> Result<Option<Entry>, IncidentError> {
        check_line("role", role, NAME_BYTES_MAX)?;
        let before = match person {
            None => self.roles.remove(role),
            Some(person) => {
                check_person("person", person)?;
                if !self.roles.contains_key(role) {
                    check_count("roles", self.roles.len() + 1, 0, ROLES_MAX)?;
                }
                self.roles.insert(role.to_owned(), person.to_owned())
            }
        };
        if before.as_deref() == person {
            return Ok(None);
        }
        let text = format!("{role}: {}", person.unwrap_or("nobody"));
        Ok(Some(Entry::new(EntryKind::Role, text).with("role", role).with("to", person)))
    }

    fn rename(&mut self, title: &str) -> Result<Option<Entry>, IncidentError> {
        check_line("title", title, TITLE_BYTES_MAX)?;
        if self.title == title {
            return Ok(None);
        }
        let before = std::mem::replace(&mut self.title, title.to_owned());
        let text = format!("renamed from {before:?} to {title:?}");
        Ok(Some(Entry::new(EntryKind::Note, text).with("title", title)))
    }

    fn set_severity(&mut self, severity: Severity) -> Option<Entry> {
        let before = std::mem::replace(&mut self.severity, severity);
        (before != severity).then(|| {
            Entry::new(EntryKind::Severity, format!("{before} to {severity}"))
                .with("from", before.as_str())
                .with("to", severity.as_str())
        })
    }

    fn link(&mut self, name: &str, steps: &[String]) -> Result<Option<Entry>, IncidentError> {
        check_line("runbook", name, NAME_BYTES_MAX)?;
        check_count("steps", steps.len(), 0, STEPS_MAX)?;
        for (n, title) in steps.iter().enumerate() {
            check_line(&format!("steps[{n}]"), title, TITLE_BYTES_MAX)?;
        }
        if self.runbooks.iter().any(|runbook| runbook.name == name) {
            return Ok(None);
        }
        check_count("runbooks", self.runbooks.len() + 1, 0, RUNBOOKS_MAX)?;
        let step = |title: &String| LinkedStep { title: title.clone(), done_at: None, done_by: None };
        let runbook = LinkedRunbook { name: name.to_owned(), steps: steps.iter().map(step).collect() };
        self.runbooks.push(runbook);
        Ok(Some(Entry::new(EntryKind::Runbook, name).with("runbook", name)))
    }

    fn tick(
        &mut self,
        runbook: &str,
        step: usize,
        done: bool,
        who: Option<&str>,
        now: i64,
    ) -> Result<Option<Entry>, IncidentError> {
        let linked = self.runbooks.iter_mut().find(|linked| linked.name == runbook);
        let linked = linked.ok_or_else(|| TableError::Missing {
            what: "runbook linked to the incident",
            id: runbook.chars().take(NAME_BYTES_MAX).collect(),
        })?;
        let count = linked.steps.len();
        let place = linked.steps.get_mut(step).ok_or_else(|| {
            Fault::new("step", format!("{step} is none of its {count} steps, which begin with 0"))
        })?;
        if place.done_at.is_some() == done {
            return Ok(None);
        }
        (place.done_at, place.done_by) = match done {
            true => (Some(now), who.map(str::to_owned)),
            false => (None, None),
        };
        let text = format!("{}: {}", if done { "done" } else { "not done" }, place.title);
        let entry = Entry::new(EntryKind::Step, text);
        Ok(Some(entry.with("runbook", runbook).with("step", step).with("done", done)))
    }

    fn publish(&mut self, publication: Option<&Publication>) -> Result<Option<Entry>, IncidentError> {
        if let Some(publication) = publication {
            check_line("page", &publication.page, NAME_BYTES_MAX)?;
            check_line("title", &publication.title, TITLE_BYTES_MAX)?;
            check_count("components", publication.components.len(), 0, COMPONENTS_MAX)?;
            for (n, name) in publication.components.iter().enumerate() {
                check_line(&format!("components[{n}]"), name, NAME_BYTES_MAX)?;
            }
        }
        if self.publication.as_ref() == publication {
            return Ok(None);
        }
        self.publication = publication.cloned();
        let text = match publication {
            None => "taken off the status page".to_owned(),
            Some(publication) => format!("on status page {:?} as {:?}", publication.page, publication.title),
        };
        Ok(Some(Entry::new(EntryKind::Published, text)))
    }

    fn update(&mut self, phase: Phase, text: &str) -> Result<Entry, IncidentError> {
        if self.publication.is_none() {
            return Err(self.stands_wrong("it is on no status page; publish it first"));
        }
        if text.trim().is_empty() {
            return Err(Fault::new("text", "is empty; write what the public is to know").into());
        }
        self.phase = Some(phase);
        Ok(Entry::new(EntryKind::Update, text).with("phase", phase.as_str()))
    }

    fn stands_wrong(&self, remedy: &'static str) -> IncidentError {
        let (id, state) = (self.id.clone(), self.status.as_str());
        TableError::State { what: "incident", id, state, remedy }.into()
    }
}
