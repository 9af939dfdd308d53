//! The keys of rows' attributes.

use std::sync::Arc;

use arrow_array::{Array, StringViewArray};
use hashbrown::HashMap;

use super::chunk::{Chunk, Scope, ValueKind};
use super::json;
use super::slice::KeyInfo;

/// Keys of the overflow that are listed; a sender with more makes them up.
pub(crate) const OVERFLOW_KEYS_MAX: usize = 4096;

/// Whose, which, and of which kind.
type Key = (Scope, Arc<str>, ValueKind);

/// Keys of the overflow and how many rows have them.
#[derive(Clone, Debug, Default)]
pub(crate) struct OverflowKeys {
    counts: HashMap<Key, u64>,
    /// True when there are more keys than are listed.
    pub(crate) is_cut: bool,
}

impl OverflowKeys {
    /// Counts the keys of a column. Texts that come several times in a row are parsed once.
    pub(crate) fn add(&mut self, overflow: &StringViewArray) {
        let mut last: Option<(u128, Vec<Key>)> = None;
        for (row, view) in overflow.views().iter().enumerate().filter(|(row, _)| overflow.is_valid(*row)) {
            if last.as_ref().is_none_or(|(known, _)| known != view) {
                let mut found = Vec::new();
                for scope in [Scope::Record, Scope::Resource] {
                    for (key, raw) in json::overflow_members(overflow.value(row), scope) {
                        if let Some(value) = json::value(raw) {
                            found.push((scope, Arc::from(key), value.kind()));
                        }
                    }
                }
                last = Some((*view, found));
            }
            for key in last.iter().flat_map(|(_, found)| found) {
                if let Some(count) = self.counts.get_mut(key) {
                    *count += 1;
                } else if self.counts.len() < OVERFLOW_KEYS_MAX {
                    self.counts.insert(key.clone(), 1);
                } else {
                    self.is_cut = true;
                }
            }
        }
    }

    /// The keys, sorted.
    pub(crate) fn list(&self) -> Vec<KeyInfo> {
        let info = |((scope, key, kind), count): (&Key, &u64)| KeyInfo {
            scope: *scope,
            key: key.clone(),
            kind: *kind,
            count: *count,
        };
        let mut keys: Vec<KeyInfo> = self.counts.iter().map(info).collect();
        keys.sort_by(|a, b| (a.scope, &a.key, a.kind).cmp(&(b.scope, &b.key, b.kind)));
        keys
    }
}

/// Adds counts of the same key and kind up.
pub(crate) fn merged(lists: impl IntoIterator<Item = Vec<KeyInfo>>) -> Vec<KeyInfo> {
    let mut keys: Vec<KeyInfo> = lists.into_iter().flatten().collect();
    keys.sort_by(|a, b| (a.scope, &a.key, a.kind).cmp(&(b.scope, &b.key, b.kind)));
    keys.dedup_by(|later, first| {
        let same = (later.scope, &later.key, later.kind) == (first.scope, &first.key, first.kind);
        if same {
            first.count += later.count;
        }
        same
    });
    keys
}

/// The attribute columns of a chunk and how many rows have a value in each.
pub(crate) fn of_columns(chunk: &Chunk) -> Vec<KeyInfo> {
    let columns = chunk.attrs.iter().map(|attr| KeyInfo {
        scope: attr.scope,
        key: attr.key.clone(),
        kind: attr.kind,
        count: (attr.values.len() - attr.values.null_count()) as u64,
    });
    columns.filter(|key| key.count > 0).collect()
}

/// The keys of a chunk.
pub(crate) fn of_chunk(chunk: &Chunk) -> Vec<KeyInfo> {
    let mut rest = OverflowKeys::default();
    if let Some(overflow) = &chunk.overflow {
        rest.add(overflow);
    }
    merged([of_columns(chunk), rest.list()])
}
