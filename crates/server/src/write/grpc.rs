//! OTLP over gRPC without generated code: one frame in, one frame out, read within the same bounds and by
//! the same decoders as over HTTP.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::StreamBody;
use hyper::body::Frame;
use ingest::otlp::metrics::Encoding;
use prost::Message;
use tonic::{Code, Status};
use tower::service_fn;

use super::otlp::{self, Export};
use crate::app::SharedApp;
use crate::body;
use crate::chain::{self, Need};
use crate::error::{Fault, RETRY_AFTER_SECONDS};

/// A byte that says whether the message is compressed, four of its length.
const FRAME_HEAD: usize = 5;
const CONTENT_TYPE: HeaderValue = HeaderValue::from_static("application/grpc");
const ACCEPT_ENCODING: &str = "grpc-accept-encoding";

/// `Export` of one of the three services.
async fn export(
    app: SharedApp,
    export: Export,
    request: Request<Body>,
) -> Result<Response<Body>, Infallible> {
    let (head, body) = request.into_parts();
    if !is_grpc(&head.headers) {
        return Ok(plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send content type application/grpc\n"));
    }
    if head.method != Method::POST {
        return Ok(plain(StatusCode::METHOD_NOT_ALLOWED, "gRPC is sent by POST\n"));
    }
    Ok(match accept(&app, export, &head, body).await {
        Ok(answer) => message(&answer),
        Err(fault) => status(&fault).into_http(),
    })
}

async fn accept(app: &SharedApp, export: Export, head: &Parts, body: Body) -> Result<Vec<u8>, Fault> {
    let (identity, headers) = (chain::pass(app, head.into(), Need::INGEST).await?, &head.headers);
    let (mut raw, mut admission) = app.admit(&identity, headers, body).await?;
    let compressed = unframe(&mut raw)?;
    let encoding = if compressed { message_encoding(headers)? } else { "" };
    let plain = super::unpack(app, encoding, raw, &mut admission)?;
    otlp::accept(app, &identity, export, Encoding::Protobuf, plain).await
}

/// `application/grpc`, with or without `+proto`; its relative for browsers is another protocol.
fn is_grpc(headers: &HeaderMap) -> bool {
    let (base, _) = body::content_type(headers);
    base.strip_prefix("application/grpc").is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
}

/// Leaves the only message of a request; true when it is compressed.
fn unframe(raw: &mut Vec<u8>) -> Result<bool, Fault> {
    let wrong = |why: &str| Err(Fault::invalid("", format!("the request is no gRPC message: {why}")));
    let Some((head, message)) = raw.split_first_chunk::<FRAME_HEAD>() else {
        return wrong("it ends within the head of its frame");
    };
    let [flag, length @ ..] = *head;
    if u32::from_be_bytes(length) as usize != message.len() {
        return wrong("its length is not what its frame says");
    }
    if flag > 1 {
        return wrong("the first byte of its frame is neither 0 nor 1");
    }
    raw.drain(..FRAME_HEAD);
    Ok(flag == 1)
}

/// The encoding of compressed messages: those of gRPC only.
fn message_encoding(headers: &HeaderMap) -> Result<&str, Fault> {
    let named = headers.get("grpc-encoding").and_then(|v| v.to_str().ok()).unwrap_or("");
    match named {
        "gzip" | "zstd" | "deflate" => Ok(named),
        "" | "identity" => {
            Err(Fault::invalid("grpc-encoding", "a message is compressed and no encoding is named"))
        }
        other => {
            let other: String = other.chars().take(40).collect();
            Err(Fault::Unsupported(format!("grpc-encoding {other:?}: use gzip, zstd or deflate")))
        }
    }
}

/// One message and the trailers of success.
fn message(answer: &[u8]) -> Response<Body> {
    let mut frame = BytesMut::with_capacity(FRAME_HEAD + answer.len());
    frame.put_u8(0);
    frame.put_u32(answer.len() as u32);
    frame.put_slice(answer);
    let trailers = HeaderMap::from_iter([(Status::GRPC_STATUS.clone(), HeaderValue::from_static("0"))]);
    let frames = [Ok::<_, Infallible>(Frame::data(frame.freeze())), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(Body::new(StreamBody::new(futures::stream::iter(frames))));
    response.headers_mut().insert(header::CONTENT_TYPE, CONTENT_TYPE);
    response.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip,zstd,deflate"));
    response
}

fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

/// For every method we do not have.
pub(crate) async fn unknown_method() -> Response<Body> {
    let known = "this server implements Export of MetricsService, LogsService and TraceService";
    Status::new(Code::Unimplemented, known).into_http()
}

/// What a fault is in gRPC. Senders try again after a limit only when they are told for how long to wait.
fn status(fault: &Fault) -> Status {
    let (code, message) = (fault.grpc_code(), fault.message());
    match fault {
        Fault::TooMany(_) | Fault::Unavailable(_) => after(code, message, RETRY_AFTER_SECONDS),
        Fault::Throttled { retry_after_seconds, .. } => after(code, message, *retry_after_seconds),
        _ => Status::new(code, message),
    }
}

fn after(code: Code, message: String, seconds: u64) -> Status {
    let details = retry_details(code, &message, seconds);
    Status::with_details(code, message, details)
}

/// `google.rpc.Status` with a `google.rpc.RetryInfo`.
fn retry_details(code: Code, message: &str, seconds: u64) -> Bytes {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    let retry = RetryInfo { delay: Some(Delay { seconds }) };
    let detail =
        Detail { type_url: "type.googleapis.com/google.rpc.RetryInfo".into(), value: retry.encode_to_vec() };
    RpcStatus { code: code as i32, message: message.into(), details: vec![detail] }.encode_to_vec().into()
}

#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

/// Keeps the type of the handler in one place for the router.
pub(crate) fn service(
    app: SharedApp,
    of: Export,
) -> impl tower::Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |request| export(app.clone(), of, request))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_whole_frame() {
        for (raw, want) in [
            (&[0, 0, 0, 0, 2, 7, 8][..], Some((false, vec![7, 8]))),
            (&[1, 0, 0, 0, 1, 9], Some((true, vec![9]))),
            (&[0, 0, 0, 0, 0], Some((false, vec![]))),
            (&[0, 0, 0, 0], None),
            (&[2, 0, 0, 0, 0], None),
            (&[0, 0, 0, 0, 1], None),
            (&[0, 0xff, 0xff, 0xff, 0xff, 1], None),
            (&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0], None),
        ] {
            let mut bytes = raw.to_vec();
            let flag = unframe(&mut bytes).ok();
            assert_eq!(flag.map(|flag| (flag, bytes)), want, "{raw:?}");
        }
    }

    #[test]
    fn only_grpc_proper_is_grpc() {
        for (kind, want) in [
            ("application/grpc", true),
            ("application/grpc+proto; a=b", true),
            ("application/grpc-web", false),
            ("application/json", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(kind))]);
            assert_eq!(is_grpc(&headers), want, "{kind}");
        }
    }
}
