//! Accounts: signing in by every way there is, tokens, and what people do to their own account.

mod fetch; // how providers are asked
mod invitations; // joining
mod password; // forgotten ones
mod profile; // one's own account
mod second_factor; // authenticators
mod session; // the cookie
mod sign_in; // by link and by password
mod sso; // through a provider
mod tokens; // for programs

use control::ActorKind;

use crate::chain::{Identity, Need};
use crate::error::Fault;
use crate::openapi::Routes;

pub(crate) use fetch::ProviderFetch;
pub(crate) use sso::find_provider;

/// What answers anyone. Each of these bounds how often it is asked.
pub(crate) fn public_routes() -> Routes {
    sign_in::routes()
        .merge(password::routes())
        .merge(invitations::routes())
        .merge(tokens::routes())
        .merge(sso::routes())
}

/// What answers whoever is signed in, by what it needs.
pub(crate) fn routes() -> Vec<(Need, Routes)> {
    vec![(Need::SIGNED_IN, profile::routes().merge(second_factor::routes()))]
}

/// The person who asks, by identifier: keys have no account of their own.
fn person(identity: &Identity) -> Result<&str, Fault> {
    match identity.principal.who.kind {
        ActorKind::User => Ok(&identity.principal.who.id),
        ActorKind::Key | ActorKind::ServiceAccount | ActorKind::System => {
            Err(Fault::Forbidden("this is about a person's account: sign in as one".to_owned()))
        }
    }
}
