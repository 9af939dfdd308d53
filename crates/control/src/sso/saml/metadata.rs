//! Metadata: reading the identity provider's, writing our own.

use crate::error::ControlError;
use crate::sso::error::SsoError;
use crate::sso::saml::keys::{CERTIFICATES_MAX, certificate};
use crate::sso::saml::signature::DSIG;
use crate::sso::saml::time_ms;
use crate::sso::saml::xml::{children, escaped, only_child, parse, text};

pub(crate) const METADATA: &str = "urn:oasis:names:tc:SAML:2.0:metadata";
pub(crate) const REDIRECT: &str = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect";

/// What we need of an identity provider's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IdentityProvider {
    /// Its name, usually a URL; the issuer of every assertion.
    pub(crate) entity_id: String,
    /// Where browsers are sent.
    pub(crate) sso_url: String,
    /// Its signing certificates: DER in base64.
    pub(crate) certificates: Vec<String>,
}

/// Reads the metadata of one identity provider.
pub(crate) fn read_metadata(xml: &str, now_ms: i64) -> Result<IdentityProvider, ControlError> {
    let invalid = |message: &str| ControlError::Invalid { field: "metadata", message: message.to_owned() };
    let document = parse("metadata", xml).map_err(|error| match error {
        SsoError::Refused { message, .. } => invalid(&message),
        other => ControlError::Sso(other),
    })?;
    let root = document.root_element();
    if !root.has_tag_name((METADATA, "EntityDescriptor")) {
        return Err(invalid("is not one EntityDescriptor; paste the metadata of one identity provider"));
    }
    if let Some(until) = root.attribute("validUntil") {
        let until = time_ms(until).ok_or_else(|| invalid("has a validUntil that is no time"))?;
        if until <= now_ms {
            return Err(invalid("is no longer valid (validUntil has passed); get the present one"));
        }
    }
    let entity_id = root.attribute("entityID").filter(|id| !id.is_empty() && id.len() <= 1024);
    let entity_id = entity_id.ok_or_else(|| invalid("has no entityID"))?.to_owned();
    let descriptor = only_child(root, METADATA, "IDPSSODescriptor")
        .ok_or_else(|| invalid("has not one IDPSSODescriptor; it is not an identity provider's"))?;
    let sso_url = children(descriptor, METADATA, "SingleSignOnService")
        .find(|service| service.attribute("Binding") == Some(REDIRECT))
        .and_then(|service| service.attribute("Location"))
        .ok_or_else(|| invalid("has no SingleSignOnService with the binding HTTP-Redirect"))?
        .to_owned();
    let mut certificates = Vec::new();
    let keys = children(descriptor, METADATA, "KeyDescriptor");
    for key in keys.filter(|key| key.attribute("use").is_none_or(|usage| usage == "signing")) {
        let within = key.descendants().filter(|node| node.has_tag_name((DSIG, "X509Certificate")));
        for node in within.take(CERTIFICATES_MAX) {
            let certificate = certificate(&text(node).unwrap_or_default())?;
            if !certificates.contains(&certificate) {
                certificates.push(certificate);
            }
        }
    }
    if certificates.is_empty() || certificates.len() > CERTIFICATES_MAX {
        let message =
            format!("has {} signing certificates; 1 to {CERTIFICATES_MAX} are read", certificates.len());
        return Err(invalid(&message));
    }
    Ok(IdentityProvider { entity_id, sso_url, certificates })
}

/// Our own metadata, to be given to the identity provider.
pub(crate) fn own_metadata(entity_id: &str, acs_url: &str) -> String {
    let (entity_id, acs_url) = (escaped(entity_id), escaped(acs_url));
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<md:EntityDescriptor xmlns:md="{METADATA}" entityID="{entity_id}">
  <md:SPSSODescriptor AuthnRequestsSigned="false" WantAssertionsSigned="true" protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
    <md:NameIDFormat>urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress</md:NameIDFormat>
    <md:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:persistent</md:NameIDFormat>
    <md:AssertionConsumerService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="{acs_url}" index="0" isDefault="true"/>
  </md:SPSSODescriptor>
</md:EntityDescriptor>
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sso::saml::testing::{CERTIFICATE, NOW};

    fn metadata(attributes: &str, keys: &str, service: &str) -> String {
        format!(
            r#"<EntityDescriptor xmlns="{METADATA}" {attributes}><IDPSSODescriptor>{keys}
               <SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST" Location="https://idp.test/post"/>
               {service}</IDPSSODescriptor></EntityDescriptor>"#
        )
    }

    fn key(usage: &str) -> String {
        let body: String = CERTIFICATE.lines().filter(|line| !line.starts_with('-')).collect();
        format!(
            r#"<KeyDescriptor {usage}><KeyInfo xmlns="{DSIG}"><X509Data><X509Certificate>
               {body}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>"#
        )
    }

    const SERVICE: &str = r#"<SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://idp.test/sso?a=1&amp;b=2"/>"#;

    #[test]
    fn metadata_of_an_identity_provider_reads() {
        let keys = format!("{}{}", key(r#"use="encryption""#), key(r#"use="signing""#));
        let xml = metadata(r#"entityID="urn:idp" validUntil="2030-01-01T00:00:00Z""#, &keys, SERVICE);
        let idp = read_metadata(&xml, NOW).unwrap();
        assert_eq!(
            (idp.entity_id.as_str(), idp.sso_url.as_str()),
            ("urn:idp", "https://idp.test/sso?a=1&b=2")
        );
        assert_eq!(idp.certificates, [certificate(CERTIFICATE).unwrap()]);
    }

    #[test]
    fn metadata_that_lacks_something_is_refused_with_what() {
        let (id, all) = (r#"entityID="urn:idp""#, key(""));
        for (xml, want) in [
            (metadata("", &all, SERVICE), "metadata: has no entityID"),
            (metadata(id, "", SERVICE), "metadata: has 0 signing certificates"),
            (metadata(id, &key(r#"use="encryption""#), SERVICE), "metadata: has 0 signing certificates"),
            (metadata(id, &all, ""), "metadata: has no SingleSignOnService with the binding HTTP-Redirect"),
            (
                metadata(&format!(r#"{id} validUntil="2020-01-01T00:00:00Z""#), &all, SERVICE),
                "metadata: is no longer valid",
            ),
            ("<a/>".to_owned(), "metadata: is not one EntityDescriptor"),
            ("<!DOCTYPE a><a/>".to_owned(), "metadata: is no XML we read"),
            (own_metadata("urn:us", "https://us.test/acs"), "metadata: has not one IDPSSODescriptor"),
        ] {
            let error = read_metadata(&xml, NOW).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        }
    }

    #[test]
    fn our_own_metadata_is_xml_whatever_the_address() {
        let xml = own_metadata("https://us.test/m?a=1&b=\"2\"", "https://us.test/acs?x=<y>");
        let document = parse("metadata", &xml).unwrap();
        assert_eq!(document.root_element().attribute("entityID"), Some("https://us.test/m?a=1&b=\"2\""));
    }
}
