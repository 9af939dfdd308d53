use super::*;

#[tokio::test]
async fn a_link_opens_one_session_within_its_hour() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = Principal::system();
        let new = NewUser { email: "Ada@Example.com", name: "Ada", role: "editor" };
        let ada = c.create_user(&t, &by, new.clone()).await.unwrap();
        assert_eq!(ada.email, "ada@example.com");
        assert_taken(c.create_user(&t, &by, new.clone()).await);
        assert!(c.create_user(&tenant("default"), &by, new).await.is_ok());
        assert_missing(c.new_sign_in_link(&t, "eve@example.com").await);

        let link = c.new_sign_in_link(&t, "ADA@example.com").await.unwrap();
        let token = link.token.expose();
        let (x, y) = tokio::join!(c.redeem_link(token, CLIENT), c.redeem_link(token, CLIENT));
        assert_eq!([x.is_ok(), y.is_ok()].iter().filter(|ok| **ok).count(), 1);
        let session = x.or(y).unwrap();
        assert_eq!(session.user, User { last_sign_in_at: Some(NOW), ..ada.clone() });
        assert_eq!(c.user(&t, &ada.id).await.unwrap().last_sign_in_at, Some(NOW));

        let late = c.new_sign_in_link(&t, &ada.id).await.unwrap();
        f.clock.advance(Duration::from_secs(3600));
        let error = c.redeem_link(late.token.expose(), CLIENT).await.unwrap_err();
        assert!(matches!(error, ControlError::InvalidLink) && error.remedy() == Remedy::Authenticate);
    })
    .await;
}

#[tokio::test]
async fn sessions_last_while_they_are_used_and_end_when_asked() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = someone(&c, &t, "ada@example.com", "viewer").await;
        let session = session_of(&c, &ada).await;
        let token = session.token.expose();
        for _ in 0..4 {
            f.clock.advance(6 * DAY);
            let principal = c.authenticate_session(token).await.unwrap();
            assert_eq!((&principal.user, &principal.id), (&session.user, &session.id));
            assert_eq!(principal.principal.permissions, Role::Viewer.permissions());
            assert!(principal.csrf.matches(session.csrf.expose()) && !principal.csrf.matches("x"));
        }
        f.clock.advance(6 * DAY);
        let ended = c.authenticate_session(token).await.unwrap_err();
        assert!(matches!(ended, ControlError::InvalidSession), "thirty days are the most");

        let session = session_of(&c, &ada).await;
        c.end_session(session.token.expose()).await.unwrap();
        c.end_session(session.token.expose()).await.unwrap();
        assert!(c.authenticate_session(session.token.expose()).await.is_err());
        let link = c.new_sign_in_link(&t, &ada.id).await.unwrap();
        assert!(c.authenticate_session(link.token.expose()).await.is_err(), "a link is no session");

        let session = session_of(&c, &ada).await;
        f.clock.advance(7 * DAY);
        assert!(c.authenticate_session(session.token.expose()).await.is_err(), "a week unused");
        assert_eq!(c.sessions(&t, &ada.id).await.unwrap(), []);
        c.remove_ended().await.unwrap();
        assert_eq!(rows(&f, "sessions").await, 0);
    })
    .await;
}

#[tokio::test]
async fn their_owner_lists_and_ends_sessions() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = someone(&c, &t, "ada@example.com", "viewer").await;
        let eve = someone(&c, &t, "eve@example.com", "viewer").await;
        let mut sessions = Vec::new();
        for agent in ["one", "two\n", "three"] {
            let link = c.new_sign_in_link(&t, &ada.id).await.unwrap();
            let client = Client { address: "192.0.2.1", user_agent: agent };
            sessions.push(c.redeem_link(link.token.expose(), client).await.unwrap());
            f.clock.advance(Duration::from_secs(1));
        }
        let listed = c.sessions(&t, &ada.id).await.unwrap();
        let agents: Vec<_> = listed.iter().map(|s| (s.user_agent.as_str(), s.address.as_str())).collect();
        assert_eq!(agents, [("three", "192.0.2.1"), ("two", "192.0.2.1"), ("one", "192.0.2.1")]);
        assert!(listed.iter().all(|s| s.method == SignInMethod::Link && s.created_at == s.last_seen_at));

        assert_missing(c.revoke_session(&t, &eve.id, &sessions[0].id).await);
        assert_missing(c.revoke_session(&tenant("default"), &ada.id, &sessions[0].id).await);
        c.revoke_session(&t, &ada.id, &sessions[0].id).await.unwrap();
        assert!(c.authenticate_session(sessions[0].token.expose()).await.is_err());
        assert_eq!(c.revoke_sessions(&t, &ada.id, Some(&sessions[2].id)).await.unwrap(), 1);
        assert!(c.authenticate_session(sessions[1].token.expose()).await.is_err());
        assert!(c.authenticate_session(sessions[2].token.expose()).await.is_ok());
        assert_eq!(c.revoke_sessions(&t, &ada.id, None).await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_person_has_fifty_sessions_at_most() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = someone(&c, &t, "ada@example.com", "viewer").await;
        let first = session_of(&c, &ada).await;
        for _ in 0..50 {
            f.clock.advance(Duration::from_secs(1));
            session_of(&c, &ada).await;
        }
        assert_eq!(c.sessions(&t, &ada.id).await.unwrap().len(), 50);
        assert!(c.authenticate_session(first.token.expose()).await.is_err(), "the oldest went");
    })
    .await;
}
