use db::testing::each_backend;

use super::*;
use crate::error::Remedy;
use crate::permissions::{Permission, Role};

#[tokio::test]
async fn providers_are_set_up_changed_listed_and_removed() {
    each_backend(async |f| {
        let w = world(&f).await;
        let c = &w.control;
        let okta = w.provider(new_oidc("Okta")).await;
        let google = w.provider(NewProvider { enabled: false, ..new_oidc("Google") }).await;
        assert_eq!(c.sso_providers(&tenant()).await.unwrap(), [google.clone(), okta.clone()]);
        assert!(okta.has_secret && okta.id.starts_with("sso_"));
        let options = c.sign_in_options(&tenant()).await.unwrap();
        let okta_option = SignInOption { id: okta.id.clone(), name: "Okta".into(), kind: "oidc".into() };
        assert_eq!(options, [okta_option]);
        let other = TenantId::new("other").unwrap();
        assert_eq!(c.sso_providers(&other).await.unwrap(), []);
        assert!(matches!(c.sso_provider(&other, &okta.id).await, Err(ControlError::NotFound { .. })));
        assert!(w.sso.begin(&tenant(), &google.id, "/", None).await.is_err(), "disabled");

        let change =
            NewProvider { name: "Work".into(), client_secret: None, domains: vec![], ..new_oidc("") };
        let changed = c.update_sso_provider(&admin(), &tenant(), &okta.id, &change).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.has_secret), ("Work", true), "the secret stays");
        assert!(changed.updated_at > okta.updated_at);
        assert_eq!(c.sso_secret(&okta.id).await.unwrap().unwrap().expose(), SECRET);
        let none = NewProvider { client_secret: Some(Secret::of(String::new())), ..change.clone() };
        assert!(!c.update_sso_provider(&admin(), &tenant(), &okta.id, &none).await.unwrap().has_secret);
        let taken = NewProvider { name: "Google".into(), ..change };
        let taken = c.update_sso_provider(&admin(), &tenant(), &okta.id, &taken).await.unwrap_err();
        assert!(matches!(taken, ControlError::Exists { .. }), "{taken}");
        let again = c.create_sso_provider(&admin(), &tenant(), &new_oidc("Google")).await.unwrap_err();
        assert!(matches!(again, ControlError::Exists { .. }), "{again}");

        c.delete_sso_provider(&admin(), &tenant(), &okta.id).await.unwrap();
        assert_eq!(c.sso_providers(&tenant()).await.unwrap(), [google]);
    })
    .await;
}

#[tokio::test]
async fn secrets_are_sealed_and_never_shown() {
    each_backend(async |f| {
        let w = world(&f).await;
        let new = new_oidc("okta");
        let provider = w.provider(new.clone()).await;
        assert!(!format!("{new:?} {provider:?} {:?}", w.sso).contains(SECRET));
        let mut connection = f.db.control().read().await.unwrap();
        let row = sqlx::query("SELECT secret, config FROM sso_providers")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        let (secret, config): (String, String) = (row.get(0), row.get(1));
        assert!(secret.starts_with("v1:") && !config.contains(SECRET));
    })
    .await;
}

#[tokio::test]
async fn nobody_hands_out_through_a_provider_what_they_do_not_hold() {
    each_backend(async |f| {
        let w = world(&f).await;
        let c = &w.control;
        let with = |permissions| Principal { permissions, ..admin() };
        let viewer = with(Role::Viewer.permissions());
        let settings = with(Role::Viewer.permissions().and(Permissions::of(&[Permission::SettingsManage])));
        let elsewhere = Principal { tenant: TenantId::new("other").unwrap(), ..admin() };
        let modest = NewProvider { role_mapping: Vec::new(), ..new_oidc("modest") };
        let refused = async |by: &Principal, new: &NewProvider| {
            let error = c.create_sso_provider(by, &tenant(), new).await.unwrap_err();
            assert_eq!(error.remedy(), Remedy::GetPermission, "{error}");
        };
        refused(&viewer, &modest).await;
        refused(&elsewhere, &modest).await;
        refused(&settings, &new_oidc("grand")).await;
        c.create_sso_provider(&settings, &tenant(), &modest).await.unwrap();
        let grand = w.provider(new_oidc("grand")).await;
        for result in [
            c.update_sso_provider(&settings, &tenant(), &grand.id, &modest).await.map(drop),
            c.delete_sso_provider(&settings, &tenant(), &grand.id).await,
        ] {
            assert_eq!(result.unwrap_err().remedy(), Remedy::GetPermission);
        }
    })
    .await;
}

#[tokio::test]
async fn settings_that_cannot_work_are_named() {
    each_backend(async |f| {
        let w = world(&f).await;
        let oidc = |change: fn(&mut OidcConfig)| {
            let mut config = oidc_config(ISSUER);
            change(&mut config);
            NewProvider { config: ProviderConfig::Oidc(config), ..new_oidc("x") }
        };
        let saml = |sso_url: &str, certificates: Vec<String>| NewProvider {
            config: ProviderConfig::Saml(SamlConfig {
                entity_id: "urn:idp".into(),
                sso_url: sso_url.into(),
                certificates,
                ..SamlConfig::default()
            }),
            ..new_oidc("x")
        };
        for (new, want) in [
            (NewProvider { name: " ".into(), ..new_oidc("") }, "name: must not be empty"),
            (oidc(|c| c.issuer = "http://idp.test".into()), "issuer: must be an https address"),
            (oidc(|c| c.issuer = "https://idp.test?x=1".into()), "issuer: must be an https address"),
            (oidc(|c| c.issuer = "https://u:p@idp.test".into()), "issuer: must be an https address"),
            (
                NewProvider { name: "sso_0123456789abcdef".into(), ..new_oidc("") },
                "name: must not begin with sso_",
            ),
            (oidc(|c| c.client_id.clear()), "client_id: must not be empty"),
            (oidc(|c| c.scopes = vec!["email".into()]), "scopes: must hold openid"),
            (
                NewProvider { domains: vec![], ..oidc(|c| c.trust_email = true) },
                "domains: must name your domains",
            ),
            (
                NewProvider { domains: vec![], ..oidc(|c| c.issuer = "https://accounts.google.com".into()) },
                "domains: must name your domains",
            ),
            (
                NewProvider { domains: vec!["Example.com".into()], ..new_oidc("x") },
                "domains: \"Example.com\"",
            ),
            (NewProvider { domains: vec!["a.b".into(); 51], ..new_oidc("x") }, "domains: has 51"),
            (
                NewProvider { role_mapping: vec![rule("g", "king")], ..new_oidc("x") },
                "role: \"king\" is no role",
            ),
            (NewProvider { default_role: Some(String::new()), ..new_oidc("x") }, "role: \"\" is no role"),
            (
                NewProvider { role_mapping: vec![rule("", "viewer")], ..new_oidc("x") },
                "group: must not be empty",
            ),
            (saml("javascript:x", vec![]), "sso_url: must be an https address"),
            (saml("https://idp.test", vec![]), "certificates: must hold 1 to 10"),
            (saml("https://idp.test", vec!["AAAA".into()]), "certificate: is no X.509 certificate"),
        ] {
            let error = w.control.create_sso_provider(&admin(), &tenant(), &new).await.unwrap_err();
            assert!(error.to_string().starts_with(want), "{error}");
            assert_eq!(error.remedy(), Remedy::FixRequest);
        }
        let okta = w.provider(new_oidc("okta")).await;
        let other_kind = saml("https://idp.test", vec![crate::sso::saml::testing::CERTIFICATE.into()]);
        let error =
            w.control.update_sso_provider(&admin(), &tenant(), &okta.id, &other_kind).await.unwrap_err();
        assert!(error.to_string().starts_with("kind: is oidc"), "{error}");
        for n in 1..20 {
            w.provider(new_oidc(&n.to_string())).await;
        }
        let error = w.control.create_sso_provider(&admin(), &tenant(), &new_oidc("more")).await.unwrap_err();
        assert!(error.to_string().contains("has 20 providers already"), "{error}");
        for local in ["http://localhost:8080", "http://127.0.0.1:9", "http://[::1]:9"] {
            oidc_config(local).check().unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_client_secret_is_sent_to_the_server_it_was_entered_for() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(new_oidc("okta")).await;
        w.sign_in(&provider).await.unwrap();
        let with = |change: fn(&mut OidcConfig), client_secret: Option<&str>| {
            let mut config = oidc_config(ISSUER);
            change(&mut config);
            let client_secret = client_secret.map(|secret| Secret::of(secret.to_owned()));
            NewProvider { config: ProviderConfig::Oidc(config), client_secret, ..new_oidc("okta") }
        };
        let update = async |new: &NewProvider| {
            w.control.update_sso_provider(&admin(), &tenant(), &provider.id, new).await
        };
        for change in
            [(|c: &mut OidcConfig| c.issuer = "https://evil.test".into()) as fn(&mut OidcConfig), |c| {
                c.client_id = "another".into()
            }]
        {
            let error = update(&with(change, None)).await.unwrap_err().to_string();
            assert!(error.starts_with("client_secret: must be given again"), "{error}");
        }
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_identities").await, 1);
        update(&with(|c| c.groups_claim = "teams".into(), None)).await.unwrap();
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_identities").await, 1);
        update(&with(|c| c.issuer = "https://new.test".into(), Some("new"))).await.unwrap();
        assert_eq!(w.control.sso_secret(&provider.id).await.unwrap().unwrap().expose(), "new");
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_identities").await, 0, "its people are others");
    })
    .await;
}

#[tokio::test]
async fn sign_ins_that_nobody_ends_keep_nobody_from_signing_in() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(new_oidc("okta")).await;
        let first = w.sso.begin(&tenant(), &provider.id, "/", None).await.unwrap();
        f.clock.advance(std::time::Duration::from_millis(1));
        let mut tx = f.db.control().begin().await.unwrap();
        let fill = sqlx::query(
            "INSERT INTO sso_states (hash, provider_id, browser_hash, private, expires_at) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9999) \
             SELECT 'fill' || i, $1, '', '', $2 FROM n",
        );
        let at = kit::Clock::now_ms(&f.clock) + 600_000;
        tx.execute(fill.bind(provider.id.as_str()).bind(at)).await.unwrap();
        tx.commit().await.unwrap();
        f.clock.advance(std::time::Duration::from_millis(1));
        w.sign_in(&provider).await.unwrap();
        let (state, code) = w.stub.agree(&first.url);
        w.refused(w.finish(&provider, &state, &code, &first.browser).await, "was not begun in this browser");
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_states").await, 9_999);
    })
    .await;
}
