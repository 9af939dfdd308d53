use super::*;

#[tokio::test]
async fn bad_fields_are_named() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "t").await;
        let by = Principal::system();
        let user = |email, name| NewUser { email, name, role: "viewer" };
        let role = |name, permissions, selector| NewRole { name, description: "", permissions, selector };
        let project = |name, description| NewProject { name, description, team: None };
        let long = "x".repeat(201);
        for (result, want) in [
            (c.create_key(&t, &by, key(" ")).await.map(drop), "name: must not be empty"),
            (c.create_key(&t, &by, key("a\nb")).await.map(drop), "name: must not hold control characters"),
            (
                c.create_key(&t, &by, NewKey { expires_at: Some(5), ..key("k") }).await.map(drop),
                "expires_at: lies in the past; give a later time or none",
            ),
            (
                c.create_user(&t, &by, user("ada", "Ada")).await.map(drop),
                "email: must be an address such as ada@example.com",
            ),
            (
                c.create_user(&t, &by, user("a da@example.com", "Ada")).await.map(drop),
                "email: must be an address such as ada@example.com",
            ),
            (
                c.create_user(&t, &by, NewUser { role: "king", ..user("a@b", "Ada") }).await.map(drop),
                "role: \"king\" is no role of the tenant; use one of its own or viewer, responder, editor, admin, \
                 platform_admin",
            ),
            (
                c.create_role(&t, &by, role("Ops", Permissions::NONE, None)).await.map(drop),
                "name: \"Ops\" must be lower-case letters, digits, '-' and '_', beginning with a letter",
            ),
            (
                c.create_role(&t, &by, role("admin", Permissions::NONE, None)).await.map(drop),
                "name: \"admin\" is built in; choose another name",
            ),
            (
                c.create_role(&t, &by, role("ops", Permissions::ALL, None)).await.map(drop),
                "permissions: platform:manage belongs to no tenant's own role; give platform_admin instead",
            ),
            (
                c.create_role(&t, &by, role("ops", Permissions::NONE, Some(" "))).await.map(drop),
                "selector: must not be empty",
            ),
            (c.create_team(&t, "").await.map(drop), "name: must not be empty"),
            (
                c.create_project(&t, project("p", &"x".repeat(1_001))).await.map(drop),
                "description: has 1001 bytes; at most 1000 are allowed",
            ),
            (
                c.put_tenant_settings(&t, &json!([])).await.map(drop),
                "settings: must be a JSON object",
            ),
            (
                c.put_tenant_limits(&t, &json!({"x": "x".repeat(64 << 10)})).await.map(drop),
                "limits: has 65544 bytes; at most 65536 are allowed",
            ),
            (
                c.rotate_key(&t, &by, "key_x", -1).await.map(drop),
                "overlap_ms: -1 is not between 0 and 2592000000, which is 30 days",
            ),
            (
                c.put_object(&t, ObjectKind::Query, &long, &Value::Null, None).await.map(drop),
                "name: has 201 bytes; at most 200 are allowed",
            ),
            (
                c.put_object(&t, ObjectKind::Query, "q", &json!("x".repeat(1 << 20)), None).await.map(drop),
                "spec: has 1048578 bytes; at most 1048576 are allowed",
            ),
            (
                c.put_object(&t, ObjectKind::Query, "q", &json!("\0"), None).await.map(drop),
                "spec: must not hold the character U+0000",
            ),
        ] {
            let error = result.unwrap_err();
            assert_eq!((error.to_string().as_str(), error.remedy()), (want, Remedy::FixRequest));
        }
    })
    .await;
}

#[test]
fn spellings_read_back() {
    assert!(ObjectKind::ALL.into_iter().all(|kind| ObjectKind::parse(kind.as_str()) == Some(kind)));
    assert!(KeyScope::ALL.into_iter().all(|scope| KeyScope::parse(scope.as_str()) == Some(scope)));
    assert!(TenantState::ALL.into_iter().all(|state| TenantState::parse(state.as_str()) == Some(state)));
    assert!(SignInMethod::ALL.into_iter().all(|way| SignInMethod::parse(way.as_str()) == Some(way)));
    assert_eq!((ObjectKind::parse("x"), Role::parse(""), KeyScope::parse("Admin")), (None, None, None));
}
