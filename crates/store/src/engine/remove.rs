//! A tenant goes with everything it has.

use model::{Signal, TenantId};

use super::Engine;
use crate::error::{Result, StoreError};
use crate::manifest::Edit;
use crate::wal::ShardKey;

impl Engine {
    /// Removes everything of a tenant, durably: segments, heads, deletes that wait, and its records from the log as
    /// soon as no other tenant's head needs their files. The caller sees to it that nobody writes for the tenant
    /// any more. Removing one that has nothing does nothing. Blocks.
    pub fn remove_tenant(&self, tenant: &TenantId, now_ms: i64) -> Result<()> {
        if !self.is_replayed() {
            let reason = "the log of the last run is still being read".into();
            return Err(StoreError::Unavailable { reason });
        }
        // A merge under way would bring back what is removed.
        let _compacting = self.compacting.lock();
        let flushing = self.flushing.lock();
        for signal in Signal::ALL {
            let key = ShardKey { tenant: tenant.clone(), signal };
            self.rotate(tenant, signal);
            self.commit_once();
            self.rotate_failed();
            // The log forgets a head only when it is flushed.
            while self.flush_oldest_of(&flushing, &key, now_ms)? {}
        }
        self.wal.lock().note_delete();
        let state = self.manifest_state();
        let metrics = state.tombstones.iter().map(|(id, (key, _))| (*id, key));
        let rows = state.row_tombstones.iter().map(|(id, (key, _))| (*id, key));
        let edit = Edit {
            remove: state
                .segments
                .values()
                .filter(|meta| meta.tenant == *tenant)
                .map(|meta| meta.id)
                .collect(),
            remove_tombstones: metrics
                .chain(rows)
                .filter(|(_, key)| key.tenant == *tenant)
                .map(|(id, _)| id)
                .collect(),
            ..Edit::default()
        };
        self.commit_edit(edit, || self.shards.write().retain(|key, _| key.tenant != *tenant))?;
        self.retention.write().remove(tenant);
        self.row_retention.write().retain(|key, _| key.tenant != *tenant);
        self.count_heads();
        self.roll_wal()?;
        self.collect_wal()
    }
}
