use super::*;

async fn sign_in(
    c: &Control,
    t: Option<&TenantId>,
    email: &str,
    password: &str,
) -> Result<Session, ControlError> {
    c.sign_in(SignIn { tenant: t, email, password, code: None, client: Client::default() }).await
}

#[tokio::test]
async fn a_password_opens_the_account_of_its_tenant() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let session = sign_in(&c, Some(&t), " ADA@example.com", PASSWORD).await.unwrap();
        assert_eq!(session.user.id, ada.id);
        assert_eq!(c.sessions(&t, &ada.id).await.unwrap()[0].method, SignInMethod::Password);
        assert!(c.authenticate_session(session.token.expose()).await.is_ok());
        assert!(sign_in(&c, None, "ada@example.com", PASSWORD).await.is_ok(), "one account only");
        assert_wrong(sign_in(&c, Some(&t), "ada@example.com", "another sentence").await);
        assert_wrong(sign_in(&c, Some(&tenant("default")), "ada@example.com", PASSWORD).await);
        assert_wrong(sign_in(&c, Some(&t), "eve@example.com", PASSWORD).await);

        let other = with_password(&c, &tenant("default"), "ada@example.com", "viewer").await;
        let which = sign_in(&c, None, "ada@example.com", PASSWORD).await;
        assert!(matches!(which, Err(ControlError::TenantNeeded)), "the password is right in two tenants");
        assert_wrong(sign_in(&c, None, "ada@example.com", "another sentence").await);
        c.change_password(&t, &ada.id, Some(PASSWORD), "the other sentence", None).await.unwrap();
        let session = sign_in(&c, None, "ada@example.com", "the other sentence").await.unwrap();
        assert_eq!(session.user.tenant, t, "the only one whose password it is");
        let session = sign_in(&c, Some(&tenant("default")), "ada@example.com", PASSWORD).await.unwrap();
        assert_eq!(session.user.id, other.id);
        c.suspend_tenant(&t).await.unwrap();
        let session = sign_in(&c, None, "ada@example.com", PASSWORD).await.unwrap();
        assert_eq!(session.user.id, other.id, "the only one in an active tenant");

        assert!(
            !c.has_password(&tenant("default"), &someone(&c, &tenant("default"), "n@x.y", "viewer").await.id)
                .await
                .unwrap()
        );
        assert_wrong(sign_in(&c, None, "n@x.y", "").await);
        assert!(!stored_texts(&f).await.contains(PASSWORD));
    })
    .await;
}

#[tokio::test]
async fn changing_a_password_needs_the_old_one_and_ends_other_sessions() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let (mine, other) = (session_of(&c, &ada).await, session_of(&c, &ada).await);
        f.clock.advance(Duration::from_secs(15 * 60));
        let change = async |current: Option<&str>, new: &str| {
            c.change_password(&t, &ada.id, current, new, Some(&mine.id)).await
        };
        assert_wrong(change(Some("not that one at all"), "the next sentence").await);
        assert_wrong(change(None, "the next sentence").await);
        assert!(matches!(
            change(Some(PASSWORD), "short").await,
            Err(ControlError::Invalid { field: "password", .. })
        ));
        assert!(c.authenticate_session(other.token.expose()).await.is_ok());
        let (x, y) = tokio::join!(
            change(Some(PASSWORD), "the next sentence"),
            change(Some(PASSWORD), "some other sentence")
        );
        assert_eq!([x.is_ok(), y.is_ok()].iter().filter(|ok| **ok).count(), 1, "one of two at once");
        assert!(c.authenticate_session(mine.token.expose()).await.is_ok());
        assert!(c.authenticate_session(other.token.expose()).await.is_err());
        assert_wrong(sign_in(&c, Some(&t), "ada@example.com", PASSWORD).await);
    })
    .await;
}

#[tokio::test]
async fn whoever_forgot_their_password_sets_another_right_after_a_sign_in_link() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let by_link = async || {
            let link = c.new_sign_in_link(&t, &ada.id).await.unwrap();
            c.redeem_link(link.token.expose(), CLIENT).await.unwrap()
        };
        let late = by_link().await;
        f.clock.advance(Duration::from_secs(15 * 60));
        let other = by_link().await;
        let change = async |current: Option<&str>, session: Option<&str>| {
            c.change_password(&t, &ada.id, current, "the next sentence", session).await
        };
        assert_wrong(change(None, Some(&late.id)).await);
        assert_wrong(change(None, None).await);
        assert_wrong(change(Some("not that one at all"), Some(&other.id)).await);
        change(None, Some(&other.id)).await.unwrap();
        sign_in(&c, Some(&t), "ada@example.com", "the next sentence").await.unwrap();
        assert!(c.authenticate_session(late.token.expose()).await.is_err(), "other sessions end");
    })
    .await;
}

#[tokio::test]
async fn a_hash_of_other_parameters_is_renewed_when_its_owner_signs_in() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let weak = argon2::Argon2::from(argon2::Params::new(8, 1, 1, None).unwrap());
        let weak =
            argon2::PasswordHasher::hash_password_with_salt(&weak, PASSWORD.as_bytes(), b"0123456789abcdef");
        let set = sqlx::query("UPDATE passwords SET hash = $1 WHERE user_id = $2");
        let mut tx = f.db.control().begin().await.unwrap();
        set.bind(weak.unwrap().to_string()).bind(ada.id.as_str()).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        assert_wrong(sign_in(&c, Some(&t), "ada@example.com", "another sentence").await);
        assert!(stored_texts(&f).await.contains("$m=8,t=1,p=1$"));
        sign_in(&c, Some(&t), "ada@example.com", PASSWORD).await.unwrap();
        assert!(stored_texts(&f).await.contains("$m=19456,t=2,p=1$"));
        sign_in(&c, Some(&t), "ada@example.com", PASSWORD).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_password_is_set_anew_once_within_an_hour() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        with_password(&c, &tenant("default"), "ada@example.com", "viewer").await;
        let ask = async |t: Option<&TenantId>| c.request_password_reset(t, "Ada@example.com").await.unwrap();
        assert_eq!(ask(None).await.len(), 2, "one for each account");
        assert_eq!(c.request_password_reset(None, "eve@example.com").await.unwrap().len(), 0);
        let session = session_of(&c, &ada).await;
        let reset = ask(Some(&t)).await.remove(0);
        assert_eq!(reset.user.id, ada.id);
        ask(Some(&t)).await;
        assert_eq!(ask(Some(&t)).await.len(), 0, "three at once are enough");
        assert!(!stored_texts(&f).await.contains(&reset.token.expose()[4..20]));

        let set = async |password: &str| c.reset_password(reset.token.expose(), password).await;
        assert!(matches!(set("short").await, Err(ControlError::Invalid { field: "password", .. })));
        let (x, y) = tokio::join!(set("the next sentence"), set("some other sentence"));
        assert_eq!([x.is_ok(), y.is_ok()].iter().filter(|ok| **ok).count(), 1, "one of two at once");
        assert!(c.authenticate_session(session.token.expose()).await.is_err());
        assert_wrong(sign_in(&c, Some(&t), "ada@example.com", PASSWORD).await);
        let password = if x.is_ok() { "the next sentence" } else { "some other sentence" };
        sign_in(&c, Some(&t), "ada@example.com", password).await.unwrap();

        let late = ask(Some(&t)).await.remove(0);
        f.clock.advance(Duration::from_secs(3_600));
        let refused = c.reset_password(late.token.expose(), "the next sentence").await;
        assert!(matches!(refused, Err(ControlError::InvalidReset)));
        c.remove_ended().await.unwrap();
        assert_eq!(rows(&f, "password_resets").await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sign_in_with_the_old_password_does_not_survive_its_change() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = with_password(&c, &t, "ada@example.com", "viewer").await;
        let there = control(&f).await;
        let passwords = [PASSWORD, "the next sentence", "some other sentence", "one more sentence"];
        for pair in passwords.windows(2) {
            let sign_ins: Vec<_> = (0..4)
                .map(|n| {
                    let (node, t) = (if n % 2 == 0 { c.clone() } else { there.clone() }, t.clone());
                    let old = pair[0].to_owned();
                    kit::spawn::spawn("sign in", async move {
                        sign_in(&node, Some(&t), "ada@example.com", &old).await
                    })
                })
                .collect();
            c.change_password(&t, &ada.id, Some(pair[0]), pair[1], None).await.unwrap();
            for sign_in in sign_ins {
                if let Ok(session) = sign_in.await.unwrap() {
                    assert!(c.authenticate_session(session.token.expose()).await.is_err());
                }
            }
            f.clock.advance(Duration::from_secs(3_600));
        }
    })
    .await;
}
