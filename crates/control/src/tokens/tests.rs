//! Tokens on both kinds of database.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use db::testing::{Fixture, each_backend};
use kit::Clock;
use model::TenantId;
use serde_json::{Map, Value, json};
use sqlx::Row;

use super::*;
use crate::error::Remedy;
use crate::permissions::{Permission, Role};
use crate::sealed::Keyring;
use crate::users::{NewUser, UserState};

const HOME: Binding<'static> = Binding { address: "192.0.2.1", agent: "Firefox" };
const AWAY: Binding<'static> = Binding { address: "198.51.100.7", agent: "curl" };

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

/// A control plane with an active tenant; processes that share a keyring share their keys.
async fn control(f: &Fixture, keyring: &Keyring) -> Control {
    let control = Control::open(f.db.clone(), f.shared_clock(), keyring.clone()).await.unwrap();
    let insert = sqlx::query(
        "INSERT INTO tenants (id, name, state, created_at, updated_at) VALUES ('acme', 'Acme', 'active', 0, 0) \
         ON CONFLICT DO NOTHING",
    );
    let mut tx = control.begin().await.unwrap();
    tx.execute(insert).await.unwrap();
    tx.commit().await.unwrap();
    control
}

async fn user(c: &Control, email: &str, role: Role) -> User {
    let new = NewUser { email, name: "Ada", role: role.as_str() };
    c.create_user(&tenant(), &Principal::system(), new).await.unwrap()
}

async fn run(f: &Fixture, statement: &'static str) {
    let mut tx = f.db.control().begin().await.unwrap();
    tx.execute(statement).await.unwrap();
    tx.commit().await.unwrap();
}

struct World {
    control: Control,
    tokens: Tokens,
    ada: User,
    keyring: Keyring,
}

async fn world(f: &Fixture, settings: TokenSettings) -> World {
    let keyring = Keyring::ephemeral().unwrap();
    let control = control(f, &keyring).await;
    let tokens = Tokens::open(control.clone(), settings).await.unwrap();
    let ada = user(&control, "ada@example.com", Role::Editor).await;
    World { control, tokens, ada, keyring }
}

impl World {
    async fn good(&self, token: &Secret) -> bool {
        self.good_from(token, HOME).await
    }

    async fn good_from(&self, token: &Secret, binding: Binding<'_>) -> bool {
        good(&self.tokens, token.expose(), binding).await
    }
}

/// Whether a token is accepted; every refusal is the same.
async fn good(tokens: &Tokens, token: &str, binding: Binding<'_>) -> bool {
    match tokens.authenticate_access(token, binding).await {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.to_string(), "the token is not valid; sign in again");
            assert_eq!(error.remedy(), Remedy::Authenticate);
            false
        }
    }
}

fn part(token: &str, n: usize) -> Map<String, Value> {
    let text = token.split('.').nth(n).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

/// Signs what we would never sign, with our own key.
async fn forged(tokens: &Tokens, header: Value, claims: &Map<String, Value>) -> String {
    let key = tokens.signing_key().await.unwrap();
    let parts = [header.to_string(), Value::from(claims.clone()).to_string()];
    let message = parts.map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()).unwrap()))
}

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
async fn a_refresh_token_buys_one_pair_and_shown_again_ends_its_family() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let first = w.tokens.issue(&w.ada, HOME).await.unwrap();
        assert!(first.refresh.expose().starts_with("bwr_"));
        let second = w.tokens.refresh(first.refresh.expose(), HOME).await.unwrap();
        assert_eq!(second.family, first.family);
        assert_ne!(second.refresh, first.refresh);
        assert!(w.good(&first.access).await && w.good(&second.access).await);
        let other = w.tokens.issue(&w.ada, HOME).await.unwrap();

        assert!(w.tokens.refresh(first.refresh.expose(), HOME).await.is_err());
        assert!(!w.good(&first.access).await && !w.good(&second.access).await, "at once");
        assert!(w.tokens.refresh(second.refresh.expose(), HOME).await.is_err(), "the new one, too");
        assert!(w.good(&other.access).await, "another sign-in goes on");
        let families = w.tokens.families(&tenant(), &w.ada.id).await.unwrap();
        assert_eq!(families.iter().map(|family| &family.id).collect::<Vec<_>>(), [&other.family]);
        let mut connection = f.db.control().read().await.unwrap();
        let why = sqlx::query("SELECT revoked_why FROM token_families WHERE revoked_at IS NOT NULL")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
        assert_eq!(why.get::<String, _>(0), "a refresh token was used twice");
    })
    .await;
}

#[tokio::test]
async fn every_wrong_refresh_token_has_one_answer() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let token = pair.refresh.expose();
        let tampered = format!("{}A", &token[..token.len() - 1]).replace("AA", "AB");
        for wrong in [
            "",
            "bwr_",
            &tampered,
            pair.access.expose(),
            &token[4..],
            &format!("{token} "),
            &"x".repeat(9_000),
        ] {
            let error = w.tokens.refresh(wrong, HOME).await.unwrap_err();
            assert!(matches!(error, ControlError::InvalidToken), "{wrong:.20}: {error}");
        }
        assert!(w.good(&pair.access).await, "none of them touched the family");
        f.clock.advance(Duration::from_secs(30 * 86_400));
        assert!(w.tokens.refresh(token, HOME).await.is_err(), "expired");
        assert_eq!(w.tokens.families(&tenant(), &w.ada.id).await.unwrap().len(), 1, "which is no reuse");
        w.tokens.remove_ended().await.unwrap();
        f.clock.advance(Duration::from_secs(60 * 86_400));
        w.tokens.remove_ended().await.unwrap();
        let mut connection = f.db.control().read().await.unwrap();
        let left = sqlx::query(
            "SELECT (SELECT COUNT(*) FROM token_families) + (SELECT COUNT(*) FROM refresh_tokens) \
             + (SELECT COUNT(*) FROM token_issues)",
        );
        assert_eq!(left.fetch_one(&mut *connection).await.unwrap().get::<i64, _>(0), 0);
    })
    .await;
}

#[tokio::test]
async fn a_family_ends_after_ninety_days_however_often_it_is_renewed() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let mut pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        for _ in 0..4 {
            f.clock.advance(Duration::from_secs(20 * 86_400));
            pair = w.tokens.refresh(pair.refresh.expose(), HOME).await.unwrap();
        }
        f.clock.advance(Duration::from_secs(10 * 86_400));
        assert!(w.tokens.refresh(pair.refresh.expose(), HOME).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_refreshes_at_once_one_wins_and_the_family_ends() {
    each_backend(async |f| {
        let settings = TokenSettings { issue_max: 1_000, ..TokenSettings::default() };
        let w = world(&f, settings.clone()).await;
        // Two processes.
        let second = Tokens::open(control(&f, &w.keyring).await, settings).await.unwrap();
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let attempts: Vec<_> = (0..32)
            .map(|n| {
                let tokens = if n % 2 == 0 { w.tokens.clone() } else { second.clone() };
                let token = pair.refresh.clone();
                kit::spawn::spawn("refresh", async move { tokens.refresh(token.expose(), HOME).await })
            })
            .collect();
        let mut won = Vec::new();
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(pair) => won.push(pair),
                Err(ControlError::InvalidToken) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1);
        f.clock.advance(Duration::from_secs(1));
        for tokens in [&w.tokens, &second] {
            assert!(!good(tokens, pair.access.expose(), HOME).await);
            assert!(!good(tokens, won[0].access.expose(), HOME).await);
            assert!(tokens.refresh(won[0].refresh.expose(), HOME).await.is_err());
        }
        let families = w.tokens.families(&tenant(), &w.ada.id).await.unwrap();
        assert_eq!(families, []);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn revoking_while_tokens_are_refreshed_leaves_nothing_valid() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings { issue_max: 1_000, ..TokenSettings::default() }).await;
        let mut pairs = Vec::new();
        for _ in 0..8 {
            pairs.push(w.tokens.issue(&w.ada, HOME).await.unwrap());
        }
        let refreshes: Vec<_> = pairs
            .iter()
            .map(|pair| {
                let (tokens, token) = (w.tokens.clone(), pair.refresh.clone());
                kit::spawn::spawn("refresh", async move { tokens.refresh(token.expose(), HOME).await })
            })
            .collect();
        let revokes: Vec<_> = (0..4)
            .map(|_| {
                let (tokens, id) = (w.tokens.clone(), w.ada.id.clone());
                kit::spawn::spawn("revoke", async move {
                    tokens.revoke_families(&tenant(), &id, None, "signed out everywhere").await
                })
            })
            .collect();
        let mut ended = 0;
        for revoke in revokes {
            ended += revoke.await.unwrap().unwrap();
        }
        assert_eq!(ended, 8);
        for refresh in refreshes {
            if let Ok(pair) = refresh.await.unwrap() {
                assert!(!w.good(&pair.access).await);
                assert!(w.tokens.refresh(pair.refresh.expose(), HOME).await.is_err());
            }
        }
    })
    .await;
}

#[tokio::test]
async fn what_is_revoked_is_refused_here_at_once_and_elsewhere_within_a_second() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let second = Tokens::open(control(&f, &w.keyring).await, TokenSettings::default()).await.unwrap();
        let elsewhere = async |token: &Secret| good(&second, token.expose(), HOME).await;
        let a = w.tokens.issue(&w.ada, HOME).await.unwrap();
        let b = w.tokens.refresh(a.refresh.expose(), HOME).await.unwrap();
        assert!(elsewhere(&a.access).await && elsewhere(&b.access).await);

        let known = w.tokens.authenticate_access(a.access.expose(), HOME).await.unwrap();
        w.tokens.revoke_access(&known).await.unwrap();
        assert!(!w.good(&a.access).await && w.good(&b.access).await, "the family goes on");
        f.clock.advance(Duration::from_secs(1));
        assert!(!elsewhere(&a.access).await && elsewhere(&b.access).await);

        assert!(matches!(
            w.tokens.revoke_family(&TenantId::new("other").unwrap(), &b.family, "x").await,
            Err(ControlError::NotFound { .. })
        ));
        w.tokens.revoke_family(&tenant(), &b.family, "signed out").await.unwrap();
        w.tokens.revoke_family(&tenant(), &b.family, "signed out").await.unwrap();
        assert!(!w.good(&b.access).await);
        f.clock.advance(Duration::from_secs(1));
        assert!(!elsewhere(&b.access).await);
        assert!(second.refresh(b.refresh.expose(), HOME).await.is_err());

        let third = Tokens::open(control(&f, &w.keyring).await, TokenSettings::default()).await.unwrap();
        assert!(!good(&third, b.access.expose(), HOME).await, "nor by a process that starts later");
        f.clock.advance(Duration::from_secs(2_000));
        w.tokens.remove_ended().await.unwrap();
        assert_eq!(w.tokens.shared.news.len(), 0, "nothing is remembered longer than it matters");
    })
    .await;
}

#[tokio::test]
async fn a_person_ends_all_their_families_but_this_one() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let bob = user(&w.control, "bob@example.com", Role::Viewer).await;
        let (a, b) =
            (w.tokens.issue(&w.ada, HOME).await.unwrap(), w.tokens.issue(&w.ada, AWAY).await.unwrap());
        let other = w.tokens.issue(&bob, HOME).await.unwrap();
        let listed = w.tokens.families(&tenant(), &w.ada.id).await.unwrap();
        assert_eq!(listed.len(), 2);
        assert!(listed.iter().any(|family| family.id == b.family && family.address == AWAY.address));
        assert_eq!(w.tokens.families(&TenantId::new("other").unwrap(), &w.ada.id).await.unwrap(), []);
        let ended =
            w.tokens.revoke_families(&tenant(), &w.ada.id, Some(&a.family), "signed out elsewhere").await;
        assert_eq!(ended.unwrap(), 1);
        assert!(w.good(&a.access).await && !w.good(&b.access).await && w.good(&other.access).await);
        assert_eq!(w.tokens.revoke_families(&tenant(), &w.ada.id, None, "disabled").await.unwrap(), 1);
        assert!(!w.good(&a.access).await);
    })
    .await;
}

#[tokio::test]
async fn binding_is_an_option_for_address_and_agent() {
    each_backend(async |f| {
        let other_agent = Binding { agent: "curl", ..HOME };
        let other_address = Binding { address: "198.51.100.7", ..HOME };
        for (bind_address, bind_agent, from_agent, from_address) in [
            (false, false, true, true),
            (true, false, true, false),
            (false, true, false, true),
            (true, true, false, false),
        ] {
            let settings =
                TokenSettings { bind_address, bind_agent, issue_max: 1_000, ..TokenSettings::default() };
            let w = World {
                tokens: Tokens::open(control(&f, &Keyring::ephemeral().unwrap()).await, settings)
                    .await
                    .unwrap(),
                ..world_again(&f).await
            };
            w.tokens.rotate_signing_key().await.unwrap();
            for (binding, want) in [(other_agent, from_agent), (other_address, from_address), (HOME, true)] {
                let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
                assert_eq!(w.good_from(&pair.access, binding).await, want, "{binding:?}");
                let refreshed = w.tokens.refresh(pair.refresh.expose(), binding).await;
                assert_eq!(refreshed.is_ok(), want, "{binding:?}");
                if !want {
                    w.tokens.refresh(pair.refresh.expose(), HOME).await.expect("the refusal used nothing up");
                }
            }
        }
    })
    .await;
}

/// The same person in the same database.
async fn world_again(f: &Fixture) -> World {
    let keyring = Keyring::ephemeral().unwrap();
    let control = control(f, &keyring).await;
    let ada = match control.user(&tenant(), "ada@example.com").await {
        Ok(ada) => ada,
        Err(_) => user(&control, "ada@example.com", Role::Editor).await,
    };
    let tokens = Tokens::open(control.clone(), TokenSettings::default()).await.unwrap();
    World { control, tokens, ada, keyring }
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_person_is_issued_so_many_tokens_in_a_window() {
    each_backend(async |f| {
        let settings = TokenSettings { issue_max: 5, ..TokenSettings::default() };
        let w = world(&f, settings.clone()).await;
        let second = Tokens::open(control(&f, &w.keyring).await, settings).await.unwrap();
        let attempts: Vec<_> = (0..12)
            .map(|n| {
                let tokens = if n % 2 == 0 { w.tokens.clone() } else { second.clone() };
                let ada = w.ada.clone();
                kit::spawn::spawn("issue", async move { tokens.issue(&ada, HOME).await })
            })
            .collect();
        let mut pairs = Vec::new();
        for attempt in attempts {
            match attempt.await.unwrap() {
                Ok(pair) => pairs.push(pair),
                Err(ControlError::Throttled { retry_after_ms }) => assert_eq!(retry_after_ms, 60_000),
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(pairs.len(), 5, "over both processes");
        f.clock.advance(Duration::from_secs(20));
        let error = w.tokens.refresh(pairs[0].refresh.expose(), HOME).await.unwrap_err();
        assert!(matches!(error, ControlError::Throttled { retry_after_ms: 40_000 }), "{error}");
        assert_eq!(error.remedy(), Remedy::RetryLater);
        let bob = user(&w.control, "bob@example.com", Role::Viewer).await;
        w.tokens.issue(&bob, HOME).await.unwrap();
        f.clock.advance(Duration::from_secs(40));
        w.tokens.refresh(pairs[0].refresh.expose(), HOME).await.expect("the refusal used nothing up");
    })
    .await;
}

#[tokio::test]
async fn what_ends_a_persons_sessions_ends_their_tokens() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings { issue_max: 1_000, ..TokenSettings::default() }).await;
        let root = Principal::system();
        let (t, id) = (tenant(), w.ada.id.as_str());
        for n in 0..4 {
            let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
            match n {
                0 => drop(w.control.revoke_sessions(&t, id, None).await.unwrap()),
                1 => drop(w.control.set_role(&t, &root, id, "viewer").await.unwrap()),
                2 => w
                    .control
                    .change_password(&t, id, None, "correct horse battery staple", None)
                    .await
                    .unwrap(),
                _ => drop(w.control.set_user_state(&t, &root, id, UserState::Disabled).await.unwrap()),
            }
            f.clock.advance(Duration::from_secs(1));
            assert!(!w.good(&pair.access).await, "{n}");
            assert!(w.tokens.refresh(pair.refresh.expose(), HOME).await.is_err(), "{n}");
        }
    })
    .await;
}

#[tokio::test]
async fn removing_a_person_removes_their_tokens() {
    each_backend(async |f| {
        let w = world(&f, TokenSettings::default()).await;
        let pair = w.tokens.issue(&w.ada, HOME).await.unwrap();
        run(&f, "DELETE FROM users").await;
        w.tokens.forget_user(&w.ada.id);
        assert!(!w.good(&pair.access).await);
        assert!(w.tokens.refresh(pair.refresh.expose(), HOME).await.is_err());
    })
    .await;
}
