//! The request that sends a browser to the identity provider.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use url::Url;

use crate::sso::error::SsoError;
use crate::sso::saml::time_text;
use crate::sso::saml::xml::escaped;

/// What a request says.
pub(crate) struct Request<'a> {
    /// An identifier nobody can guess, beginning with a letter or `_`.
    pub(crate) id: &'a str,
    /// Milliseconds since the Unix epoch.
    pub(crate) now_ms: i64,
    pub(crate) entity_id: &'a str,
    pub(crate) acs_url: &'a str,
    /// Of the identity provider.
    pub(crate) sso_url: &'a str,
    /// At most 80 bytes; comes back with the response.
    pub(crate) relay_state: &'a str,
}

impl Request<'_> {
    /// The address to send the browser to, by the binding HTTP-Redirect.
    pub(crate) fn url(&self) -> Result<String, SsoError> {
        let message = |message: String| SsoError::Setup { what: "sign-on address", message };
        let mut url = Url::parse(self.sso_url).map_err(|error| message(error.to_string()))?;
        let mut deflated = DeflateEncoder::new(Vec::new(), Compression::default());
        let written = deflated.write_all(self.xml().as_bytes()).and_then(|()| deflated.finish());
        let deflated = written.expect("writing to a Vec cannot fail");
        url.query_pairs_mut()
            .append_pair("SAMLRequest", &STANDARD.encode(deflated))
            .append_pair("RelayState", self.relay_state);
        Ok(url.into())
    }

    fn xml(&self) -> String {
        let [id, entity_id, acs_url, sso_url] =
            [self.id, self.entity_id, self.acs_url, self.sso_url].map(escaped);
        let instant = time_text(self.now_ms);
        format!(
            r#"<samlp:AuthnRequest xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{id}" Version="2.0" IssueInstant="{instant}" Destination="{sso_url}" AssertionConsumerServiceURL="{acs_url}" ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"><saml:Issuer>{entity_id}</saml:Issuer><samlp:NameIDPolicy AllowCreate="true"/></samlp:AuthnRequest>"#
        )
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::DeflateDecoder;

    use super::*;
    use crate::sso::saml::xml::{parse, text};

    #[test]
    fn a_request_arrives_whole_beside_what_the_address_already_asks() {
        let request = Request {
            id: "_1",
            now_ms: 1_700_000_000_123,
            entity_id: "https://us.test/m?a&b",
            acs_url: "https://us.test/acs",
            sso_url: "https://idp.test/sso?app=7",
            relay_state: "state",
        };
        let url = Url::parse(&request.url().unwrap()).unwrap();
        let pairs: Vec<_> = url.query_pairs().collect();
        assert_eq!((pairs[0].0.as_ref(), pairs[0].1.as_ref()), ("app", "7"));
        assert_eq!((pairs[2].0.as_ref(), pairs[2].1.as_ref()), ("RelayState", "state"));
        let mut xml = String::new();
        let deflated = STANDARD.decode(pairs[1].1.as_bytes()).unwrap();
        DeflateDecoder::new(&deflated[..]).read_to_string(&mut xml).unwrap();
        let document = parse("request", &xml).unwrap();
        let root = document.root_element();
        assert_eq!(root.attribute("IssueInstant"), Some("2023-11-14T22:13:20.123Z"));
        assert_eq!(root.attribute("AssertionConsumerServiceURL"), Some("https://us.test/acs"));
        assert_eq!(text(root.first_element_child().unwrap()).unwrap(), "https://us.test/m?a&b");
    }
}
