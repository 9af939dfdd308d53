//! Keys of identity providers: from certificates, and what they verify.
//!
//! A certificate is only a wrapping: the trust is in the metadata that an administrator gave us, so neither
//! its issuer nor its dates are judged.

use aws_lc_rs::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::der::{INTEGER, SEQUENCE, value};
use crate::error::ControlError;

/// Longest certificate.
const BYTES_MAX: usize = 16 << 10;

/// Certificates of one identity provider: one in use, one to come, and room.
pub(crate) const CERTIFICATES_MAX: usize = 10;

/// The explicit tag 0, which certificates carry their version in.
const TAG_0: u8 = 0xa0;

/// How a signature is made, by its name in XML. SHA-1 is not among them.
pub(crate) fn signature_algorithm(name: &str) -> Option<&'static dyn VerificationAlgorithm> {
    let name = name.strip_prefix("http://www.w3.org/2001/04/xmldsig-more#")?;
    Some(match name {
        "rsa-sha256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "rsa-sha384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "rsa-sha512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "ecdsa-sha256" => &signature::ECDSA_P256_SHA256_FIXED,
        "ecdsa-sha384" => &signature::ECDSA_P384_SHA384_FIXED,
        _ => return None,
    })
}

/// True when one of the certificates' keys made the signature.
pub(crate) fn any_verifies(
    certificates: &[String],
    algorithm: &'static dyn VerificationAlgorithm,
    message: &[u8],
    made: &[u8],
) -> bool {
    let keys = certificates.iter().filter_map(|text| STANDARD.decode(text).ok());
    let keys = keys.filter_map(|der| public_key(&der).map(<[u8]>::to_vec));
    keys.into_iter().any(|key| UnparsedPublicKey::new(algorithm, &key).verify(message, made).is_ok())
}

/// Reads a certificate, PEM or plain base64, into base64 without line breaks.
pub(crate) fn certificate(text: &str) -> Result<String, ControlError> {
    let invalid = |message: &str| ControlError::Invalid { field: "certificate", message: message.to_owned() };
    if text.len() > BYTES_MAX {
        return Err(invalid("is longer than 16384 bytes"));
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let base64: String = lines.collect::<String>().split_ascii_whitespace().collect();
    let der =
        STANDARD.decode(&base64).map_err(|_| invalid("is not base64; paste the PEM of the certificate"))?;
    public_key(&der).ok_or_else(|| invalid("is no X.509 certificate"))?;
    Ok(base64)
}

/// The `SubjectPublicKeyInfo` of a certificate, itself DER.
fn public_key(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = value(certificate, SEQUENCE)?;
    let (mut rest, _) = value(certificate, SEQUENCE)?;
    if rest.first() == Some(&TAG_0) {
        rest = value(rest, TAG_0)?.1;
    }
    rest = value(rest, INTEGER)?.1;
    // Signature algorithm, issuer, validity, subject.
    for _ in 0..4 {
        rest = value(rest, SEQUENCE)?.1;
    }
    let (_, after) = value(rest, SEQUENCE)?;
    rest.get(..rest.len() - after.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sso::saml::testing::CERTIFICATE;

    #[test]
    fn certificates_read_as_pem_and_as_base64() {
        let plain = certificate(CERTIFICATE).unwrap();
        assert_eq!(certificate(&plain).unwrap(), plain);
        assert!(!plain.contains(char::is_whitespace));
        for text in ["", "-----BEGIN CERTIFICATE-----", "AAAA", "é", &plain[..400], &"A".repeat(20_000)] {
            assert!(certificate(text).is_err(), "{text:.20}");
        }
        let der = STANDARD.decode(&plain).unwrap();
        for length in 0..der.len() {
            public_key(&der[..length]);
        }
    }

    #[test]
    fn weak_and_unknown_algorithms_are_not_known() {
        for name in [
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
            "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
            "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
            "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
            "",
        ] {
            assert!(signature_algorithm(name).is_none(), "{name}");
        }
    }
}
