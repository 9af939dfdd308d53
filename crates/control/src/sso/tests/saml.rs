use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use db::testing::each_backend;

use super::*;
use crate::sso::saml::testing::{Idp, Response};

fn new_saml(name: &str, idp: &Idp) -> NewProvider {
    let config = SamlConfig {
        entity_id: "urn:idp".into(),
        sso_url: "https://idp.test/sso".into(),
        certificates: vec![idp.certificate.clone()],
        ..SamlConfig::default()
    };
    NewProvider { config: ProviderConfig::Saml(config), client_secret: None, ..new_oidc(name) }
}

/// A sign-in under way: what the provider is asked, and the cookie.
struct Asked {
    request_id: String,
    state: String,
    browser: Secret,
}

impl World {
    async fn ask(&self, provider: &Provider) -> Asked {
        use std::io::Read;
        let begun = self.sso.begin(&tenant(), &provider.id, "/explore", None).await.unwrap();
        let url = Url::parse(&begun.url).unwrap();
        let value = |name: &str| url.query_pairs().find(|(n, _)| n == name).unwrap().1.into_owned();
        let deflated = STANDARD.decode(value("SAMLRequest")).unwrap();
        let mut xml = String::new();
        flate2::read::DeflateDecoder::new(&deflated[..]).read_to_string(&mut xml).unwrap();
        let request_id = xml.split("ID=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
        assert!(request_id.len() > 32 && xml.contains(&self.sso.acs_url(&provider.id)));
        Asked { request_id, state: value("RelayState"), browser: begun.browser }
    }

    fn response(&self, provider: &Provider, asked: &Asked) -> Response {
        let audience = self.sso.entity_id(&provider.id);
        let conditions = Response::default().conditions.replace("https://us.test/metadata", &audience);
        Response {
            destination: self.sso.acs_url(&provider.id),
            recipient: self.sso.acs_url(&provider.id),
            request_id: asked.request_id.clone(),
            confirmed_request_id: asked.request_id.clone(),
            conditions,
            ..Response::default()
        }
    }

    async fn answer(
        &self,
        provider: &Provider,
        asked: &Asked,
        xml: &str,
    ) -> Result<SsoOutcome, ControlError> {
        let posted = STANDARD.encode(xml);
        self.sso.finish_saml(&provider.id, &posted, &asked.state, asked.browser.expose()).await
    }
}

#[tokio::test]
async fn entra_and_okta_sign_people_in_by_saml() {
    each_backend(async |f| {
        let w = world(&f).await;
        let idp = Idp::new();
        let rows = [
            (
                "okta",
                "okta@example.com",
                Response::attribute("groups", &["Everyone", "dev"])
                    + &Response::attribute("displayName", &["Ada"]),
                "okta@example.com",
            ),
            (
                "entra",
                "opaque-subject",
                Response::attribute(
                    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
                    &["entra@example.com"],
                ) + &Response::attribute(
                    "http://schemas.microsoft.com/identity/claims/displayname",
                    &["Ada"],
                ) + &Response::attribute(
                    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
                    &["8f3b", "dev"],
                ),
                "entra@example.com",
            ),
        ];
        for (name, name_id, attributes, email) in rows {
            let provider = w.provider(new_saml(name, &idp)).await;
            for created in [true, false] {
                let asked = w.ask(&provider).await;
                let assertion_id = format!("_{name}_{created}");
                let attributes = attributes.clone();
                let response = Response {
                    name_id: name_id.into(),
                    attributes,
                    assertion_id,
                    ..w.response(&provider, &asked)
                };
                let outcome = w.answer(&provider, &asked, &response.signed(&idp)).await.unwrap();
                assert_eq!((outcome.created, outcome.user.email.as_str()), (created, email));
                assert_eq!((outcome.user.name.as_str(), outcome.user.role.as_str()), ("Ada", "editor"));
                assert_eq!((outcome.return_to.as_str(), outcome.provider), ("/explore", provider.id.clone()));
            }
        }
        assert_eq!(count(&f, "SELECT COUNT(*) FROM users").await, 2);
    })
    .await;
}

#[tokio::test]
async fn responses_are_good_once_and_for_one_request() {
    each_backend(async |f| {
        let w = world(&f).await;
        let idp = Idp::new();
        let provider = w.provider(new_saml("okta", &idp)).await;
        let asked = w.ask(&provider).await;
        let xml = w.response(&provider, &asked).signed(&idp);
        w.answer(&provider, &asked, &xml).await.unwrap();
        w.refused(w.answer(&provider, &asked, &xml).await, "was not begun in this browser");
        let second = w.ask(&provider).await;
        w.refused(w.answer(&provider, &second, &xml).await, "does not answer the request");
        // The same assertion signed anew for another request.
        let third = w.ask(&provider).await;
        let xml = w.response(&provider, &third).signed(&idp);
        w.refused(w.answer(&provider, &third, &xml).await, "has been used before");

        let other = w.provider(new_saml("other", &idp)).await;
        let asked = w.ask(&other).await;
        let xml = w.response(&provider, &asked).signed(&idp);
        w.refused(w.answer(&other, &asked, &xml).await, "is not meant for");

        f.clock.advance(std::time::Duration::from_secs(360));
        w.control.remove_ended().await.unwrap();
        assert_eq!(count(&f, "SELECT COUNT(*) FROM saml_replays").await, 0);
        let asked = w.ask(&provider).await;
        let xml = w.response(&provider, &asked).signed(&idp);
        w.refused(w.answer(&provider, &asked, &xml).await, "has expired");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_the_same_assertion_shown_at_once_one_counts() {
    each_backend(async |f| {
        let w = Arc::new(world(&f).await);
        let idp = Arc::new(Idp::new());
        let provider = w.provider(new_saml("okta", &idp)).await;
        let attempts: Vec<_> = (0..8)
            .map(|_| {
                let (w, idp, provider) = (w.clone(), idp.clone(), provider.clone());
                kit::spawn::spawn("sign in", async move {
                    let asked = w.ask(&provider).await;
                    let xml = w.response(&provider, &asked).signed(&idp);
                    w.answer(&provider, &asked, &xml).await.is_ok()
                })
            })
            .collect();
        let mut good = 0;
        for attempt in attempts {
            good += i32::from(attempt.await.unwrap());
        }
        assert_eq!(good, 1);
    })
    .await;
}

#[tokio::test]
async fn people_by_saml_obey_the_same_rules() {
    each_backend(async |f| {
        let w = world(&f).await;
        let idp = Idp::new();
        let provider = w.provider(new_saml("okta", &idp)).await;
        let cases = [
            ("eve@evil.com", String::new(), "addresses of this domain are not allowed"),
            ("opaque", String::new(), "names no email; send the attribute email"),
            ("ada@example.com", Response::attribute("email", &["ada@evil.com"]), "addresses of this domain"),
            ("ada@example.com<!-- -->.evil.com", String::new(), "addresses of this domain"),
        ];
        for (n, (name_id, attributes, want)) in cases.into_iter().enumerate() {
            let asked = w.ask(&provider).await;
            let assertion_id = format!("_{n}");
            let response = Response {
                name_id: name_id.into(),
                attributes,
                assertion_id,
                ..w.response(&provider, &asked)
            };
            w.refused(w.answer(&provider, &asked, &response.signed(&idp)).await, want);
        }
        let asked = w.ask(&provider).await;
        for posted in ["", "!", "é", &STANDARD.encode([0xff, 0xfe]), &"A".repeat(500_000)] {
            let asked = w.ask(&provider).await;
            let result = w.sso.finish_saml(&provider.id, posted, &asked.state, asked.browser.expose()).await;
            w.refused(result, "the response is refused");
        }
        let unsigned = w.response(&provider, &asked).xml();
        w.refused(w.answer(&provider, &asked, &unsigned).await, "is not signed");
    })
    .await;
}

#[tokio::test]
async fn a_name_that_changes_at_every_sign_in_does_not_pile_up() {
    each_backend(async |f| {
        let w = world(&f).await;
        let idp = Idp::new();
        let provider = w.provider(new_saml("okta", &idp)).await;
        for n in 0..3 {
            let asked = w.ask(&provider).await;
            let response = Response {
                name_id: format!("_{n}"),
                assertion_id: format!("_assertion{n}"),
                attributes: Response::attribute("email", &["ada@example.com"]),
                ..w.response(&provider, &asked)
            };
            let transient = r#"<saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:transient">"#;
            let xml = response.xml().replace("<saml:NameID>", transient);
            let xml = idp.sign(&xml, &response.assertion_id);
            assert_eq!(w.answer(&provider, &asked, &xml).await.unwrap().created, n == 0);
        }
        assert_eq!(count(&f, "SELECT COUNT(*) FROM sso_identities").await, 1);
    })
    .await;
}

#[tokio::test]
async fn metadata_is_fetched_and_given() {
    each_backend(async |f| {
        let w = world(&f).await;
        let idp = Idp::new();
        let provider = w.provider(new_saml("okta", &idp)).await;
        let ours = w.sso.saml_metadata(&provider.id);
        assert!(ours.contains(&w.sso.entity_id(&provider.id)) && ours.contains(&w.sso.acs_url(&provider.id)));
        let theirs = format!(
            r#"<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="urn:idp"><IDPSSODescriptor>
               <KeyDescriptor><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>{}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>
               <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.test/sso"/>
               </IDPSSODescriptor></EntityDescriptor>"#,
            idp.certificate
        );
        let fetched = async |status: u16, body: &str| {
            w.stub.next.lock().instead.insert("/metadata", (status, body.as_bytes().to_vec()));
            w.sso.fetch_saml_metadata(&tenant(), "https://idp.test/metadata").await
        };
        let ProviderConfig::Saml(want) = new_saml("okta", &idp).config else { unreachable!() };
        assert_eq!(fetched(200, &theirs).await.unwrap(), want);
        assert!(fetched(404, &theirs).await.unwrap_err().to_string().contains("status 404"));
        assert!(fetched(200, "<html/>").await.unwrap_err().to_string().starts_with("metadata: "));
        assert!(w.sso.fetch_saml_metadata(&tenant(), "https://elsewhere.test/").await.is_err());
        let unknown = w.sso.check_provider(&provider).await.unwrap_err().to_string();
        assert!(unknown.contains("answers our request with status 404; has it read our metadata"), "{unknown}");
        w.stub.next.lock().instead.insert("/sso", (302, Vec::new()));
        let report = w.sso.check_provider(&provider).await.unwrap();
        assert!(w.stub.asked.lock().iter().any(|asked| asked.contains("/sso?SAMLRequest=")));
        assert_eq!(report["acs_url"].as_str(), Some(w.sso.acs_url(&provider.id).as_str()));
    })
    .await;
}

#[tokio::test]
async fn a_session_ends_when_the_provider_says_and_metadata_comes_over_tls() {
    each_backend(async |f| {
        let w = world(&f).await;
        let idp = Idp::new();
        let provider = w.provider(new_saml("okta", &idp)).await;
        let asked = w.ask(&provider).await;
        let response = w.response(&provider, &asked);
        let until = kit::Clock::now_ms(&f.clock) + 3_600_000;
        let statement = format!(
            r#"<saml:AuthnStatement SessionNotOnOrAfter="{}" "#,
            jiff::Timestamp::from_millisecond(until).unwrap()
        );
        let xml = response.xml().replace("<saml:AuthnStatement ", &statement);
        assert!(xml.contains("SessionNotOnOrAfter"));
        let outcome = w.answer(&provider, &asked, &idp.sign(&xml, &response.assertion_id)).await.unwrap();
        let session = w.sso.begin_session(&outcome, Client::default()).await.unwrap();
        assert_eq!(session.expires_at, until);

        for url in ["http://idp.test/metadata", "ftp://idp.test/metadata", "idp.test"] {
            let error = w.sso.fetch_saml_metadata(&tenant(), url).await.unwrap_err().to_string();
            assert!(error.starts_with("metadata_url: must be an https address"), "{error}");
        }
        let ProviderConfig::Saml(config) = new_saml("x", &idp).config else { unreachable!() };
        let config = SamlConfig { sso_url: "http://idp.test/sso".into(), ..config };
        let new = NewProvider { config: ProviderConfig::Saml(config), ..new_saml("plain", &idp) };
        let error = w.control.create_sso_provider(&admin(), &tenant(), &new).await.unwrap_err().to_string();
        assert!(error.starts_with("sso_url: must be an https address"), "{error}");
    })
    .await;
}
