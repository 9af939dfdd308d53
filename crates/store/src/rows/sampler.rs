//! Sampling of whole traces, at the time when their spans leave memory.

use arrow_buffer::BooleanBuffer;
use model::TenantId;

use super::slice::Slice;

/// Says which spans are kept.
pub trait HeadSampler: Send + Sync {
    /// How long a head waits after its last spans came, so that the rest of their traces can be seen,
    /// milliseconds; `None` where all spans of a tenant are kept and nothing needs to be asked. A head waits no
    /// longer than there is room in memory.
    fn window_ms(&self, tenant: &TenantId) -> Option<i64>;

    /// One bit for each row of a head of spans that is about to be flushed, slice by slice; `None` keeps all.
    /// `later` has the spans that came after, to which the traces go on; of those nothing is decided. The rows that
    /// are not kept are in no query any more once the head is flushed. May be asked again for the same spans when a
    /// flush failed, and shall answer the same.
    fn keep(&self, tenant: &TenantId, spans: &[Slice], later: &[Slice]) -> Option<BooleanBuffer>;

    /// Hears how many spans are gone, once they are.
    fn dropped(&self, tenant: &TenantId, spans: u64);
}
