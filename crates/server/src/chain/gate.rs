//! The steps as middleware.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::{Asked, Need, pass};
use crate::app::SharedApp;
use crate::openapi::Words;

/// What the routes behind a gate ask, and in which words they refuse.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) app: SharedApp,
    pub(crate) need: Need,
    pub(crate) words: Words,
}

/// Lets a request through to its handler, with who asks among its extensions.
pub(crate) async fn gate(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    match pass(&gate.app, Asked::from(&parts), gate.need).await {
        Ok(identity) => {
            parts.extensions.insert(identity);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(fault) => gate.words.say(&fault),
    }
}
