//! An OpenID provider in this process, with keys of its own, behind the trait that real ones are asked through.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kit::SharedClock;
use model::TenantId;
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

use crate::der::rsa_parts;
use crate::secret::Secret;
use crate::sso::fetch::{Fetch, Fetched};

pub(super) const CLIENT: &str = "client-1";
pub(super) const SECRET: &str = "s3cret-of-the-client";
const ACCESS: &str = "access-token";

/// What the provider does next, open to change.
pub(super) struct Behaviour {
    pub(super) issuer: String,
    /// Merged over the discovery document.
    pub(super) discovery: Value,
    /// Merged over the claims of the statement; null removes.
    pub(super) claims: Value,
    /// Merged over the answer of the userinfo endpoint.
    pub(super) info: Value,
    pub(super) info_status: u16,
    /// Merged over the header of the statement.
    pub(super) header: Value,
    /// Identifier of the key that signs.
    pub(super) kid: String,
    /// Identifiers of the keys that are published.
    pub(super) published: Vec<String>,
    pub(super) es256: bool,
    /// Signs with a key nobody knows.
    pub(super) foreign_key: bool,
    /// Bodies to answer with instead, by the end of the address.
    pub(super) instead: HashMap<&'static str, (u16, Vec<u8>)>,
}

pub(super) struct Stub {
    clock: SharedClock,
    rsa: RsaKeyPair,
    foreign: RsaKeyPair,
    ec: EcdsaKeyPair,
    pub(super) next: Mutex<Behaviour>,
    /// Codes given out: nonce, challenge, callback.
    codes: Mutex<HashMap<String, (String, String, String)>>,
    codes_given: AtomicU32,
    /// Every address asked, with how the client proved itself.
    pub(super) asked: Mutex<Vec<String>>,
}

impl Stub {
    pub(super) fn new(clock: SharedClock, issuer: &str) -> Arc<Self> {
        let next = Behaviour {
            issuer: issuer.to_owned(),
            discovery: json!({}),
            claims: json!({}),
            info: json!({}),
            info_status: 200,
            header: json!({}),
            kid: "k1".to_owned(),
            published: vec!["k1".to_owned()],
            es256: false,
            foreign_key: false,
            instead: HashMap::new(),
        };
        Arc::new(Self {
            clock,
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            foreign: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            ec: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            next: Mutex::new(next),
            codes: Mutex::default(),
            codes_given: AtomicU32::new(0),
            asked: Mutex::default(),
        })
    }

    /// The person agrees: the provider sends the browser back with a state and a code.
    pub(super) fn agree(&self, url: &str) -> (String, String) {
        let url = Url::parse(url).unwrap();
        let pairs: HashMap<_, _> = url.query_pairs().into_owned().collect();
        assert_eq!(
            [&pairs["response_type"], &pairs["client_id"], &pairs["code_challenge_method"]],
            ["code", CLIENT, "S256"]
        );
        assert!(pairs["scope"].split(' ').any(|scope| scope == "openid"));
        let code = format!("code-{}", self.codes_given.fetch_add(1, Ordering::Relaxed));
        let parts = ["nonce", "code_challenge", "redirect_uri"].map(|name| pairs[name].clone());
        self.codes.lock().insert(code.clone(), parts.into());
        (pairs["state"].clone(), code)
    }

    /// How often an address that ends so was asked.
    pub(super) fn count(&self, end: &str) -> usize {
        self.asked.lock().iter().filter(|asked| asked.split(' ').next().unwrap().ends_with(end)).count()
    }

    fn token(&self, code: &str, form: &HashMap<&str, &str>, basic: bool) -> (u16, Value) {
        let error = |error: &str| (400, json!({"error": error, "error_description": "try again"}));
        if !(basic || form.get("client_id") == Some(&CLIENT)) {
            return error("invalid_client");
        }
        let Some((nonce, challenge, callback)) = self.codes.lock().remove(code) else {
            return error("invalid_grant");
        };
        let proof = URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"]));
        if proof != challenge
            || form["redirect_uri"] != callback
            || form["grant_type"] != "authorization_code"
        {
            return error("invalid_grant");
        }
        let next = self.next.lock();
        let now = self.clock.now_ms() / 1000;
        let mut claims = json!({
            "iss": next.issuer, "aud": CLIENT, "sub": "subject-1", "nonce": nonce, "iat": now, "exp": now + 300,
            "at_hash": URL_SAFE_NO_PAD.encode(&Sha256::digest(ACCESS)[..16]),
            "email": "ada@example.com", "email_verified": true, "name": "Ada",
        });
        merge(&mut claims, &next.claims);
        let alg = if next.es256 { "ES256" } else { "RS256" };
        let mut header = json!({"alg": alg, "typ": "JWT", "kid": next.kid});
        merge(&mut header, &next.header);
        let parts = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = parts.join(".");
        let signature = if next.es256 {
            self.ec.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec()
        } else {
            let pair = if next.foreign_key { &self.foreign } else { &self.rsa };
            let mut made = vec![0; pair.public_modulus_len()];
            pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut made).unwrap();
            made
        };
        let id_token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature));
        (
            200,
            json!({"id_token": id_token, "access_token": ACCESS, "token_type": "Bearer", "expires_in": 300}),
        )
    }

    fn keys(&self) -> Value {
        let (n, e) = rsa_parts(self.rsa.public_key().as_ref()).unwrap();
        let point = self.ec.public_key().as_ref();
        let [n, e, x, y] = [n, e, &point[1..33], &point[33..65]].map(|part| URL_SAFE_NO_PAD.encode(part));
        let next = self.next.lock();
        let key = |kid: &String| match next.es256 {
            true => json!({"kty": "EC", "crv": "P-256", "use": "sig", "kid": kid, "x": x, "y": y}),
            false => json!({"kty": "RSA", "use": "sig", "kid": kid, "n": n, "e": e}),
        };
        let mut keys: Vec<_> = next.published.iter().map(key).collect();
        // What real documents hold beside.
        keys.push(json!({"kty": "RSA", "use": "enc", "kid": "encryption", "n": n, "e": e}));
        keys.push(json!({"kty": "unheard-of", "kid": "new"}));
        json!({"keys": keys})
    }
}

#[async_trait]
impl Fetch for Stub {
    async fn get(&self, _: &TenantId, url: &str, bearer: Option<&Secret>) -> Result<Fetched, String> {
        self.asked.lock().push(format!("{url} {}", bearer.map_or("", Secret::expose)));
        let issuer = self.next.lock().issuer.clone();
        let path = url.strip_prefix(issuer.trim_end_matches('/')).ok_or("connection refused")?;
        if let Some((status, body)) =
            path.split('?').next().and_then(|path| self.next.lock().instead.get(path).cloned())
        {
            return Ok(Fetched { status, body });
        }
        let (status, body) = match path {
            "/.well-known/openid-configuration" => {
                let at = |path: &str| format!("{issuer}{path}");
                let mut found = json!({
                    "issuer": issuer, "authorization_endpoint": at("/authorize?tenant=1"),
                    "token_endpoint": at("/token"), "jwks_uri": at("/keys"), "userinfo_endpoint": at("/userinfo"),
                });
                merge(&mut found, &self.next.lock().discovery);
                (200, found)
            }
            "/keys" => (200, self.keys()),
            "/userinfo" => {
                let next = self.next.lock();
                let mut info = json!({"sub": "subject-1"});
                merge(&mut info, &next.info);
                let is_known = bearer.is_some_and(|bearer| bearer.expose() == ACCESS);
                (if is_known { next.info_status } else { 401 }, info)
            }
            _ => (404, json!({})),
        };
        Ok(Fetched { status, body: body.to_string().into_bytes() })
    }

    async fn post_form(
        &self,
        _: &TenantId,
        url: &str,
        form: &[(&str, &str)],
        basic: Option<(&str, &Secret)>,
    ) -> Result<Fetched, String> {
        let form: HashMap<_, _> = form.iter().copied().collect();
        let by_basic = basic.is_some_and(|(name, secret)| name == CLIENT && secret.expose() == SECRET);
        let proof = match (by_basic, form.get("client_secret")) {
            (true, None) => "basic",
            (false, Some(&SECRET)) => "post",
            (false, None) => "none",
            _ => "wrong",
        };
        self.asked.lock().push(format!("{url} {proof}"));
        if let Some((status, body)) = self.next.lock().instead.get("/token") {
            return Ok(Fetched { status: *status, body: body.clone() });
        }
        let (status, body) = match proof {
            "wrong" => (401, json!({"error": "invalid_client"})),
            _ => self.token(form["code"], &form, by_basic),
        };
        Ok(Fetched { status, body: body.to_string().into_bytes() })
    }
}

fn merge(into: &mut Value, over: &Value) {
    let into = into.as_object_mut().unwrap();
    for (name, value) in over.as_object().unwrap() {
        match value {
            Value::Null => drop(into.remove(name)),
            value => drop(into.insert(name.clone(), value.clone())),
        }
    }
}
