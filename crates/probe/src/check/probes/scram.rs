//! SCRAM-SHA-256 without channel binding (RFC 5802, RFC 7677), the client's side.

use std::num::NonZeroU32;

use aws_lc_rs::{constant_time, digest, hmac, pbkdf2};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Rounds that a server may ask for. PostgreSQL's default is 4096; this many take a fraction of a second.
const ROUNDS_MAX: u32 = 600_000;

const HASH_BYTES: usize = 32;

/// A sign-in that has begun.
pub(super) struct Scram {
    nonce: String,
    first: String,
    /// Once the proof was made: what the server must sign.
    expected: Option<[u8; HASH_BYTES]>,
}

impl Scram {
    /// Begins with a nonce of printable characters. PostgreSQL takes the user's name from the connection.
    pub(super) fn new(nonce: String) -> Self {
        let first = format!("n=,r={nonce}");
        Self { nonce, first, expected: None }
    }

    /// The first message.
    pub(super) fn first(&self) -> String {
        format!("n,,{}", self.first)
    }

    /// Answers the server's first message.
    pub(super) fn answer(&mut self, challenge: &str, password: &str) -> Result<String, String> {
        let malformed = || "the server's SCRAM challenge is malformed".to_owned();
        let part =
            |key: &str| challenge.split(',').find_map(|part| part.strip_prefix(key)).ok_or_else(malformed);
        let (nonce, salt, rounds) = (part("r=")?, part("s=")?, part("i=")?);
        if !nonce.starts_with(&self.nonce) || nonce == self.nonce {
            return Err("the server's SCRAM challenge is for someone else".into());
        }
        let salt = STANDARD.decode(salt).map_err(|_| malformed())?;
        let rounds = rounds.parse::<u32>().ok().and_then(NonZeroU32::new).ok_or_else(malformed)?;
        if rounds.get() > ROUNDS_MAX {
            return Err(format!(
                "the server asks for {rounds} rounds of SCRAM, at most {ROUNDS_MAX} are done"
            ));
        }
        let mut salted = [0; HASH_BYTES];
        pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, &salt, password.as_bytes(), &mut salted);
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{challenge},{without_proof}", self.first);
        let client_key = sign(&salted, b"Client Key");
        let signature = sign(digest::digest(&digest::SHA256, &client_key).as_ref(), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(signature).map(|(key, bits)| key ^ bits).collect();
        self.expected = Some(sign(&sign(&salted, b"Server Key"), signed.as_bytes()));
        Ok(format!("{without_proof},p={}", STANDARD.encode(proof)))
    }

    /// Judges the server's last message: whether it knows the password as well.
    pub(super) fn finish(&self, last: &str) -> Result<(), String> {
        let signature = last.strip_prefix("v=").and_then(|text| STANDARD.decode(text.trim_end()).ok());
        let same = |expected: &[u8; HASH_BYTES]| {
            signature.is_some_and(|found| constant_time::verify_slices_are_equal(&found, expected).is_ok())
        };
        match self.expected.as_ref().is_some_and(same) {
            true => Ok(()),
            false => Err("the server does not know the password either".into()),
        }
    }
}

fn sign(key: &[u8], text: &[u8]) -> [u8; HASH_BYTES] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let mut bytes = [0; HASH_BYTES];
    bytes.copy_from_slice(tag.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_knows_no_password_is_found_out() {
        let mut scram = Scram::new("abc".into());
        assert_eq!(scram.first(), "n,,n=,r=abc");
        assert!(
            scram.answer("r=abcdef,s=c2FsdA==,i=4096", "pencil").unwrap().starts_with("c=biws,r=abcdef,p=")
        );
        assert!(scram.finish("v=AAAA").is_err());
        for bad in [
            "r=abc,s=c2FsdA==,i=1",
            "r=xyz,s=c2FsdA==,i=1",
            "s=c2FsdA==,i=1",
            "r=abcd,s=!,i=1",
            "r=abcd,s=,i=0",
        ] {
            assert!(scram.answer(bad, "pencil").is_err(), "{bad}");
        }
        assert!(scram.answer("r=abcd,s=c2FsdA==,i=4000000000", "pencil").unwrap_err().contains("rounds"));
    }
}
