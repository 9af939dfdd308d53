use model::{MatchOp, Matcher, Signal, TenantId, TimeRange};
use proptest::prelude::*;

use super::*;
use crate::disk::memory::MemoryDisk;
use crate::segment::{SegmentId, SegmentMeta};
use crate::tombstone::Tombstone;
use crate::wal::ShardKey;

fn shard(tenant: &str) -> ShardKey {
    ShardKey { tenant: TenantId::new(tenant).expect("tenant"), signal: Signal::Metrics }
}

fn segment(id: u64) -> SegmentMeta {
    SegmentMeta {
        id: SegmentId(id),
        tenant: shard("a").tenant,
        signal: Signal::Metrics,
        day: -3,
        level: 1,
        min_t_ms: -5,
        max_t_ms: 1_000_000_000_000,
        min_seq: 1,
        max_seq: id + 10,
        series: 3,
        samples: 77,
        bytes: 1 << 40,
        created_ms: 12,
        tombstones_applied: 2,
    }
}

fn tombstone(id: u64) -> Tombstone {
    let matchers = vec![
        Matcher::new("__name__", MatchOp::Equal, "up").expect("matcher"),
        Matcher::new("job", MatchOp::NotRegex, "a|b").expect("matcher"),
    ];
    Tombstone { id, matchers, range: TimeRange { start_ms: -1, end_ms: 99 }, seq: 4, created_ms: 5 }
}

fn open(disk: &MemoryDisk) -> Manifest {
    Manifest::open(Arc::new(disk.clone())).expect("open")
}

#[test]
fn commits_survive_a_crash_and_reopening() {
    let disk = MemoryDisk::new();
    let mut manifest = open(&disk);
    let flush =
        Edit { add: vec![segment(1)], flushed: vec![(shard("a"), 11)], id_next: 9, ..Edit::default() };
    manifest.commit(&flush).expect("flush");
    let deletes = Edit { add_tombstones: vec![(shard("a"), tombstone(9))], ..Edit::default() };
    manifest.commit(&deletes).expect("delete");
    let compact = Edit { add: vec![segment(2)], remove: vec![SegmentId(1)], ..Edit::default() };
    let state = manifest.commit(&compact).expect("compact");
    assert_eq!(state.segments.values().collect::<Vec<_>>(), [&segment(2)]);
    assert_eq!((state.flushed_seq(&shard("a")), state.flushed_seq(&shard("b")), state.id_next), (11, 0, 9));
    disk.crash(0);
    assert_eq!(open(&disk).state(), state);
    disk.crash(7);
    assert_eq!(open(&disk).state(), state);
    assert_eq!(disk.list(DIR).expect("list").len(), 1);
}

#[test]
fn an_edit_that_breaks_a_rule_is_refused() {
    let mut manifest = open(&MemoryDisk::new());
    manifest
        .commit(&Edit { add: vec![segment(1)], flushed: vec![(shard("a"), 11)], ..Edit::default() })
        .expect("flush");
    let other = SegmentMeta { tenant: shard("b").tenant, ..segment(5) };
    for bad in [
        Edit { remove: vec![SegmentId(2)], ..Edit::default() },
        Edit { add: vec![segment(1)], ..Edit::default() },
        Edit { flushed: vec![(shard("a"), 10)], ..Edit::default() },
        Edit { add: vec![other], remove: vec![SegmentId(1)], ..Edit::default() },
        Edit { add: vec![SegmentMeta { min_t_ms: 2, max_t_ms: 1, ..segment(3) }], ..Edit::default() },
    ] {
        assert!(matches!(manifest.commit(&bad), Err(StoreError::Refused(_))), "{bad:?}");
    }
}

#[test]
fn a_failed_commit_is_followed_by_a_new_file() {
    let disk = MemoryDisk::new();
    let mut manifest = open(&disk);
    disk.fail_syncs(1);
    manifest.commit(&Edit { add: vec![segment(1)], ..Edit::default() }).expect_err("sync fails");
    assert!(manifest.state().segments.is_empty());
    let state = manifest.commit(&Edit { add: vec![segment(2)], ..Edit::default() }).expect("commit");
    disk.crash(0);
    assert_eq!(open(&disk).state(), state);
}

#[test]
fn a_torn_edit_leaves_the_state_before_or_after_it() {
    for seed in 1..100 {
        let disk = MemoryDisk::new();
        let mut manifest = open(&disk);
        let before = manifest.commit(&Edit { add: vec![segment(1)], ..Edit::default() }).expect("commit");
        disk.fail_syncs(1);
        let add = (2..40).map(segment).collect();
        manifest.commit(&Edit { add, ..Edit::default() }).expect_err("sync fails");
        disk.crash(seed);
        let segments = open(&disk).state().segments.len();
        assert!(segments == before.segments.len() || segments == 39, "{segments}");
    }
}

#[test]
fn long_logs_become_checkpoints() {
    let disk = MemoryDisk::new();
    let mut manifest = open(&disk);
    for id in 1..2000 {
        let add = (0..30).map(|i| segment(id * 30 + i)).collect::<Vec<_>>();
        let remove = manifest.state().segments.keys().copied().collect();
        manifest.commit(&Edit { add, remove, ..Edit::default() }).expect("commit");
    }
    assert!(disk.used_bytes() < 2 << 20);
    assert_eq!(open(&disk).state(), manifest.state());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        let _ = edit::decode(&bytes);
    }

    #[test]
    fn edits_round_trip(ids: Vec<u32>, flushed: u64, id_next: u64, is_checkpoint: bool) {
        let edit = Edit {
            is_checkpoint,
            add: ids.iter().map(|id| segment((*id).into())).collect(),
            remove: ids.iter().map(|id| SegmentId((*id).into())).collect(),
            flushed: vec![(shard("a"), flushed)],
            add_tombstones: ids.iter().map(|id| (shard("b"), tombstone((*id).into()))).collect(),
            remove_tombstones: ids.iter().map(|id| (*id).into()).collect(),
            id_next,
        };
        let mut bytes = Vec::new();
        edit::encode(&edit, &mut bytes);
        prop_assert_eq!(edit::decode(&bytes), Some(edit));
    }
}
