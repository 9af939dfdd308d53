//! What the identity provider answers: checked, and only then read.
//!
//! Everything about the person is read from the one assertion of the response, which a signature directly in
//! it or directly in the response covers. See `signature` for what counts as signed.

use std::collections::BTreeMap;

use roxmltree::Node;

use crate::sso::error::SsoError;
use crate::sso::saml::signature::{DSIG, is_signed};
use crate::sso::saml::time_ms;
use crate::sso::saml::xml::{children, only_child, parse, text};

pub(crate) const PROTOCOL: &str = "urn:oasis:names:tc:SAML:2.0:protocol";
pub(crate) const ASSERTION: &str = "urn:oasis:names:tc:SAML:2.0:assertion";
const SUCCESS: &str = "urn:oasis:names:tc:SAML:2.0:status:Success";
const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
const BEARER: &str = "urn:oasis:names:tc:SAML:2.0:cm:bearer";

/// How far the identity provider's clock may be off.
pub(crate) const SKEW_MS: i64 = 60_000;

/// Longest identifier of an assertion; it is stored until the assertion has expired.
const ID_BYTES_MAX: usize = 256;

/// Longest value of an attribute that is read, and how many are.
const VALUE_BYTES_MAX: usize = 1024;
const VALUES_MAX: usize = 2_000;

/// What a response must fit.
pub(crate) struct Expected<'a> {
    /// The issuer.
    pub(crate) idp_entity_id: &'a str,
    /// Whose signatures count.
    pub(crate) certificates: &'a [String],
    /// The audience.
    pub(crate) entity_id: &'a str,
    /// The destination and the recipient.
    pub(crate) acs_url: &'a str,
    /// The request it answers.
    pub(crate) request_id: &'a str,
    /// Milliseconds since the Unix epoch.
    pub(crate) now_ms: i64,
}

/// An assertion that was checked but for having been used before.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Assertion {
    pub(crate) id: String,
    /// From then on it is refused anyway, milliseconds since the Unix epoch.
    pub(crate) expires_at: i64,
    /// Whoever signed in is to do so again from then on, milliseconds since the Unix epoch.
    pub(crate) session_ends_at: Option<i64>,
    pub(crate) name_id: String,
    /// True when the NameID is another at every sign-in.
    pub(crate) is_transient: bool,
    pub(crate) attributes: BTreeMap<String, Vec<String>>,
}

/// Checks a response, base64 already removed.
pub(crate) fn check(xml: &str, expected: &Expected<'_>) -> Result<Assertion, SsoError> {
    let document = parse("response", xml)?;
    let response = document.root_element();
    if !response.has_tag_name((PROTOCOL, "Response")) || response.attribute("Version") != Some("2.0") {
        return Err(response_refused("is no SAML 2.0 Response"));
    }
    let count = |namespace: &'static str, name: &'static str| {
        response.descendants().filter(|node| node.has_tag_name((namespace, name))).count()
    };
    let assertion =
        only_child(response, ASSERTION, "Assertion").filter(|_| count(ASSERTION, "Assertion") == 1);
    status(response)?;
    if count(ASSERTION, "EncryptedAssertion") > 0 {
        return Err(response_refused("holds an encrypted assertion; turn encryption off at the provider"));
    }
    let assertion = assertion.ok_or_else(|| response_refused("does not hold exactly one assertion"))?;

    let signed = [is_signed(response, expected.certificates)?, is_signed(assertion, expected.certificates)?];
    let signatures = signed.into_iter().filter(|signed| *signed).count();
    if signatures == 0 {
        return Err(response_refused("is not signed, and neither is its assertion"));
    }
    if count(DSIG, "Signature") != signatures {
        return Err(response_refused("holds a signature where none belongs"));
    }

    if response.attribute("Destination") != Some(expected.acs_url) {
        return Err(response_refused(&format!("is not meant for {}", expected.acs_url)));
    }
    if response.attribute("InResponseTo") != Some(expected.request_id) {
        return Err(response_refused("does not answer the request of this sign-in"));
    }
    if children(response, ASSERTION, "Issuer")
        .any(|issuer| text(issuer).as_deref() != Some(expected.idp_entity_id))
    {
        return Err(response_refused(&format!("was not issued by {}", expected.idp_entity_id)));
    }
    read(assertion, expected)
}

fn status(response: Node<'_, '_>) -> Result<(), SsoError> {
    let status = only_child(response, PROTOCOL, "Status").ok_or_else(|| response_refused("has no status"))?;
    let code = only_child(status, PROTOCOL, "StatusCode").and_then(|code| code.attribute("Value"));
    if code == Some(SUCCESS) {
        return Ok(());
    }
    let said = only_child(status, PROTOCOL, "StatusMessage").and_then(text);
    let said = said.or_else(|| code.map(|code| code.rsplit(':').next().unwrap_or(code).to_owned()));
    Err(SsoError::Denied(said.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect()))
}

fn read(assertion: Node<'_, '_>, expected: &Expected<'_>) -> Result<Assertion, SsoError> {
    let id = assertion.attribute("ID").filter(|id| !id.is_empty() && id.len() <= ID_BYTES_MAX);
    let id = id.ok_or_else(|| refused("has no ID"))?;
    if assertion.attribute("Version") != Some("2.0") {
        return Err(refused("is not of SAML 2.0"));
    }
    let issuer = only_child(assertion, ASSERTION, "Issuer").and_then(text);
    if issuer.as_deref() != Some(expected.idp_entity_id) {
        return Err(refused(&format!("was not issued by {}", expected.idp_entity_id)));
    }
    let issued = time(assertion, "IssueInstant")?.ok_or_else(|| refused("has no IssueInstant"))?;
    if issued > expected.now_ms.saturating_add(SKEW_MS) {
        return Err(refused("was issued in the future; the clocks differ by more than a minute"));
    }
    let subject = only_child(assertion, ASSERTION, "Subject").ok_or_else(|| refused("has no subject"))?;
    let name_node = only_child(subject, ASSERTION, "NameID");
    let is_transient = name_node.is_some_and(|node| node.attribute("Format") == Some(TRANSIENT));
    let name_id = name_node.and_then(text).map(|name| name.trim().to_owned());
    let name_id = name_id.filter(|name| !name.is_empty() && name.len() <= VALUE_BYTES_MAX);
    let name_id = name_id.ok_or_else(|| refused("has no NameID"))?;
    let confirmed_until = confirmation(subject, expected)?;
    conditions(assertion, expected)?;
    let mut statements = children(assertion, ASSERTION, "AuthnStatement").peekable();
    if statements.peek().is_none() {
        return Err(refused("does not say that anyone signed in"));
    }
    let mut session_ends_at = None;
    for statement in statements {
        let until = not_over(statement, "SessionNotOnOrAfter", expected)?;
        session_ends_at = [session_ends_at, until].into_iter().flatten().min();
    }
    Ok(Assertion {
        id: id.to_owned(),
        expires_at: confirmed_until.saturating_add(SKEW_MS),
        session_ends_at,
        name_id,
        is_transient,
        attributes: attributes(assertion)?,
    })
}

/// Finds a confirmation that whoever bears the assertion at our address now, in answer to our request, is its
/// subject. Returns until when.
fn confirmation(subject: Node<'_, '_>, expected: &Expected<'_>) -> Result<i64, SsoError> {
    let mut why = refused("has no bearer confirmation");
    let confirmations = children(subject, ASSERTION, "SubjectConfirmation");
    for confirmation in confirmations.filter(|node| node.attribute("Method") == Some(BEARER)) {
        match bearer(confirmation, expected) {
            Ok(until) => return Ok(until),
            Err(error) => why = error,
        }
    }
    Err(why)
}

fn bearer(confirmation: Node<'_, '_>, expected: &Expected<'_>) -> Result<i64, SsoError> {
    let data = only_child(confirmation, ASSERTION, "SubjectConfirmationData")
        .ok_or_else(|| refused("has a confirmation without data"))?;
    if data.attribute("Recipient") != Some(expected.acs_url) {
        return Err(refused(&format!("is not meant for {}", expected.acs_url)));
    }
    if data.attribute("InResponseTo") != Some(expected.request_id) {
        return Err(refused("does not answer the request of this sign-in"));
    }
    begun(data, expected)?;
    not_over(data, "NotOnOrAfter", expected)?.ok_or_else(|| refused("has a confirmation that never ends"))
}

fn conditions(assertion: Node<'_, '_>, expected: &Expected<'_>) -> Result<(), SsoError> {
    let conditions =
        only_child(assertion, ASSERTION, "Conditions").ok_or_else(|| refused("has no conditions"))?;
    begun(conditions, expected)?;
    not_over(conditions, "NotOnOrAfter", expected)?;
    let mut restrictions = 0;
    for condition in conditions.children().filter(Node::is_element) {
        if condition.has_tag_name((ASSERTION, "AudienceRestriction")) {
            restrictions += 1;
            let mut audiences = children(condition, ASSERTION, "Audience").filter_map(text);
            if !audiences.any(|audience| audience.trim() == expected.entity_id) {
                return Err(refused(&format!("is not for the audience {}", expected.entity_id)));
            }
        } else if !condition.has_tag_name((ASSERTION, "OneTimeUse"))
            && !condition.has_tag_name((ASSERTION, "ProxyRestriction"))
        {
            return Err(refused("has a condition we do not know"));
        }
    }
    if restrictions == 0 {
        return Err(refused("is not restricted to an audience"));
    }
    Ok(())
}

fn attributes(assertion: Node<'_, '_>) -> Result<BTreeMap<String, Vec<String>>, SsoError> {
    let mut attributes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut values = 0;
    let statements = children(assertion, ASSERTION, "AttributeStatement");
    for attribute in statements.flat_map(|statement| children(statement, ASSERTION, "Attribute")) {
        let Some(name) = attribute.attribute("Name") else { continue };
        let of_name = attributes.entry(name.to_owned()).or_default();
        for value in children(attribute, ASSERTION, "AttributeValue") {
            values += 1;
            if values > VALUES_MAX {
                return Err(refused(&format!("has more than {VALUES_MAX} values; send fewer groups")));
            }
            // Values that are elements, or too long, are of no use to us.
            let text = text(value).map(|text| text.trim().to_owned());
            of_name.extend(text.filter(|text| !text.is_empty() && text.len() <= VALUE_BYTES_MAX));
        }
    }
    Ok(attributes)
}

fn begun(node: Node<'_, '_>, expected: &Expected<'_>) -> Result<(), SsoError> {
    match time(node, "NotBefore")? {
        Some(from) if expected.now_ms.saturating_add(SKEW_MS) < from => Err(refused("is not valid yet")),
        _ => Ok(()),
    }
}

fn not_over(
    node: Node<'_, '_>,
    name: &'static str,
    expected: &Expected<'_>,
) -> Result<Option<i64>, SsoError> {
    match time(node, name)? {
        Some(until) if expected.now_ms.saturating_sub(SKEW_MS) >= until => Err(refused("has expired")),
        until => Ok(until),
    }
}

fn time(node: Node<'_, '_>, name: &'static str) -> Result<Option<i64>, SsoError> {
    let Some(value) = node.attribute(name) else { return Ok(None) };
    time_ms(value).map(Some).ok_or_else(|| refused(&format!("has a {name} that is no time")))
}

fn refused(message: &str) -> SsoError {
    SsoError::Refused { what: "assertion", message: message.to_owned() }
}

fn response_refused(message: &str) -> SsoError {
    SsoError::Refused { what: "response", message: message.to_owned() }
}
