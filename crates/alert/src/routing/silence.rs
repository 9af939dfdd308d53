//! Silences: who asked for quiet, about what, from when to when; Alertmanager's rules for changing one.

use serde::{Deserialize, Serialize};

use super::matcher::{MATCHERS_MAX, Matchers};
use crate::Labels;

/// Longest comment, and longest name of an author.
const COMMENT_BYTES_MAX: usize = 4096;
const AUTHOR_BYTES_MAX: usize = 256;

/// What a person asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SilenceDraft {
    /// Which alerts.
    pub matchers: Matchers,
    /// From this moment.
    pub starts_at: i64,
    /// Until just before this one.
    pub ends_at: i64,
    /// Who asks.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Its name, which the caller makes.
    pub id: String,
    /// Which alerts.
    pub matchers: Matchers,
    /// From this moment.
    pub starts_at: i64,
    /// Until just before this one.
    pub ends_at: i64,
    /// When it was last changed.
    pub updated_at: i64,
    /// Who asked.
    pub created_by: String,
    /// Why.
    pub comment: String,
}

/// Where a silence is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SilenceState {
    /// Begins later.
    Pending,
    /// Holds.
    Active,
    /// Is over.
    Expired,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The same silence with other times or words.
    Updated(Silence),
    /// A new silence; the old one, where it still held or was to come, ends now.
    Replaced {
        /// The old one as it now is; `None` where it was over anyway.
        expired: Option<Silence>,
        /// The new one.
        new: Silence,
    },
}

/// Why a silence is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SilenceError {
    /// It would hold for every alert.
    #[error("matchers: {given}; at least one must not match the empty text, such as alertname=\"DiskFull\"")]
    MatchesAll {
        /// What was given.
        given: String,
    },
    /// There are too many.
    #[error("matchers: {given} conditions; write at most {max}")]
    Matchers {
        /// How many.
        given: usize,
        /// How many there may be.
        max: usize,
    },
    /// Its times do not follow each other.
    #[error("ends_at: the end is not after the start; choose a later end")]
    EndBeforeStart,
    /// It would be over at once.
    #[error("ends_at: the end is in the past; choose a later one")]
    InThePast,
    /// A text is missing or too long.
    #[error("{field}: {bytes} bytes; write 1 to {max}")]
    Text {
        /// Which.
        field: &'static str,
        /// How long it is.
        bytes: usize,
        /// How long it may be.
        max: usize,
    },
    /// It cannot end twice.
    #[error("silence {id} is over already; make a new one")]
    Expired {
        /// Which.
        id: String,
    },
}

/// Which alerts a silence holds for, for a preview.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SilenceMatches {
    /// How many there are.
    pub total: usize,
    /// The first of them, by their place in what was asked.
    pub shown: Vec<usize>,
}

impl SilenceDraft {
    fn check(&self, now: i64) -> Result<(), SilenceError> {
        let given = self.matchers.as_slice().len();
        if given > MATCHERS_MAX {
            return Err(SilenceError::Matchers { given, max: MATCHERS_MAX });
        }
        if self.matchers.as_slice().iter().all(|matcher| matcher.matches_value("")) {
            return Err(SilenceError::MatchesAll { given: self.matchers.to_string() });
        }
        if self.ends_at <= self.starts_at {
            return Err(SilenceError::EndBeforeStart);
        }
        if self.ends_at <= now {
            return Err(SilenceError::InThePast);
        }
        let texts = [
            ("created_by", self.created_by.len(), AUTHOR_BYTES_MAX, 1),
            ("comment", self.comment.len(), COMMENT_BYTES_MAX, 0),
        ];
        match texts.into_iter().find(|(_, bytes, max, min)| bytes > max || bytes < min) {
            Some((field, bytes, max, _)) => Err(SilenceError::Text { field, bytes, max }),
            None => Ok(()),
        }
    }

    fn with(self, id: &str, now: i64) -> Silence {
        let Self { matchers, starts_at, ends_at, created_by, comment } = self;
        Silence { id: id.into(), matchers, starts_at, ends_at, updated_at: now, created_by, comment }
    }
}

impl Silence {
    /// A new silence. One that was to begin in the past begins now.
    pub fn new(draft: SilenceDraft, id: &str, now: i64) -> Result<Self, SilenceError> {
        draft.check(now)?;
        let starts_at = draft.starts_at.max(now);
        Ok(Self { starts_at, ..draft.with(id, now) })
    }

    /// Where it is in its life.
    pub fn state(&self, now: i64) -> SilenceState {
        if now < self.starts_at {
            SilenceState::Pending
        } else if now < self.ends_at {
            SilenceState::Active
        } else {
            SilenceState::Expired
        }
    }

    /// True where it silences an alert with these labels at `now`.
    pub fn silences(&self, labels: &Labels, now: i64) -> bool {
        self.state(now) == SilenceState::Active && self.matchers.matches(labels)
    }

    /// Changes it. Other matchers, another start of an active silence, or anything about one that is over make a
    /// new silence named `new_id` (Alertmanager's `canUpdate`).
    pub fn edit(&self, draft: SilenceDraft, new_id: &str, now: i64) -> Result<Edited, SilenceError> {
        draft.check(now)?;
        let state = self.state(now);
        let times_fit = match state {
            // Alertmanager compares whole seconds, which is all its clients may have kept.
            SilenceState::Active => draft.starts_at.div_euclid(1000) == self.starts_at.div_euclid(1000),
            SilenceState::Pending => draft.starts_at >= now,
            SilenceState::Expired => false,
        };
        if times_fit && draft.matchers == self.matchers {
            let starts_at = if state == SilenceState::Active { self.starts_at } else { draft.starts_at };
            return Ok(Edited::Updated(Self { starts_at, ..draft.with(&self.id, now) }));
        }
        let expired = self.expire(now).ok();
        Ok(Edited::Replaced { expired, new: Self::new(draft, new_id, now)? })
    }

    /// Ends it now. One that has not begun never does.
    pub fn expire(&self, now: i64) -> Result<Self, SilenceError> {
        if self.state(now) == SilenceState::Expired {
            return Err(SilenceError::Expired { id: self.id.clone() });
        }
        Ok(Self { starts_at: self.starts_at.min(now), ends_at: now, updated_at: now, ..self.clone() })
    }

    /// Which of some alerts it would hold for while it is active; the places of at most `shown_max` are told.
    pub fn preview<'a>(
        matchers: &Matchers,
        alerts: impl IntoIterator<Item = &'a Labels>,
        shown_max: usize,
    ) -> SilenceMatches {
        let mut matches = SilenceMatches { total: 0, shown: Vec::new() };
        for (i, _) in alerts.into_iter().enumerate().filter(|(_, labels)| matchers.matches(labels)) {
            matches.total += 1;
            if matches.shown.len() < shown_max {
                matches.shown.push(i);
            }
        }
        matches
    }
}

#[cfg(test)]
mod tests {
    use super::super::matcher::Matcher;
    use super::*;

    fn draft(matchers: &str, starts_at: i64, ends_at: i64) -> SilenceDraft {
        let matchers = Matchers::new(Matcher::parse_list(matchers).expect(matchers));
        SilenceDraft { matchers, starts_at, ends_at, created_by: "ann".into(), comment: "disk change".into() }
    }

    const NOW: i64 = 100_000;

    #[test]
    fn silences_begin_hold_and_end() {
        let silence = Silence::new(draft("a=1", NOW + 10, NOW + 20), "s1", NOW).unwrap();
        let labels: Labels = [("a".to_owned(), "1".to_owned())].into();
        for (at, state, silences) in [
            (NOW, SilenceState::Pending, false),
            (NOW + 10, SilenceState::Active, true),
            (NOW + 19, SilenceState::Active, true),
            (NOW + 20, SilenceState::Expired, false),
        ] {
            assert_eq!((silence.state(at), silence.silences(&labels, at)), (state, silences), "{at}");
        }
        assert!(!silence.silences(&Labels::new(), NOW + 10));
        let past = Silence::new(draft("a=1", 5, NOW + 20), "s1", NOW).unwrap();
        assert_eq!(past.starts_at, NOW);
    }

    #[test]
    fn refusals_say_what_would_do() {
        let rows = [
            (draft("", NOW, NOW + 9), "matchers"),
            (draft("a=\"\",b=~.*", NOW, NOW + 9), "matchers"),
            (draft("a=1", NOW + 9, NOW + 9), "not after the start"),
            (draft("a=1", 5, NOW), "in the past"),
            (SilenceDraft { created_by: String::new(), ..draft("a=1", NOW, NOW + 9) }, "created_by"),
            (SilenceDraft { comment: "x".repeat(5000), ..draft("a=1", NOW, NOW + 9) }, "comment"),
        ];
        for (draft, want) in rows {
            let error = Silence::new(draft, "s", NOW).expect_err(want).to_string();
            assert!(error.contains(want), "{error}");
        }
    }

    #[test]
    fn a_change_updates_or_replaces_as_in_alertmanager() {
        let active = Silence::new(draft("a=1", NOW, NOW + 50_000), "s1", NOW).unwrap();
        let pending = Silence::new(draft("a=1", NOW + 20_000, NOW + 50_000), "s1", NOW).unwrap();
        let now = NOW + 10_000;
        let rows = [
            ("later end", &active, draft("a=1", NOW, NOW + 90_000), true),
            ("start within the second", &active, draft("a=1", NOW + 400, NOW + 90_000), true),
            ("another start", &active, draft("a=1", now + 5000, NOW + 90_000), false),
            ("other matchers", &active, draft("a=2", NOW, NOW + 90_000), false),
            ("pending, later start", &pending, draft("a=1", NOW + 30_000, NOW + 90_000), true),
            ("pending, start in the past", &pending, draft("a=1", NOW, NOW + 90_000), false),
            ("pending, other matchers", &pending, draft("a=2", NOW + 30_000, NOW + 90_000), false),
        ];
        for (name, silence, change, same) in rows {
            match silence.edit(change, "s2", now).unwrap() {
                Edited::Updated(updated) => {
                    assert!(same, "{name}");
                    assert_eq!((updated.id.as_str(), updated.updated_at), ("s1", now), "{name}");
                }
                Edited::Replaced { expired, new } => {
                    assert!(!same, "{name}");
                    let expired = expired.expect(name);
                    assert_eq!((expired.id.as_str(), expired.ends_at), ("s1", now), "{name}");
                    assert_eq!(expired.state(now), SilenceState::Expired, "{name}");
                    assert_eq!(new.id, "s2", "{name}");
                    assert!(new.starts_at >= now, "{name}");
                }
            }
        }
    }

    #[test]
    fn what_is_over_stays_over() {
        let silence = Silence::new(draft("a=1", NOW, NOW + 50), "s1", NOW).unwrap();
        let over = silence.expire(NOW + 10).unwrap();
        assert_eq!(over.expire(NOW + 11), Err(SilenceError::Expired { id: "s1".into() }));
        let again = over.edit(draft("a=1", NOW, NOW + 90), "s2", NOW + 20).unwrap();
        let Edited::Replaced { expired: None, new } = again else { panic!("{again:?}") };
        assert_eq!((new.id.as_str(), new.starts_at), ("s2", NOW + 20));
    }

    #[test]
    fn a_preview_counts_all_and_shows_some() {
        let alerts: Vec<Labels> = (0..10).map(|i| [("a".to_owned(), (i % 2).to_string())].into()).collect();
        let matchers = Matchers::new(Matcher::parse_list("a=1").unwrap());
        let got = Silence::preview(&matchers, &alerts, 2);
        assert_eq!(got, SilenceMatches { total: 5, shown: vec![1, 3] });
    }
}
