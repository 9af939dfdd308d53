use super::*;

fn disk() -> SimDisk {
    SimDisk::new(1, Lies::None, false)
}

fn contents(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
    let file = disk.open(path).ok()?;
    let mut bytes = vec![0; file.len().ok()? as usize];
    file.read_at(0, &mut bytes).ok()?;
    Some(bytes)
}

/// All outcomes of many crashes of the same history.
fn outcomes<T: Ord>(make: impl Fn(&SimDisk), look: impl Fn(&SimDisk) -> T) -> std::collections::BTreeSet<T> {
    (0..200)
        .map(|seed| {
            let disk = SimDisk::new(seed, Lies::None, false);
            make(&disk);
            look(&disk.restart())
        })
        .collect()
}

#[test]
fn what_was_synced_survives_and_the_rest_may() {
    let make = |disk: &SimDisk| {
        let file = disk.create("f").expect("file");
        file.write_at(0, b"one").expect("write");
        file.sync_data().expect("sync");
        disk.sync_dir("").expect("sync");
        file.write_at(3, b"two").expect("write");
    };
    let seen = outcomes(make, |disk| contents(disk, "f").expect("is durable"));
    assert!(seen.iter().all(|bytes| b"onetwo".starts_with(bytes) && bytes.len() >= 3));
    assert_eq!(seen.len(), 4, "cut anywhere");
}

#[test]
fn names_survive_in_any_subset() {
    let make = |disk: &SimDisk| {
        disk.create("kept").expect("file");
        disk.sync_dir("").expect("sync");
        disk.create("new").expect("file");
        disk.remove("kept").expect("remove");
    };
    let seen = outcomes(make, SimDisk::paths);
    assert_eq!(seen.len(), 4);
}

#[test]
fn a_rename_is_whole_or_not_at_all() {
    let make = |disk: &SimDisk| {
        disk.create("a").expect("file");
        disk.sync_dir("").expect("sync");
        disk.rename("a", "b").expect("rename");
    };
    let seen = outcomes(make, SimDisk::paths);
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [["a"], ["b"]]);
}

#[test]
fn a_folder_that_is_not_durable_takes_its_files_with_it() {
    let make = |disk: &SimDisk| {
        disk.create_dir_all("d").expect("folder");
        disk.create("d/f").expect("file").sync_data().expect("sync");
        disk.sync_dir("d").expect("sync");
    };
    let seen = outcomes(make, SimDisk::paths);
    assert_eq!(seen.len(), 2);
}

#[test]
fn after_a_failed_sync_no_later_one_helps() {
    let lost = (0..50).any(|seed| {
        let disk = SimDisk::new(seed, Lies::None, false);
        let file = disk.create("f").expect("file");
        disk.sync_dir("").expect("sync");
        file.write_at(0, b"data").expect("write");
        disk.set_faults(Faults { syncs: 1000, ..Faults::default() });
        file.sync_data().expect_err("injected");
        disk.set_faults(Faults::default());
        file.sync_data().expect("the kernel forgot");
        assert_eq!(contents(&disk, "f").as_deref(), Some(b"data".as_slice()), "readers see it");
        contents(&disk.restart(), "f").as_deref() != Some(b"data")
    });
    assert!(lost);
}

#[test]
fn after_a_crash_every_call_fails_until_the_restart() {
    let disk = disk();
    let file = disk.create("f").expect("file");
    disk.crash_in(Some(1));
    file.write_at(0, b"x").expect("before");
    file.sync_data().expect_err("in it");
    assert!(disk.is_down());
    disk.exists("f").expect_err("after");
    let again = disk.restart();
    disk.exists("f").expect_err("the handle is of another boot");
    again.exists("f").expect("works");
}

#[test]
fn a_kill_keeps_what_was_written() {
    let disk = disk();
    disk.create("f").expect("file").write_at(0, b"x").expect("write");
    assert_eq!(contents(&disk.kill(), "f").as_deref(), Some(b"x".as_slice()));
}

#[test]
fn a_full_disk_takes_no_more() {
    let disk = disk();
    let file = disk.create("f").expect("file");
    disk.set_bytes_max(Some(10));
    file.allocate(10).expect("fits");
    file.write_at(0, b"xyz").expect("reserved");
    assert_eq!(file.write_at(8, b"xyz").expect_err("full").kind(), io::ErrorKind::StorageFull);
}
