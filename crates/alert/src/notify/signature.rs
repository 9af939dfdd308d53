//! Who sent a webhook, and when: the headers of Standard Webhooks (standardwebhooks.com, version 1), whose libraries
//! check them in many languages.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Before the base64 of a secret.
const PREFIX: &str = "whsec_";

/// Times further away than this are refused: five minutes, in seconds.
const TOLERANCE_SECONDS: i64 = 300;

/// Headers of a signed webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// `webhook-id`: the same for every attempt at the same delivery.
    pub id: String,
    /// `webhook-timestamp`: Unix seconds.
    pub timestamp: String,
    /// `webhook-signature`: `v1,` and the HMAC-SHA256 of id, time and body in base64.
    pub signature: String,
}

/// Signs a body. A secret is `whsec_` and base64, or any other text, whose bytes are taken as they are.
pub fn sign(secret: &str, id: &str, seconds: i64, body: &[u8]) -> Signed {
    let mac = STANDARD.encode(mac(secret, id, seconds, body));
    Signed { id: id.to_owned(), timestamp: seconds.to_string(), signature: format!("v1,{mac}") }
}

/// Whether a body was signed with the secret, not longer ago than five minutes.
pub fn verify(secret: &str, signed: &Signed, body: &[u8], now_seconds: i64) -> bool {
    let Ok(seconds) = signed.timestamp.parse::<i64>() else { return false };
    if (now_seconds - seconds).abs() > TOLERANCE_SECONDS {
        return false;
    }
    let want = mac(secret, &signed.id, seconds, body);
    // Several signatures stand beside each other while a secret is changed.
    signed.signature.split(' ').any(|one| {
        let given = one.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
        given.is_some_and(|given| constant_time::verify_slices_are_equal(&given, &want).is_ok())
    })
}

fn mac(secret: &str, id: &str, seconds: i64, body: &[u8]) -> Vec<u8> {
    let decoded = secret.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok());
    let key = hmac::Key::new(hmac::HMAC_SHA256, decoded.as_deref().unwrap_or(secret.as_bytes()));
    let mut context = hmac::Context::with_key(&key);
    context.update(format!("{id}.{seconds}.").as_bytes());
    context.update(body);
    context.sign().as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_gives_its_signature() {
        // From the reference libraries' tests.
        let signed = sign(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signed.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_change_of_anything_is_seen() {
        let good = sign("secret", "msg_1", 1_000, b"body");
        assert!(verify("secret", &good, b"body", 1_000));
        assert!(verify("secret", &good, b"body", 1_300));
        assert!(!verify("secret", &good, b"body", 1_301), "too old");
        assert!(!verify("secret", &good, b"Body", 1_000));
        assert!(!verify("other", &good, b"body", 1_000));
        assert!(!verify("secret", &Signed { id: "msg_2".into(), ..good.clone() }, b"body", 1_000));
        assert!(!verify("secret", &Signed { timestamp: "1001".into(), ..good.clone() }, b"body", 1_001));
        let two = format!("v1,AAAA {}", good.signature);
        assert!(verify("secret", &Signed { signature: two, ..good }, b"body", 1_000), "one of several");
    }
}
