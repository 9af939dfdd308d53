//! OTLP over HTTP, and what both OTLP transports share: metrics, logs and traces.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ingest::otlp::metrics::{self, Context, Encoding};
use ingest::otlp::response::{self, Code};
use ingest::otlp::{logs, traces};
use model::Signal;

use super::bodies::{OtlpAnswer, OtlpLogs, OtlpMetrics, OtlpTraces};
use crate::app::SharedApp;
use crate::body;
use crate::chain;
use crate::error::Fault;
use crate::openapi::{Op, Routes, bytes};

/// Every export, on the main port and on a port of its own.
pub(crate) fn routes() -> Routes {
    Routes::new("Intake")
        .post(
            Export::Metrics.path(),
            metrics,
            op("exportMetrics", "Stores metrics (OTLP)").takes::<OtlpMetrics>(),
        )
        .post(Export::Logs.path(), logs, op("exportLogs", "Stores logs (OTLP)").takes::<OtlpLogs>())
        .post(Export::Traces.path(), traces, op("exportTraces", "Stores spans (OTLP)").takes::<OtlpTraces>())
}

/// Where a Prometheus takes OTLP.
pub(crate) fn prometheus_routes() -> Routes {
    let op = op("exportMetricsToPrometheus", "Stores metrics (OTLP)").takes::<OtlpMetrics>();
    Routes::new("Prometheus").post("/api/v1/otlp/v1/metrics", metrics, op)
}

/// An export in protobuf; JSON comes with its own type.
fn op(id: &'static str, summary: &'static str) -> Op {
    let protobuf = bytes("application/x-protobuf");
    Op::new(id, summary).takes_content(protobuf).gives_content(protobuf).gives::<OtlpAnswer>().refuses(&[415])
}

/// What a request exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Export {
    /// `ExportMetricsServiceRequest`.
    Metrics,
    /// `ExportLogsServiceRequest`.
    Logs,
    /// `ExportTraceServiceRequest`.
    Traces,
}

impl Export {
    /// Every export, for the routers.
    pub(crate) const ALL: [Self; 3] = [Self::Metrics, Self::Logs, Self::Traces];

    /// The path over HTTP.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Metrics => "/v1/metrics",
            Self::Logs => "/v1/logs",
            Self::Traces => "/v1/traces",
        }
    }

    /// The method over gRPC.
    pub(crate) fn grpc_path(self) -> &'static str {
        match self {
            Self::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Self::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
            Self::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        }
    }

    fn signal(self) -> Signal {
        match self {
            Self::Metrics => Signal::Metrics,
            Self::Logs => Signal::Logs,
            Self::Traces => Signal::Traces,
        }
    }
}

/// `POST /v1/metrics`.
async fn metrics(State(app): State<SharedApp>, request: Request<Body>) -> Response {
    export(&app, request, Export::Metrics).await
}

/// `POST /v1/logs`.
async fn logs(State(app): State<SharedApp>, request: Request<Body>) -> Response {
    export(&app, request, Export::Logs).await
}

/// `POST /v1/traces`.
async fn traces(State(app): State<SharedApp>, request: Request<Body>) -> Response {
    export(&app, request, Export::Traces).await
}

async fn export(app: &SharedApp, request: Request<Body>, export: Export) -> Response {
    let (head, body) = request.into_parts();
    let (_, content_type) = body::content_type(&head.headers);
    let Some(encoding) = Encoding::of_content_type(content_type) else {
        let why = format!("content type {content_type:?}: send application/x-protobuf or application/json");
        return refuse(&Fault::Unsupported(why), Encoding::Json);
    };
    let accepted = async {
        let identity = chain::pass(app, (&head).into(), chain::Need::INGEST).await?;
        let (raw, mut admission) = app.admit(&identity, &head.headers, body).await?;
        let plain = super::unpack(app, body::encoding(&head.headers), raw, &mut admission)?;
        accept(app, &identity, export, encoding, plain).await
    };
    match accepted.await {
        Ok(answer) => typed(StatusCode::OK, answer, encoding),
        Err(fault) => refuse(&fault, encoding),
    }
}

/// Decodes and stores one request; the answer is the export's response in the same encoding.
pub(crate) async fn accept(
    app: &SharedApp,
    identity: &chain::Identity,
    export: Export,
    encoding: Encoding,
    body: Vec<u8>,
) -> Result<Vec<u8>, Fault> {
    let tenant = &identity.tenant;
    let refusals = match export {
        Export::Metrics => {
            let context = Context { received_at_ms: app.now_ms(), settings: app.otlp_settings() };
            let decoded = metrics::decode(body, encoding, &context).map_err(super::fault)?;
            super::append(app, tenant, "otlp", decoded).await?.refusals
        }
        Export::Logs => {
            let decoded = logs::decode(body, encoding, &super::rows::context(app)).map_err(super::fault)?;
            super::rows::append(app, tenant, "otlp", decoded).await?.refusals
        }
        Export::Traces => {
            let decoded = traces::decode(body, encoding, &super::rows::context(app)).map_err(super::fault)?;
            super::rows::append(app, tenant, "otlp", decoded).await?.refusals
        }
    };
    Ok(response::partial_success(encoding, export.signal(), refusals.items() as u64, &refusals.summary()))
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
        Fault::Invalid { .. }
        | Fault::TooLarge(_)
        | Fault::Execution(_)
        | Fault::NotFound(_)
        | Fault::Conflict(_)
        | Fault::Stale(_)
        | Fault::TenantRequired => Code::InvalidArgument,
        Fault::Unsupported(_) => Code::Unimplemented,
        Fault::Unauthorized | Fault::WrongCredentials | Fault::SecondFactor => Code::Unauthenticated,
        Fault::Forbidden(_) => Code::PermissionDenied,
        Fault::TooMany(_) | Fault::Throttled { .. } => Code::ResourceExhausted,
        Fault::Timeout(_) | Fault::Cancelled | Fault::Unavailable(_) => Code::Unavailable,
        Fault::Internal(_) => Code::Internal,
    }
}
