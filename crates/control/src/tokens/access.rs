//! Access tokens: made, and judged claim by claim.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::error::ControlError;
use crate::permissions::{Permission, Permissions, Principal};
use crate::secret::{Secret, new_id};
use crate::tokens::news::{FRESH, FRESHER};
use crate::tokens::signing::SigningKey;
use crate::tokens::{ACCESS_SECONDS, Binding, Holder, Tokens};

/// Longer texts are no tokens of ours. Ours have about 1,000 bytes.
const BYTES_MAX: usize = 8 << 10;

/// What the header says the token is (RFC 9068), so that no other signed statement passes for one.
const TYPE: &str = "at+jwt";

/// How far the clock of the process that issued a token may be ahead.
const LEEWAY_SECONDS: i64 = 30;

/// What an access token says. Times are seconds since the Unix epoch.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    /// The person.
    sub: String,
    /// Their tenant.
    org: String,
    role: String,
    permissions: Vec<String>,
    iat: i64,
    nbf: i64,
    exp: i64,
    jti: String,
    /// The family.
    sid: String,
    /// Marks of the address and the user agent the family began at.
    adr: String,
    agt: String,
}

/// Whoever showed a valid access token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPrincipal {
    /// Who it is, and what they may do: what the token says and what their role permits now, both.
    pub principal: Principal,
    /// The token's own identifier, to revoke it by.
    pub token_id: String,
    /// The family it belongs to.
    pub family: String,
    /// Milliseconds since the Unix epoch.
    pub expires_at: i64,
}

impl Tokens {
    /// A signed statement about a person, for one family.
    pub(super) fn make_access(
        &self,
        key: &SigningKey,
        holder: &Holder,
        family: &str,
        binding: Binding<'_>,
    ) -> Result<Secret, ControlError> {
        let settings = &self.shared.settings;
        let iat = self.now().div_euclid(1000);
        let claims = Claims {
            iss: settings.issuer.clone(),
            aud: settings.audience.clone(),
            sub: holder.user.id.clone(),
            org: holder.user.tenant.to_string(),
            role: holder.user.role.clone(),
            permissions: holder.principal.permissions.names().into_iter().map(str::to_owned).collect(),
            iat,
            nbf: iat,
            exp: iat.saturating_add(ACCESS_SECONDS),
            jti: new_id("at")?,
            sid: family.to_owned(),
            adr: mark(family, "address", binding.address),
            agt: mark(family, "agent", binding.agent),
        };
        let header = json!({"alg": "RS256", "typ": TYPE, "kid": key.kid}).to_string();
        let claims = serde_json::to_string(&claims).expect("claims are texts and numbers");
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = key.sign(message.as_bytes())?;
        Ok(Secret::of(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))))
    }

    /// Whose token this is. Every way in which a token may be wrong has one error.
    ///
    /// Revocations by this process count at once, those by others within a second; changes of the person
    /// within ten.
    pub async fn authenticate_access(
        &self,
        presented: &str,
        binding: Binding<'_>,
    ) -> Result<AccessPrincipal, ControlError> {
        self.read_news(FRESH).await?;
        let claims = self.claims(presented).await?;
        let settings = &self.shared.settings;
        let now = self.now().div_euclid(1000);
        let is_ours = claims.iss == settings.issuer && claims.aud == settings.audience;
        let is_now = now < claims.exp
            && claims.nbf <= now.saturating_add(LEEWAY_SECONDS)
            && claims.iat <= now.saturating_add(LEEWAY_SECONDS)
            && claims.exp.saturating_sub(claims.iat) <= ACCESS_SECONDS;
        let is_bound = (!settings.bind_address
            || is_mark(&claims.adr, &claims.sid, "address", binding.address))
            && (!settings.bind_agent || is_mark(&claims.agt, &claims.sid, "agent", binding.agent));
        let news = &self.shared.news;
        let is_revoked = news.is_revoked(&claims.jti) || news.is_revoked(&claims.sid);
        if !is_ours || !is_now || !is_bound || is_revoked {
            return Err(ControlError::InvalidToken);
        }
        let holder = self.known_holder(&claims.sub).await?.ok_or(ControlError::InvalidToken)?;
        if holder.user.tenant.as_str() != claims.org {
            return Err(ControlError::InvalidToken);
        }
        let mut principal = holder.principal.clone();
        principal.permissions = both(principal.permissions, &claims.permissions);
        Ok(AccessPrincipal {
            principal,
            token_id: claims.jti,
            family: claims.sid,
            expires_at: claims.exp.saturating_mul(1000),
        })
    }

    /// The claims, once the signature has been checked; they are not judged here.
    async fn claims(&self, presented: &str) -> Result<Claims, ControlError> {
        if presented.len() > BYTES_MAX {
            return Err(ControlError::InvalidToken);
        }
        let header = decode_header(presented).map_err(|_| ControlError::InvalidToken)?;
        let is_plain = header.typ.as_deref() == Some(TYPE) && header.crit.is_none();
        let kid = header.kid.filter(|_| is_plain && header.alg == Algorithm::RS256);
        let kid = kid.ok_or(ControlError::InvalidToken)?;
        let mut key = self.shared.keys.read().verifying(&kid, self.now());
        if key.is_none() {
            // Another process may have rotated a moment ago.
            self.read_news(FRESHER).await?;
            key = self.shared.keys.read().verifying(&kid, self.now());
        }
        let key = key.ok_or(ControlError::InvalidToken)?;
        // Times are judged by our own clock, and the rest with them.
        let mut signature_only = Validation::new(Algorithm::RS256);
        signature_only.required_spec_claims.clear();
        (signature_only.validate_exp, signature_only.validate_aud) = (false, false);
        let decoded = decode::<Claims>(presented, &key, &signature_only);
        Ok(decoded.map_err(|_| ControlError::InvalidToken)?.claims)
    }
}

/// A token never gives more than it says, and never more than the role permits by now.
fn both(now: Permissions, claimed: &[String]) -> Permissions {
    let claimed = claimed.iter().filter_map(|name| Permission::parse(name));
    let kept = claimed.filter(|permission| now.has(*permission));
    kept.fold(Permissions::NONE, |all, permission| all.and(Permissions::of(&[permission])))
}

/// What a token carries instead of the address or the user agent itself.
fn mark(family: &str, what: &str, value: &str) -> String {
    let digest = Sha256::new()
        .chain_update(family)
        .chain_update([0])
        .chain_update(what)
        .chain_update([0])
        .chain_update(value)
        .finalize();
    URL_SAFE_NO_PAD.encode(&digest[..16])
}

fn is_mark(claimed: &str, family: &str, what: &str, value: &str) -> bool {
    mark(family, what, value).as_bytes().ct_eq(claimed.as_bytes()).into()
}
