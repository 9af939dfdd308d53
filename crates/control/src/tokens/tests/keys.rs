use super::*;

#[tokio::test]
async fn the_published_keys_verify_and_hold_nothing_else() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let jwks = w.tokens.jwks().await.unwrap();
        let keys = jwks["keys"].as_array().unwrap();
        assert_eq!(keys.len(), 1);
        let names: Vec<_> = keys[0].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!(keys[0]["kid"], part(pair.access.expose(), 0)["kid"]);
        // As anyone would who has only the document.
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_value(jwks.clone()).unwrap();
        let key = set.find(keys[0]["kid"].as_str().unwrap()).unwrap();
        let key = &jsonwebtoken::DecodingKey::from_jwk(key).unwrap();
        let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
        (validation.validate_exp, validation.validate_aud) = (false, false);
        jsonwebtoken::decode::<Value>(pair.access.expose(), key, &validation).unwrap();

        let mut connection = f.db.control().read().await.unwrap();
        let row = sqlx::query("SELECT private FROM signing_keys").fetch_one(&mut *connection).await.unwrap();
        assert!(row.get::<String, _>(0).starts_with("v1:"), "sealed at rest");
    })
    .await;
}

#[tokio::test]
async fn keys_rotate_and_old_tokens_live_on_until_they_expire() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let second = Tokens::open(control(&f, &w.keyring).await, TokenSettings::default()).await.unwrap();
        let old = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let kid = |token: &Secret| part(token.expose(), 0)["kid"].as_str().unwrap().to_owned();
        let new_kid = w.tokens.rotate_signing_key().await.unwrap();
        let new = w.tokens.issue(&w.ada, HOME).await.unwrap();
        assert_ne!(kid(&old.access), new_kid);
        assert_eq!(kid(&new.access), new_kid);
        assert!(w.good(&old.access).await && w.good(&new.access).await);
        assert_eq!(w.tokens.jwks().await.unwrap()["keys"].as_array().unwrap().len(), 2);
        f.clock.advance(Duration::from_millis(50));
        assert!(good(&second, new.access.expose(), HOME).await, "another process finds the key it lacks");
        f.clock.advance(Duration::from_secs(1));
        let there = second.issue(&w.ada, HOME).await.unwrap();
        assert_eq!(kid(&there.access), new_kid);

        f.clock.advance(Duration::from_secs(960));
        w.tokens.remove_ended().await.unwrap();
        let keys = w.tokens.jwks().await.unwrap();
        assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
        f.clock.advance(Duration::from_secs(30 * 86_400));
        let later = w.tokens.issue(&w.ada, HOME).await.unwrap();
        assert_ne!(kid(&later.access), new_kid, "after thirty days by itself");
        assert!(w.good(&later.access).await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_processes_that_rotate_at_once_one_wins() {
    each_backend(async |f| {
        let keyring = Keyring::ephemeral().unwrap();
        // The first key, too.
        let (a, b) = (control(&f, &keyring).await, control(&f, &keyring).await);
        let settings = TokenSettings::default;
        let (a, b) = tokio::join!(Tokens::open(a, settings()), Tokens::open(b, settings()));
        let (a, b) = (a.unwrap(), b.unwrap());
        let count = async || {
            let mut connection = f.db.control().read().await.unwrap();
            let rows = sqlx::query("SELECT state FROM signing_keys ORDER BY state");
            let rows = rows.fetch_all(&mut *connection).await.unwrap();
            rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(count().await, "current");
        let (x, y) = tokio::join!(a.rotate_signing_key(), b.rotate_signing_key());
        assert_eq!(x.unwrap(), y.unwrap());
        assert_eq!(count().await, "current old");
        f.clock.advance(Duration::from_secs(30 * 86_400));
        let (x, y) = tokio::join!(a.signing_key(), b.signing_key());
        assert_eq!(x.unwrap().kid, y.unwrap().kid);
        assert_eq!(count().await, "current old old");
    })
    .await;
}

#[tokio::test]
async fn a_lost_key_file_stops_signing_but_not_verifying_until_the_key_is_rotated() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let other = control(&f, &Keyring::ephemeral().unwrap()).await;
        let other = Tokens::open(other, TokenSettings::default()).await.unwrap();
        assert!(good(&other, pair.access.expose(), HOME).await);
        let error = other.issue(&w.ada, HOME).await.unwrap_err();
        assert_eq!(error.remedy(), Remedy::CallOperator);
        assert!(error.to_string().contains("rotate the signing key"), "{error}");
        let refused = other.refresh(pair.refresh.expose(), HOME).await;
        assert_eq!(refused.unwrap_err().remedy(), Remedy::CallOperator);
        other.rotate_signing_key().await.unwrap();
        other.refresh(pair.refresh.expose(), HOME).await.expect("the refusal used nothing up");
        let pair = other.issue(&w.ada, HOME).await.unwrap();
        assert!(good(&other, pair.access.expose(), HOME).await);
    })
    .await;
}
