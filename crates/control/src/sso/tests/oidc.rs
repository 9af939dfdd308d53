use std::time::Duration;

use db::testing::each_backend;
use serde_json::{Value, json};

use super::*;
use crate::tokens::{Binding, TokenSettings, Tokens};

#[tokio::test]
async fn google_microsoft_and_okta_sign_people_in_side_by_side() {
    each_backend(async |f| {
        let directory = "11111111-2222-3333-4444-555555555555";
        for (preset, organisation, claims) in [
            (Preset::Google, "", json!({"hd": "example.com", "email": "google@example.com"})),
            (
                Preset::Microsoft,
                directory,
                // No word of whether the address was verified, and none of the address itself.
                json!({"email": null, "email_verified": null, "preferred_username": "microsoft@example.com"}),
            ),
            (
                Preset::Okta,
                "example.okta.com",
                json!({"groups": ["Everyone", "dev"], "email": "okta@example.com"}),
            ),
        ] {
            let config = preset.config(organisation, CLIENT).unwrap();
            let w = world_at(&f, &config.issuer).await;
            w.stub.next.lock().claims = claims;
            let new = NewProvider { config: ProviderConfig::Oidc(config), ..new_oidc(preset.as_str()) };
            let provider = w.provider(new).await;
            let outcome = w.sign_in(&provider).await.unwrap();
            assert!(outcome.created);
            assert_eq!((outcome.tenant, outcome.return_to.as_str()), (tenant(), "/explore"));
            assert_eq!(outcome.user.email, format!("{}@example.com", preset.as_str()));
            let role = if preset == Preset::Okta { "editor" } else { "viewer" };
            assert_eq!(outcome.user.role, role);

            // It ends with tokens of ours that work.
            let tokens = Tokens::open(w.control.clone(), TokenSettings::default()).await.unwrap();
            tokens.rotate_signing_key().await.unwrap();
            let pair = tokens.issue(&outcome.user, Binding::default()).await.unwrap();
            let known = tokens.authenticate_access(pair.access.expose(), Binding::default()).await.unwrap();
            assert_eq!(known.principal.who.id, outcome.user.id);
        }
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_providers").await, 3);
        assert_eq!(count(&f, "SELECT COUNT(*) FROM users").await, 3);
    })
    .await;
}

#[tokio::test]
async fn the_address_carries_what_the_flow_needs_and_nothing_secret() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(new_oidc("okta")).await;
        let begun = w.sso.begin(&tenant(), &provider.id, "", None).await.unwrap();
        let url = Url::parse(&begun.url).unwrap();
        assert_eq!(url.host_str(), Some("idp.test"));
        let names: Vec<_> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
        assert_eq!(
            names,
            [
                "tenant",
                "response_type",
                "client_id",
                "redirect_uri",
                "scope",
                "state",
                "nonce",
                "code_challenge",
                "code_challenge_method"
            ]
        );
        let callback = format!("{SITE}/api/v1/auth/sso/{}/callback", provider.id);
        assert!(url.query_pairs().any(|(name, value)| name == "redirect_uri" && value == callback));
        assert!(!begun.url.contains(SECRET) && !format!("{begun:?}").contains(begun.browser.expose()));
        assert!(w.sso.begin(&tenant(), &provider.id, "https://evil.test", None).await.is_err());
        assert!(w.sso.begin(&TenantId::new("other").unwrap(), &provider.id, "/", None).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_state_is_good_once_for_ten_minutes_in_one_browser_with_one_provider() {
    each_backend(async |f| {
        let w = world(&f).await;
        let (provider, other) = (w.provider(new_oidc("a")).await, w.provider(new_oidc("b")).await);
        let begin = async || {
            let begun = w.sso.begin(&tenant(), &provider.id, "/", None).await.unwrap();
            let (state, code) = w.stub.agree(&begun.url);
            (begun.browser, state, code)
        };
        let not_begun = "was not begun in this browser";
        let (browser, state, code) = begin().await;
        let stranger = Secret::generate("bwb_").unwrap();
        w.refused(w.finish(&provider, &state, &code, &stranger).await, not_begun);
        w.refused(w.finish(&provider, &state, &code, &browser).await, not_begun);

        let (browser, state, code) = begin().await;
        w.refused(w.finish(&other, &state, &code, &browser).await, not_begun);
        w.finish(&provider, &state, &code, &browser).await.unwrap();
        w.refused(w.finish(&provider, &state, &code, &browser).await, not_begun);

        let (browser, state, code) = begin().await;
        f.clock.advance(Duration::from_secs(600));
        w.refused(w.finish(&provider, &state, &code, &browser).await, not_begun);

        for state in ["", "x", &"x".repeat(1_000)] {
            w.refused(w.finish(&provider, state, "code-1", &browser).await, not_begun);
        }
        // Two tabs share the cookie.
        let one = w.sso.begin(&tenant(), &provider.id, "/", None).await.unwrap();
        let two = w.sso.begin(&tenant(), &provider.id, "/", Some(one.browser.expose())).await.unwrap();
        assert_eq!(one.browser, two.browser);
        for url in [&two.url, &one.url] {
            let (state, code) = w.stub.agree(url);
            w.finish(&provider, &state, &code, &one.browser).await.unwrap();
        }
        let fixed = w.sso.begin(&tenant(), &provider.id, "/", Some("chosen-by-someone")).await.unwrap();
        assert_ne!(fixed.browser.expose(), "chosen-by-someone");
        f.clock.advance(Duration::from_secs(600));
        w.control.remove_ended().await.unwrap();
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_states").await, 0);
    })
    .await;
}

#[tokio::test]
async fn codes_go_to_the_token_endpoint_as_it_asks_and_bad_ones_end_in_words() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(new_oidc("okta")).await;
        let begun = w.sso.begin(&tenant(), &provider.id, "/", None).await.unwrap();
        let (state, _) = w.stub.agree(&begun.url);
        let bad = w.finish(&provider, &state, "guessed", &begun.browser).await;
        w.refused(bad, "the provider refused the sign-in: invalid_grant: try again");
        let begun = w.sso.begin(&tenant(), &provider.id, "/", None).await.unwrap();
        let (state, _) = w.stub.agree(&begun.url);
        let denied = Callback {
            state: &state,
            error: Some("access_denied"),
            error_description: Some("not\nyou"),
            ..Callback::default()
        };
        let denied = w.sso.finish_oidc(&provider.id, denied, begun.browser.expose()).await;
        w.refused(denied, "the provider refused the sign-in: access_denied: notyou");
        let begun = w.sso.begin(&tenant(), &provider.id, "/", None).await.unwrap();
        let (state, code) = w.stub.agree(&begun.url);
        let mixed_up = Callback {
            state: &state,
            code: Some(&code),
            iss: Some("https://evil.test"),
            ..Callback::default()
        };
        let mixed_up = w.sso.finish_oidc(&provider.id, mixed_up, begun.browser.expose()).await;
        w.refused(mixed_up, "names another issuer");

        for (methods, secret, want) in [
            (Value::Null, Some(SECRET), "basic"),
            (json!(["client_secret_basic", "client_secret_post"]), Some(SECRET), "basic"),
            (json!(["client_secret_post"]), Some(SECRET), "post"),
            (json!(["none"]), Some(""), "none"),
        ] {
            let w = world(&f).await;
            w.stub.next.lock().discovery = json!({"token_endpoint_auth_methods_supported": methods});
            let secret = secret.map(|secret| Secret::of(secret.to_owned()));
            let provider =
                w.provider(NewProvider { client_secret: secret, ..new_oidc(&format!("{methods}")) }).await;
            w.sign_in(&provider).await.unwrap();
            let asked = w.stub.asked.lock().clone();
            assert!(asked.contains(&format!("{ISSUER}/token {want}")), "{asked:?}");
        }
        let wrong = Some(Secret::of("wrong".to_owned()));
        let provider = w.provider(NewProvider { client_secret: wrong, ..new_oidc("wrong") }).await;
        w.refused(
            w.sign_in(&provider).await,
            "says invalid_client; check the client's identifier and secret",
        );
    })
    .await;
}

#[tokio::test]
async fn statements_that_are_not_exactly_ours_are_refused() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(new_oidc("okta")).await;
        let now = f.shared_clock().now_ms() / 1000;
        for (claims, want) in [
            (json!({"iss": "https://evil.test"}), "was not issued by https://idp.test"),
            (json!({"iss": null}), "was not issued by"),
            (json!({"aud": "other"}), "is for another client"),
            (json!({"aud": null}), "is for another client"),
            (json!({"aud": ["other"]}), "is for another client"),
            (json!({"aud": [CLIENT, "other"]}), "was handed to another client"),
            (json!({"aud": [CLIENT, "other"], "azp": "other"}), "was handed to another client"),
            (json!({"azp": "other"}), "was handed to another client"),
            (json!({"exp": now - 60}), "has expired"),
            (json!({"exp": null}), "has no time exp"),
            (json!({"exp": "soon"}), "has no time exp"),
            (json!({"iat": null}), "has no time iat"),
            (json!({"iat": now + 61}), "was not issued just now"),
            (json!({"iat": now - 601}), "was not issued just now"),
            (json!({"nbf": now + 61}), "is not valid yet"),
            (json!({"nonce": "another"}), "was not made for this sign-in"),
            (json!({"nonce": null}), "was not made for this sign-in"),
            (json!({"at_hash": "AAAA"}), "belongs to another access token"),
            (json!({"sub": ""}), "names no subject"),
            (json!({"sub": 7}), "names no subject"),
            (json!({"sub": "x".repeat(256)}), "names no subject"),
            (json!({"sub": "subject-2"}), "is about someone else than the token"),
            (json!({"email_verified": false}), "has not verified this address"),
            (json!({"email_verified": null}), "has not verified this address"),
            (json!({"email": null}), "names no email"),
        ] {
            w.stub.next.lock().claims = claims.clone();
            w.refused(w.sign_in(&provider).await, want);
        }
        w.stub.next.lock().claims = json!({"aud": [CLIENT, "other"], "azp": CLIENT, "exp": now + 299});
        w.sign_in(&provider).await.unwrap();
        w.stub.next.lock().claims = json!({});
        for (header, want) in [
            (json!({"alg": "none"}), "is not signed in a way we accept"),
            (json!({"alg": "HS256"}), "is not signed with RS256 or ES256"),
            (json!({"alg": "RS512"}), "is not signed with RS256 or ES256"),
            (json!({"alg": "ES256"}), "a key the provider does not publish"),
            (json!({"crit": ["x"]}), "is not signed with RS256 or ES256"),
            (json!({"kid": "encryption"}), "a key the provider does not publish"),
        ] {
            w.stub.next.lock().header = header;
            w.refused(w.sign_in(&provider).await, want);
        }
        w.stub.next.lock().header = json!({});
        w.stub.next.lock().foreign_key = true;
        w.refused(w.sign_in(&provider).await, "has a signature that does not fit");
        assert_eq!(count(&f, "SELECT COUNT(*) FROM users").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_key_that_is_new_is_fetched_once_and_documents_are_kept_an_hour() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(new_oidc("okta")).await;
        for _ in 0..3 {
            w.sign_in(&provider).await.unwrap();
        }
        assert_eq!((w.stub.count("/openid-configuration"), w.stub.count("/keys")), (1, 1));
        {
            let mut next = w.stub.next.lock();
            next.kid = "k2".to_owned();
            next.published = vec!["k1".to_owned(), "k2".to_owned()];
        }
        w.sign_in(&provider).await.unwrap();
        w.sign_in(&provider).await.unwrap();
        assert_eq!((w.stub.count("/openid-configuration"), w.stub.count("/keys")), (1, 2));
        f.clock.advance(Duration::from_secs(3_600));
        w.sign_in(&provider).await.unwrap();
        assert_eq!((w.stub.count("/openid-configuration"), w.stub.count("/keys")), (2, 3));
        w.stub.next.lock().header = json!({"kid": null});
        w.refused(w.sign_in(&provider).await, "a key the provider does not publish");
        w.stub.next.lock().published = vec!["k1".to_owned()];
        w.sign_in(&provider).await.expect("without an identifier the only key there is");
    })
    .await;
}

#[tokio::test]
async fn elliptic_curves_are_accepted() {
    each_backend(async |f| {
        let w = world(&f).await;
        w.stub.next.lock().es256 = true;
        let provider = w.provider(new_oidc("okta")).await;
        w.sign_in(&provider).await.unwrap();
        w.stub.next.lock().header = json!({"alg": "RS256"});
        w.refused(w.sign_in(&provider).await, "a key the provider does not publish");
    })
    .await;
}

#[tokio::test]
async fn the_profile_is_asked_for_with_the_access_token() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(new_oidc("okta")).await;
        w.stub.next.lock().claims = json!({"email": null, "name": null});
        let info = json!({"email": "ada@example.com", "email_verified": "true", "name": "Countess", "groups": "ops"});
        w.stub.next.lock().info = info;
        let outcome = w.sign_in(&provider).await.unwrap();
        assert_eq!((outcome.user.name.as_str(), outcome.user.role.as_str()), ("Countess", "admin"));
        assert!(w.stub.asked.lock().contains(&format!("{ISSUER}/userinfo access-token")));

        // An address from one place is not vouched for by another.
        w.stub.next.lock().claims = json!({"email_verified": true});
        w.stub.next.lock().info = json!({"email": "eve@example.com"});
        w.refused(w.sign_in(&provider).await, "has not verified this address");
        w.stub.next.lock().info = json!({"sub": "subject-2"});
        w.refused(w.sign_in(&provider).await, "is about someone else than the token");
        w.stub.next.lock().info_status = 500;
        w.refused(w.sign_in(&provider).await, "userinfo endpoint answers with status 500");
    })
    .await;
}

#[tokio::test]
async fn what_a_provider_says_of_itself_must_fit() {
    each_backend(async |f| {
        for (n, (discovery, want)) in [
            (
                json!({"issuer": "https://idp.test/"}),
                "names the issuer https://idp.test/; enter exactly that",
            ),
            (json!({"issuer": null}), "names the issuer nobody"),
            (json!({"token_endpoint": null}), "has no token_endpoint with an https address"),
            (
                json!({"token_endpoint": "http://idp.test/token"}),
                "has no token_endpoint with an https address",
            ),
            (json!({"authorization_endpoint": "javascript:x"}), "has no authorization_endpoint"),
            (json!({"jwks_uri": "https://user@idp.test/keys"}), "has no jwks_uri"),
            (json!({"userinfo_endpoint": "ftp://idp.test/"}), "has no userinfo_endpoint"),
            (json!({"jwks_uri": "https://idp.test/nowhere"}), "key document is not there: status 404"),
            (
                json!({"jwks_uri": "https://elsewhere.test/keys"}),
                "cannot be reached at https://elsewhere.test/keys",
            ),
        ]
        .into_iter()
        .enumerate()
        {
            let w = world(&f).await;
            w.stub.next.lock().discovery = discovery;
            let provider = w.provider(new_oidc(&n.to_string())).await;
            w.refused(w.sign_in(&provider).await, want);
        }
        let w = world(&f).await;
        let provider = w.provider(new_oidc("x")).await;
        for (status, body, want) in [
            (404, b"{}".to_vec(), "status 404"),
            (200, b"<html>".to_vec(), "no JSON"),
            (200, b"[]".to_vec(), "JSON that is no object"),
            (200, vec![b' '; BODY_BYTES_MAX + 1], "more than 1048576 bytes"),
        ] {
            w.stub.next.lock().instead.insert("/.well-known/openid-configuration", (status, body));
            w.refused(w.sign_in(&provider).await, want);
        }
        w.stub.next.lock().instead.clear();
        let report = w.sso.check_provider(&provider).await.unwrap();
        assert_eq!((report["issuer"].as_str(), report["signing_keys"].as_i64()), (Some(ISSUER), Some(1)));
        for (body, want) in [
            (json!({"access_token": "access-token", "token_type": "Bearer"}), "sends no id_token"),
            (json!({"id_token": "x", "token_type": "Bearer"}), "sends no access_token"),
            (
                json!({"id_token": "x", "access_token": "access-token", "token_type": "mac"}),
                "not of type Bearer",
            ),
        ] {
            w.stub.next.lock().instead.insert("/token", (200, body.to_string().into_bytes()));
            w.refused(w.sign_in(&provider).await, want);
        }
    })
    .await;
}
