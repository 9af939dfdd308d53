//! The steps as middleware.

use axum::RequestPartsExt;
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;

use super::{Asked, Need, pass};
use crate::app::SharedApp;
use crate::error::Fault;
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
    let passed = async {
        let identity = pass(&gate.app, Asked::from(&parts), gate.need).await?;
        readable_path(&mut parts).await?;
        Ok::<_, Fault>(identity)
    };
    match passed.await {
        Ok(identity) => {
            parts.extensions.insert(identity);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(fault) => gate.words.say(&fault),
    }
}

/// Refuses names in a path that are no text, here so that it is said in the words of the route.
async fn readable_path(parts: &mut Parts) -> Result<(), Fault> {
    match parts.extract::<RawPathParams>().await {
        Err(RawPathParamsRejection::InvalidUtf8InPathParam(_)) => {
            Err(Fault::invalid("path", "the path is no text in UTF-8"))
        }
        _ => Ok(()),
    }
}
