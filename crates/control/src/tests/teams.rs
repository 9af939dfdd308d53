use super::*;

#[tokio::test]
async fn teams_have_members_and_own_projects() {
    each_backend(async |f| {
        let (c, t) = control_with(&f, "acme").await;
        let ada = someone(&c, &t, "ada@example.com", "viewer").await;
        let bob = someone(&c, &t, "bob@example.com", "viewer").await;
        let stranger = someone(&c, &tenant("default"), "eve@example.com", "viewer").await;
        let core = c.create_team(&t, " Core ").await.unwrap();
        let web = c.create_team(&t, "Web").await.unwrap();
        assert_eq!(c.teams(&t, None, 9).await.unwrap(), [core.clone(), web.clone()]);
        assert_eq!(c.teams(&t, Some("Core"), 9).await.unwrap(), std::slice::from_ref(&web));
        assert_taken(c.create_team(&t, "Core").await);
        assert_taken(c.rename_team(&t, &web.id, "Core").await);
        assert!(c.create_team(&tenant("default"), "Core").await.is_ok());

        for user in [&bob, &ada, &ada] {
            c.add_team_member(&t, &core.id, &user.id).await.unwrap();
        }
        let emails = async || {
            let members = c.team_members(&t, &core.id).await.unwrap();
            members.into_iter().map(|u| u.email).collect::<Vec<_>>()
        };
        assert_eq!(emails().await, ["ada@example.com", "bob@example.com"]);
        assert_eq!(c.teams_of(&t, &ada.id).await.unwrap(), std::slice::from_ref(&core));
        let all = c.users(&t, None, 100).await.unwrap();
        let facts = c.member_facts(&t, &all).await.unwrap();
        assert_eq!(facts.len(), all.len());
        assert_eq!(
            (facts[&ada.id].teams.as_slice(), facts[&ada.id].second_factor),
            (&["Core".to_owned()][..], false)
        );
        assert!(c.member_facts(&t, &[]).await.unwrap().is_empty());
        assert_missing(c.add_team_member(&t, &core.id, &stranger.id).await);
        assert_missing(c.add_team_member(&tenant("default"), &core.id, &stranger.id).await);
        assert_missing(c.remove_team_member(&tenant("default"), &core.id, &ada.id).await);
        assert_eq!(c.team_members(&tenant("default"), &core.id).await.unwrap(), []);
        c.delete_user(&t, &Principal::system(), &bob.id).await.unwrap();
        assert_eq!(emails().await, ["ada@example.com"]);

        let shop = NewProject { name: "Shop", description: "", team: Some(&core.id) };
        let project = c.create_project(&t, shop).await.unwrap();
        assert_taken(c.create_project(&t, shop).await);
        assert_missing(c.create_project(&tenant("default"), shop).await);
        assert_eq!(c.projects(&t, None, 9).await.unwrap(), std::slice::from_ref(&project));
        f.clock.advance(Duration::from_secs(1));
        let renamed = NewProject { name: "Store", description: "Sells", ..shop };
        let changed = c.update_project(&t, &project.id, renamed).await.unwrap();
        assert_eq!((changed.description.as_str(), changed.updated_at), ("Sells", NOW + 1_000));
        assert_missing(
            c.update_project(&tenant("default"), &project.id, NewProject { team: None, ..shop }).await,
        );

        c.remove_team_member(&t, &core.id, &ada.id).await.unwrap();
        c.remove_team_member(&t, &core.id, &ada.id).await.unwrap();
        assert_missing(c.delete_team(&tenant("default"), &core.id).await);
        c.delete_team(&t, &core.id).await.unwrap();
        assert_missing(c.delete_team(&t, &core.id).await);
        assert_eq!(c.projects(&t, None, 9).await.unwrap()[0].team, None, "the project stays");
        c.delete_project(&t, &project.id).await.unwrap();
        assert_missing(c.delete_project(&t, &project.id).await);
    })
    .await;
}
