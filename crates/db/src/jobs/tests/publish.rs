use super::*;
use crate::error::Remedy;
use crate::jobs::JobError;
use crate::testing::each_backend;

#[tokio::test]
async fn a_key_names_one_job_while_it_lives_and_while_it_is_kept() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let id = q.publish(keyed("a", "k", "first")).await.unwrap();
        assert_eq!(q.publish(keyed("a", "k", "second")).await.unwrap(), id);
        let others = [
            q.publish(keyed("b", "k", "other tenant")).await.unwrap(),
            q.publish(NewJob { queue: "r".to_owned(), ..keyed("a", "k", "other queue") }).await.unwrap(),
            q.publish(keyed("a", "l", "other key")).await.unwrap(),
        ];
        assert!(!others.contains(&id));

        let claims = claim(&q, 9).await;
        assert_eq!(names(&claims), "first other tenant other key");
        assert_eq!(q.publish(keyed("a", "k", "third")).await.unwrap(), id, "while it runs");
        q.ack_all(&claims).await.unwrap();
        assert_eq!(q.publish(keyed("a", "k", "fourth")).await.unwrap(), id, "when it is done");
        f.clock.advance(Duration::from_secs(24 * 3600));
        assert_eq!(q.sweep().await.unwrap(), 3);
        assert_ne!(q.publish(keyed("a", "k", "fifth")).await.unwrap(), id, "when it is forgotten");
        assert_eq!(names(&claim(&q, 9).await), "fifth");
    })
    .await;
}

#[tokio::test]
async fn a_batch_answers_an_id_for_each_job_in_its_order() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let there = q.publish(keyed("a", "z", "there")).await.unwrap();
        let batch = [
            keyed("a", "z", "again"),
            job("a", "x"),
            keyed("a", "b", "b"),
            keyed("a", "a", "a"),
            keyed("a", "b", "b again"),
            job("a", "y"),
        ];
        let ids = q.publish_all(&batch).await.unwrap();
        assert_eq!((&ids[0], &ids[2]), (&there, &ids[4]));
        let claims = claim(&q, 9).await;
        assert_eq!(names(&claims), "there x b a y");
        let of = |wanted: &str| claims.iter().find(|c| name(c) == wanted).unwrap().id.clone();
        assert_eq!([&ids[1], &ids[2], &ids[3], &ids[5]], [&of("x"), &of("b"), &of("a"), &of("y")]);
        assert_eq!(q.publish_all(&[]).await.unwrap(), Vec::<String>::new());
    })
    .await;
}

#[tokio::test]
async fn what_is_published_in_a_transaction_is_there_when_it_is_committed() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let mut tx = f.db.control().begin().await.unwrap();
        let _ = q.publish_in(&mut tx, &[job("a", "lost")]).await.unwrap();
        drop(tx);
        assert_eq!(claim(&q, 9).await, []);
        let mut tx = f.db.control().begin().await.unwrap();
        let published = q.publish_in(&mut tx, &[job("a", "kept")]).await.unwrap();
        tx.commit().await.unwrap();
        let ids = published.announce();
        assert_eq!(claim_one(&q).await.id, ids[0]);
    })
    .await;
}

#[tokio::test]
async fn a_restart_loses_nothing() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        q.publish_all(&[job("a", "queued"), job("a", "claimed")]).await.unwrap();
        f.db.close().await;
        let db = crate::Database::open(f.settings.clone(), f.shared_clock()).await.unwrap();
        let q = Jobs::new(db.clone(), f.shared_clock());
        assert_eq!(names(&claim(&q, 9).await), "queued claimed");
        db.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_full_queue_of_a_tenant_refuses_with_a_type_and_others_are_let_in() {
    each_backend(async |f| {
        let q = jobs_with(&f, JobSettings { waiting_max: 5, ..JobSettings::default() }).await;
        q.publish(keyed("a", "k", "0")).await.unwrap();
        let batch: Vec<_> = (1..5).map(|n| job("a", &n.to_string())).collect();
        q.publish_all(&batch).await.unwrap();
        let full = q.publish(job("a", "5")).await.unwrap_err();
        assert!(matches!(&full, JobError::Full { max: 5, .. }), "{full}");
        assert_eq!(full.remedy(), Remedy::RetryLater);
        q.publish(keyed("a", "k", "again")).await.expect("it takes no room");
        q.publish(job("b", "another tenant")).await.unwrap();
        q.publish(NewJob { queue: "r".to_owned(), ..job("a", "another queue") }).await.unwrap();
        // All or none.
        let mixed = [job("b", "x"), job("a", "y")];
        assert!(matches!(q.publish_all(&mixed).await, Err(JobError::Full { .. })));
        assert_eq!(claim(&q, 99).await.len(), 6);
        q.publish_all(&batch).await.expect("what runs does not wait");
    })
    .await;
}

#[tokio::test]
async fn a_job_that_cannot_be_is_refused_with_its_field() {
    each_backend(async |f| {
        let q = jobs(&f).await;
        let long = "x".repeat(300);
        for (job, want) in [
            (NewJob { queue: "Q".to_owned(), ..job("a", "x") }, "queue: \"Q\" must be 1 to 64 lower-case"),
            (NewJob { queue: String::new(), ..job("a", "x") }, "queue: "),
            (keyed("a", "", "x"), "key: must be 1 to 256 bytes"),
            (keyed("a", &long, "x"), "key: "),
            (keyed("a", "a\0", "x"), "key: "),
            (NewJob { attempts_max: 0, ..job("a", "x") }, "attempts_max: 0 must be"),
            (NewJob { keep_for: Duration::ZERO, ..job("a", "x") }, "keep_for: 0 ms"),
            (
                NewJob { delay: Duration::from_secs(86_400), ..job("a", "x") },
                "delay: 86400000 ms must be shorter",
            ),
            (job("a", &"x".repeat(256 * 1024)), "payload: 262146 bytes of JSON are more than 262144"),
        ] {
            let error = q.publish(job).await.unwrap_err();
            assert!(error.to_string().starts_with(want), "{error}");
            assert_eq!(error.remedy(), Remedy::FixRequest);
        }
        let many = vec![job("a", "x"); 10_001];
        assert!(matches!(q.publish_all(&many).await, Err(JobError::Invalid { field: "jobs", .. })));
        q.publish(job("a", "nul \0 is escaped")).await.unwrap();
        assert_eq!(name(&claim_one(&q).await), "nul \0 is escaped");
        let error = q.claim("q", "", 1, LEASE).await.unwrap_err();
        assert!(matches!(error, JobError::Invalid { field: "worker", .. }), "{error}");
        let error = q.claim("q", "n", 1, Duration::ZERO).await.unwrap_err();
        assert!(matches!(error, JobError::Invalid { field: "lease", .. }), "{error}");
    })
    .await;
}
