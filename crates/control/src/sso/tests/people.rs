use db::testing::each_backend;
use serde_json::json;

use super::*;
use crate::error::Remedy;
use crate::permissions::{Permission, Role};
use crate::sso::only::refuse_if_sso_only;
use crate::users::NewUser;

#[tokio::test]
async fn the_first_sign_in_makes_a_person_and_later_ones_keep_them_up_to_date() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(new_oidc("okta")).await;
        let first = w.sign_in(&provider).await.unwrap();
        assert_eq!(
            (first.created, first.user.role.as_str(), first.user.name.as_str()),
            (true, "viewer", "Ada")
        );
        w.stub.next.lock().claims = json!({"name": "Ada Lovelace", "groups": ["dev"]});
        let second = w.sign_in(&provider).await.unwrap();
        assert_eq!((second.created, &second.user.id), (false, &first.user.id));
        assert_eq!((second.user.role.as_str(), second.user.name.as_str()), ("editor", "Ada Lovelace"));
        // The first rule that fits counts, whatever the order of the groups.
        w.stub.next.lock().claims = json!({"groups": ["dev", "ops"], "email": "ADA@example.com"});
        assert_eq!(w.sign_in(&provider).await.unwrap().user.role, "admin");
        // Renamed at the provider, the person is still the same.
        w.stub.next.lock().claims = json!({"email": "countess@example.com"});
        let renamed = w.sign_in(&provider).await.unwrap();
        assert_eq!((renamed.user.id, renamed.created), (first.user.id.clone(), false));
        assert_eq!(w.control.users(&tenant(), None, 100).await.unwrap().len(), 1);

        // Another provider of the tenant that vouches for the same address means the same person.
        let other = w.provider(new_oidc("google")).await;
        w.stub.next.lock().claims = json!({});
        assert_eq!(w.sign_in(&other).await.unwrap().user.id, first.user.id);
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_identities").await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn first_sign_ins_at_once_make_one_person() {
    each_backend(async |f| {
        let w = Arc::new(world(&f).await);
        let provider = w.provider(new_oidc("okta")).await;
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                let (w, provider) = (w.clone(), provider.clone());
                kit::spawn::spawn("sign in", async move { w.sign_in(&provider).await })
            })
            .collect();
        let mut created = 0;
        for attempt in attempts {
            created += i32::from(attempt.await.unwrap().unwrap().created);
        }
        assert_eq!((created, count(&f, "SELECT COUNT(*) FROM users").await), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn who_is_not_meant_to_come_in_is_told_why() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(NewProvider { default_role: None, ..new_oidc("okta") }).await;
        for (claims, want) in [
            (json!({"email": "ada@evil.com"}), "ada@evil.com may not sign in here: addresses of this domain"),
            (json!({"email": "ada@example.com@evil.com"}), "addresses of this domain are not allowed"),
            (json!({}), "none of your groups has a role here"),
            (json!({"groups": ["other"]}), "none of your groups has a role here"),
            (json!({"groups": {"ops": true}}), "none of your groups has a role here"),
            (json!({"groups": ["dev"], "email": "@example.com"}), "email: must be an address"),
        ] {
            w.stub.next.lock().claims = claims;
            w.refused(w.sign_in(&provider).await, want);
        }
        assert_eq!(count(&f, "SELECT COUNT(*) FROM users").await, 0);
        w.stub.next.lock().claims = json!({"groups": ["dev"]});
        w.sign_in(&provider).await.unwrap();
        run(&f, "UPDATE users SET state = 'disabled'").await;
        w.refused(w.sign_in(&provider).await, "the account is disabled");
        run(&f, "UPDATE users SET state = 'active'").await;
        run(&f, "UPDATE tenants SET state = 'suspended' WHERE id = 'acme'").await;
        w.refused(w.sign_in(&provider).await, "tenant acme is suspended");
        run(&f, "UPDATE tenants SET state = 'active' WHERE id = 'acme'").await;
        // Out of the group, out of the application.
        w.stub.next.lock().claims = json!({});
        w.refused(w.sign_in(&provider).await, "none of your groups has a role here");
    })
    .await;
}

#[tokio::test]
async fn at_google_the_organisation_counts_and_not_the_address_alone() {
    each_backend(async |f| {
        let config = Preset::Google.config("", CLIENT).unwrap();
        let w = world_at(&f, &config.issuer).await;
        let new = NewProvider { config: ProviderConfig::Oidc(config.clone()), ..new_oidc("google") };
        let without = NewProvider { domains: vec![], ..new.clone() };
        let error = w.control.create_sso_provider(&admin(), &tenant(), &without).await.unwrap_err();
        assert!(error.to_string().starts_with("domains: must name your domains"), "{error}");
        let provider = w.provider(new).await;
        // A private account that was made with an address of the organisation has a verified address, too.
        for organisation in
            [json!({}), json!({"hd": "evil.com"}), json!({"hd": ""}), json!({"hd": ["example.com"]})]
        {
            w.stub.next.lock().claims = organisation;
            w.refused(w.sign_in(&provider).await, "is of no organisation with an allowed domain");
        }
        w.stub.next.lock().claims = json!({"hd": "Example.com"});
        w.sign_in(&provider).await.unwrap();
        assert_eq!(count(&f, "SELECT COUNT(*) FROM users").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_provider_of_a_tenant_reaches_no_platform_administrator() {
    each_backend(async |f| {
        let w = world(&f).await;
        let new = NewUser { email: "ada@example.com", name: "Ada", role: Role::PlatformAdmin.as_str() };
        let ada = w.control.create_user(&tenant(), &Principal::system(), new).await.unwrap();
        let provider = w.provider(new_oidc("okta")).await;
        w.refused(
            w.sign_in(&provider).await,
            "the account may do more than anyone whom this provider admits",
        );
        assert_eq!(w.control.user(&tenant(), &ada.id).await.unwrap(), ada, "nor changes anything of theirs");
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_identities").await, 0);

        // Unless a platform administrator set it up.
        let mapping = vec![rule("root", "platform_admin")];
        let new = NewProvider { role_mapping: mapping, ..new_oidc("ours") };
        assert!(w.control.create_sso_provider(&admin(), &tenant(), &new).await.is_err());
        let provider = w.control.create_sso_provider(&Principal::system(), &tenant(), &new).await.unwrap();
        w.stub.next.lock().claims = json!({"groups": ["root"]});
        assert_eq!(w.sign_in(&provider).await.unwrap().user.id, ada.id);
        // Whom it then belongs to.
        let taken_over = NewProvider { role_mapping: Vec::new(), ..new };
        let update = w.control.update_sso_provider(&admin(), &tenant(), &provider.id, &taken_over).await;
        assert_eq!(update.unwrap_err().remedy(), Remedy::GetPermission);
        assert!(w.control.delete_sso_provider(&admin(), &tenant(), &provider.id).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_tenant_may_allow_nothing_else() {
    each_backend(async |f| {
        let w = world(&f).await;
        let person = async |email: &str, role: Role| {
            let new = NewUser { email, name: "x", role: role.as_str() };
            w.control.create_user(&tenant(), &Principal::system(), new).await.unwrap()
        };
        let admin = person("admin@example.com", Role::Admin).await;
        let root = person("root@example.com", Role::PlatformAdmin).await;
        let ways = async |user: &User| {
            let mut connection = w.control.read().await.unwrap();
            let mut may = Vec::new();
            for method in [SignInMethod::Password, SignInMethod::Link, SignInMethod::Saml] {
                may.push(refuse_if_sso_only(&mut connection, user, method).await.is_ok());
            }
            may
        };
        assert_eq!((ways(&admin).await, ways(&root).await), (vec![true; 3], vec![true; 3]));
        run(&f, r#"UPDATE tenants SET settings = '{"sso_only": true}' WHERE id = 'acme'"#).await;
        assert_eq!(
            (ways(&admin).await, ways(&root).await),
            (vec![false, false, true], vec![false, true, true])
        );

        let link = w.control.new_sign_in_link(&tenant(), &admin.id).await.unwrap();
        let error = w.control.redeem_link(link.token.expose(), Client::default()).await.unwrap_err();
        assert!(error.to_string().contains("identity provider only"), "{error}");
        let link = w.control.new_sign_in_link(&tenant(), &root.id).await.unwrap();
        w.control
            .redeem_link(link.token.expose(), Client::default())
            .await
            .expect("the way in when the provider is down");
        let provider = w.provider(new_oidc("okta")).await;
        let outcome = w.sign_in(&provider).await.unwrap();
        let session = w.sso.begin_session(&outcome, Client::default()).await.unwrap();
        let listed = w.control.sessions(&tenant(), &outcome.user.id).await.unwrap();
        assert_eq!(listed.iter().map(|session| session.method).collect::<Vec<_>>(), [SignInMethod::Oidc]);
        w.control.end_session(session.token.expose()).await.unwrap();
        assert!(w.control.authenticate_session(session.token.expose()).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn the_last_administrator_stays_one_whatever_the_groups_say() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(new_oidc("okta")).await;
        w.stub.next.lock().claims = json!({"groups": ["ops"]});
        assert_eq!(w.sign_in(&provider).await.unwrap().user.role, "admin");
        w.stub.next.lock().claims = json!({"groups": ["dev"]});
        assert_eq!(w.sign_in(&provider).await.unwrap().user.role, "admin");
        let new = NewUser { email: "bob@example.com", name: "Bob", role: Role::Admin.as_str() };
        w.control.create_user(&tenant(), &Principal::system(), new).await.unwrap();
        assert_eq!(w.sign_in(&provider).await.unwrap().user.role, "editor");
    })
    .await;
}

#[tokio::test]
async fn whoever_may_set_a_provider_up_becomes_nobody_who_may_do_more() {
    each_backend(async |f| {
        let w = world(&f).await;
        let system = Principal::system();
        let settings = crate::NewRole {
            name: "settings",
            description: "",
            permissions: Permissions::of(&[Permission::SettingsManage]),
            selector: None,
        };
        w.control.create_role(&tenant(), &system, settings).await.unwrap();
        let person = async |email: &str, role: &str| {
            let new = NewUser { email, name: "x", role };
            w.control.create_user(&tenant(), &system, new).await.unwrap()
        };
        let eve = person("eve@example.com", "settings").await;
        let eve = w.control.principal(&eve).await.unwrap();
        // A provider of her own says that she is whom she names.
        let own = NewProvider {
            role_mapping: Vec::new(),
            default_role: Some("settings".to_owned()),
            ..new_oidc("own")
        };
        let own = w.control.create_sso_provider(&eve, &tenant(), &own).await.unwrap();
        let ada = person("ada@example.com", "admin").await;
        for others in [0, 1] {
            if others > 0 {
                person("bob@example.com", "admin").await;
            }
            w.refused(w.sign_in(&own).await, "the account may do more than anyone whom this provider admits");
            assert_eq!(w.control.user(&tenant(), &ada.id).await.unwrap(), ada, "nor is she demoted");
        }
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_identities").await, 0);
    })
    .await;
}

#[tokio::test]
async fn an_account_is_linked_by_providers_of_its_domain_and_to_one_person_there() {
    each_backend(async |f| {
        let w = world(&f).await;
        let new = NewUser { email: "ada@example.com", name: "Ada", role: "viewer" };
        let ada = w.control.create_user(&tenant(), &Principal::system(), new).await.unwrap();
        let anyones = w.provider(NewProvider { domains: Vec::new(), ..new_oidc("anyones") }).await;
        w.refused(w.sign_in(&anyones).await, "an administrator can name its domain");
        w.stub.next.lock().claims = json!({"sub": "new", "email": "new@example.com"});
        w.stub.next.lock().info = json!({"sub": "new"});
        assert!(w.sign_in(&anyones).await.unwrap().created, "a new person is nobody's account");
        w.stub.next.lock().claims = json!({});
        w.stub.next.lock().info = json!({});
        let ours = w.provider(new_oidc("ours")).await;
        assert_eq!(w.sign_in(&ours).await.unwrap().user.id, ada.id);
        w.stub.next.lock().claims = json!({"sub": "another"});
        w.stub.next.lock().info = json!({"sub": "another"});
        w.refused(w.sign_in(&ours).await, "belongs to somebody else at this provider");
    })
    .await;
}

#[tokio::test]
async fn another_role_by_a_group_ends_what_was_begun_with_the_one_before() {
    each_backend(async |f| {
        let w = world(&f).await;
        let provider = w.provider(new_oidc("okta")).await;
        let outcome = w.sign_in(&provider).await.unwrap();
        let link = w.control.new_sign_in_link(&tenant(), &outcome.user.id).await.unwrap();
        let session = w.sso.begin_session(&outcome, Client::default()).await.unwrap();
        w.sign_in(&provider).await.unwrap();
        assert!(w.control.authenticate_session(session.token.expose()).await.is_ok(), "the same role");
        w.stub.next.lock().claims = json!({"groups": ["ops"]});
        assert_eq!(w.sign_in(&provider).await.unwrap().user.role, "admin");
        assert!(w.control.authenticate_session(session.token.expose()).await.is_err());
        assert!(w.control.redeem_link(link.token.expose(), Client::default()).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn what_was_begun_ends_with_its_provider_and_with_its_way() {
    each_backend(async |f| {
        let w = world(&f).await;
        let tokens = crate::Tokens::open(w.control.clone(), crate::TokenSettings::default()).await.unwrap();
        let binding = crate::Binding::default();
        let okta = w.provider(new_oidc("okta")).await;
        let other = w.provider(new_oidc("other")).await;
        let disabled = NewProvider { enabled: false, ..new_oidc("okta") };
        let elsewhere = {
            let config = OidcConfig { client_id: "client-2".to_owned(), ..oidc_config(ISSUER) };
            NewProvider { config: ProviderConfig::Oidc(config), ..new_oidc("okta") }
        };
        for end in ["disabled", "elsewhere", "removed"] {
            let enabled = new_oidc("okta");
            w.control.update_sso_provider(&admin(), &tenant(), &okta.id, &enabled).await.unwrap();
            let outcome = w.sign_in(&okta).await.unwrap();
            let begun = w.sso.begin_session(&outcome, Client::default()).await.unwrap();
            let pair = tokens.issue_to(&begun.id, &outcome.user.id, binding).await.unwrap();
            let kept = w.sign_in(&other).await.unwrap();
            let kept = w.sso.begin_session(&kept, Client::default()).await.unwrap();
            match end {
                "removed" => w.control.delete_sso_provider(&admin(), &tenant(), &okta.id).await.unwrap(),
                _ => {
                    let new = if end == "disabled" { &disabled } else { &elsewhere };
                    let changed = w.control.update_sso_provider(&admin(), &tenant(), &okta.id, new).await;
                    drop(changed.unwrap());
                }
            }
            f.clock.advance(std::time::Duration::from_secs(1));
            assert!(w.control.authenticate_session(begun.token.expose()).await.is_err(), "{end}");
            assert!(tokens.authenticate_access(pair.access.expose(), binding).await.is_err(), "{end}");
            assert!(w.control.authenticate_session(kept.token.expose()).await.is_ok(), "{end}");
        }
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_identities").await, 1, "of the other");

        let outcome = w.sign_in(&other).await.unwrap();
        let through = w.sso.begin_session(&outcome, Client::default()).await.unwrap();
        let link = w.control.new_sign_in_link(&tenant(), &outcome.user.id).await.unwrap();
        let by_link = w.control.redeem_link(link.token.expose(), Client::default()).await.unwrap();
        let pair = tokens.issue_to(&by_link.id, &outcome.user.id, binding).await.unwrap();
        w.control.put_tenant_settings(&tenant(), &json!({"sso_only": true})).await.unwrap();
        f.clock.advance(std::time::Duration::from_secs(1));
        assert!(w.control.authenticate_session(by_link.token.expose()).await.is_err());
        assert!(tokens.authenticate_access(pair.access.expose(), binding).await.is_err());
        assert!(w.control.authenticate_session(through.token.expose()).await.is_ok());
    })
    .await;
}
