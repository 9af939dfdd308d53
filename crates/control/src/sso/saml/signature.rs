//! XML signatures, of the one shape that SAML uses.
//!
//! An element is signed when exactly one signature stands directly in it, that signature refers to the
//! element by its identifier, nothing but the signature is left out of what it covers, and a key from the
//! metadata made it. Everything else the recommendation allows (references elsewhere, other transforms, keys
//! inside the message) is refused, and with it the wrapping of a signed element into another.

use aws_lc_rs::digest::{self, Algorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use roxmltree::Node;

use crate::sso::error::SsoError;
use crate::sso::saml::keys::{any_verifies, signature_algorithm};
use crate::sso::saml::xml::{canonical, children, only_child, text};

pub(crate) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const ENVELOPED: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// Prefixes of an `InclusiveNamespaces` list.
const PREFIXES_MAX: usize = 50;

/// True when `element` is signed by one of the certificates' keys, false when no signature stands in it.
/// A signature that stands there and is not good is an error.
pub(crate) fn is_signed(element: Node<'_, '_>, certificates: &[String]) -> Result<bool, SsoError> {
    if children(element, DSIG, "Signature").next().is_none() {
        return Ok(false);
    }
    let signature =
        only_child(element, DSIG, "Signature").ok_or_else(|| bad("stands twice in one element"))?;
    let info = only_child(signature, DSIG, "SignedInfo").ok_or_else(|| bad("has not one SignedInfo"))?;
    let reference = only_child(info, DSIG, "Reference").ok_or_else(|| bad("has not one Reference"))?;

    let id = element.attribute("ID").filter(|id| !id.is_empty());
    let uri = reference.attribute("URI").and_then(|uri| uri.strip_prefix('#'));
    if id.is_none() || uri != id {
        return Err(bad("does not refer to the element it stands in"));
    }

    let prefixes = transforms(reference)?;
    let covered = canonical(element, &prefixes, Some(signature.id()));
    let digest = digest_algorithm(algorithm(reference, "DigestMethod")?)?;
    let stated = base64(reference, "DigestValue")?;
    if digest::digest(digest, covered.as_bytes()).as_ref() != stated {
        return Err(bad("does not cover what the element says now"));
    }

    let method = only_child(info, DSIG, "CanonicalizationMethod")
        .filter(|method| method.attribute("Algorithm") == Some(EXCLUSIVE))
        .ok_or_else(|| bad("is not canonicalized the exclusive way"))?;
    let message = canonical(info, &inclusive(method)?, None);
    let name = algorithm(info, "SignatureMethod")?;
    let made_by =
        signature_algorithm(name).ok_or_else(|| bad(&format!("uses {name:.80}, which is not safe")))?;
    let made = base64(signature, "SignatureValue")?;
    if !any_verifies(certificates, made_by, message.as_bytes(), &made) {
        return Err(bad("was made by a key that is not in the identity provider's metadata"));
    }
    Ok(true)
}

/// Checks that the transforms leave out the signature and nothing else. Returns the inclusive prefixes.
fn transforms<'a>(reference: Node<'a, '_>) -> Result<Vec<&'a str>, SsoError> {
    let list = only_child(reference, DSIG, "Transforms").ok_or_else(|| bad("has no list of transforms"))?;
    let steps: Vec<_> = list.children().filter(Node::is_element).collect();
    match steps[..] {
        [enveloped, exclusive]
            if [enveloped, exclusive].iter().all(|step| step.has_tag_name((DSIG, "Transform")))
                && enveloped.attribute("Algorithm") == Some(ENVELOPED)
                && !enveloped.children().any(|child| child.is_element())
                && exclusive.attribute("Algorithm") == Some(EXCLUSIVE) =>
        {
            inclusive(exclusive)
        }
        _ => Err(bad("uses transforms other than enveloped signature and exclusive canonicalization")),
    }
}

fn inclusive<'a>(step: Node<'a, '_>) -> Result<Vec<&'a str>, SsoError> {
    let mut prefixes = Vec::new();
    for child in step.children().filter(Node::is_element) {
        if !child.has_tag_name((EXCLUSIVE, "InclusiveNamespaces")) {
            return Err(bad("has a canonicalization we do not know"));
        }
        prefixes.extend(child.attribute("PrefixList").unwrap_or_default().split_ascii_whitespace());
    }
    if prefixes.len() > PREFIXES_MAX {
        return Err(bad("lists too many prefixes"));
    }
    Ok(prefixes)
}

fn algorithm<'a>(parent: Node<'a, '_>, name: &'static str) -> Result<&'a str, SsoError> {
    only_child(parent, DSIG, name)
        .and_then(|node| node.attribute("Algorithm"))
        .ok_or_else(|| bad(&format!("has not one {name}")))
}

fn digest_algorithm(name: &str) -> Result<&'static Algorithm, SsoError> {
    match name {
        "http://www.w3.org/2001/04/xmlenc#sha256" => Ok(&digest::SHA256),
        "http://www.w3.org/2001/04/xmldsig-more#sha384" => Ok(&digest::SHA384),
        "http://www.w3.org/2001/04/xmlenc#sha512" => Ok(&digest::SHA512),
        _ => Err(bad(&format!("uses {name:.80}, which is not safe"))),
    }
}

fn base64(parent: Node<'_, '_>, name: &'static str) -> Result<Vec<u8>, SsoError> {
    let value = only_child(parent, DSIG, name).and_then(text);
    let value = value.map(|value| value.split_ascii_whitespace().collect::<String>());
    let decoded = value.and_then(|value| STANDARD.decode(value).ok());
    decoded.ok_or_else(|| bad(&format!("has not one {name} in base64")))
}

fn bad(message: &str) -> SsoError {
    SsoError::Refused { what: "signature", message: message.to_owned() }
}
