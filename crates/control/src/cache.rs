//! Keys seen lately, so that a request costs no query.
//!
//! An entry lives for ten seconds: that is how long a key revoked by another process may still work. A key
//! revoked by this one goes at once.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;

use crate::permissions::Principal;
use crate::secret::Hash;

const LIFE: Duration = Duration::from_secs(10);

/// Valid keys kept. An entry is about 300 bytes.
const KNOWN_MAX: usize = 10_000;

/// Invalid keys kept apart, so that guesses cannot push out valid ones.
const UNKNOWN_MAX: usize = 1_000;

/// A valid key and until when it is valid.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) key_id: Arc<str>,
    pub(crate) principal: Arc<Principal>,
    /// Milliseconds since the Unix epoch.
    pub(crate) expires_at: Option<i64>,
}

/// `None` within is a key that is known to be invalid.
#[derive(Default)]
pub(crate) struct KeyCache {
    known: RwLock<HashMap<Hash, (Known, Duration)>>,
    unknown: RwLock<HashMap<Hash, Duration>>,
}

impl KeyCache {
    /// What is remembered: nothing, that the key is invalid, or whose it is.
    pub(crate) fn get(&self, hash: &Hash, now: Duration) -> Option<Option<Known>> {
        let fresh = |at: Duration| now.saturating_sub(at) < LIFE;
        if let Some((known, at)) = self.known.read().get(hash)
            && fresh(*at)
        {
            return Some(Some(known.clone()));
        }
        self.unknown.read().get(hash).filter(|at| fresh(**at)).map(|_| None)
    }

    pub(crate) fn put(&self, hash: Hash, found: Option<Known>, now: Duration) {
        match found {
            Some(known) => insert(&self.known, KNOWN_MAX, hash, (known, now), |(_, at)| *at, now),
            None => insert(&self.unknown, UNKNOWN_MAX, hash, now, |at| *at, now),
        }
    }

    /// Forgets one key by its id, or every key of ours when the id is not known.
    pub(crate) fn forget(&self, id: &str) {
        self.known.write().retain(|_, (known, _)| *known.key_id != *id);
    }

    pub(crate) fn len(&self) -> usize {
        self.known.read().len()
    }
}

/// Inserts within the bound: stale entries go first, then all. Starting over costs one query a key.
fn insert<V>(
    map: &RwLock<HashMap<Hash, V>>,
    entries_max: usize,
    hash: Hash,
    value: V,
    at: impl Fn(&V) -> Duration,
    now: Duration,
) {
    let mut map = map.write();
    if map.len() >= entries_max {
        map.retain(|_, value| now.saturating_sub(at(value)) < LIFE);
    }
    if map.len() >= entries_max {
        map.clear();
    }
    map.insert(hash, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_age_and_both_kinds_are_bounded() {
        let cache = KeyCache::default();
        let hash = Hash::of("a").unwrap();
        cache.put(hash, None, Duration::ZERO);
        assert!(matches!(cache.get(&hash, Duration::from_secs(9)), Some(None)));
        assert!(cache.get(&hash, Duration::from_secs(10)).is_none());
        for n in 0..5_000 {
            cache.put(Hash::of(&n.to_string()).unwrap(), None, Duration::ZERO);
        }
        assert!(cache.unknown.read().len() <= UNKNOWN_MAX);
    }
}
