//! Asked for quiet.

use super::{Engine, EngineError};
use crate::Labels;
use crate::routing::{Edited, Matchers, Silence, SilenceDraft, SilenceError, SilenceMatches};
use crate::tables::{TableError, new_id};

/// Silences of a tenant that are not over.
const SILENCES_MAX: usize = 5_000;

/// Why a silence is not as it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum SilenceFault {
    /// What was asked for.
    #[error(transparent)]
    Asked(#[from] SilenceError),
    /// Too many.
    #[error("the tenant has {SILENCES_MAX} silences that are not over: end some")]
    TooMany,
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<TableError> for SilenceFault {
    fn from(error: TableError) -> Self {
        Self::Engine(error.into())
    }
}

impl Engine {
    /// Every silence that is kept, those over included, in order of their ids.
    pub async fn silences(&self) -> Vec<Silence> {
        self.shared.desk.inner.lock().await.silences.values().cloned().collect()
    }

    /// Makes a silence, or changes the one with this id. Answers what holds now.
    pub async fn silence(&self, id: Option<&str>, draft: SilenceDraft) -> Result<Silence, SilenceFault> {
        let now = self.shared.clock.now_ms();
        let desk = &self.shared.desk;
        let mut inner = desk.inner.lock().await;
        let fresh = uuid()?;
        let changed = match id {
            None => vec![Silence::new(draft, &fresh, now)?],
            Some(id) => {
                let known = inner.silences.get(id).ok_or_else(|| missing(id))?;
                match known.edit(draft, &fresh, now)? {
                    Edited::Updated(silence) => vec![silence],
                    Edited::Replaced { expired, new } => expired.into_iter().chain([new]).collect(),
                }
            }
        };
        let open = inner.silences.values().filter(|silence| silence.ends_at > now).count();
        if open >= SILENCES_MAX {
            return Err(SilenceFault::TooMany);
        }
        desk.tables.keep_silences(&changed).await?;
        for silence in &changed {
            inner.silences.insert(silence.id.clone(), silence.clone());
        }
        Ok(changed.into_iter().next_back().expect("a change ends with the silence that holds"))
    }

    /// Ends a silence now.
    pub async fn end_silence(&self, id: &str) -> Result<Silence, SilenceFault> {
        let now = self.shared.clock.now_ms();
        let desk = &self.shared.desk;
        let mut inner = desk.inner.lock().await;
        let ended = inner.silences.get(id).ok_or_else(|| missing(id))?.expire(now)?;
        desk.tables.keep_silences(std::slice::from_ref(&ended)).await?;
        inner.silences.insert(id.to_owned(), ended.clone());
        Ok(ended)
    }

    /// Which alerts that go on a silence would hold for: how many, and the labels of the first.
    pub async fn preview_silence(&self, matchers: &Matchers, shown_max: usize) -> (usize, Vec<Labels>) {
        let inner = self.shared.desk.inner.lock().await;
        let labels: Vec<&Labels> = inner.active.values().map(|alert| &alert.labels).collect();
        let SilenceMatches { total, shown } = Silence::preview(matchers, labels.iter().copied(), shown_max);
        (total, shown.into_iter().map(|place| labels[place].clone()).collect())
    }

    /// Drops silences that were over before a time.
    pub async fn sweep_silences(&self, before: i64) -> Result<(), EngineError> {
        let desk = &self.shared.desk;
        let mut inner = desk.inner.lock().await;
        desk.tables.sweep_silences(before).await?;
        inner.silences.retain(|_, silence| silence.ends_at >= before);
        Ok(())
    }
}

/// A random id in the form that Alertmanager's clients know (RFC 9562, version 4).
fn uuid() -> Result<String, TableError> {
    let mut hex = new_id("")?.into_bytes();
    hex[12] = b'4';
    hex[16] = b'8' | (hex[16] & 1);
    let text = String::from_utf8(hex).expect("hexadecimal digits are ASCII");
    Ok(format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]))
}

fn missing(id: &str) -> TableError {
    TableError::Missing { what: "silence", id: id.chars().take(80).collect() }
}
