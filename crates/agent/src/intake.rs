//! Loopback intakes: the paths of the server's own intakes, kept on disk before they are answered. Bodies are
//! not decoded: the server does that, and what it refuses is counted there. What it could never take, because it is
//! too large or not what its encoding says, is refused at once.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use ingest::compress::{CompressError, decompress};
use kit::Shutdown;
use tokio::net::TcpListener;

use crate::spool::{Parcel, Spool};

/// Largest body, as it comes and unpacked: the server's own limit.
const BODY_BYTES_MAX: usize = 64 << 20;
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);

type Body = http_body_util::combinators::BoxBody<Bytes, Infallible>;

/// Serves one port: OTLP over HTTP and over gRPC, and the other intakes.
pub(crate) async fn serve(address: SocketAddr, spool: Spool, stop: Shutdown) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
            () = stop.requested() => return Ok(()),
        };
        let spool = spool.clone();
        kit::spawn::spawn("agent connection", async move {
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
            let service = service_fn(move |request| {
                let spool = spool.clone();
                async move { Ok::<_, Infallible>(answer(&spool, request).await) }
            });
            // A client that breaks off harms nobody but itself.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// What a path's clients take for success.
fn success(path: &str) -> Option<StatusCode> {
    match path {
        "/v1/metrics" | "/v1/logs" | "/v1/traces" => Some(StatusCode::OK),
        "/api/v1/write" | "/loki/api/v1/push" => Some(StatusCode::NO_CONTENT),
        "/api/v2/spans" | "/api/traces" => Some(StatusCode::ACCEPTED),
        _ => None,
    }
}

/// The path over HTTP of an export over gRPC.
fn of_grpc(path: &str) -> Option<&'static str> {
    match path {
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => Some("/v1/metrics"),
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => Some("/v1/logs"),
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => Some("/v1/traces"),
        _ => None,
    }
}

async fn answer(spool: &Spool, request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    if request.method() == Method::GET && path == "/-/ready" {
        return plain(StatusCode::OK, "ready\n");
    }
    let (head, body) = request.into_parts();
    let text = |name| head.headers.get(name).and_then(|v: &HeaderValue| v.to_str().ok()).unwrap_or("");
    let (content_type, encoding) = (text(CONTENT_TYPE).to_owned(), text(CONTENT_ENCODING).to_owned());
    if let Some(path) = of_grpc(&path) {
        let encoding = text(hyper::header::HeaderName::from_static("grpc-encoding")).to_owned();
        return grpc(spool, path, &encoding, body).await;
    }
    let Some(status) = success(&path).filter(|_| head.method == Method::POST) else {
        return plain(StatusCode::NOT_FOUND, "the agent takes POST to the intakes of the server only\n");
    };
    let body = match read(body).await {
        Ok(body) => body,
        Err(refused) => return refused,
    };
    let is_json = content_type.starts_with("application/json");
    let packed = match encoding.as_str() {
        // Protobuf for these is snappy although nothing says so.
        "" if !is_json && matches!(path.as_str(), "/api/v1/write" | "/loki/api/v1/push") => "snappy",
        encoding => encoding,
    };
    let body = match unpackable(packed, body) {
        Ok(body) => body,
        Err(error) => return unreadable(&error),
    };
    let parcel = Parcel { path: path.clone(), content_type, content_encoding: encoding, body };
    if let Err(error) = spool.put(&[parcel]).await {
        return unavailable(&error.to_string());
    }
    let mut response = plain(status, if status == StatusCode::OK && is_json { "{}" } else { "" });
    if status == StatusCode::OK {
        let kind = if is_json { "application/json" } else { "application/x-protobuf" };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    response
}

/// The body as it came, once it is known to unpack within the limit.
fn unpackable(encoding: &str, body: Vec<u8>) -> Result<Vec<u8>, CompressError> {
    if !encoding.is_empty() {
        decompress(encoding, body.clone(), BODY_BYTES_MAX)?;
    }
    Ok(body)
}

fn unreadable(error: &CompressError) -> Response<Body> {
    let status = match error {
        CompressError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        CompressError::Malformed { .. } => StatusCode::BAD_REQUEST,
        CompressError::UnknownEncoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
    };
    plain(status, &format!("{error}\n"))
}

async fn read(body: Incoming) -> Result<Vec<u8>, Response<Body>> {
    match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(whole) => Ok(whole.to_bytes().to_vec()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(plain(StatusCode::PAYLOAD_TOO_LARGE, "the body is over 64 MiB: send smaller batches\n"))
        }
        Err(_) => Err(plain(StatusCode::BAD_REQUEST, "the request ended before its body did\n")),
    }
}

/// One frame in, one frame out.
async fn grpc(spool: &Spool, path: &str, encoding: &str, body: Incoming) -> Response<Body> {
    const FRAME_HEAD: usize = 5;
    const INVALID_ARGUMENT: u8 = 3;
    const UNAVAILABLE: u8 = 14;
    let Ok(raw) = read(body).await else { return trailers_only(INVALID_ARGUMENT) };
    let Some((&[flag, ref length @ ..], message)) = raw.split_first_chunk::<FRAME_HEAD>() else {
        return trailers_only(INVALID_ARGUMENT);
    };
    if u32::from_be_bytes(*length) as usize != message.len() || flag > 1 {
        return trailers_only(INVALID_ARGUMENT);
    }
    let encoding = if flag == 1 { encoding } else { "" };
    let Ok(body) = unpackable(encoding, message.to_vec()) else { return trailers_only(INVALID_ARGUMENT) };
    let parcel = Parcel {
        path: path.to_owned(),
        content_type: "application/x-protobuf".into(),
        content_encoding: encoding.to_owned(),
        body,
    };
    if spool.put(&[parcel]).await.is_err() {
        return trailers_only(UNAVAILABLE);
    }
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(0);
    let trailers = HeaderMap::from_iter([(
        hyper::header::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let frames = [Ok(Frame::data(frame.freeze())), Ok(Frame::trailers(trailers))];
    let stream = Frames(frames.into_iter().collect());
    let mut response = Response::new(BodyExt::boxed(StreamBody::new(stream)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

/// Frames that are all there.
struct Frames(std::collections::VecDeque<Result<Frame<Bytes>, Infallible>>);

impl futures::Stream for Frames {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        std::task::Poll::Ready(self.0.pop_front())
    }
}

fn trailers_only(code: u8) -> Response<Body> {
    let mut response = plain(StatusCode::OK, "");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    let mut response = Response::new(Full::new(Bytes::copy_from_slice(text.as_bytes())).boxed());
    *response.status_mut() = status;
    response
}

fn unavailable(why: &str) -> Response<Body> {
    let mut response = plain(StatusCode::SERVICE_UNAVAILABLE, &format!("{why}\n"));
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
    response
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_unpacks_beyond_the_limit_or_not_at_all_is_refused() {
        let gzip = |bytes: usize| {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(&vec![0; bytes]).expect("written");
            writer.finish().expect("packed")
        };
        for (encoding, body, want) in [
            ("", b"x".to_vec(), 200),
            ("gzip", gzip(10), 200),
            ("gzip", gzip(BODY_BYTES_MAX + 1), 413),
            ("gzip", b"x".to_vec(), 400),
            ("lzw", b"x".to_vec(), 415),
        ] {
            let status =
                unpackable(encoding, body).map_or_else(|error| unreadable(&error).status().as_u16(), |_| 200);
            assert_eq!(status, want, "{encoding}");
        }
    }
}
