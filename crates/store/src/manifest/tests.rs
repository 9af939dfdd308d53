use model::{Field, MatchOp, Matcher, Predicate, Signal, TenantId, Test, TextMatch, TimeRange};
use proptest::prelude::*;

use super::*;
use crate::disk::memory::MemoryDisk;
use crate::rows::RowTombstone;
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

fn rows_shard() -> ShardKey {
    ShardKey { signal: Signal::Logs, ..shard("a") }
}

fn row_tombstone(id: u64) -> Arc<RowTombstone> {
    let test = Test::Text { how: TextMatch::Phrase, text: "secret".into(), ignore_case: true };
    let predicate = Predicate::Test(Field::Fixed(4), test);
    let tombstone = RowTombstone::new(Signal::Logs, predicate, -5, i64::MAX).expect("valid");
    Arc::new(RowTombstone { id, seq: 8, created_ms: 9, ..tombstone })
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
    let deletes = Edit {
        add_tombstones: vec![(shard("a"), tombstone(9))],
        add_row_tombstones: vec![(rows_shard(), row_tombstone(10))],
        ..Edit::default()
    };
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

/// Bytes of `framed` by the version before deletes of rows: what an edit had ended with is missing.
fn framed_by_version_1(edit: &Edit, file_no: u64) -> Vec<u8> {
    let mut out = vec![0; 8];
    edit::encode(edit, &mut out);
    assert_eq!(out.pop(), Some(0), "no deletes of rows");
    let len = (out.len() - 8) as u32;
    out[..4].copy_from_slice(&len.to_le_bytes());
    let sum = checksum(&out[8..], file_no);
    out[4..8].copy_from_slice(&sum.to_le_bytes());
    out
}

#[test]
fn a_manifest_of_version_1_is_read() {
    let disk = MemoryDisk::new();
    let fixture = include_bytes!("../../tests/fixtures/manifest-v1.log");
    let flush = Edit { add: vec![segment(1)], flushed: vec![(shard("a"), 11)], ..Edit::default() };
    let deletes = Edit { add_tombstones: vec![(shard("a"), tombstone(9))], ..Edit::default() };
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&1u32.to_le_bytes());
    bytes.extend_from_slice(&framed_by_version_1(&State::default().checkpoint(), 1));
    bytes.extend_from_slice(&framed_by_version_1(&flush, 1));
    bytes.extend_from_slice(&framed_by_version_1(&deletes, 1));
    assert_eq!(bytes, fixture);
    disk.create_dir_all(DIR).expect("folder");
    durable::write_new_file(&disk, &file_path(1), fixture).expect("write");
    let state = open(&disk).state();
    assert_eq!(state.segments.values().collect::<Vec<_>>(), [&segment(1)]);
    assert_eq!(state.flushed_seq(&shard("a")), 11);
    assert_eq!(state.tombstones.values().collect::<Vec<_>>(), [&(shard("a"), tombstone(9))]);
    assert!(state.row_tombstones.is_empty());
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
        for version in 1..=VERSION {
            let _ = edit::decode(&bytes, version);
        }
    }

    #[test]
    fn edits_round_trip(ids: Vec<u32>, flushed: u64, id_next: u64, is_checkpoint: bool) {
        let edit = Edit {
            is_checkpoint,
            add: ids.iter().map(|id| segment((*id).into())).collect(),
            remove: ids.iter().map(|id| SegmentId((*id).into())).collect(),
            flushed: vec![(shard("a"), flushed)],
            add_tombstones: ids.iter().map(|id| (shard("b"), tombstone((*id).into()))).collect(),
            add_row_tombstones: ids.iter().map(|id| (rows_shard(), row_tombstone((*id).into()))).collect(),
            remove_tombstones: ids.iter().map(|id| (*id).into()).collect(),
            id_next,
        };
        let mut bytes = Vec::new();
        edit::encode(&edit, &mut bytes);
        prop_assert_eq!(edit::decode(&bytes, VERSION), Some(edit));
    }
}
