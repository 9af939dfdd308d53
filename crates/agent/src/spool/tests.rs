use std::io::Write as _;

use super::*;

fn parcel(n: usize, bytes: usize) -> Parcel {
    Parcel {
        path: format!("/v1/{n}"),
        content_type: "text/plain".into(),
        content_encoding: String::new(),
        body: vec![n as u8; bytes],
    }
}

async fn drain(spool: &Spool) -> Vec<String> {
    let mut paths = Vec::new();
    let mut at = spool.sent();
    while let Ok(found) = tokio::time::timeout(std::time::Duration::from_millis(50), spool.next(at)).await {
        let (parcel, behind) = found.expect("readable");
        paths.push(parcel.path);
        at = behind;
    }
    paths
}

#[tokio::test]
async fn parcels_come_back_in_order_after_reopening_until_struck_off() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = Spool::open(folder.path(), 1 << 30).expect("open");
    for n in 0..5 {
        spool.put(&[parcel(n, 10)]).await.expect("kept");
    }
    drop(spool);
    let spool = Spool::open(folder.path(), 1 << 30).expect("open");
    let (first, behind) = spool.next(spool.sent()).await.expect("one");
    assert_eq!(first, parcel(0, 10));
    spool.strike_off(behind).expect("cursor");
    spool.put(&[parcel(5, 10), parcel(6, 10)]).await.expect("kept");
    drop(spool);
    let spool = Spool::open(folder.path(), 1 << 30).expect("open");
    assert_eq!(drain(&spool).await, ["/v1/1", "/v1/2", "/v1/3", "/v1/4", "/v1/5", "/v1/6"]);
}

#[tokio::test]
async fn a_torn_end_costs_only_itself() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = Spool::open(folder.path(), 1 << 30).expect("open");
    spool.put(&[parcel(1, 100)]).await.expect("kept");
    drop(spool);
    let number = file::numbers(folder.path()).expect("list")[0];
    let path = file::path(folder.path(), number);
    let mut open = fs::OpenOptions::new().append(true).open(&path).expect("open");
    open.write_all(&[9; 37]).expect("write");
    let spool = Spool::open(folder.path(), 1 << 30).expect("open");
    spool.put(&[parcel(2, 100)]).await.expect("kept");
    assert_eq!(drain(&spool).await, ["/v1/1", "/v1/2"]);
}

#[tokio::test]
async fn a_full_buffer_refuses_until_something_is_sent_and_sent_files_go() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = Spool::open(folder.path(), 20 << 20).expect("open");
    let mut kept = 0;
    while spool.put(&[parcel(kept, 1 << 20)]).await.is_ok() {
        kept += 1;
    }
    assert_eq!(kept, 19, "twenty and their heads are more than the limit");
    assert!(matches!(spool.put(&[parcel(0, 1 << 20)]).await, Err(SpoolError::Full(_))));
    let mut at = spool.sent();
    for _ in 0..10 {
        at = spool.next(at).await.expect("one").1;
    }
    spool.strike_off(at).expect("cursor");
    assert!(spool.put(&[parcel(0, 1 << 20)]).await.is_ok());
    let files = file::numbers(folder.path()).expect("list").len();
    assert!(files <= 3, "{files} files");
}

#[tokio::test]
async fn many_writers_share_syncs_and_lose_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = Spool::open(folder.path(), 1 << 30).expect("open");
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let spool = spool.clone();
            tokio::spawn(async move { spool.put(&[parcel(n, 50)]).await })
        })
        .collect();
    for task in tasks {
        task.await.expect("task").expect("kept");
    }
    let mut paths = drain(&spool).await;
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), 50);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_promise_behind() {
    let folder = tempfile::tempdir().expect("folder");
    let spool = Spool::open(folder.path(), 1 << 30).expect("open");
    for n in 0..10 {
        let parcels = [parcel(n, 100)];
        let put = spool.put(&parcels);
        // Polled once, then dropped.
        let _ = tokio::time::timeout(std::time::Duration::ZERO, put).await;
    }
    spool.put(&[parcel(10, 100)]).await.expect("kept");
    assert_eq!(spool.0.state.lock().promised, 0);
}
