use super::*;

#[tokio::test]
async fn a_refresh_token_buys_one_pair_and_shown_again_ends_its_family() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let first = w.tokens.issue(&w.ada, HOME).await.unwrap();
        assert!(first.refresh.expose().starts_with("bwr_"));
        let second = w.tokens.refresh(first.refresh.expose(), HOME).await.unwrap();
        assert_eq!(second.family, first.family);
        assert_ne!(second.refresh, first.refresh);
        assert!(w.good(&first.access).await && w.good(&second.access).await);
        let other = w.tokens.issue(&w.ada, HOME).await.unwrap();

        assert!(w.tokens.refresh(first.refresh.expose(), HOME).await.is_err());
        assert!(!w.good(&first.access).await && !w.good(&second.access).await, "at once");
        assert!(w.tokens.refresh(second.refresh.expose(), HOME).await.is_err(), "the new one, too");
        assert!(w.good(&other.access).await, "another sign-in goes on");
        let families = w.tokens.families(&tenant(), &w.ada.id).await.unwrap();
        assert_eq!(families.iter().map(|family| &family.id).collect::<Vec<_>>(), [&other.family]);
        let mut connection = f.db.control().read().await.unwrap();
        let why = sqlx::query("SELECT revoked_why FROM token_families WHERE revoked_at IS NOT NULL")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(why.get::<String, _>(0), "a refresh token was used twice");
    })
    .await;
}

#[tokio::test]
async fn every_wrong_refresh_token_has_one_answer() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let token = pair.refresh.expose();
        let (rest, last) = token.split_at(token.len() - 1);
        let tampered = format!("{rest}{}", if last == "Q" { "g" } else { "Q" });
        for wrong in [
            "",
            "bwr_",
            &tampered,
            pair.access.expose(),
            &token[4..],
            &format!("{token} "),
            &"x".repeat(9_000),
        ] {
            let error = w.tokens.refresh(wrong, HOME).await.unwrap_err();
            assert!(matches!(error, ControlError::InvalidToken), "{wrong:.20}: {error}");
        }
        assert!(w.good(&pair.access).await, "none of them touched the family");
        f.clock.advance(Duration::from_secs(30 * 86_400));
        assert!(w.tokens.refresh(token, HOME).await.is_err(), "expired");
        assert_eq!(w.tokens.families(&tenant(), &w.ada.id).await.unwrap().len(), 1, "which is no reuse");
        w.tokens.remove_ended().await.unwrap();
        f.clock.advance(Duration::from_secs(60 * 86_400));
        w.tokens.remove_ended().await.unwrap();
        let mut connection = f.db.control().read().await.unwrap();
        let left = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM token_families) + (SELECT COUNT(*) FROM refresh_tokens) \
             + (SELECT COUNT(*) FROM token_issues)",
        );
        assert_eq!(left.fetch_one(&mut *connection).await.unwrap().get::<i64, _>(0), 0);
    })
    .await;
}

#[tokio::test]
async fn a_family_ends_after_ninety_days_however_often_it_is_renewed() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let mut pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        for _ in 0..4 {
            f.clock.advance(Duration::from_secs(20 * 86_400));
            pair = w.tokens.refresh(pair.refresh.expose(), HOME).await.unwrap();
        }
        f.clock.advance(Duration::from_secs(10 * 86_400));
        assert!(w.tokens.refresh(pair.refresh.expose(), HOME).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_refreshes_at_once_one_wins_and_the_family_ends() {
    each_backend(async |f| {
        let settings = TokenSettings { issue_max: 1_000, ..TokenSettings::default() };
        let w = world(&f, settings.clone()).await;
        // Two processes.
        let second = Tokens::open(control(&f, &w.keyring).await, settings).await.unwrap();
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let attempts: Vec<_> = (0..32)
            .map(|n| {
                let tokens = if n % 2 == 0 { w.tokens.clone() } else { second.clone() };
                let token = pair.refresh.clone();
                kit::spawn::spawn("refresh", async move { tokens.refresh(token.expose(), HOME).await })
            })
            .collect();
        let mut won = Vec::new();
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(pair) => won.push(pair),
                Err(ControlError::InvalidToken) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1);
        f.clock.advance(Duration::from_secs(1));
        for tokens in [&w.tokens, &second] {
            assert!(!good(tokens, pair.access.expose(), HOME).await);
            assert!(!good(tokens, won[0].access.expose(), HOME).await);
            assert!(tokens.refresh(won[0].refresh.expose(), HOME).await.is_err());
        }
        let families = w.tokens.families(&tenant(), &w.ada.id).await.unwrap();
        assert_eq!(families, []);
    })
    .await;
}

#[tokio::test]
async fn binding_is_an_option_for_address_and_agent() {
    each_backend(async |f| {
        let other_agent = Binding { agent: "curl", ..HOME };
        let other_address = Binding { address: "198.51.100.7", ..HOME };
        for (bind_address, bind_agent, from_agent, from_address) in [
            (false, false, true, true),
            (true, false, true, false),
            (false, true, false, true),
            (true, true, false, false),
        ] {
            let settings =
                TokenSettings { bind_address, bind_agent, issue_max: 1_000, ..TokenSettings::default() };
            let w = World {
                tokens: Tokens::open(control(&f, &Keyring::ephemeral().unwrap()).await, settings)
                    .await
                    .unwrap(),
                ..world_again(&f).await
            };
            w.tokens.rotate_signing_key().await.unwrap();
            for (binding, want) in [(other_agent, from_agent), (other_address, from_address), (HOME, true)] {
                let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
                assert_eq!(w.good_from(&pair.access, binding).await, want, "{binding:?}");
                let refreshed = w.tokens.refresh(pair.refresh.expose(), binding).await;
                assert_eq!(refreshed.is_ok(), want, "{binding:?}");
                if !want {
                    w.tokens.refresh(pair.refresh.expose(), HOME).await.expect("the refusal used nothing up");
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_person_is_issued_so_many_tokens_in_a_window() {
    each_backend(async |f| {
        let settings = TokenSettings { issue_max: 5, ..TokenSettings::default() };
        let w = world(&f, settings.clone()).await;
        let second = Tokens::open(control(&f, &w.keyring).await, settings).await.unwrap();
        let attempts: Vec<_> = (0..12)
            .map(|n| {
                let tokens = if n % 2 == 0 { w.tokens.clone() } else { second.clone() };
                let ada = w.ada.clone();
                kit::spawn::spawn("issue", async move { tokens.issue(&ada, HOME).await })
            })
            .collect();
        let mut pairs = Vec::new();
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(pair) => pairs.push(pair),
                Err(ControlError::Throttled { retry_after_ms }) => assert_eq!(retry_after_ms, 60_000),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(pairs.len(), 5, "over both processes");
        f.clock.advance(Duration::from_secs(20));
        let error = w.tokens.refresh(pairs[0].refresh.expose(), HOME).await.unwrap_err();
        assert!(matches!(error, ControlError::Throttled { retry_after_ms: 40_000 }), "{error}");
        assert_eq!(error.remedy(), Remedy::RetryLater);
        let bob = user(&w.control, "bob@example.com", Role::Viewer).await;
        w.tokens.issue(&bob, HOME).await.unwrap();
        f.clock.advance(Duration::from_secs(40));
        w.tokens.refresh(pairs[0].refresh.expose(), HOME).await.expect("the refusal used nothing up");
    })
    .await;
}

#[tokio::test]
async fn a_person_has_so_many_families_and_the_one_unused_longest_ends() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings { issue_max: 1_000, ..TokenSettings::default() }).await;
        let mut pairs = Vec::new();
        for _ in 0..50 {
            pairs.push(w.tokens.issue(&w.ada, HOME).await.unwrap());
            f.clock.advance(Duration::from_millis(10));
        }
        w.tokens.refresh(pairs[0].refresh.expose(), HOME).await.unwrap();
        w.tokens.issue(&w.ada, HOME).await.unwrap();
        let families = w.tokens.families(&tenant(), &w.ada.id).await.unwrap();
        let known = |n: usize| families.iter().any(|family| family.id == pairs[n].family);
        assert_eq!((families.len(), known(0), known(1), known(2)), (50, true, false, true));
        f.clock.advance(Duration::from_secs(1));
        assert!(!w.good(&pairs[1].access).await && w.good(&pairs[2].access).await);
        f.clock.advance(Duration::from_secs(86_400));
        w.tokens.remove_ended().await.unwrap();
        let mut connection = f.db.control().read().await.unwrap();
        let kept = sqlx::query("SELECT COUNT(*) FROM token_families").fetch_one(&mut *connection).await;
        assert_eq!(kept.unwrap().get::<i64, _>(0), 50, "what was revoked goes after a day");
    })
    .await;
}

#[tokio::test]
async fn tokens_are_issued_to_sessions_that_are_there() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let link = w.control.new_sign_in_link(&tenant(), &w.ada.id).await.unwrap();
        let session = w.control.redeem_link(link.token.expose(), Client::default()).await.unwrap();
        let pair = w.tokens.issue_to(&session.id, &w.ada.id, HOME).await.unwrap();
        assert!(w.good(&pair.access).await);
        let bob = user(&w.control, "bob@example.com", Role::Viewer).await;
        let other = w.tokens.issue_to(&session.id, &bob.id, HOME).await;
        assert!(matches!(other, Err(ControlError::InvalidSession)), "somebody else's");
        // As by another password, between a sign-in and what it is exchanged for.
        w.control.revoke_sessions(&tenant(), &w.ada.id, None).await.unwrap();
        let late = w.tokens.issue_to(&session.id, &w.ada.id, HOME).await;
        assert!(matches!(late, Err(ControlError::InvalidSession)));
    })
    .await;
}
