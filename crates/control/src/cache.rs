//! What was looked up lately, so that a request costs no query.
//!
//! An entry lives for ten seconds: that is how long a key revoked, or a tenant suspended, by another process
//! may still work. What this process changes goes at once.

use std::collections::HashMap;
use std::hash::Hash as StdHash;
use std::sync::Arc;
use std::time::Duration;

use model::TenantId;
use parking_lot::RwLock;

use crate::permissions::Principal;
use crate::secret::Hash;
use crate::tenants::Tenant;

const LIFE: Duration = Duration::from_secs(10);

/// Entries kept of what exists. One is about 500 bytes.
const KNOWN_MAX: usize = 10_000;

/// Entries kept of what does not, apart, so that guesses cannot push out what does.
const UNKNOWN_MAX: usize = 1_000;

/// A bounded map whose entries age.
pub(crate) struct Recent<K, V> {
    entries_max: usize,
    state: RwLock<State<K, V>>,
}

struct State<K, V> {
    entries: HashMap<K, (V, Duration)>,
    /// How often something was forgotten.
    forgotten: u64,
}

impl<K: Eq + StdHash, V: Clone> Recent<K, V> {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { entries_max, state: RwLock::new(State { entries: HashMap::new(), forgotten: 0 }) }
    }

    pub(crate) fn get(&self, key: &K, now: Duration) -> Option<V> {
        let state = self.state.read();
        state
            .entries
            .get(key)
            .filter(|(_, at)| now.saturating_sub(*at) < LIFE)
            .map(|(value, _)| value.clone())
    }

    /// To be asked for before the database is, and given to [`Recent::put`].
    pub(crate) fn forgotten(&self) -> u64 {
        self.state.read().forgotten
    }

    /// Remembers what was read, unless something was forgotten meanwhile: it may have been read before the
    /// change. Within the bound stale entries go first, then all; starting over costs one query each.
    pub(crate) fn put(&self, key: K, value: V, now: Duration, forgotten: u64) {
        let mut state = self.state.write();
        if state.forgotten != forgotten {
            return;
        }
        if state.entries.len() >= self.entries_max {
            state.entries.retain(|_, (_, at)| now.saturating_sub(*at) < LIFE);
        }
        if state.entries.len() >= self.entries_max {
            state.entries.clear();
        }
        state.entries.insert(key, (value, now));
    }

    pub(crate) fn forget(&self, gone: impl Fn(&K, &V) -> bool) {
        let mut state = self.state.write();
        state.forgotten += 1;
        state.entries.retain(|key, (value, _)| !gone(key, value));
    }

    pub(crate) fn len(&self) -> usize {
        self.state.read().entries.len()
    }
}

/// A valid key and until when it is valid.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) key_id: Arc<str>,
    pub(crate) principal: Arc<Principal>,
    /// Milliseconds since the Unix epoch.
    pub(crate) expires_at: Option<i64>,
}

/// Keys seen lately, the invalid ones apart.
pub(crate) struct KeyCache {
    known: Recent<Hash, Known>,
    unknown: Recent<Hash, ()>,
}

impl Default for KeyCache {
    fn default() -> Self {
        Self { known: Recent::new(KNOWN_MAX), unknown: Recent::new(UNKNOWN_MAX) }
    }
}

impl KeyCache {
    /// What is remembered: nothing, that the key is invalid, or whose it is.
    pub(crate) fn get(&self, hash: &Hash, now: Duration) -> Option<Option<Known>> {
        match self.known.get(hash, now) {
            Some(known) => Some(Some(known)),
            None => self.unknown.get(hash, now).map(|()| None),
        }
    }

    pub(crate) fn forgotten(&self) -> (u64, u64) {
        (self.known.forgotten(), self.unknown.forgotten())
    }

    pub(crate) fn put(&self, hash: Hash, found: Option<Known>, now: Duration, forgotten: (u64, u64)) {
        match found {
            Some(known) => self.known.put(hash, known, now, forgotten.0),
            None => self.unknown.put(hash, (), now, forgotten.1),
        }
    }

    /// Forgets one key by its id.
    pub(crate) fn forget(&self, id: &str) {
        self.known.forget(|_, known| *known.key_id == *id);
    }

    /// Forgets every key of a tenant: a role or an account changed. Whose the invalid ones are is not known,
    /// and one of an account that was disabled may be valid again.
    pub(crate) fn forget_tenant(&self, tenant: &TenantId) {
        self.known.forget(|_, known| known.principal.tenant == *tenant);
        self.unknown.forget(|_, ()| true);
    }

    pub(crate) fn len(&self) -> usize {
        self.known.len()
    }
}

/// Tenants asked for lately, those that do not exist apart.
pub(crate) struct TenantCache {
    known: Recent<TenantId, Arc<Tenant>>,
    unknown: Recent<TenantId, ()>,
}

impl Default for TenantCache {
    fn default() -> Self {
        Self { known: Recent::new(KNOWN_MAX), unknown: Recent::new(UNKNOWN_MAX) }
    }
}

impl TenantCache {
    pub(crate) fn get(&self, id: &TenantId, now: Duration) -> Option<Option<Arc<Tenant>>> {
        match self.known.get(id, now) {
            Some(known) => Some(Some(known)),
            None => self.unknown.get(id, now).map(|()| None),
        }
    }

    pub(crate) fn forgotten(&self) -> (u64, u64) {
        (self.known.forgotten(), self.unknown.forgotten())
    }

    pub(crate) fn put(
        &self,
        id: &TenantId,
        found: Option<Arc<Tenant>>,
        now: Duration,
        forgotten: (u64, u64),
    ) {
        match found {
            Some(tenant) => self.known.put(id.clone(), tenant, now, forgotten.0),
            None => self.unknown.put(id.clone(), (), now, forgotten.1),
        }
    }

    pub(crate) fn forget(&self, id: &TenantId) {
        self.known.forget(|known, _| known == id);
        self.unknown.forget(|known, ()| known == id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_age_and_both_kinds_are_bounded() {
        let cache = KeyCache::default();
        let hash = Hash::of("a").unwrap();
        cache.put(hash, None, Duration::ZERO, (0, 0));
        assert!(matches!(cache.get(&hash, Duration::from_secs(9)), Some(None)));
        assert!(cache.get(&hash, Duration::from_secs(10)).is_none());
        for n in 0..5_000 {
            cache.put(Hash::of(&n.to_string()).unwrap(), None, Duration::ZERO, (0, 0));
        }
        assert!(cache.unknown.len() <= UNKNOWN_MAX);
    }

    #[test]
    fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let recent = Recent::new(10);
        let before = recent.forgotten();
        recent.forget(|key: &u8, _| *key == 1);
        recent.put(1, "old", Duration::ZERO, before);
        assert_eq!(recent.get(&1, Duration::ZERO), None);
        recent.put(1, "new", Duration::ZERO, recent.forgotten());
        assert_eq!(recent.get(&1, Duration::ZERO), Some("new"));
    }
}
