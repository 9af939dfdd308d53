//! One WebSocket endpoint, `/api/v1/ws`: subscriptions to what was just accepted.

mod envelope; // what a message looks like
mod hub; // who gets it
mod socket; // one connection
mod tail; // rows as they come

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Extension, State};
use axum::response::Response;

pub(crate) use envelope::timestamp;
pub(crate) use hub::Hub;

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::ApiFault;

/// Largest message a client may send: a subscription of many selectors.
const CLIENT_MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Upgrades an authenticated request.
pub(crate) async fn upgrade(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, ApiFault> {
    let connection = app.hub().connect(&identity.tenant)?;
    Ok(upgrade
        .max_message_size(CLIENT_MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| socket::serve(app, identity.tenant, connection, socket)))
}
