use super::*;

#[tokio::test]
async fn a_suspended_tenant_is_answered_by_nobody_and_keeps_everything() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "admin").await;
        let session = session_of(&c, &ada).await;
        let link = c.new_sign_in_link(&t, &ada.id).await.unwrap();
        let (_, secret) = c.create_key(&t, &Principal::system(), key("k")).await.unwrap();
        c.put_object(&t, ObjectKind::Query, "q", &json!({"a": 1}), None).await.unwrap();
        c.authenticate_key(secret.expose()).await.unwrap();
        let sign_in = SignIn {
            tenant: Some(&t),
            email: "ada@example.com",
            password: PASSWORD,
            code: None,
            client: CLIENT,
        };

        assert_eq!(c.suspend_tenant(&t).await.unwrap().state, TenantState::Suspended);
        assert_eq!(c.suspend_tenant(&t).await.unwrap().state, TenantState::Suspended);
        for result in [
            c.authenticate_key(secret.expose()).await.map(drop),
            c.authenticate_session(session.token.expose()).await.map(drop),
            c.redeem_link(link.token.expose(), CLIENT).await.map(drop),
            c.sign_in(sign_in).await.map(drop),
            c.active_tenant(&t).await.map(drop),
        ] {
            let error = result.unwrap_err();
            assert_eq!(error.to_string(), "tenant acme is suspended");
            assert_eq!(error.remedy(), Remedy::GetPermission);
        }
        c.object(&t, ObjectKind::Query, "q").await.unwrap();
        c.activate_tenant(&t).await.unwrap();
        c.authenticate_key(secret.expose()).await.unwrap();
        c.authenticate_session(session.token.expose()).await.unwrap();
        c.redeem_link(link.token.expose(), CLIENT).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn changes_show_here_at_once_and_elsewhere_within_ten_seconds() {
    each_backend(async |f| {
        let (here, t) = control_with(&f, "acme").await;
        let there = control(&f).await;
        assert_missing(there.tenant(&tenant("later")).await);
        assert_eq!(there.tenant(&t).await.unwrap().state, TenantState::Active);
        assert_eq!(here.tenant(&t).await.unwrap().name, "acme");
        here.rename_tenant(&t, "Acme Ltd").await.unwrap();
        here.put_tenant_settings(&t, &json!({"theme": "dark"})).await.unwrap();
        here.put_tenant_limits(&t, &json!({"series": 10})).await.unwrap();
        here.suspend_tenant(&t).await.unwrap();
        let tenant = here.tenant(&t).await.unwrap();
        assert_eq!((tenant.name.as_str(), &tenant.settings), ("Acme Ltd", &json!({"theme": "dark"})));
        assert_eq!((&tenant.limits, tenant.state), (&json!({"series": 10}), TenantState::Suspended));
        add_tenant(&f, "later").await;
        f.clock.advance(Duration::from_secs(10));
        assert!(there.active_tenant(&t).await.is_err());
        assert!(there.active_tenant(&super::tenant("later")).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_change_of_which_one_part_is_wrong_changes_nothing() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let (good, bad) = (json!({"theme": "dark"}), json!({"x": "x".repeat(65 << 10)}));
        for (name, settings) in [(Some("Acme Ltd"), Some(&bad)), (Some(" "), Some(&good))] {
            assert!(matches!(c.change_tenant(&t, name, settings).await, Err(ControlError::Invalid { .. })));
            let kept = c.tenant(&t).await.unwrap();
            assert_eq!((kept.name.as_str(), &kept.settings), ("acme", &json!({})));
        }
        let changed = c.change_tenant(&t, Some("Acme Ltd"), Some(&good)).await.unwrap();
        assert_eq!((changed.name.as_str(), &changed.settings), ("Acme Ltd", &good));
        assert_eq!(c.change_tenant(&t, None, None).await.unwrap().name, "Acme Ltd");
    })
    .await;
}

#[tokio::test]
async fn a_removal_that_a_crash_cut_short_is_taken_over_after_a_minute() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        c.begin_delete(&t).await.unwrap();
        let mut tx = f.db.control().begin().await.unwrap();
        let claim = "UPDATE tenants SET attempt = 'attempt_gone', updated_at = $1 WHERE id = 'acme'";
        sqlx::query(claim).bind(NOW).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        assert!(!c.finish_delete(&t).await.unwrap(), "another process is at it");
        f.clock.advance(Duration::from_secs(60));
        assert!(c.finish_delete(&t).await.unwrap());
        assert_missing(c.tenant(&t).await);
    })
    .await;
}

#[tokio::test]
async fn tenants_are_listed_in_pages() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ids = |tenants: Vec<Tenant>| tenants.into_iter().map(|t| t.id.to_string()).collect::<Vec<_>>();
        assert_eq!(ids(c.tenants(None, 2).await.unwrap()), ["acme", "default"]);
        assert_eq!(ids(c.tenants(Some(&t), 2).await.unwrap()), ["default", "platform"]);
        assert_eq!(c.tenants(None, 0).await.unwrap(), []);
        for result in [c.rename_tenant(&tenant("no"), "x").await, c.activate_tenant(&tenant("no")).await] {
            assert_missing(result);
        }
    })
    .await;
}

#[tokio::test]
async fn a_deleted_tenant_is_gone_from_every_table_and_its_id_is_free() {
    each_backend(async |f| {
        let c = control(&f).await;
        let t = tenant("acme");
        let by = Principal::system();
        let admin = provision::create(&c, "acme").await.admin;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let session = session_of(&c, &ada).await;
        let (_, secret) = c.create_key(&t, &by, key("k")).await.unwrap();
        let robot = c.create_service_account(&t, &by, "robot", "viewer").await.unwrap();
        let grant = KeyGrant::ServiceAccount(robot.id);
        c.create_key(&t, &by, NewKey { grant, ..key("r") }).await.unwrap();
        let role = NewRole { name: "ops", description: "", permissions: Permissions::NONE, selector: None };
        c.create_role(&t, &by, role).await.unwrap();
        let team = c.create_team(&t, "team").await.unwrap();
        c.add_team_member(&t, &team.id, &ada.id).await.unwrap();
        c.create_project(&t, NewProject { name: "p", description: "", team: Some(&team.id) }).await.unwrap();
        c.invite(&t, &by, "new@example.com", "viewer").await.unwrap();
        c.request_password_reset(Some(&t), "ada@example.com").await.unwrap();
        c.enrol_second_factor(&t, &ada.id, "x").await.unwrap();
        c.put_object(&t, ObjectKind::Query, "q", &json!({}), None).await.unwrap();
        someone(&c, &tenant("default"), "ada@example.com", "viewer").await;

        let early = c.finish_delete(&t).await.unwrap_err();
        assert_eq!(early.to_string(), "tenant: the tenant is active; begin its deletion first");
        c.begin_delete(&t).await.unwrap();
        c.begin_delete(&t).await.unwrap();
        assert!(c.authenticate_key(secret.expose()).await.is_err());
        assert!(c.authenticate_session(session.token.expose()).await.is_err());
        assert!(c.activate_tenant(&t).await.is_err(), "nothing leads back");
        assert!(c.create_user(&t, &by, NewUser { email: "x@y", name: "x", role: "viewer" }).await.is_err());
        assert!(c.objects(&t, ObjectKind::Query, None, 1).await.is_err());
        assert_eq!(
            c.resume_sagas().await.unwrap().deleting,
            std::slice::from_ref(&t),
            "for the caller to go on with"
        );
        let there = control(&f).await;
        let (x, y) = tokio::join!(c.finish_delete(&t), there.finish_delete(&t));
        assert_ne!(x.unwrap(), y.unwrap(), "of two that remove it one does");
        assert!(!c.finish_delete(&t).await.unwrap());
        assert_eq!(c.removed_tenants().await.unwrap(), std::slice::from_ref(&t));

        assert_missing(c.tenant(&t).await);
        assert!(!f.db.has_tenant(&t).await.unwrap());
        for (table, left) in [
            ("users", 1),
            ("tenants", 2),
            ("api_keys", 0),
            ("service_accounts", 0),
            ("roles", 0),
            ("teams", 0),
            ("team_members", 0),
            ("projects", 0),
            ("invitations", 0),
            ("passwords", 0),
            ("password_resets", 0),
            ("second_factors", 0),
            ("sessions", 0),
            ("sign_in_links", 0),
        ] {
            assert_eq!(rows(&f, table).await, left, "{table}");
        }
        let early = provision::try_create(&c, "acme").await.unwrap_err();
        assert_eq!(early.remedy(), Remedy::RetryLater, "{early}");
        f.clock.advance(Duration::from_secs(60));
        let again = provision::create(&c, "acme").await;
        assert_eq!(c.removed_tenants().await.unwrap(), [], "it is there again");
        assert_ne!(again.admin.id, admin.id);
        assert_eq!(c.objects(&t, ObjectKind::Query, None, 1).await.unwrap(), Objects::default());
    })
    .await;
}

#[tokio::test]
async fn every_table_with_a_tenant_is_emptied_when_the_tenant_goes() {
    each_backend(async |f| {
        control(&f).await;
        let mut connection = f.db.control().read().await.unwrap();
        let statement = match f.db.backend() {
            db::Backend::Sqlite => {
                "SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c \
                 WHERE m.type = 'table' AND c.name = 'tenant_id' ORDER BY m.name"
            }
            db::Backend::Postgres => {
                "SELECT table_name::text FROM information_schema.columns \
                 WHERE table_schema = 'bellwether_control' AND column_name = 'tenant_id' ORDER BY table_name"
            }
        };
        let tables = sqlx::query(statement).fetch_all(&mut *connection).await.unwrap();
        let tables: Vec<String> = tables.iter().map(|row| row.get(0)).collect();
        let mut known = schema::OF_TENANT.to_vec();
        known.sort();
        assert_eq!(tables, known);
    })
    .await;
}
