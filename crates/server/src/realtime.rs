//! One WebSocket endpoint, `/api/v1/ws`: subscriptions to what was just accepted.

mod envelope; // what a message looks like
mod guard; // whether they still may
mod hub; // who gets it
mod socket; // one connection
mod tail; // rows as they come

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Extension, State};
use axum::http::request::Parts;
use axum::response::Response;

pub(crate) use envelope::timestamp;
pub(crate) use hub::Hub;

use crate::app::SharedApp;
use crate::chain::Identity;
use crate::error::Fault;
use crate::openapi::{Op, Routes};
use guard::Guard;

/// Largest message a client may send: a subscription of many selectors.
const CLIENT_MESSAGE_BYTES_MAX: usize = 64 << 10;

/// The one route.
pub(crate) fn routes() -> Routes {
    let op = Op::new("openWebSocket", "Subscriptions to what was just accepted, over a WebSocket")
        .about("The messages are described in the documentation.")
        .gives_nothing(101)
        .refuses(&[426]);
    Routes::new("Realtime").get("/api/v1/ws", upgrade, op)
}

/// Upgrades an authenticated request.
async fn upgrade(
    State(app): State<SharedApp>,
    Extension(identity): Extension<Identity>,
    parts: Parts,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => {
            let mut response = Fault::invalid("", rejection.body_text()).api();
            *response.status_mut() = rejection.status();
            return response;
        }
    };
    let connection = match app.hub().connect(&identity.tenant) {
        Ok(connection) => connection,
        Err(fault) => return fault.api(),
    };
    let guard = Guard::new(&parts, identity.released());
    upgrade
        .max_message_size(CLIENT_MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| socket::serve(app, guard, connection, socket))
}
