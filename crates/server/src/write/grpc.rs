//! OTLP over gRPC without generated messages: the framework frames and decompresses, the decoders of
//! `ingest` read the bytes. One decoder serves both transports.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{Request, Response};
use bytes::{Buf, BufMut, Bytes};
use tonic::codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, UnaryService};
use tonic::{Code, Status};
use tower::service_fn;

use ingest::otlp::metrics::Encoding;

use super::otlp;
use crate::access;
use crate::app::SharedApp;
use crate::error::Fault;

/// Messages as bytes.
#[derive(Clone, Copy, Debug, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, message: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(message.copy_to_bytes(message.remaining())))
    }
}

/// One handler, by signal.
struct Export {
    app: SharedApp,
    access: access::Identity,
}

impl UnaryService<Bytes> for Export {
    type Response = Bytes;
    type Future = futures::future::BoxFuture<'static, Result<tonic::Response<Bytes>, Status>>;

    fn call(&mut self, request: tonic::Request<Bytes>) -> Self::Future {
        let (app, access) = (self.app.clone(), self.access.clone());
        Box::pin(async move {
            let body = Vec::from(request.into_inner());
            match otlp::accept(&app, &access, Encoding::Protobuf, body).await {
                Ok(answer) => Ok(tonic::Response::new(answer.into())),
                Err(fault) => Err(status(&fault)),
            }
        })
    }
}

/// `MetricsService/Export`.
pub(crate) async fn export_metrics(
    app: SharedApp,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    let identity = match access::of_ingest(&app, request.method(), request.headers()).await {
        Ok(identity) => identity,
        Err(fault) => return Ok(status(&fault).into_http()),
    };
    let limit = app.limits().body_bytes;
    let mut grpc = Grpc::new(RawCodec)
        .accept_compressed(CompressionEncoding::Gzip)
        .accept_compressed(CompressionEncoding::Zstd)
        .send_compressed(CompressionEncoding::Gzip)
        .max_decoding_message_size(limit);
    Ok(grpc.unary(Export { app, access: identity }, request).await.map(Body::new))
}

/// A service for every method we do not have.
pub(crate) async fn unknown_method() -> Response<Body> {
    Status::new(Code::Unimplemented, "this server implements MetricsService/Export").into_http()
}

fn status(fault: &Fault) -> Status {
    Status::new(fault.grpc_code(), fault.message())
}

/// Keeps the type of the handler in one place for the router.
pub(crate) fn service(
    app: SharedApp,
) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |request| export_metrics(app.clone(), request))
}
