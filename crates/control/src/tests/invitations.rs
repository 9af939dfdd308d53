use super::*;

#[tokio::test]
async fn an_invitation_makes_a_person_once() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = asking(&c, &t, "boss@example.com", "admin").await;
        let (invitation, token) = c.invite(&t, &by, "Ada@Example.com", "editor").await.unwrap();
        assert_eq!(
            (invitation.email.as_str(), invitation.invited_by.as_str()),
            ("ada@example.com", "boss@example.com")
        );
        assert_eq!(c.invitations(&t, None, 9).await.unwrap(), std::slice::from_ref(&invitation));
        assert_eq!(c.invitation(token.expose()).await.unwrap(), invitation);
        assert!(!stored_texts(&f).await.contains(&token.expose()[4..20]));

        for (name, password, field) in
            [(" ", PASSWORD, "name"), ("Ada", "short", "password"), ("Ada", "my name is ada!", "password")]
        {
            let refused = c.accept_invitation(token.expose(), name, password, CLIENT).await;
            assert!(
                matches!(refused, Err(ControlError::Invalid { field: f, .. }) if f == field),
                "{refused:?}"
            );
        }
        let there = control(&f).await;
        let (x, y) = tokio::join!(
            c.accept_invitation(token.expose(), "Ada", PASSWORD, CLIENT),
            there.accept_invitation(token.expose(), "Eve", PASSWORD, CLIENT)
        );
        assert_eq!([x.is_ok(), y.is_ok()].iter().filter(|ok| **ok).count(), 1, "one of two at once");
        let session = x.or(y).unwrap();
        assert_eq!((session.user.role.as_str(), session.user.email.as_str()), ("editor", "ada@example.com"));
        let info = c.sessions(&t, &session.user.id).await.unwrap();
        assert_eq!(info[0].method, SignInMethod::Invitation);
        let sign_in =
            SignIn { tenant: None, email: "ada@example.com", password: PASSWORD, code: None, client: CLIENT };
        c.sign_in(sign_in).await.unwrap();
        assert!(matches!(c.invitation(token.expose()).await, Err(ControlError::InvalidInvitation)));
        assert_taken(c.invite(&t, &by, "ada@example.com", "viewer").await);
        assert_eq!(c.invitations(&t, None, 9).await.unwrap(), []);
    })
    .await;
}

#[tokio::test]
async fn invitations_end_when_revoked_repeated_or_old() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let by = Principal::system();
        let accept =
            async |token: &Secret| c.accept_invitation(token.expose(), "Ada", PASSWORD, CLIENT).await;
        let (first, first_token) = c.invite(&t, &by, "ada@example.com", "viewer").await.unwrap();
        let (second, second_token) = c.invite(&t, &by, "ada@example.com", "editor").await.unwrap();
        assert_eq!(c.invitations(&t, None, 9).await.unwrap(), std::slice::from_ref(&second));
        assert!(matches!(accept(&first_token).await, Err(ControlError::InvalidInvitation)));
        assert_missing(c.revoke_invitation(&t, &by, &first.id).await);
        assert_missing(c.revoke_invitation(&tenant("default"), &by, &second.id).await);
        c.revoke_invitation(&t, &by, &second.id).await.unwrap();
        assert!(matches!(accept(&second_token).await, Err(ControlError::InvalidInvitation)));

        let (_, late) = c.invite(&t, &by, "ada@example.com", "viewer").await.unwrap();
        f.clock.advance(7 * DAY);
        assert!(matches!(accept(&late).await, Err(ControlError::InvalidInvitation)));
        assert_eq!(c.invitations(&t, None, 9).await.unwrap(), []);
        c.remove_ended().await.unwrap();
        assert_eq!(rows(&f, "invitations").await, 0);

        let (_, token) = c.invite(&t, &by, "ada@example.com", "viewer").await.unwrap();
        c.suspend_tenant(&t).await.unwrap();
        assert!(matches!(accept(&token).await, Err(ControlError::TenantInactive { .. })));
        c.activate_tenant(&t).await.unwrap();
        accept(&token).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_somebody_handed_out_ends_when_their_own_access_does() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let system = Principal::system();
        someone(&c, &t, "boss@example.com", "admin").await;
        let ada = someone(&c, &t, "ada@example.com", "viewer").await;
        for end in ["disabled", "demoted", "removed"] {
            let by = asking(&c, &t, &format!("{end}@example.com"), "admin").await;
            let (_, invited) = c.invite(&t, &by, "friend@example.com", "admin").await.unwrap();
            let link = c.give_sign_in_link(&t, &by, &ada.id).await.unwrap();
            let id = by.who.id.as_str();
            match end {
                "disabled" => drop(c.set_user_state(&t, &system, id, UserState::Disabled).await.unwrap()),
                "demoted" => drop(c.set_role(&t, &system, id, "viewer").await.unwrap()),
                _ => c.delete_user(&t, &system, id).await.unwrap(),
            }
            let refused = c.invitation(invited.expose()).await;
            assert!(matches!(refused, Err(ControlError::InvalidInvitation)), "{end}");
            let refused = c.redeem_link(link.token.expose(), CLIENT).await;
            assert!(matches!(refused, Err(ControlError::InvalidLink)), "{end}");
        }
        let hr = Role::Viewer.permissions().and(Permissions::of(&[Permission::MembersManage]));
        let hr = NewRole { name: "hr", description: "", permissions: hr, selector: None };
        c.create_role(&t, &system, hr).await.unwrap();
        let hr = asking(&c, &t, "hr@example.com", "hr").await;
        let (grand, _) = c.invite(&t, &system, "friend@example.com", "admin").await.unwrap();
        assert_forbidden(c.revoke_invitation(&t, &hr, &grand.id).await);
        let (modest, _) = c.invite(&t, &system, "guest@example.com", "viewer").await.unwrap();
        c.revoke_invitation(&t, &hr, &modest.id).await.unwrap();
    })
    .await;
}
