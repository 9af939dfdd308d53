use super::*;

const READ: Permissions = Permissions::of(&[Permission::TelemetryRead]);

fn role(name: &str) -> NewRole<'_> {
    NewRole { name, description: " On call ", permissions: READ, selector: None }
}

#[tokio::test]
async fn a_tenants_own_role_permits_and_shows_what_it_says_at_once() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = asking(&c, &t, "boss@example.com", "admin").await;
        let selector = r#"{team=~"a-.*"}"#;
        let made = c.create_role(&t, &by, NewRole { selector: Some(selector), ..role("ops") }).await.unwrap();
        assert_eq!((made.description.as_str(), made.selector.as_deref()), ("On call", Some(selector)));
        assert_taken(c.create_role(&t, &by, role("ops")).await);
        assert_eq!(c.roles(&t).await.unwrap(), [made]);
        assert_eq!(c.roles(&tenant("default")).await.unwrap(), []);

        let ada = someone(&c, &t, "ada@example.com", "ops").await;
        let session = session_of(&c, &ada).await;
        let seen = async || c.authenticate_session(session.token.expose()).await.unwrap().principal;
        assert_eq!((seen().await.permissions, seen().await.selector.as_deref()), (READ, Some(selector)));
        let robot = c.create_service_account(&t, &by, "robot", "ops").await.unwrap();
        let grant = KeyGrant::ServiceAccount(robot.id.clone());
        let (_, secret) = c.create_key(&t, &by, NewKey { grant, ..key("k") }).await.unwrap();
        assert_eq!(c.authenticate_key(secret.expose()).await.unwrap().selector.as_deref(), Some(selector));

        let wider = READ.and(Permissions::of(&[Permission::ObjectsRead]));
        c.update_role(&t, &by, NewRole { permissions: wider, ..role("ops") }).await.unwrap();
        assert_eq!((seen().await.permissions, seen().await.selector), (wider, None));
        assert_eq!(c.authenticate_key(secret.expose()).await.unwrap().permissions, wider);

        for what in ["2 people", "1 service accounts"] {
            if what == "2 people" {
                someone(&c, &t, "bob@example.com", "ops").await;
            }
            let error = c.delete_role(&t, &by, "ops").await.unwrap_err().to_string();
            assert_eq!(error, format!("name: \"ops\" is the role of {what}; give them another one first"));
            for user in c.users(&t, None, 9).await.unwrap().iter().filter(|user| user.role == "ops") {
                c.set_role(&t, &by, &user.id, "viewer").await.unwrap();
            }
        }
        c.delete_service_account(&t, &by, &robot.id).await.unwrap();
        c.delete_role(&t, &by, "ops").await.unwrap();
        assert_missing(c.delete_role(&t, &by, "ops").await);
        assert!(c.delete_role(&t, &by, "admin").await.is_err());
    })
    .await;
}

#[tokio::test]
async fn whoever_sees_a_part_grants_only_that_part() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let lead = NewRole {
            permissions: READ.and(Permissions::of(&[
                Permission::ObjectsRead,
                Permission::SettingsRead,
                Permission::MembersManage,
                Permission::KeysManage,
            ])),
            selector: Some("{team=\"a\"}"),
            ..role("lead")
        };
        c.create_role(&t, &Principal::system(), lead).await.unwrap();
        let by = asking(&c, &t, "lead@example.com", "lead").await;
        // What a key sees is what its creator sees.
        let query = KeyGrant::Scopes(KeyScopes::of(&[KeyScope::Query]).unwrap());
        let (made, secret) =
            c.create_key(&t, &by, NewKey { grant: query.clone(), ..key("k") }).await.unwrap();
        assert_eq!(made.selector.as_deref(), Some("{team=\"a\"}"));
        assert_eq!(c.keys(&t, None, 10).await.unwrap().last().unwrap().selector, made.selector);
        let seen = c.authenticate_key(secret.expose()).await.unwrap();
        assert_eq!(seen.selector, made.selector);
        c.rotate_key(&t, &by, &made.id, 0).await.unwrap();
        let system = Principal::system();
        let (whole, _) = c.create_key(&t, &system, NewKey { grant: query, ..key("all") }).await.unwrap();
        assert_eq!(whole.selector, None);
        assert_forbidden(c.rotate_key(&t, &by, &whole.id, 0).await);
        assert_forbidden(c.create_role(&t, &by, role("wide")).await);
        assert_forbidden(
            c.create_role(&t, &by, NewRole { selector: Some("{team=\"b\"}"), ..role("b") }).await,
        );
        assert_forbidden(c.update_role(&t, &by, NewRole { permissions: READ, ..role("lead") }).await);
        c.create_role(&t, &by, NewRole { selector: Some("{team=\"a\"}"), ..role("part") }).await.unwrap();
        someone(&c, &t, "v@example.com", "viewer").await;
        c.invite(&t, &by, "new@example.com", "part").await.unwrap();
        assert_forbidden(c.invite(&t, &by, "new@example.com", "viewer").await);
    })
    .await;
}

#[tokio::test]
async fn a_tenant_has_a_hundred_roles_of_its_own_at_most() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = Principal::system();
        for n in 0..100 {
            c.create_role(&t, &by, role(&format!("r{n}"))).await.unwrap();
        }
        let error = c.create_role(&t, &by, role("more")).await.unwrap_err().to_string();
        assert_eq!(error, "name: the tenant has 100 roles of its own already; remove one first");
    })
    .await;
}
