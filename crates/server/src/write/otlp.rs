//! OTLP over HTTP, and what both OTLP transports share.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ingest::otlp::metrics::{self, Context, Encoding};
use ingest::otlp::response::{self, Code};

use crate::access;
use crate::app::SharedApp;
use crate::body;
use crate::error::Fault;

/// `POST /v1/metrics` on 4318 and on the main port.
pub(crate) async fn metrics(State(app): State<SharedApp>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    let (_, content_type) = body::content_type(&head.headers);
    let Some(encoding) = Encoding::of_content_type(content_type) else {
        let why = format!("content type {content_type:?}: send application/x-protobuf or application/json");
        return refuse(&Fault::Unsupported(why), Encoding::Json);
    };
    let accepted = async {
        let identity = access::of_ingest(&app, &head.method, &head.headers).await?;
        let (raw, mut admission) = app.admit(&head.headers, body).await?;
        let plain = super::unpack(&app, body::encoding(&head.headers), raw, &mut admission)?;
        accept(&app, &identity, encoding, plain).await
    };
    match accepted.await {
        Ok(answer) => typed(StatusCode::OK, answer, encoding),
        Err(fault) => refuse(&fault, encoding),
    }
}

/// Decodes and stores one request; the answer is an `ExportMetricsServiceResponse` in the same encoding.
pub(crate) async fn accept(
    app: &SharedApp,
    identity: &access::Identity,
    encoding: Encoding,
    body: Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    let context = Context { received_at_ms: app.now_ms(), settings: app.otlp_settings() };
    let decoded = metrics::decode(body, encoding, &context).map_err(super::fault)?;
    let written = super::append(app, &identity.tenant, "otlp", decoded).await?;
    Ok(response::success(encoding, written.refusals.items() as u64, &written.refusals.summary()))
}

fn typed(status: StatusCode, body: Vec<u8>, encoding: Encoding) -> Response {
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(encoding.content_type()));
    response
}

/// A `google.rpc.Status` in the sender's encoding.
fn refuse(fault: &Fault, encoding: Encoding) -> Response {
    let body = response::status(encoding, code(fault), &fault.message());
    fault.finish(typed(fault.status(), body, encoding))
}

/// The gRPC code that goes into an HTTP answer.
fn code(fault: &Fault) -> Code {
    match fault {
        Fault::Invalid { .. } | Fault::TooLarge(_) | Fault::Execution(_) | Fault::NotFound(_) => {
            Code::InvalidArgument
        }
        Fault::Unsupported(_) => Code::Unimplemented,
        Fault::Unauthorized => Code::Unauthenticated,
        Fault::Forbidden(_) => Code::PermissionDenied,
        Fault::TooMany(_) => Code::ResourceExhausted,
        Fault::Timeout(_) | Fault::Cancelled | Fault::Unavailable(_) => Code::Unavailable,
        Fault::Internal(_) => Code::Internal,
    }
}
