//! An identity provider for tests: a key of its own, and responses as one would want them or not.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::sso::saml::signature::DSIG;
use crate::sso::saml::time_text;
use crate::sso::saml::xml::{canonical, parse};

/// Made with openssl; its key is not kept.
pub(crate) const CERTIFICATE: &str = include_str!("../../../testdata/saml/rsa.pem");

pub(crate) const NOW: i64 = 1_700_000_000_000;

/// An identity provider with a key of its own.
pub(crate) struct Idp {
    key: RsaKeyPair,
    pub(crate) certificate: String,
}

impl Idp {
    pub(crate) fn new() -> Self {
        let key = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let spki: aws_lc_rs::encoding::PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        // As little of a certificate as a reader of keys must step over.
        let empty = sequence(&[]);
        let body =
            [&[0xa0, 3, 2, 1, 2], &[2, 1, 1][..], &empty, &empty, &empty, &empty, spki.as_ref()].concat();
        let certificate = sequence(&[sequence(&body), empty].concat());
        Self { key, certificate: STANDARD.encode(certificate) }
    }

    /// Puts a signature over the element with this identifier where `<!--ID-->` stands in it.
    pub(crate) fn sign(&self, xml: &str, id: &str) -> String {
        let algorithm = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
        let exclusive = "http://www.w3.org/2001/10/xml-exc-c14n#";
        let covered = canonical_of(xml, |node| node.attribute("ID") == Some(id));
        let value = STANDARD.encode(digest(&SHA256, covered.as_bytes()));
        let signature = format!(
            r##"<ds:Signature xmlns:ds="{DSIG}"><ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{exclusive}"/><ds:SignatureMethod Algorithm="{algorithm}"/><ds:Reference URI="#{id}"><ds:Transforms><ds:Transform Algorithm="{DSIG}enveloped-signature"/><ds:Transform Algorithm="{exclusive}"/></ds:Transforms><ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue>{value}</ds:DigestValue></ds:Reference></ds:SignedInfo><ds:SignatureValue>VALUE</ds:SignatureValue></ds:Signature>"##
        );
        let info = canonical_of(&signature, |node| node.tag_name().name() == "SignedInfo");
        let mut made = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), info.as_bytes(), &mut made).unwrap();
        xml.replace(&format!("<!--{id}-->"), &signature.replace("VALUE", &STANDARD.encode(made)))
    }
}

fn canonical_of(xml: &str, is_it: impl Fn(&roxmltree::Node<'_, '_>) -> bool) -> String {
    let document = parse("test", xml).unwrap();
    let node = document.descendants().find(is_it).unwrap();
    canonical(node, &[], None)
}

fn sequence(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    [&[0x30, 0x82], &length[..], content].concat()
}

/// A response about Ada, with every field that matters open to change.
pub(crate) struct Response {
    pub(crate) status: String,
    pub(crate) destination: String,
    pub(crate) request_id: String,
    pub(crate) issuer: String,
    pub(crate) assertion_id: String,
    pub(crate) assertion_issuer: String,
    pub(crate) issued: i64,
    pub(crate) name_id: String,
    pub(crate) recipient: String,
    pub(crate) confirmed_request_id: String,
    pub(crate) method: String,
    pub(crate) not_before: i64,
    pub(crate) not_after: i64,
    pub(crate) conditions: String,
    pub(crate) statements: String,
    pub(crate) attributes: String,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            status: r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/>"#.into(),
            destination: "https://us.test/acs".into(),
            request_id: "_request".into(),
            issuer: "urn:idp".into(),
            assertion_id: "_assertion".into(),
            assertion_issuer: "urn:idp".into(),
            issued: NOW,
            name_id: "ada@example.com".into(),
            recipient: "https://us.test/acs".into(),
            confirmed_request_id: "_request".into(),
            method: "urn:oasis:names:tc:SAML:2.0:cm:bearer".into(),
            not_before: NOW - 60_000,
            not_after: NOW + 300_000,
            conditions: "<saml:AudienceRestriction><saml:Audience>https://us.test/metadata</saml:Audience></saml:AudienceRestriction>".into(),
            statements: format!(r#"<saml:AuthnStatement AuthnInstant="{}"/>"#, time_text(NOW)),
            attributes: String::new(),
        }
    }
}

impl Response {
    /// The whole, with a place for a signature in the response and in the assertion.
    pub(crate) fn xml(&self) -> String {
        format!(
            r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_response" Version="2.0" IssueInstant="{}" Destination="{}" InResponseTo="{}"><saml:Issuer>{}</saml:Issuer><!--_response--><samlp:Status>{}</samlp:Status>{}</samlp:Response>"#,
            time_text(self.issued),
            self.destination,
            self.request_id,
            self.issuer,
            self.status,
            self.assertion(),
        )
    }

    pub(crate) fn assertion(&self) -> String {
        let Self { assertion_id, assertion_issuer, name_id, method, confirmed_request_id, .. } = self;
        let [issued, from, until] = [self.issued, self.not_before, self.not_after].map(time_text);
        format!(
            r#"<saml:Assertion xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="{assertion_id}" Version="2.0" IssueInstant="{issued}"><saml:Issuer>{assertion_issuer}</saml:Issuer><!--{assertion_id}--><saml:Subject><saml:NameID>{name_id}</saml:NameID><saml:SubjectConfirmation Method="{method}"><saml:SubjectConfirmationData InResponseTo="{confirmed_request_id}" Recipient="{}" NotOnOrAfter="{until}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{from}" NotOnOrAfter="{until}">{}</saml:Conditions>{}<saml:AttributeStatement>{}</saml:AttributeStatement></saml:Assertion>"#,
            self.recipient, self.conditions, self.statements, self.attributes,
        )
    }

    /// An attribute and its values.
    pub(crate) fn attribute(name: &str, values: &[&str]) -> String {
        let values = values.iter().map(|value| format!("<saml:AttributeValue>{value}</saml:AttributeValue>"));
        format!(r#"<saml:Attribute Name="{name}">{}</saml:Attribute>"#, values.collect::<String>())
    }

    /// With the assertion signed.
    pub(crate) fn signed(&self, idp: &Idp) -> String {
        idp.sign(&self.xml(), &self.assertion_id)
    }
}
