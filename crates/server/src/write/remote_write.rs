//! `POST /api/v1/write`: Prometheus remote write 1.0 and 2.0.
//!
//! Good series are stored whatever their neighbours are. A request with refused series is answered 400,
//! which senders do not repeat, with the counts of what was written. Overload is 503, never 429: stock
//! senders drop on 429 unless told otherwise.

use axum::body::Body;
use axum::extract::State;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use ingest::remote_write::{Context, Version};

use super::Written;
use crate::app::SharedApp;
use crate::body;
use crate::chain::{self, Need};
use crate::error::Fault;
use crate::openapi::{Op, Routes, bytes};

/// The one route.
pub(crate) fn routes() -> Routes {
    let op = Op::new("remoteWrite", "Stores samples of a Prometheus")
        .about(
            "A `prometheus.WriteRequest`, or an `io.prometheus.write.v2.Request`, as snappy. Good series are \
             stored whatever their neighbours are; a request with refused ones is answered 400.",
        )
        .takes_content(bytes("application/x-protobuf"))
        .gives_nothing(204)
        .refuses(&[415]);
    Routes::new("Prometheus").post("/api/v1/write", write, op)
}

/// One write request.
async fn write(State(app): State<SharedApp>, request: Request<Body>) -> Response {
    let (head, body) = request.into_parts();
    match accept(&app, &head, body).await {
        Ok(written) => answer(&written),
        Err(fault @ (Fault::TooMany(_) | Fault::Throttled { .. })) => {
            let answer = Fault::Unavailable(fault.message()).text();
            counted(fault.finish(answer), &Written::default())
        }
        Err(fault) => counted(fault.text(), &Written::default()),
    }
}

async fn accept(app: &SharedApp, head: &Parts, body: Body) -> Result<Written, Fault> {
    let (identity, headers) = (chain::pass(app, head.into(), Need::INGEST).await?, &head.headers);
    let (_, content_type) = body::content_type(headers);
    let version = Version::of_content_type(content_type).ok_or_else(|| {
        Fault::Unsupported(format!(
            "content type {content_type:?}: send application/x-protobuf, for 2.0 with proto=io.prometheus.write.v2.Request"
        ))
    })?;
    let encoding = body::encoding(headers);
    if !encoding.is_empty() && !encoding.eq_ignore_ascii_case("snappy") {
        return Err(Fault::Unsupported(format!(
            "content encoding {encoding:?}: remote write is sent as snappy"
        )));
    }
    let (raw, mut admission) = app.admit(&identity, headers, body).await?;
    let plain = super::unpack(app, "snappy", raw, &mut admission)?;
    let decoded = version.decode(plain, &Context { received_at_ms: app.now_ms() }).map_err(super::fault)?;
    super::append(app, &identity.tenant, "remote_write", decoded).await
}

fn answer(written: &Written) -> Response {
    // What was refused without a sample (an exemplar, a piece of metadata) is a remark: a sender would count
    // the whole request as lost.
    let response = if written.refusals.items() == 0 {
        StatusCode::NO_CONTENT.into_response()
    } else {
        (StatusCode::BAD_REQUEST, written.refusals.summary() + "\n").into_response()
    };
    counted(response, written)
}

/// Says what was written, which 2.0 asks of failures too.
fn counted(mut response: Response, written: &Written) -> Response {
    let counts = [
        ("x-prometheus-remote-write-samples-written", written.samples.saturating_sub(written.histograms)),
        ("x-prometheus-remote-write-histograms-written", written.histograms),
        ("x-prometheus-remote-write-exemplars-written", written.exemplars),
    ];
    for (name, count) in counts {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from(count as u64));
    }
    response
}
