use super::*;
use crate::provision::{Fault, Step};

const DASHBOARD: DeclaredKind = DeclaredKind::Object(ObjectKind::Dashboard);

/// Plans as a caller does: against what there is now.
async fn write(
    c: &Control,
    t: &TenantId,
    kind: DeclaredKind,
    name: &str,
    after: Option<Value>,
    file: &str,
) -> Write {
    let before = c.declared(t).await.unwrap().into_iter().find(|d| d.kind == kind && d.name == name);
    Write { kind, name: name.to_owned(), before, after, file: Some(file.to_owned()) }
}

fn role(permissions: &[&str]) -> Value {
    json!({ "permissions": permissions })
}

/// What there is, as texts.
async fn there(c: &Control, t: &TenantId) -> Vec<String> {
    let line = |d: Declared| {
        format!("{}/{} {} {}", d.kind.as_str(), d.name, d.spec, d.file.as_deref().unwrap_or("-"))
    };
    c.declared(t).await.unwrap().into_iter().map(line).collect()
}

/// One of each part.
async fn first_set(c: &Control, t: &TenantId) -> Vec<Write> {
    vec![
        write(c, t, DASHBOARD, "d", Some(json!({"n": 1})), "d.yaml").await,
        write(c, t, DeclaredKind::Role, "ops", Some(role(&["objects:read"])), "r.yaml").await,
        write(c, t, DeclaredKind::Limits, "tenant", Some(json!({"series": 5})), "l.yaml").await,
    ]
}

const FIRST: [&str; 3] = [
    r#"dashboard/d {"n":1} d.yaml"#,
    r#"role/ops {"permissions":["objects:read"]} r.yaml"#,
    r#"limits/tenant {"series":5} l.yaml"#,
];

#[tokio::test]
async fn a_set_of_both_parts_is_made_whole_or_not_at_all() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = Principal::system();
        c.apply(&t, &by, &first_set(&c, &t).await).await.unwrap();
        assert_eq!(there(&c, &t).await, FIRST);
        assert_eq!(c.tenant(&t).await.unwrap().limits, json!({"series": 5}), "at once");
        assert_eq!(rows(&f, "applies").await, 0);

        someone(&c, &t, "ada@example.com", "ops").await;
        let good = write(&c, &t, DASHBOARD, "d", Some(json!({"n": 2})), "d.yaml").await;
        let more = write(&c, &t, DeclaredKind::Settings, "tenant", Some(json!({"x": 1})), "s.yaml").await;
        let in_use = write(&c, &t, DeclaredKind::Role, "ops", None, "").await;
        let mut stale = good.clone();
        stale.before.as_mut().unwrap().version = 7;
        let mut there_already = good.clone();
        there_already.before = None;
        let mut other = more.clone();
        other.before = Some(Declared {
            kind: DeclaredKind::Settings,
            name: "tenant".into(),
            spec: json!({"y": 1}),
            file: None,
            version: 0,
        });
        let bad_role =
            write(&c, &t, DeclaredKind::Role, "all", Some(role(&["platform:manage"])), "r.yaml").await;
        for (set, at, want) in [
            (vec![good.clone(), in_use], 1, "name: \"ops\" is the role of 1 people"),
            (vec![more.clone(), stale], 1, "dashboard \"d\" was changed in the meantime"),
            (vec![more.clone(), there_already], 1, "dashboard \"d\" was changed in the meantime"),
            (vec![good.clone(), other], 1, "settings \"tenant\" was changed in the meantime"),
            (vec![good.clone(), bad_role], 1, "platform:manage"),
        ] {
            let failed = c.apply(&t, &by, &set).await.unwrap_err();
            assert_eq!(failed.at, Some(at), "{failed}");
            assert!(failed.to_string().contains(want), "{failed}");
            assert_eq!(there(&c, &t).await, FIRST);
        }
        let weak = asking(&c, &t, "eve@example.com", "editor").await;
        let new_role =
            write(&c, &t, DeclaredKind::Role, "new", Some(role(&["objects:read"])), "r.yaml").await;
        let failed = c.apply(&t, &weak, &[good.clone(), new_role]).await.unwrap_err();
        assert!(matches!(failed.error, ControlError::Forbidden { .. }), "{failed}");
        c.apply(&t, &by, &[good, more]).await.unwrap();
        assert_eq!(there(&c, &t).await[0], r#"dashboard/d {"n":2} d.yaml"#);
    })
    .await;
}

#[tokio::test]
async fn what_a_file_owns_is_changed_by_files_only_until_it_is_released() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = Principal::system();
        c.apply(&t, &by, &first_set(&c, &t).await).await.unwrap();
        let ops = NewRole { name: "ops", description: "", permissions: Permissions::NONE, selector: None };
        let kind = ObjectKind::Dashboard;
        let texts = [
            c.put_object(&t, kind, "d", &json!({}), None).await.unwrap_err().to_string(),
            c.delete_object(&t, kind, "d").await.unwrap_err().to_string(),
            c.update_role(&t, &by, ops).await.unwrap_err().to_string(),
            c.delete_role(&t, &by, "ops").await.unwrap_err().to_string(),
            c.put_tenant_limits(&t, &json!({})).await.unwrap_err().to_string(),
        ];
        for (text, (what, file)) in texts.iter().zip([
            ("dashboard/d", "d.yaml"),
            ("dashboard/d", "d.yaml"),
            ("role/ops", "r.yaml"),
            ("role/ops", "r.yaml"),
            ("limits/tenant", "l.yaml"),
        ]) {
            let wanted = text.contains(&format!("belongs to the file \"{file}\""))
                && text.ends_with(&format!("`bellwether apply --release {what}`"));
            assert!(wanted, "{text}");
        }
        c.put_tenant_settings(&t, &json!({"mine": 1})).await.unwrap();
        c.put_object(&t, kind, "mine", &json!({}), None).await.unwrap();
        let version = c.object(&t, kind, "d").await.unwrap().version;

        let mut release = Vec::new();
        for (kind, name) in [(DASHBOARD, "d"), (DeclaredKind::Role, "ops"), (DeclaredKind::Limits, "tenant")]
        {
            let mut write = write(&c, &t, kind, name, None, "").await;
            (write.after, write.file) = (write.before.as_ref().map(|before| before.spec.clone()), None);
            assert!(!write.changes_content());
            release.push(write);
        }
        c.apply(&t, &by, &release).await.unwrap();
        assert_eq!(c.object(&t, kind, "d").await.unwrap().version, version, "the content stayed");
        c.put_object(&t, kind, "d", &json!({}), None).await.unwrap();
        c.delete_role(&t, &by, "ops").await.unwrap();
        c.put_tenant_limits(&t, &json!({})).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_set_that_a_crash_cut_between_its_parts_is_ended_later() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = Principal::system();
        let set = first_set(&c, &t).await;
        *c.shared.creations.fault.lock() = Some(Fault::Crashes(Step::ApplyMigrations));
        c.apply(&t, &by, &set).await.unwrap_err();
        *c.shared.creations.fault.lock() = None;
        assert_eq!(there(&c, &t).await, FIRST[..1], "as a crash leaves it");
        c.resume_sagas().await.unwrap();
        assert_eq!(there(&c, &t).await, FIRST[..1], "it may still be under way");
        f.clock.advance(Duration::from_secs(61));
        c.resume_sagas().await.unwrap();
        assert_eq!(there(&c, &t).await, FIRST);
        assert_eq!(rows(&f, "applies").await, 0);

        // One of which nothing was done is forgotten, and what changed since stays.
        let mut stale = first_set(&c, &t).await;
        stale[0].before = None;
        stale[2].after = Some(json!({"series": 6}));
        c.apply(&t, &by, &stale).await.unwrap_err();
        assert_eq!(rows(&f, "applies").await, 1);
        f.clock.advance(Duration::from_secs(61));
        c.resume_sagas().await.unwrap();
        assert_eq!(rows(&f, "applies").await, 0);
        assert_eq!(there(&c, &t).await, FIRST);
    })
    .await;
}

#[tokio::test]
async fn own_telemetry_moves_to_the_platform_tenant_with_the_first_further_tenant_and_stays() {
    each_backend(async |f| {
        let c = control(&f).await;
        assert_eq!(c.telemetry_tenant().await.unwrap(), TenantId::default_tenant());
        add_tenant(&f, "acme").await;
        let platform = tenant(PLATFORM_TENANT);
        assert_eq!(c.telemetry_tenant().await.unwrap(), platform);
        assert_eq!(control(&f).await.telemetry_tenant().await.unwrap(), platform, "after a restart");
        c.begin_delete(&tenant("acme")).await.unwrap();
        c.finish_delete(&tenant("acme")).await.unwrap();
        assert_eq!(c.telemetry_tenant().await.unwrap(), platform, "it does not go back");
    })
    .await;
}
