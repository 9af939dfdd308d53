use super::*;
use crate::disk::memory::MemoryDisk;

const FILE_BYTES: u64 = 4096;

fn shard(tenant: &str) -> ShardKey {
    ShardKey { tenant: TenantId::new(tenant).expect("tenant"), signal: Signal::Metrics }
}

fn record_of(shard: &ShardKey, seq: u64, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    record::begin(&mut out, shard.signal.code(), 0, &shard.tenant);
    out.extend_from_slice(payload);
    record::number(&mut out, seq);
    out
}

/// Writes one group of records with payloads of these lengths, from `first` on.
fn write(wal: &mut Wal, tenant: &str, first: u64, lens: &[usize]) -> Result<()> {
    let shard = shard(tenant);
    let numbered = lens.iter().zip(first..);
    let mut bytes: Vec<_> =
        numbered.clone().map(|(len, seq)| record_of(&shard, seq, &vec![seq as u8; *len])).collect();
    let mut outgoing: Vec<_> =
        bytes.iter_mut().zip(first..).map(|(bytes, seq)| Outgoing { shard: &shard, seq, bytes }).collect();
    wal.write_group(&mut outgoing)?;
    wal.acknowledge(first + lens.len() as u64 - 1);
    Ok(())
}

fn open(disk: &MemoryDisk) -> (Wal, Vec<u64>) {
    let (mut wal, leftover) = Wal::open(Arc::new(disk.clone()), FILE_BYTES, 0).expect("open");
    let mut seqs = Vec::new();
    for no in &leftover.file_nos {
        let mut reader = Wal::leftover(disk, *no).expect("file").expect("header");
        while let Some(record) = reader.next_record().expect("read") {
            assert!(record.payload.iter().all(|b| *b == record.seq as u8));
            seqs.push(record.seq);
        }
        let last = seqs.iter().map(|seq| (shard("a"), *seq)).collect();
        wal.adopt(*no, reader.len(), last);
    }
    assert_eq!(leftover.last_seq, seqs.last().copied().unwrap_or(0));
    wal.roll(leftover.last_seq + 1, 0).expect("new file");
    (wal, seqs)
}

#[test]
fn what_was_written_is_replayed_after_a_crash() {
    let disk = MemoryDisk::new();
    let (mut wal, seqs) = open(&disk);
    assert!(seqs.is_empty(), "{seqs:?}");
    write(&mut wal, "a", 1, &[10, 0, 3000]).expect("write");
    write(&mut wal, "a", 4, &[2000, 100]).expect("write into two files");
    write(&mut wal, "a", 6, &[50_000]).expect("a record larger than a file");
    disk.crash(0);
    let (mut wal, seqs) = open(&disk);
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
    write(&mut wal, "a", 7, &[1]).expect("write");
    disk.crash(3);
    assert_eq!(open(&disk).1, [1, 2, 3, 4, 5, 6, 7]);
}

#[test]
fn a_torn_group_leaves_a_prefix() {
    for seed in 1..200 {
        let disk = MemoryDisk::new();
        let (mut wal, _) = open(&disk);
        write(&mut wal, "a", 1, &[100]).expect("write");
        disk.fail_syncs(1);
        write(&mut wal, "a", 2, &[600, 700, 800]).expect_err("sync fails");
        disk.crash(seed);
        let (_, seqs) = open(&disk);
        assert!(seqs.len() <= 4 && seqs.iter().copied().eq(1..=seqs.len() as u64), "{seqs:?}");
        assert!(!seqs.is_empty(), "the acknowledged record is there");
    }
}

#[test]
fn a_file_goes_when_all_its_shards_are_flushed_and_becomes_the_spare() {
    let disk = MemoryDisk::new();
    let (mut wal, _) = open(&disk);
    write(&mut wal, "a", 1, &[1500]).expect("write");
    write(&mut wal, "b", 2, &[1500]).expect("write");
    write(&mut wal, "a", 3, &[1500]).expect("write into the next file");
    assert_eq!(wal.file_count(), 2);
    let flushed = |a, b| move |key: &ShardKey| if key == &shard("a") { a } else { b };
    wal.collect(flushed(3, 1)).expect("collect");
    assert_eq!((wal.file_count(), wal.pinning(flushed(3, 1))), (2, vec![shard("b")]));
    wal.collect(flushed(1, 2)).expect("collect");
    assert_eq!((wal.file_count(), wal.has_spare()), (1, true));
    // The recycled file's old records do not come back.
    write(&mut wal, "a", 4, &[3000]).expect("write into the spare");
    assert!(!wal.has_spare());
    disk.crash(0);
    assert_eq!(open(&disk).1, [3, 4]);
}

#[test]
fn a_full_disk_fails_the_roll_and_the_spare_can_be_given_back() {
    let disk = MemoryDisk::new();
    let (mut wal, _) = open(&disk);
    wal.ensure_spare().expect("spare");
    disk.set_bytes_max(Some(2 * FILE_BYTES));
    write(&mut wal, "a", 1, &[3000]).expect("the current file has room");
    write(&mut wal, "a", 2, &[3000]).expect("the spare has room");
    assert!(write(&mut wal, "a", 3, &[3000]).expect_err("no room").is_disk_full());
    assert!(!wal.is_open());
    assert!(wal.ensure_spare().expect_err("no room").is_disk_full());
    wal.collect(|_| 2).expect("collect");
    assert!(wal.has_spare());
    wal.release_spare().expect("release");
    assert_eq!(disk.used_bytes(), 0);
}

#[test]
fn a_damaged_header_before_records_is_corruption() {
    let disk = MemoryDisk::new();
    let (mut wal, _) = open(&disk);
    write(&mut wal, "a", 1, &[10]).expect("write");
    disk.damage(&file_path(1), 20);
    let error = Wal::open(Arc::new(disk.clone()), FILE_BYTES, 0).err().expect("corrupt");
    assert!(matches!(error, StoreError::Corrupt { offset: 0, .. }), "{error}");
}
