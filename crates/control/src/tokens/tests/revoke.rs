use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revoking_while_tokens_are_refreshed_leaves_nothing_valid() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings { issue_max: 1_000, ..TokenSettings::default() }).await;
        let mut pairs = Vec::new();
        for _ in 0..8 {
            pairs.push(w.tokens.issue(&w.ada, HOME).await.unwrap());
        }
        let refreshes: Vec<_> = pairs
            .iter()
            .map(|pair| {
                let (tokens, token) = (w.tokens.clone(), pair.refresh.clone());
                kit::spawn::spawn("refresh", async move { tokens.refresh(token.expose(), HOME).await })
            })
            .collect();
        let revokes: Vec<_> = (0..4)
            .map(|_| {
                let (tokens, id) = (w.tokens.clone(), w.ada.id.clone());
                kit::spawn::spawn("revoke", async move {
                    tokens.revoke_families(&tenant(), &id, None, "signed out everywhere").await
                })
            })
            .collect();
        let mut ended = 0;
        for revoke in revokes {
            ended += revoke.await.unwrap().unwrap();
        }
        assert_eq!(ended, 8);
        for refresh in refreshes {
            if let Ok(pair) = refresh.await.unwrap() {
                assert!(!w.good(&pair.access).await);
                assert!(w.tokens.refresh(pair.refresh.expose(), HOME).await.is_err());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_revoked_is_refused_here_at_once_and_elsewhere_within_a_second() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let second = Tokens::open(control(&f, &w.keyring).await, TokenSettings::default()).await.unwrap();
        let elsewhere = async |token: &Secret| good(&second, token.expose(), HOME).await;
        let a = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let b = w.tokens.refresh(a.refresh.expose(), HOME).await.unwrap();
        assert!(elsewhere(&a.access).await && elsewhere(&b.access).await);

        let known = w.tokens.authenticate_access(a.access.expose(), HOME).await.unwrap();
        w.tokens.revoke_access(&known).await.unwrap();
        assert!(!w.good(&a.access).await && w.good(&b.access).await, "the family goes on");
        f.clock.advance(Duration::from_secs(1));
        assert!(!elsewhere(&a.access).await && elsewhere(&b.access).await);

        assert!(matches!(
            w.tokens.revoke_family(&TenantId::new("other").unwrap(), &b.family, "x").await,
            Err(ControlError::NotFound { .. })
        ));
        w.tokens.revoke_family(&tenant(), &b.family, "signed out").await.unwrap();
        w.tokens.revoke_family(&tenant(), &b.family, "signed out").await.unwrap();
        assert!(!w.good(&b.access).await);
        f.clock.advance(Duration::from_secs(1));
        assert!(!elsewhere(&b.access).await);
        assert!(second.refresh(b.refresh.expose(), HOME).await.is_err());

        let third = Tokens::open(control(&f, &w.keyring).await, TokenSettings::default()).await.unwrap();
        assert!(!good(&third, b.access.expose(), HOME).await, "nor by a process that starts later");
        f.clock.advance(Duration::from_secs(2_000));
        w.tokens.remove_ended().await.unwrap();
        assert_eq!(w.tokens.shared.news.len(), 0, "nothing is remembered longer than it matters");
    })
    .await;
}

#[tokio::test]
async fn a_person_ends_all_their_families_but_this_one() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let bob = user(&w.control, "bob@example.com", Role::Viewer).await;
        let (a, b) =
            (w.tokens.issue(&w.ada, HOME).await.unwrap(), w.tokens.issue(&w.ada, AWAY).await.unwrap());
        let other = w.tokens.issue(&bob, HOME).await.unwrap();
        let listed = w.tokens.families(&tenant(), &w.ada.id).await.unwrap();
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().any(|family| family.id == b.family && family.address == AWAY.address));
        assert_eq!(w.tokens.families(&TenantId::new("other").unwrap(), &w.ada.id).await.unwrap(), []);
        let ended =
            w.tokens.revoke_families(&tenant(), &w.ada.id, Some(&a.family), "signed out elsewhere").await;
        assert_eq!(ended.unwrap(), 1);
        assert!(w.good(&a.access).await && !w.good(&b.access).await && w.good(&other.access).await);
        assert_eq!(w.tokens.revoke_families(&tenant(), &w.ada.id, None, "disabled").await.unwrap(), 1);
        assert!(!w.good(&a.access).await);
    })
    .await;
}

#[tokio::test]
async fn what_ends_a_persons_sessions_ends_their_tokens() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings { issue_max: 1_000, ..TokenSettings::default() }).await;
        let root = Principal::system();
        let (t, id) = (tenant(), w.ada.id.as_str());
        for n in 0..4 {
            let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
            match n {
                0 => drop(w.control.revoke_sessions(&t, id, None).await.unwrap()),
                1 => drop(w.control.set_role(&t, &root, id, "viewer").await.unwrap()),
                2 => w
                    .control
                    .change_password(&t, id, None, "correct horse battery staple", None)
                    .await
                    .unwrap(),
                _ => drop(w.control.set_user_state(&t, &root, id, UserState::Disabled).await.unwrap()),
            }
            f.clock.advance(Duration::from_secs(1));
            assert!(!w.good(&pair.access).await, "{n}");
            assert!(w.tokens.refresh(pair.refresh.expose(), HOME).await.is_err(), "{n}");
        }
    })
    .await;
}

#[tokio::test]
async fn removing_a_person_removes_their_tokens() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        run(&f, "DELETE FROM users").await;
        w.tokens.forget_user(&w.ada.id);
        assert!(!w.good(&pair.access).await);
        assert!(w.tokens.refresh(pair.refresh.expose(), HOME).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn whoever_holds_a_refresh_token_ends_its_family_however_much_was_issued() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings { issue_max: 2, ..TokenSettings::default() }).await;
        let first = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let second = w.tokens.refresh(first.refresh.expose(), HOME).await.unwrap();
        let throttled = w.tokens.refresh(second.refresh.expose(), HOME).await;
        assert!(matches!(throttled, Err(ControlError::Throttled { .. })));
        assert_eq!(w.tokens.revoke_presented("bwr_nothing").await.unwrap(), None);
        assert_eq!(w.tokens.revoke_presented(second.access.expose()).await.unwrap(), None);
        let revoked = w.tokens.revoke_presented(second.refresh.expose()).await.unwrap().unwrap();
        assert_eq!((&revoked.family, &revoked.user.id), (&first.family, &w.ada.id));
        assert!(!w.good(&first.access).await && !w.good(&second.access).await);
        assert_eq!(w.tokens.revoke_presented(second.refresh.expose()).await.unwrap(), None, "it has ended");
    })
    .await;
}

#[tokio::test]
async fn a_person_ends_their_own_families_and_no_others() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let bob = user(&w.control, "bob@example.com", Role::Viewer).await;
        let (own, other) =
            (w.tokens.issue(&w.ada, HOME).await.unwrap(), w.tokens.issue(&bob, HOME).await.unwrap());
        for family in [other.family.as_str(), "family_x"] {
            let refused = w.tokens.revoke_own_family(&tenant(), &w.ada.id, family, "test").await;
            assert!(matches!(refused, Err(ControlError::NotFound { .. })), "{family}");
        }
        assert!(w.good(&other.access).await);
        w.tokens.revoke_own_family(&tenant(), &w.ada.id, &own.family, "test").await.unwrap();
        assert!(!w.good(&own.access).await);
    })
    .await;
}
