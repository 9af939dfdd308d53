use super::*;

#[tokio::test]
async fn people_are_listed_in_pages_renamed_and_found() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = asking(&c, &t, "boss@example.com", "admin").await;
        let ada = asking(&c, &t, "ada@example.com", "viewer").await;
        let names = |users: Vec<User>| users.into_iter().map(|u| u.email).collect::<Vec<_>>();
        assert_eq!(names(c.users(&t, None, 1).await.unwrap()), ["ada@example.com"]);
        assert_eq!(names(c.users(&t, Some("ada@example.com"), 9).await.unwrap()), ["boss@example.com"]);
        assert_eq!(c.rename_user(&t, &by, &ada.who.id, " Ada L. ").await.unwrap().name, "Ada L.");
        assert_eq!(c.rename_user(&t, &ada, &ada.who.id, "Ada").await.unwrap().name, "Ada", "herself");
        assert_forbidden(c.rename_user(&t, &ada, &by.who.id, "x").await);
        assert_missing(c.rename_user(&t, &by, "user_x", "x").await);
        assert_missing(c.user(&tenant("default"), &ada.who.id).await);
    })
    .await;
}

#[tokio::test]
async fn another_role_and_being_disabled_end_sessions_and_links() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = asking(&c, &t, "boss@example.com", "admin").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let session = session_of(&c, &ada).await;
        let link = c.give_sign_in_link(&t, &by, &ada.id).await.unwrap();
        assert_eq!(c.set_role(&t, &by, &ada.id, "viewer").await.unwrap().role, "viewer");
        assert!(
            c.authenticate_session(session.token.expose()).await.is_ok(),
            "the same role changes nothing"
        );
        assert_eq!(c.set_role(&t, &by, &ada.id, "editor").await.unwrap().role, "editor");
        assert!(c.authenticate_session(session.token.expose()).await.is_err());
        let refused = c.redeem_link(link.token.expose(), CLIENT).await;
        assert!(matches!(refused, Err(ControlError::InvalidLink)), "a link for a viewer makes no editor");

        let session = session_of(&c, &ada).await;
        let link = c.new_sign_in_link(&t, &ada.id).await.unwrap();
        let reset = c.request_password_reset(Some(&t), &ada.email).await.unwrap().remove(0);
        let disabled = c.set_user_state(&t, &by, &ada.id, UserState::Disabled).await.unwrap();
        assert_eq!(disabled.state, UserState::Disabled);
        assert!(c.authenticate_session(session.token.expose()).await.is_err());
        assert!(c.redeem_link(link.token.expose(), CLIENT).await.is_err());
        assert!(c.reset_password(reset.token.expose(), "another sentence").await.is_err());
        assert_eq!(c.request_password_reset(Some(&t), &ada.email).await.unwrap().len(), 0);
        let link = c.new_sign_in_link(&t, &ada.id).await.unwrap();
        assert!(c.redeem_link(link.token.expose(), CLIENT).await.is_err(), "nor a new one");
        let sign_in =
            SignIn { tenant: Some(&t), email: &ada.email, password: PASSWORD, code: None, client: CLIENT };
        assert_wrong(c.sign_in(sign_in).await);
        c.set_user_state(&t, &by, &ada.id, UserState::Active).await.unwrap();
        c.sign_in(sign_in).await.unwrap();
        c.delete_user(&t, &by, &ada.id).await.unwrap();
        assert_missing(c.user(&t, &ada.id).await);
        assert_eq!((rows(&f, "passwords").await, rows(&f, "sessions").await), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn nobody_gives_or_takes_what_they_do_not_hold() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let system = Principal::system();
        let hr = NewRole {
            name: "hr",
            description: "hires",
            permissions: Role::Viewer.permissions().and(Permissions::of(&[Permission::MembersManage])),
            selector: None,
        };
        c.create_role(&t, &system, hr).await.unwrap();
        let boss = asking(&c, &t, "boss@example.com", "admin").await;
        someone(&c, &t, "boss2@example.com", "admin").await;
        let by = asking(&c, &t, "hr@example.com", "hr").await;
        let ada = someone(&c, &t, "ada@example.com", "viewer").await;
        let new = |role| NewUser { email: "new@example.com", name: "New", role };

        assert_forbidden(c.create_user(&t, &by, new("admin")).await);
        assert_forbidden(c.set_role(&t, &by, &ada.id, "editor").await);
        assert_forbidden(c.set_role(&t, &by, &by.who.id, "admin").await);
        assert_forbidden(c.set_role(&t, &by, &boss.who.id, "viewer").await);
        assert_forbidden(c.set_user_state(&t, &by, &boss.who.id, UserState::Disabled).await);
        assert_forbidden(c.delete_user(&t, &by, &boss.who.id).await);
        assert_forbidden(c.reset_second_factor(&t, &by, &boss.who.id).await);
        assert_forbidden(c.invite(&t, &by, "x@example.com", "admin").await);
        assert_forbidden(c.create_user(&t, &boss, new("platform_admin")).await);
        c.create_user(&t, &by, new("hr")).await.unwrap();
        c.set_role(&t, &boss, &ada.id, "admin").await.unwrap();

        let elsewhere = asking(&c, &tenant("default"), "other@example.com", "admin").await;
        let anyone = NewUser { email: "y@example.com", ..new("viewer") };
        assert_forbidden(c.create_user(&t, &elsewhere, anyone.clone()).await);
        assert_forbidden(c.delete_user(&t, &elsewhere, &ada.id).await);
        let platform = asking(&c, &tenant("default"), "p@example.com", "platform_admin").await;
        c.create_user(&t, &platform, anyone).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn the_last_active_administrator_stays() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = Principal::system();
        let (ada, bob) = (
            someone(&c, &t, "ada@example.com", "admin").await,
            someone(&c, &t, "bob@example.com", "admin").await,
        );
        c.set_user_state(&t, &by, &bob.id, UserState::Disabled).await.unwrap();
        for result in [
            c.set_role(&t, &by, &ada.id, "viewer").await.map(drop),
            c.set_user_state(&t, &by, &ada.id, UserState::Disabled).await.map(drop),
            c.delete_user(&t, &by, &ada.id).await,
        ] {
            let error = result.unwrap_err();
            assert_eq!(
                error.to_string(),
                "ada@example.com is the last active administrator; make another one first"
            );
            assert_eq!(error.remedy(), Remedy::FixRequest);
        }
        c.set_user_state(&t, &by, &bob.id, UserState::Active).await.unwrap();

        // Both at once, from two nodes: one of them stays.
        let there = control(&f).await;
        let (x, y) = tokio::join!(
            c.set_role(&t, &by, &ada.id, "viewer"),
            there.set_user_state(&t, &by, &bob.id, UserState::Disabled)
        );
        assert_eq!([x.is_ok(), y.is_ok()].iter().filter(|ok| **ok).count(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_platform_keeps_an_administrator() {
    each_backend(async |f| {
        let c = control(&f).await;
        c.bootstrap().await.unwrap();
        let t = TenantId::default_tenant();
        let by = Principal::system();
        let root = c.user(&t, "admin@localhost").await.unwrap();
        someone(&c, &t, "ada@example.com", "admin").await;
        for result in [
            c.set_role(&t, &by, &root.id, "admin").await.map(drop),
            c.set_user_state(&t, &by, &root.id, UserState::Disabled).await.map(drop),
            c.delete_user(&t, &by, &root.id).await,
        ] {
            assert!(matches!(result, Err(ControlError::LastAdmin { .. })));
        }
        someone(&c, &tenant(PLATFORM_TENANT), "ops@example.com", "platform_admin").await;
        c.set_role(&t, &by, &root.id, "admin").await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn nobody_keeps_their_own_account_by_what_is_meant_for_others() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = asking(&c, &t, "boss@example.com", "admin").await;
        let ada = asking(&c, &t, "ada@example.com", "viewer").await;
        assert_forbidden(c.give_sign_in_link(&t, &by, &by.who.id).await);
        assert_forbidden(c.reset_second_factor(&t, &by, &by.who.id).await);
        assert_forbidden(c.give_sign_in_link(&t, &ada, &by.who.id).await);
        c.give_sign_in_link(&t, &by, &ada.who.id).await.unwrap();
        c.reset_second_factor(&t, &by, &ada.who.id).await.unwrap();
    })
    .await;
}
