//! Responses that are accepted, and all those that are not.

use std::sync::LazyLock;

use crate::sso::error::SsoError;
use crate::sso::saml::keys::certificate;
use crate::sso::saml::response::{Assertion, Expected, check};
use crate::sso::saml::testing::{CERTIFICATE, Idp, NOW, Response};

static IDP: LazyLock<Idp> = LazyLock::new(Idp::new);

fn check_at(xml: &str, certificates: &[String], now_ms: i64) -> Result<Assertion, SsoError> {
    let expected = Expected {
        idp_entity_id: "urn:idp",
        certificates,
        entity_id: "https://us.test/metadata",
        acs_url: "https://us.test/acs",
        request_id: "_request",
        now_ms,
    };
    check(xml, &expected)
}

fn check_ours(xml: &str) -> Result<Assertion, SsoError> {
    check_at(xml, std::slice::from_ref(&IDP.certificate), NOW)
}

#[track_caller]
fn refused(xml: &str, want: &str) {
    let error = check_ours(xml).unwrap_err().to_string();
    assert!(error.contains(want), "{error}\n{xml}");
}

/// Signed with another program's canonicalization: libxml2 and xmlsec's rules, not ours.
#[test]
fn responses_signed_elsewhere_are_accepted() {
    let rsa = [certificate(CERTIFICATE).unwrap()];
    let ec = [certificate(include_str!("../../../testdata/saml/ec.pem")).unwrap()];
    let assertion = include_str!("../../../testdata/saml/assertion_signed.xml");
    for (xml, certificates) in [
        (assertion, &rsa),
        (include_str!("../../../testdata/saml/both_signed.xml"), &rsa),
        (include_str!("../../../testdata/saml/default_namespace.xml"), &rsa),
        (include_str!("../../../testdata/saml/response_signed_ec.xml"), &ec),
    ] {
        let assertion = check_at(xml, certificates, NOW).unwrap();
        assert_eq!(assertion.expires_at, NOW + 360_000);
        let foreign = [IDP.certificate.clone()];
        assert!(check_at(xml, &foreign, NOW).is_err(), "the key is not the one in the metadata");
        let tampered = xml.replace("ada@example.com", "eve@example.com");
        assert!(tampered != xml && check_at(&tampered, certificates, NOW).is_err());
    }
    let read = check_at(assertion, &rsa, NOW).unwrap();
    assert_eq!((read.id.as_str(), read.name_id.as_str()), ("id22", "ada@example.com"));
    assert_eq!(read.attributes["groups"], ["Ops & \"Dev\" <eu>", "Käfer 東京"]);
}

#[test]
fn a_signature_on_the_response_the_assertion_or_both_will_do() {
    let plain = Response::default().xml();
    let assertion = IDP.sign(&plain, "_assertion");
    for xml in [&assertion, &IDP.sign(&plain, "_response"), &IDP.sign(&assertion, "_response")] {
        assert_eq!(check_ours(xml).unwrap().name_id, "ada@example.com");
    }
    refused(&plain, "is not signed");
    let both = IDP.sign(&assertion, "_response");
    // One good signature does not make up for a bad one.
    let spoiled = both.replacen("<ds:SignatureValue>", "<ds:SignatureValue>AAAA", 1);
    refused(&spoiled, "a key that is not in the identity provider's metadata");
}

#[test]
fn what_was_changed_after_signing_is_refused() {
    let signed = Response::default().signed(&IDP);
    for (from, to, want) in [
        ("ada@example.com", "eve@example.com", "does not cover"),
        ("<saml:Audience>", "<saml:Audience> ", "does not cover"),
        (
            "<saml:AttributeStatement>",
            "<saml:AttributeStatement><saml:Attribute Name=\"x\"/>",
            "does not cover",
        ),
        ("<ds:DigestValue>", "<ds:DigestValue>AAAA", "does not cover"),
        ("xmldsig-more#rsa-sha256", "xmldsig-more#rsa-sha512", "a key that is not"),
        ("xmldsig-more#rsa-sha256", "xmldsig-more#rsa-md5", "which is not safe"),
        ("2001/04/xmlenc#sha256", "2000/09/xmldsig#sha1", "which is not safe"),
        ("#enveloped-signature\"", "#base64\"", "uses transforms other than"),
        ("<ds:Transforms>", "<ds:Transforms><ds:Transform Algorithm=\"x\"/>", "uses transforms other than"),
        (
            "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"/>",
            "",
            "canonicalized",
        ),
        ("URI=\"#_assertion\"", "URI=\"\"", "does not refer to the element"),
        ("URI=\"#_assertion\"", "URI=\"#_response\"", "does not refer to the element"),
        ("URI=\"#_assertion\"", "URI=\"http://evil.test/\"", "does not refer to the element"),
        ("</ds:SignedInfo>", "</ds:SignedInfo><ds:SignedInfo/>", "has not one SignedInfo"),
        ("<ds:SignatureValue>", "<ds:SignatureValue>!", "SignatureValue in base64"),
        ("Version=\"2.0\"", "Version=\"1.1\"", "is no SAML 2.0 Response"),
        ("<saml:Issuer>", "<!DOCTYPE x><saml:Issuer>", "is no XML we read"),
    ] {
        assert!(signed.contains(from), "{from}");
        refused(&signed.replacen(from, to, 1), want);
    }
    refused(&format!("<!DOCTYPE r [<!ENTITY e \"x\">]>{signed}"), "is no XML we read");
}

#[test]
fn sha1_is_refused_even_when_the_signature_is_good() {
    // Both signed with one key by xmlsec1, which verifies both.
    let key = [certificate(include_str!("../../../testdata/saml/sha1.pem")).unwrap()];
    check_at(include_str!("../../../testdata/saml/sha1_key_sha256.xml"), &key, NOW).unwrap();
    let error = check_at(include_str!("../../../testdata/saml/sha1.xml"), &key, NOW).unwrap_err().to_string();
    assert!(error.contains("rsa-sha1, which is not safe"), "{error}");
}

#[test]
fn a_signed_response_for_someone_else_or_another_time_is_refused() {
    type Change = fn(&mut Response);
    let rows: [(Change, &str); 24] = [
        (|r| r.destination = "https://evil.test/acs".into(), "response is refused: it is not meant for"),
        (|r| r.request_id = "_other".into(), "response is refused: it does not answer the request"),
        (|r| r.issuer = "urn:other".into(), "response is refused: it was not issued by urn:idp"),
        (|r| r.assertion_issuer = "urn:other".into(), "assertion is refused: it was not issued by urn:idp"),
        (|r| r.recipient = "https://evil.test/acs".into(), "assertion is refused: it is not meant for"),
        (
            |r| r.confirmed_request_id = "_other".into(),
            "assertion is refused: it does not answer the request",
        ),
        (|r| r.method = "urn:oasis:names:tc:SAML:2.0:cm:sender-vouches".into(), "has no bearer confirmation"),
        (|r| r.not_before = NOW + 61_000, "is not valid yet"),
        (|r| r.not_after = NOW - 60_000, "has expired"),
        (|r| r.issued = NOW + 61_000, "was issued in the future"),
        (|r| r.conditions = r.conditions.replace("us.test", "other.test"), "is not for the audience"),
        (|r| r.conditions.clear(), "is not restricted to an audience"),
        (|r| r.conditions += "<saml:Condition/>", "has a condition we do not know"),
        // Every restriction must name us.
        (
            |r| {
                r.conditions +=
                    "<saml:AudienceRestriction><saml:Audience>x</saml:Audience></saml:AudienceRestriction>"
            },
            "is not for the audience",
        ),
        (|r| r.statements.clear(), "does not say that anyone signed in"),
        (
            |r| r.statements = r#"<saml:AuthnStatement SessionNotOnOrAfter="2023-01-01T00:00:00Z"/>"#.into(),
            "has expired",
        ),
        (
            |r| r.statements = r#"<saml:AuthnStatement SessionNotOnOrAfter="soon"/>"#.into(),
            "has a SessionNotOnOrAfter that is no time",
        ),
        (|r| r.name_id.clear(), "has no NameID"),
        (|r| r.name_id = "<x/>ada".into(), "has no NameID"),
        (|r| r.name_id = "x".repeat(2_000), "has no NameID"),
        (
            |r| {
                r.status = r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Responder"/><samlp:StatusMessage>no such user</samlp:StatusMessage>"#.into()
            },
            "refused the sign-in: no such user",
        ),
        (
            |r| {
                r.status =
                    r#"<samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:AuthnFailed"/>"#.into()
            },
            "refused the sign-in: AuthnFailed",
        ),
        (|r| r.status.clear(), "refused the sign-in: "),
        (|r| r.attributes = Response::attribute("g", &["x"; 2_001]), "send fewer groups"),
    ];
    for (change, want) in rows {
        let mut response = Response::default();
        change(&mut response);
        refused(&response.signed(&IDP), want);
    }
}

#[test]
fn clocks_may_differ_by_a_minute_and_no_more() {
    let xml = Response::default().signed(&IDP);
    let keys = [IDP.certificate.clone()];
    for (now, good) in [
        (NOW - 120_000, false),
        (NOW - 60_000, true),
        (NOW, true),
        (NOW + 359_999, true),
        (NOW + 360_000, false),
    ] {
        assert_eq!(check_at(&xml, &keys, now).is_ok(), good, "{}", now - NOW);
    }
}

#[test]
fn encrypted_assertions_are_refused_with_the_way_out() {
    let xml = Response::default().xml();
    let (head, _) = xml.split_once("<saml:Assertion").unwrap();
    refused(
        &format!("{head}<saml:EncryptedAssertion/></samlp:Response>"),
        "turn encryption off at the provider",
    );
}

/// The eight known ways to wrap a signed element, and a few more.
#[test]
fn wrapped_signatures_are_refused() {
    let evil =
        Response { assertion_id: "_evil".into(), name_id: "eve@example.com".into(), ..Response::default() };
    let unsigned = Response::default().assertion().replace("<!--_assertion-->", "");
    let signed_xml = Response::default().signed(&IDP);
    let start = signed_xml.find("<saml:Assertion").unwrap();
    let end = signed_xml.find("</samlp:Response>").unwrap();
    let (head, good) = (&signed_xml[..start], &signed_xml[start..end]);
    let signature = cut(good, "<ds:Signature ", "</ds:Signature>");
    let with_object = |inner: &str| {
        signature.replace("</ds:Signature>", &format!("<ds:Object>{inner}</ds:Object></ds:Signature>"))
    };
    let bad = evil.assertion();
    let bad_signed = |signature: &str| bad.replace("<!--_evil-->", signature);
    let same_id = bad.replace("_evil", "_assertion");
    let whole = |body: &str| format!("{head}{body}</samlp:Response>");

    let response = IDP.sign(&Response::default().xml(), "_response");
    let response_signature = cut(&response, "<ds:Signature ", "</ds:Signature>");
    let response_unsigned = response.replace(response_signature, "");
    let evil_response = |place: &str, signature: &str| {
        let xml = evil.xml().replace("_response", "_evil_response");
        xml.replace("<!--_evil_response-->", &format!("{place}{signature}"))
    };
    let inside = response_signature
        .replace("</ds:Signature>", &format!("<ds:Object>{response_unsigned}</ds:Object></ds:Signature>"));

    let rows = [
        ("1: response in an object of its signature", evil_response("", &inside)),
        ("2: response before its signature", evil_response(&response_unsigned, response_signature)),
        ("3: evil assertion first", whole(&format!("{bad}{good}"))),
        ("3: evil assertion last", whole(&format!("{good}{bad}"))),
        ("4: signed assertion inside", whole(&bad_signed(good))),
        ("5: signature moved, assertion after", whole(&format!("{}{unsigned}", bad_signed(signature)))),
        ("6: assertion in the moved signature", whole(&bad_signed(&with_object(&unsigned)))),
        ("7: in extensions", whole(&format!("<samlp:Extensions>{bad}</samlp:Extensions>{good}"))),
        (
            "7: in extensions, same ID",
            whole(&format!("<samlp:Extensions>{same_id}</samlp:Extensions>{good}")),
        ),
        ("8: evil in an object of the signature", whole(&good.replace(signature, &with_object(&bad)))),
        ("same ID first", whole(&format!("{same_id}{good}"))),
        (
            "same ID, signature moved",
            whole(&format!("{}{unsigned}", same_id.replace("<!--_assertion-->", signature))),
        ),
        ("signature alone moved", whole(&bad_signed(signature))),
        (
            "signed assertion in the subject",
            whole(&bad.replace("<saml:Subject>", &format!("<saml:Subject>{good}"))),
        ),
        ("signature beside the assertion", whole(&format!("{signature}{bad}"))),
        ("assertion as the whole", good.to_owned()),
        ("response in a response", whole(&response)),
    ];
    for (name, xml) in rows {
        let result = check_ours(&xml);
        assert!(matches!(result, Err(SsoError::Refused { .. })), "{name}: {result:?}");
    }
    assert!(check_ours(&whole(good)).is_ok(), "the pieces themselves are good");
    assert!(check_ours(&response).is_ok());
}

fn cut<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let start = text.find(from).unwrap();
    &text[start..start + text[start..].find(to).unwrap() + to.len()]
}

#[test]
fn noise_is_refused_without_a_panic() {
    let signed = Response::default().signed(&IDP);
    for end in (0..signed.len()).step_by(97) {
        assert!(check_ours(&signed[..end]).is_err());
    }
    for xml in ["", "<", "<a/>", "\0", "<samlp:Response/>", "é", "<a xmlns:b=''/>"] {
        assert!(check_ours(xml).is_err());
    }
}
