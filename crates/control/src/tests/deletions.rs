use super::*;

#[tokio::test]
async fn deletes_are_remembered_until_they_are_finished_and_after() {
    each_backend(async |f| {
        let (control, acme) = control_with(&f, "acme").await;
        add_tenant(&f, "other").await;
        let deletion = |id: u64| Deletion {
            id,
            signal: "logs".into(),
            query: "level:debug\0".into(),
            start_ns: 1,
            end_ns: i64::MAX,
            rows: 7,
            requested_at: 5,
            finished_at: None,
        };
        for id in [1, 2, 2, 3] {
            control.record_deletion(&acme, &deletion(id)).await.unwrap();
        }
        assert_eq!(control.unfinished_deletions(&acme).await.unwrap(), [1, 2, 3]);
        control.finish_deletions(&acme, &[1, 3]).await.unwrap();
        assert_eq!(control.unfinished_deletions(&acme).await.unwrap(), [2]);
        let all = control.deletions(&acme).await.unwrap();
        let told: Vec<(u64, bool, i64)> =
            all.iter().map(|d| (d.id, d.finished_at.is_some(), d.rows)).collect();
        assert_eq!(told, [(3, true, 7), (2, false, 7), (1, true, 7)]);
        assert_eq!(all[0].query, "level:debug");
        assert!(control.deletions(&tenant("other")).await.unwrap().is_empty());
    })
    .await;
}
