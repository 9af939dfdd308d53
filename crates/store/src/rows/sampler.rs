//! Sampling of whole traces, at the time when their spans leave memory.

use arrow_buffer::BooleanBuffer;
use model::TenantId;

use super::slice::Slice;

/// Says which spans are kept.
pub trait HeadSampler: Send + Sync {
    /// One bit for each row of a head of spans that is about to be flushed; `None` keeps all. The rows that are
    /// not kept are in no query any more once the head is flushed. May be asked again for the same spans when a
    /// flush failed, and shall answer the same.
    fn keep(&self, tenant: &TenantId, spans: &Slice) -> Option<BooleanBuffer>;
}
