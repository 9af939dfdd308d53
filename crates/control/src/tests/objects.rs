use super::*;

#[tokio::test]
async fn objects_have_versions_and_belong_to_their_tenant() {
    each_backend(async |f| {
        let (c, a) = control_with(&f, "a").await;
        add_tenant(&f, "b").await;
        let b = tenant("b");
        let kind = ObjectKind::Dashboard;
        let put = async |tenant: &TenantId, name: &str, n: i64, expected| {
            c.put_object(tenant, kind, name, &json!({"n": n}), expected).await
        };
        assert_eq!(put(&a, "home", 1, Some(0)).await.unwrap().version, 1);
        f.clock.advance(Duration::from_secs(1));
        let second = put(&a, "home", 2, Some(1)).await.unwrap();
        assert_eq!((second.version, second.updated_at - second.created_at), (2, 1000));
        let stale = put(&a, "home", 3, Some(1)).await.unwrap_err();
        assert_eq!(
            stale.to_string(),
            "dashboard \"home\" is at version 2, not 1; read it again and repeat the change"
        );
        assert!(put(&a, "home", 3, Some(0)).await.is_err());
        assert_eq!(c.object(&a, kind, "home").await.unwrap(), second);
        assert_eq!(put(&a, "home", 3, None).await.unwrap().version, 3);

        assert_missing(c.object(&b, kind, "home").await);
        assert_missing(c.object(&a, ObjectKind::Rule, "home").await);
        for name in ["c", "a", "b"] {
            put(&b, name, 1, None).await.unwrap();
        }
        for (after, names, next) in
            [(None, &["a", "b"][..], Some("b")), (Some("b"), &["c"], None), (Some("c"), &[], None)]
        {
            let page = c.objects(&b, kind, after, 2).await.unwrap();
            assert_eq!(page.items.iter().map(|object| object.name.as_str()).collect::<Vec<_>>(), names);
            assert_eq!(page.next.as_deref(), next);
        }
        c.delete_object(&b, kind, "a").await.unwrap();
        assert_missing(c.delete_object(&b, kind, "a").await);
    })
    .await;
}

#[tokio::test]
async fn a_page_of_objects_is_bounded_in_bytes_and_all_pages_hold_everything() {
    each_backend(async |f| {
        let (c, a) = control_with(&f, "a").await;
        // Two bytes for each character, so that characters are told from bytes.
        let large = json!({ "text": "é".repeat(500_000) });
        for n in 0..20 {
            c.put_object(&a, ObjectKind::Runbook, &format!("{n:02}"), &large, None).await.unwrap();
        }
        let (mut found, mut pages, mut after) = (Vec::new(), 0, None);
        loop {
            let page = c.objects(&a, ObjectKind::Runbook, after.as_deref(), 1_000).await.unwrap();
            let bytes: usize = page.items.iter().map(|object| object.spec.to_string().len()).sum();
            assert!(!page.items.is_empty() && bytes <= 8 << 20, "{bytes}");
            found.extend(page.items.into_iter().map(|object| object.name));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((found.len(), pages), (20, 3));
        assert!(found.is_sorted());
    })
    .await;
}

#[tokio::test]
async fn a_tenant_that_does_not_exist_has_no_objects_and_gets_no_part() {
    each_backend(async |f| {
        let c = control(&f).await;
        let ghost = tenant("ghost");
        assert_missing(c.put_object(&ghost, ObjectKind::Query, "q", &json!({}), None).await);
        assert_missing(c.objects(&ghost, ObjectKind::Query, None, 1).await);
        assert!(!f.db.has_tenant(&ghost).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn rules_and_checks_have_a_row_whose_id_stays() {
    each_backend(async |f| {
        let (c, a) = control_with(&f, "a").await;
        for kind in [ObjectKind::Rule, ObjectKind::Check] {
            let spec = json!({"type": "threshold", "target": "x", "severity": "error", "cooldown": 60, "isActive": false});
            c.put_object(&a, kind, "one", &spec, None).await.unwrap();
            let first = c.projected(&a, kind, None, 10).await.unwrap();
            assert_eq!((first.len(), &first[0].object.spec, first[0].last_triggered), (1, &spec, None));
            c.put_object(&a, kind, "one", &json!({"type": "custom"}), None).await.unwrap();
            c.rename_object(&a, kind, "one", "two").await.unwrap();
            let by_id = c.projected_by_id(&a, kind, &first[0].id).await.unwrap();
            assert_eq!((by_id.object.name.as_str(), by_id.object.version), ("two", 2));
            c.put_object(&a, kind, "three", &json!({}), None).await.unwrap();
            assert!(c.rename_object(&a, kind, "two", "three").await.is_err(), "taken");
            c.delete_object(&a, kind, "two").await.unwrap();
            assert_missing(c.projected_by_id(&a, kind, &first[0].id).await);
        }
        c.record_triggered(&a, &[("three".to_owned(), 5)]).await.unwrap();
        let fired = c.projected(&a, ObjectKind::Rule, None, 10).await.unwrap();
        assert_eq!(fired[0].last_triggered, Some(5));
        assert!(c.projected(&a, ObjectKind::Dashboard, None, 10).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn what_holds_secrets_is_encrypted_where_it_is_stored() {
    each_backend(async |f| {
        let (c, a) = control_with(&f, "a").await;
        let spec = json!({"type": "slack", "config": {"url": "https://hooks.example/PLANTED"}});
        c.put_object(&a, ObjectKind::Channel, "ops", &spec, None).await.unwrap();
        assert_eq!(c.object(&a, ObjectKind::Channel, "ops").await.unwrap().spec, spec);
        assert_eq!(c.objects(&a, ObjectKind::Channel, None, 10).await.unwrap().items[0].spec, spec);
        let mut connection = c.scope(&a).await.unwrap().read().await.unwrap();
        let row = sqlx::query("SELECT spec FROM objects").fetch_one(&mut *connection).await.unwrap();
        let stored: String = Row::try_get(&row, "spec").unwrap();
        assert!(stored.starts_with("sealed:v1:") && !stored.contains("PLANTED"), "{stored}");
        let large = json!({"config": {"text": "x".repeat(70_000)}});
        assert!(c.put_object(&a, ObjectKind::Channel, "large", &large, None).await.is_err());
    })
    .await;
}
