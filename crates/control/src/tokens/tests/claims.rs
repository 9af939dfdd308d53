use super::*;

#[tokio::test]
async fn an_access_token_carries_its_claims_for_a_quarter_of_an_hour() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let access = pair.access.expose();
        let header = part(access, 0);
        assert_eq!((header["alg"].as_str(), header["typ"].as_str()), (Some("RS256"), Some("at+jwt")));
        let claims = part(access, 1);
        let now = f.clock.now_ms() / 1000;
        for (name, want) in [
            ("iss", json!("bellwether")),
            ("aud", json!("bellwether")),
            ("sub", json!(w.ada.id)),
            ("org", json!("acme")),
            ("role", json!("editor")),
            ("permissions", json!(Role::Editor.permissions().names())),
            ("iat", json!(now)),
            ("nbf", json!(now)),
            ("exp", json!(now + 900)),
            ("sid", json!(pair.family)),
        ] {
            assert_eq!(claims[name], want, "{name}");
        }
        assert_eq!(pair.expires_in, 900);
        assert!(!claims.contains_key("email") && !access.contains("Firefox"));

        let known = w.tokens.authenticate_access(access, HOME).await.unwrap();
        assert_eq!((known.principal.tenant, known.principal.who.id), (tenant(), w.ada.id.clone()));
        assert_eq!(known.principal.permissions, Role::Editor.permissions());
        assert_eq!((known.family, known.expires_at), (pair.family.clone(), (now + 900) * 1000));

        f.clock.advance(Duration::from_secs(899));
        assert!(w.good(&pair.access).await);
        f.clock.advance(Duration::from_secs(1));
        assert!(!w.good(&pair.access).await, "expiry has no leeway");
        let shown = format!("{pair:?}");
        assert!(!shown.contains(pair.refresh.expose()) && !shown.contains(access));
    })
    .await;
}

#[tokio::test]
async fn tokens_that_are_not_exactly_ours_are_refused() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let access = pair.access.expose();
        let (header, claims) = (Value::from(part(access, 0)), part(access, 1));
        let again = forged(&w.tokens, header.clone(), &claims).await;
        assert!(good(&w.tokens, &again, HOME).await, "the forgery itself is good");

        let now = f.clock.now_ms() / 1000;
        let mut bad = Vec::new();
        for name in claims.keys() {
            let mut without = claims.clone();
            without.remove(name);
            bad.push((format!("without {name}"), without));
            for wrong in [json!(null), json!({}), json!(true)] {
                let mut changed = claims.clone();
                changed.insert(name.clone(), wrong.clone());
                bad.push((format!("{name} {wrong}"), changed));
            }
        }
        for (name, value) in [
            ("iss", json!("other")),
            ("aud", json!("other")),
            ("aud", json!(["bellwether"])),
            ("sub", json!("user_0000000000000000")),
            ("sub", json!(1)),
            ("org", json!("other")),
            ("role", json!(["editor"])),
            ("permissions", json!("telemetry:read")),
            ("permissions", json!([1])),
            ("exp", json!(now)),
            ("exp", json!(now - 1)),
            ("exp", json!(now + 901)),
            ("exp", json!((now + 900).to_string())),
            ("exp", json!((now + 900) as f64 + 0.5)),
            ("iat", json!(now + 31)),
            ("nbf", json!(now + 31)),
        ] {
            let mut changed = claims.clone();
            changed.insert(name.to_owned(), value.clone());
            bad.push((format!("{name} {value}"), changed));
        }
        for (what, claims) in bad {
            let token = forged(&w.tokens, header.clone(), &claims).await;
            assert!(!good(&w.tokens, &token, HOME).await, "{what}");
        }
        let mut late = claims.clone();
        (late["iat"], late["nbf"]) = (json!(now + 30), json!(now + 30));
        assert!(good(&w.tokens, &forged(&w.tokens, header.clone(), &late).await, HOME).await);

        let kid = &header["kid"];
        for header in [
            json!({"alg": "none", "typ": "at+jwt", "kid": kid}),
            json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}),
            json!({"alg": "RS384", "typ": "at+jwt", "kid": kid}),
            json!({"alg": "PS256", "typ": "at+jwt", "kid": kid}),
            json!({"alg": "RS256", "typ": "JWT", "kid": kid}),
            json!({"alg": "RS256", "kid": kid}),
            json!({"alg": "RS256", "typ": "at+jwt"}),
            json!({"alg": "RS256", "typ": "at+jwt", "kid": "other"}),
            json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "crit": ["exp"]}),
            json!({"alg": ["RS256"], "typ": "at+jwt", "kid": kid}),
        ] {
            let token = forged(&w.tokens, header.clone(), &claims).await;
            assert!(!good(&w.tokens, &token, HOME).await, "{header}");
        }
    })
    .await;
}

#[tokio::test]
async fn tampered_tokens_and_noise_are_refused() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let access = pair.access.expose();
        let mut parts: Vec<_> = access.split('.').collect();
        let mut claims = part(access, 1);
        claims["role"] = json!("admin");
        let richer = URL_SAFE_NO_PAD.encode(Value::from(claims).to_string());
        let (header, body, signature) = (parts[0], parts[1], parts[2]);
        parts[1] = &richer;
        // A public key is no secret: a signature made with it as one must not count.
        let hs256 = URL_SAFE_NO_PAD
            .encode(json!({"alg": "HS256", "typ": "at+jwt", "kid": part(access, 0)["kid"]}).to_string());
        let n = w.tokens.jwks().await.unwrap()["keys"][0]["n"].as_str().unwrap().to_owned();
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, n.as_bytes());
        let hmac = aws_lc_rs::hmac::sign(&key, format!("{hs256}.{body}").as_bytes());
        let long = "x".repeat(9_000);
        for token in [
            parts.join("."),
            format!("{header}.{body}."),
            format!("{header}.{body}"),
            format!("{hs256}.{body}.{}", URL_SAFE_NO_PAD.encode(hmac)),
            format!("{header}.{body}.{}", &signature[..signature.len() - 4]),
            format!("{access}."),
            format!(" {access}"),
            format!("{access}="),
            pair.refresh.expose().to_owned(),
            String::new(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            "é.é.é".to_owned(),
            long,
        ] {
            assert!(!good(&w.tokens, &token, HOME).await, "{token:.60}");
        }
        // Another installation's token.
        let other = Tokens::open(
            w.control.clone(),
            TokenSettings { issuer: "https://other.test".into(), ..TokenSettings::default() },
        );
        let pair = other.await.unwrap().issue(&w.ada, HOME).await.unwrap();
        assert!(!w.good(&pair.access).await);
    })
    .await;
}

#[tokio::test]
async fn a_token_gives_what_it_says_and_the_role_still_permits() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let may = async |permission| {
            w.tokens.authenticate_access(pair.access.expose(), HOME).await.unwrap().principal.may(permission)
        };
        assert!(may(Permission::ObjectsWrite).await);
        run(&f, "UPDATE users SET role = 'viewer'").await;
        assert!(may(Permission::ObjectsWrite).await, "for ten seconds");
        f.clock.advance(Duration::from_secs(10));
        assert!(!may(Permission::ObjectsWrite).await && may(Permission::ObjectsRead).await);
        run(&f, "UPDATE users SET role = 'admin'").await;
        w.tokens.forget_user(&w.ada.id);
        assert!(may(Permission::ObjectsWrite).await && !may(Permission::MembersManage).await);

        for (statement, back) in [
            ("UPDATE users SET state = 'disabled'", "UPDATE users SET state = 'active'"),
            (
                "UPDATE tenants SET state = 'suspended' WHERE id = 'acme'",
                "UPDATE tenants SET state = 'active'",
            ),
        ] {
            run(&f, statement).await;
            f.clock.advance(Duration::from_secs(10));
            assert!(!w.good(&pair.access).await, "{statement}");
            assert!(matches!(w.tokens.issue(&w.ada, HOME).await, Err(ControlError::InvalidToken)));
            let refused = w.tokens.refresh(pair.refresh.expose(), HOME).await;
            assert!(matches!(refused, Err(ControlError::InvalidToken)));
            run(&f, back).await;
        }
        f.clock.advance(Duration::from_secs(10));
        assert!(w.good(&pair.access).await);
        w.tokens.refresh(pair.refresh.expose(), HOME).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_changed_role_counts_at_once_where_it_was_changed() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let (system, t) = (Principal::system(), tenant());
        let role = |permissions| crate::NewRole { name: "own", description: "", permissions, selector: None };
        let both = Permissions::of(&[Permission::TelemetryRead, Permission::TelemetryWrite]);
        w.control.create_role(&t, &system, role(both)).await.unwrap();
        let new = NewUser { email: "own@example.com", name: "O", role: "own" };
        let own = w.control.create_user(&t, &system, new).await.unwrap();
        let pair = w.tokens.issue(&own, HOME).await.unwrap();
        let may = async || {
            let found = w.tokens.authenticate_access(pair.access.expose(), HOME).await.unwrap();
            found.principal.may(Permission::TelemetryWrite)
        };
        assert!(may().await);
        let less = Permissions::of(&[Permission::TelemetryRead]);
        w.control.update_role(&t, &system, role(less)).await.unwrap();
        w.tokens.forget_tenant(&t);
        assert!(!may().await);
    })
    .await;
}
