use super::*;

#[tokio::test]
async fn the_first_start_hands_out_a_key_and_a_link_once_and_stores_only_hashes() {
    each_backend(async |f| {
        let (a, b) = (control(&f).await, control(&f).await);
        let (x, y) = tokio::join!(a.bootstrap(), b.bootstrap());
        let mut first: Vec<First> = [x.unwrap(), y.unwrap()].into_iter().flatten().collect();
        assert_eq!(first.len(), 1, "two starts at once agree on which is first");
        let first = first.remove(0);
        assert!(control(&f).await.bootstrap().await.unwrap().is_none());

        assert!(first.key.expose().starts_with("bw_"));
        let principal = a.authenticate_key(first.key.expose()).await.unwrap();
        assert_eq!(principal.tenant, TenantId::default_tenant());
        assert_eq!(principal.permissions, Permissions::TENANT);
        let session = a.redeem_link(first.link_token.expose(), CLIENT).await.unwrap();
        assert_eq!(session.user.role, "platform_admin");
        let shown = a.authenticate_session(session.token.expose()).await.unwrap();
        assert_eq!(shown.principal.permissions, Permissions::ALL);

        let texts = stored_texts(&f).await;
        for secret in [&first.key, &first.link_token, &session.token, &session.csrf] {
            assert!(!texts.contains(&secret.expose()[4..20]));
            let printed = format!("{first:?} {session:?} {principal:?} {shown:?} {a:?}");
            assert!(!printed.contains(&secret.expose()[4..20]));
        }
    })
    .await;
}

#[tokio::test]
async fn two_tenants_always_exist() {
    each_backend(async |f| {
        let c = control(&f).await;
        let ids: Vec<_> = c.tenants(None, 10).await.unwrap().into_iter().map(|t| t.id.to_string()).collect();
        assert_eq!(ids, ["default", PLATFORM_TENANT]);
        for id in ids {
            let id = tenant(&id);
            assert!(matches!(
                c.suspend_tenant(&id).await,
                Err(ControlError::Invalid { field: "tenant", .. })
            ));
            assert!(matches!(c.begin_delete(&id).await, Err(ControlError::Invalid { field: "tenant", .. })));
            c.put_object(&id, ObjectKind::Query, "q", &json!({}), None).await.unwrap();
        }
    })
    .await;
}
